//! How many bits each part of a match's bodies takes.

use super::plan::Plan;

/// The bits of a match's bodies by kind and field: the answer to "what eats my bandwidth?".
///
/// Counted while encoding; the longer a match has run, the more bodies are sampled instead of
/// counted. Each encoding counts once, however many clients it is sent to.
#[derive(Clone, Debug)]
pub struct Costs {
    /// In 1/256 bit: by kind and field, each kind followed by its moment.
    pub(super) slots: Vec<u64>,
    first_slots: Vec<usize>,
    /// By kind, in 1/256 bit: which entities changed, and whether their stills did.
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

    /// Bits spent on one field of one kind. The index after the last field is for the moment of
    /// rows; see [`Schema::substeps`](crate::schema::Schema::substeps).
    #[must_use]
    pub fn field_bits(&self, kind: usize, field: usize) -> f64 {
        self.slots[self.first_slots[kind] + field] as f64 / 256.0
    }

    /// Bits spent on which entities of a kind changed.
    #[must_use]
    pub fn change_bits(&self, kind: usize) -> f64 {
        self.changes[kind] as f64 / 256.0
    }
}
