//! The fields of entities that changed. A group of entities of one kind is coded by columns: one
//! field of all of them, then the next field.
//!
//! In this order the context of a number hardly depends on the number just before it, so the
//! processor can prepare several while one waits for the range coder. Forecasts are made row by
//! row, for all fields of a run, which are neighbours in memory; then the run's columns are coded.

mod compound;

use std::ops::Range;

use arrayvec::ArrayVec;

use super::{
    forecast::{Cell, FEATURES, Fields, Forecast, Way},
    model::{CLASSES, FieldModel, KindModel, PLAIN, SPAWNED},
    past::{Pattern, States},
    plan::{FieldPlan, KindPlan, Motion, Run},
    table::Family,
    walk::{Side, Site},
};
use crate::schema::FIELDS_MAX;

/// Most entities of a group: enough for columns to pay off, few enough for the L1 cache.
const GROUP_MAX: usize = 16;

/// Entities of one kind that changed, in order of id.
pub(super) type Group<'a> = ArrayVec<Moving<'a>, GROUP_MAX>;

/// An entity that changed.
#[derive(Debug)]
pub(super) struct Moving<'a> {
    /// Index of its first value in the new rows.
    start: usize,
    pub(super) states: States<'a>,
    pub(super) pattern: &'a Pattern,
    /// Ticks that passed since its newest state.
    pub(super) elapsed: f64,
    /// How many times as long as each of its last changes the next one takes: 0 if there is none,
    /// and negative for a change that is undone.
    pub(super) pace: [f64; FEATURES],
}

impl<'a> Moving<'a> {
    #[inline(always)]
    pub(super) fn new(start: usize, states: States<'a>, pattern: &'a Pattern) -> Self {
        let mut moving = Self { start, states, pattern, elapsed: 0.0, pace: [0.0; FEATURES] };
        moving.set_elapsed(pattern.elapsed.into());
        moving
    }

    /// Changes the ticks that passed since the newest state.
    #[inline(always)]
    fn set_elapsed(&mut self, elapsed: f64) {
        self.elapsed = elapsed;
        self.pace = self.pattern.per_span.map(|per_span| per_span * elapsed);
    }
}

/// Working memory for coding a group's columns. Reused, since it need not be cleared.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// By entity of the group, and by place in the run that is being coded.
    cells: [[Cell; FIELDS_MAX]; GROUP_MAX],
    misses: [Misses; GROUP_MAX],
}

/// The sizes of an entity's last two residuals of the same sort: the next one is likely to be of a
/// similar size.
#[derive(Clone, Copy, Debug, Default)]
struct Misses {
    last: u16,
    older: u16,
}

impl Misses {
    #[inline(always)]
    fn push(&mut self, residual: i32) {
        let last = residual.unsigned_abs().min(MISS_MAX) as u16;
        *self = Self { last, older: self.last };
    }

    /// As [`super::model::class`] of twice the last and the older.
    #[inline(always)]
    fn class(self) -> usize {
        let misses = 2 * u32::from(self.last) + u32::from(self.older);
        ((4 * misses + 2).ilog2() / 2) as usize
    }
}

/// Misses from here on are in the last class.
const MISS_MAX: u32 = 1 << (2 * (CLASSES - 2));

/// The parameters for coding entities of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    pub(super) kind: u8,
    pub(super) plan: &'a KindPlan,
    pub(super) model: &'a KindModel,
    /// By place in the row; the last is the moment.
    pub(super) fields: &'a [FieldModel],
    /// The weights of their forecasts.
    pub(super) weights: &'a [[f64; FEATURES]],
    pub(super) family: &'static Family,
    /// Ticks of a substep; 0 if there are none.
    pub(super) substep: f64,
}

impl Columns<'_> {
    #[inline(always)]
    fn site(&self, field: usize, context: usize, centre: u8) -> Site {
        Site { slot: (self.plan.first_slot + field) as u16, context: context as u8, centre }
    }

    /// Codes the row of an entity that was not in the baseline.
    pub(super) fn spawned<S: Side>(&self, side: &mut S, start: usize) {
        for (index, field) in self.plan.fields.iter().enumerate() {
            let site = self.site(index, SPAWNED, 0);
            let table = self.fields[index].tables[SPAWNED];
            let value = side.values()[start + index];
            let value = if table == PLAIN {
                side.plain(site, field, value)
            } else {
                let usual = field.usual();
                let number = value.wrapping_sub(usual);
                usual.wrapping_add(side.number(site, self.family.table(table, 0), number))
            };
            side.set(field, start + index, value);
        }
    }

    /// Codes a group of entities that changed, and clears it.
    pub(super) fn carry<S: Side>(
        &self,
        side: &mut S,
        group: &mut Group<'_>,
        scratch: &mut Scratch,
    ) {
        if group.is_empty() {
            return;
        }
        for run in &self.plan.movers {
            if run.is_after_moment {
                group.iter_mut().for_each(|moving| self.moment(side, moving));
            }
            self.run(side, group, run, scratch);
        }
        if !self.plan.stills.is_empty() {
            self.stills(side, group);
            self.plan.stills.iter().for_each(|run| self.run(side, group, run, scratch));
        }
        group.clear();
    }

    /// Keeps the entities of which a still changed. If no mover of an entity changed, one of its
    /// stills must have, and nothing is coded.
    fn stills<S: Side>(&self, side: &mut S, group: &mut Group<'_>) {
        group.retain(|moving| {
            moving.set_elapsed(1.0);
            let (values, before) = (&side.values()[moving.start..], moving.states[0]);
            let differ = |ranges: &[Range<usize>]| {
                ranges.iter().any(|range| values[range.clone()] != before[range.clone()])
            };
            // A decoder does not have the values of stills yet.
            let changed = S::KNOWS && differ(&self.plan.resting);
            // All entities of a group changed: without a still, it was a mover.
            let moved = S::KNOWS && !changed || differ(&self.plan.moving);
            !moved || side.stills(self.kind, self.model.stills, changed)
        });
    }

    /// Codes the fields of one run.
    #[inline(always)]
    fn run<S: Side>(&self, side: &mut S, group: &mut Group<'_>, run: &Run, scratch: &mut Scratch) {
        let members = group.iter().zip(&mut scratch.cells);
        match run.motion {
            Motion::Flags => {
                group.iter().for_each(|moving| self.flags(side, moving, run.first));
            }
            Motion::Quaternion { spin, scale } => {
                self.quaternions(side, group, run.first, spin, scale, scratch);
            }
            Motion::Held | Motion::Component => {
                members.for_each(|(moving, cells)| held(side, moving, run, cells));
                self.numbers::<S, false>(side, group, run, scratch);
            }
            Motion::Linear => self.forecasts::<S, Linear>(side, group, run, 0, scratch),
            Motion::Angle => self.forecasts::<S, Angle>(side, group, run, 0, scratch),
            Motion::Carried(by) => {
                self.forecasts::<S, Carried>(side, group, run, by.index, scratch);
            }
            Motion::Turned(by) => {
                self.forecasts::<S, Turned>(side, group, run, by.index, scratch);
            }
        }
    }

    /// Codes a run of fields with forecasts. If they have rates, the first one's is at `rate`.
    fn forecasts<S: Side, W: Way>(
        &self,
        side: &mut S,
        group: &Group<'_>,
        run: &Run,
        rate: usize,
        scratch: &mut Scratch,
    ) {
        let mut place = 0;
        while place + 2 <= run.len {
            self.lanes::<S, W, 2>(side, group, run, rate, place, scratch);
            place += 2;
        }
        if place < run.len {
            self.lanes::<S, W, 1>(side, group, run, rate, place, scratch);
        }
        if W::TURNS {
            self.numbers::<S, true>(side, group, run, scratch);
        } else {
            self.numbers::<S, false>(side, group, run, scratch);
        }
    }

    /// Makes the forecasts of `LANES` fields of a group, from the one at `place` in the run.
    #[inline(always)]
    fn lanes<S: Side, W: Way, const LANES: usize>(
        &self,
        side: &mut S,
        group: &Group<'_>,
        run: &Run,
        rate: usize,
        place: usize,
        scratch: &mut Scratch,
    ) {
        let (first, rate) = (run.first + place, rate + place);
        let fields = Fields::<LANES>::new(first, rate, &self.plan.fields, self.weights);
        for (moving, cells) in group.iter().zip(&mut scratch.cells) {
            let forecast = fields.forecast::<W>(moving, &side.values()[moving.start..]);
            let cells = cells[place..].first_chunk_mut().expect("a run has at most FIELDS_MAX");
            let made = fields.cells::<W>(&forecast);
            *cells = aimed::<S, W, _>(side, moving.start + first, fields.plans, made);
            if S::LEARNS {
                self.learn(side, moving, &fields, &forecast);
            }
        }
    }

    /// Reports the actual values for the forecasts of some fields.
    #[inline(never)]
    fn learn<S: Side, const LANES: usize>(
        &self,
        side: &mut S,
        moving: &Moving<'_>,
        fields: &Fields<'_, LANES>,
        forecast: &Forecast<LANES>,
    ) {
        for (lane, plan) in fields.plans.iter().enumerate() {
            let index = fields.first + lane;
            let change = plan.beyond(side.values()[moving.start + index], forecast.base[lane]);
            let features = forecast.features.map(|feature| feature[lane]);
            let (activity, weights) = (forecast.activity[lane], fields.weights(lane));
            side.learn(self.site(index, 0, 0), features, activity, change, weights);
        }
    }

    /// Codes the columns of a run whose forecasts were made.
    fn numbers<S: Side, const TURNS: bool>(
        &self,
        side: &mut S,
        group: &Group<'_>,
        run: &Run,
        scratch: &mut Scratch,
    ) {
        let Scratch { cells, misses } = scratch;
        for place in 0..run.len.min(FIELDS_MAX) {
            let index = run.first + place;
            let (field, model) = (&self.plan.fields[index], &self.fields[index]);
            if !field.has_neighbour {
                misses.fill(Misses::default());
            }
            for ((moving, cells), misses) in group.iter().zip(&*cells).zip(&mut *misses) {
                let cell = cells[place];
                // Both are below `SPAWNED` together: the remainder only spares a check of bounds.
                let context = (cell.context() + misses.class()) % SPAWNED;
                let table = self.family.table(model.tables[context], cell.centre());
                let site = self.site(index, context, cell.centre());
                let residual = side.number(site, table, cell.integer());
                misses.push(residual);
                if !S::KNOWS {
                    let at = moving.start + index;
                    if residual == 0 {
                        side.keep(at, cell.integer());
                    } else {
                        let value = field.value::<TURNS>(cell.mirror(residual), cell.integer());
                        side.set(field, at, value);
                    }
                }
            }
        }
    }
}

enum Linear {}
enum Angle {}
enum Carried {}
enum Turned {}

impl Way for Linear {
    const CARRIED: bool = false;
    const TURNS: bool = false;
}

impl Way for Angle {
    const CARRIED: bool = false;
    const TURNS: bool = true;
}

impl Way for Carried {
    const CARRIED: bool = true;
    const TURNS: bool = false;
}

impl Way for Turned {
    const CARRIED: bool = true;
    const TURNS: bool = true;
}

/// In an encoder, cells with the residuals of the actual values, which begin at `at`.
#[inline(always)]
fn aimed<S: Side, W: Way, const LANES: usize>(
    side: &S,
    at: usize,
    plans: &[FieldPlan; LANES],
    cells: [Cell; LANES],
) -> [Cell; LANES] {
    if !S::KNOWS {
        return cells;
    }
    let values: &[i32; LANES] =
        side.values()[at..].first_chunk().expect("a row has all fields of its kind");
    std::array::from_fn(|i| {
        debug_assert!(plans[i].holds(values[i]), "rows must fit the schema");
        cells[i].aimed(plans[i].residual::<W>(values[i], cells[i].integer()))
    })
}

/// Makes forecasts for an entity's fields that are expected to keep their values.
fn held<S: Side>(side: &S, moving: &Moving<'_>, run: &Run, cells: &mut [Cell; FIELDS_MAX]) {
    let rows = [moving.states[0], moving.states[1], &side.values()[moving.start..]];
    let [now, before, new] = rows.map(|row| &row[run.first..][..run.len]);
    let pace = moving.pace[0];
    for (((cell, &now), &before), &new) in cells.iter_mut().zip(now).zip(before).zip(new) {
        *cell = Cell::held(now, (f64::from(now) - f64::from(before)) * pace);
        if S::KNOWS {
            *cell = cell.aimed(new.wrapping_sub(now));
        }
    }
}
