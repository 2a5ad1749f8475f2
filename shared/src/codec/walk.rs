//! How rows travel: the one place that says what is sent in which order, for both directions.
//!
//! A [`Side`] is either an encoder's, which knows each value and writes it, or a decoder's, which
//! learns it. Both compute the same forecasts and contexts on the way.
//!
//! Entities that changed travel in groups of one kind; see [`super::columns`].

use super::{
    columns::{Columns, Group, Moving, Scratch},
    forecast::FEATURES,
    model::Model,
    past::Basis,
    plan::{FieldPlan, Plan},
    structure::{Stretch, Structure},
    table::{Family, Table},
};
use crate::rows::Rows;

/// Where a number stands: for the books that an encoder keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// Which field of which kind.
    pub(super) slot: u16,
    pub(super) context: u8,
    pub(super) centre: u8,
}

/// One end of the way.
pub(super) trait Side {
    /// Whether values are known before they are told.
    const KNOWS: bool;
    /// Whether it keeps books.
    const LEARNS: bool;
    /// The new rows. Until a value is told, it is that of the baseline.
    fn rows(&self) -> &Rows;
    /// Their values.
    #[inline(always)]
    fn values(&self) -> &[i32] {
        self.rows().values()
    }
    /// Learns the value of a field, which may be out of its range if it was not honest.
    fn set(&mut self, field: &FieldPlan, at: usize, value: i32);
    /// Whether an entity changed, by its position in the new rows.
    fn change(&mut self, kind: u8, context: usize, odds: u8, position: usize) -> bool;
    /// Whether also one of an entity's still fields changed.
    fn stills(&mut self, kind: u8, odds: u8, changed: bool) -> bool;
    /// A residual.
    fn number(&mut self, site: Site, table: &Table, number: i32) -> i32;
    /// A value as it is.
    fn plain(&mut self, site: Site, field: &FieldPlan, value: i32) -> i32;
    /// A forecast with these weights was followed by a value that is so far from its base.
    fn learn(
        &mut self,
        site: Site,
        features: [f64; FEATURES],
        activity: f64,
        change: f64,
        weights: [f64; FEATURES],
    );
}

/// What rows are coded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) model: &'a Model,
    /// The model's weights.
    pub(super) weights: &'a [[f64; FEATURES]],
    pub(super) family: &'static Family,
}

impl Walk<'_> {
    /// Carries all rows of a snapshot.
    pub(super) fn rows<S: Side>(
        &self,
        side: &mut S,
        structure: &Structure,
        mut basis: Basis<'_>,
        scratch: &mut Scratch,
    ) {
        // A game may have no entities at all.
        if side.rows().is_empty() {
            return;
        }
        let mut columns = self.columns(side.rows().entity(0).1);
        let mut group = Group::new();
        let (mut position, mut start) = (0, 0);
        let mut before = Before::Nothing;
        for stretch in structure.stretches(basis.baseline()) {
            let (kept, len) = match stretch {
                Stretch::Kept(range) => (Some(range.start), range.len()),
                Stretch::Spawned(..) => (None, 1),
            };
            for n in 0..len {
                let kind = side.rows().entity(position).1;
                if kind != columns.kind || group.is_full() {
                    columns.carry(side, &mut group, scratch);
                    columns = self.columns(kind);
                }
                let fields = columns.plan.fields.len();
                if let Some(first) = kept {
                    let trail = basis.trails()[first + n];
                    let pattern = basis.meaning(trail);
                    let context = pattern.context + before as usize;
                    let odds = columns.model.changes[context];
                    let changed = side.change(kind, context, odds, position);
                    if !trail.is_settled() {
                        before = if changed { Before::Changed } else { Before::Same };
                    }
                    if changed {
                        let pattern = *pattern;
                        let steps = basis.steps(first + n, fields, &pattern);
                        group.push(Moving::new(start, steps, pattern.elapsed));
                    }
                } else {
                    columns.spawned(side, start);
                }
                position += 1;
                start += fields;
            }
        }
        columns.carry(side, &mut group, scratch);
    }

    fn columns(&self, kind: u8) -> Columns<'_> {
        let plan = &self.plan.kinds[usize::from(kind)];
        let slots = plan.first_slot..=plan.first_slot + plan.fields.len();
        Columns {
            kind,
            plan,
            model: &self.model.kinds[usize::from(kind)],
            fields: &self.model.fields[slots.clone()],
            weights: &self.weights[slots],
            family: self.family,
            substep: self.plan.substep,
        }
    }
}

/// What the last entity did that was not at rest.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Same,
    Changed,
}
