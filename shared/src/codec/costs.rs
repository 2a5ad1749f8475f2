//! What a match's bodies were made of.

use super::plan::Plan;

/// Bits that bodies were made of, by what they told: the answer to "what eats my bandwidth?".
///
/// Counted while encoding; in a match that is no longer young, one body counts for those after it.
/// Each encoding counts once, however many clients it is sent to.
#[derive(Clone, Debug)]
pub struct Costs {
    /// In 1/256 bit: by kind and field, each kind followed by its moment.
    pub(super) slots: Vec<u64>,
    first_slots: Vec<usize>,
    /// By kind: which entities, and whether still fields, changed.
    pub(super) changes: Vec<u64>,
}

impl Costs {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            slots: vec![0; plan.slots],
            first_slots: plan.kinds.iter().map(|kind| kind.first_slot).collect(),
            changes: vec![0; plan.kinds.len()],
        }
    }

    /// Bits spent on one field of one kind. The index after the last field's is the bits spent on
    /// telling which moment rows are of; see [`Schema::substeps`](crate::schema::Schema::substeps).
    #[must_use]
    pub fn field_bits(&self, kind: usize, field: usize) -> f64 {
        self.slots[self.first_slots[kind] + field] as f64 / 256.0
    }

    /// Bits spent on saying which entities of a kind changed.
    #[must_use]
    pub fn change_bits(&self, kind: usize) -> f64 {
        self.changes[kind] as f64 / 256.0
    }
}
