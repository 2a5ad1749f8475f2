//! The order in which rows are coded, defined once for encoder and decoder.
//!
//! A [`Side`] is either the encoder's, which has each value and writes it, or the decoder's, which
//! reads it. Both compute the same forecasts and contexts.
//!
//! Entities that changed are coded in groups of one kind; see [`super::columns`].

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

/// Which table a number was coded with, for the encoder's statistics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// The slot of the field or moment; see [`Plan::slots`].
    pub(super) slot: u16,
    pub(super) context: u8,
    pub(super) centre: u8,
}

/// The encoder's or the decoder's part of a walk. The methods that code something return what was
/// coded; a decoder ignores the value that it is given.
pub(super) trait Side {
    /// Whether this is the encoder's side: the new values are known before they are coded.
    const KNOWS: bool;
    /// Whether it collects statistics.
    const LEARNS: bool;
    /// The new rows. In a decoder, a value that was not coded yet is still that of the baseline.
    fn rows(&self) -> &Rows;
    /// The values of the new rows.
    #[inline(always)]
    fn values(&self) -> &[i32] {
        self.rows().values()
    }
    /// Sets a value that was decoded; from a hostile body it may be out of the field's range.
    fn set(&mut self, field: &FieldPlan, at: usize, value: i32);
    /// Sets a value that was forecast exactly, and so is in the field's range.
    fn keep(&mut self, at: usize, value: i32);
    /// Codes whether the entity at `position` in the new rows changed since the baseline, where it
    /// is at `before`.
    fn change(
        &mut self,
        kind: u8,
        context: usize,
        odds: u8,
        position: usize,
        before: usize,
    ) -> bool;
    /// The next entity is not in the baseline.
    fn begin(&mut self);
    /// Codes whether one of an entity's stills changed too.
    fn stills(&mut self, kind: u8, odds: u8, changed: bool) -> bool;
    /// Codes a residual.
    fn number(&mut self, site: Site, table: &Table, number: i32) -> i32;
    /// Codes a plain value.
    fn plain(&mut self, site: Site, field: &FieldPlan, value: i32) -> i32;
    /// Adds to the statistics that the actual value was `change` from the base of a forecast with
    /// these weights.
    fn learn(
        &mut self,
        site: Site,
        features: [f64; FEATURES],
        activity: f64,
        change: f64,
        weights: [f64; FEATURES],
    );
}

/// The parameters for coding rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) model: &'a Model,
    /// The model's weights.
    pub(super) weights: &'a [[f64; FEATURES]],
    pub(super) family: &'static Family,
}

impl Walk<'_> {
    /// Codes all rows of a snapshot.
    pub(super) fn rows<S: Side>(
        &self,
        side: &mut S,
        structure: &Structure,
        baseline: &Rows,
        basis: Basis<'_>,
        scratch: &mut Scratch,
    ) {
        // A game may have no entities at all.
        if side.rows().is_empty() {
            return;
        }
        let Basis { values, histories, patterns } = basis;
        let mut columns = self.columns(side.rows().entity(0).1);
        let mut group = Group::new();
        let (mut position, mut start) = (0, 0);
        let mut before = Before::Nothing;
        for stretch in structure.stretches(baseline) {
            let (first, kept, kinds) = match &stretch {
                Stretch::Kept(range) => {
                    (range.start, &histories[range.clone()], &baseline.kinds()[range.clone()])
                }
                Stretch::Spawned(_, kind) => (0, &[][..], std::slice::from_ref(kind)),
            };
            let mut kept = (first..).zip(kept);
            for &kind in kinds {
                if kind != columns.kind || group.is_full() {
                    columns.carry(side, &mut group, scratch);
                    columns = self.columns(kind);
                }
                if let Some((place, history)) = kept.next() {
                    let pattern = patterns.of(history.trail);
                    let context = pattern.context + before as usize;
                    let odds = columns.model.changes[context];
                    let changed = side.change(kind, context, odds, position, place);
                    if !history.trail.is_settled() {
                        before = if changed { Before::Changed } else { Before::Same };
                    }
                    if changed {
                        group.push(Moving::new(start, history.states(&values, pattern), pattern));
                    }
                } else {
                    side.begin();
                    columns.spawned(side, start);
                }
                position += 1;
                start += columns.plan.fields.len();
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

/// Whether the last kept entity that was not settled changed; its order is that of contexts.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Same,
    Changed,
}
