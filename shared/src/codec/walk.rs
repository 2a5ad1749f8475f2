//! How rows travel: the one place that says what is sent in which order, for both directions.
//!
//! A [`Side`] is either an encoder's, which knows each value and writes it, or a decoder's, which
//! learns it. Both compute the same forecasts and contexts on the way.

use super::{
    forecast::{FEATURES, Forecast, nearest},
    model::{CLASSES, FieldModel, KindModel, Model, PLAIN, SPAWNED, class, class_of},
    past::{Basis, Past},
    plan::{FieldPlan, KindPlan, Motion, Plan, Spin},
    structure::{Entry, Structure},
    table::{Family, Table},
    turn::{self, Quaternion},
};
use crate::schema::FIELDS_MAX;

/// Values of a row that is on its way.
pub(super) type Values = [i32; FIELDS_MAX];

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
    /// Whether [`Self::load`] tells the values.
    const KNOWS: bool;
    /// Begins a row.
    fn load(&mut self, values: &mut Values, fields: usize);
    /// Whether an entity changed.
    fn change(&mut self, kind: u8, context: usize, odds: u8, changed: bool) -> bool;
    /// Whether also one of an entity's still fields changed.
    fn stills(&mut self, kind: u8, odds: u8, changed: bool) -> bool;
    /// A residual.
    fn number(&mut self, site: Site, table: &Table, number: i32) -> i32;
    /// A value as it is.
    fn plain(&mut self, site: Site, field: &FieldPlan, value: i32) -> i32;
    /// A forecast whose weights can be learnt was followed by this much beyond its base.
    fn learn(&mut self, site: Site, forecast: &Forecast, change: f64, weights: [f64; FEATURES]);
    /// A value is out of range.
    fn refuse(&mut self);
    /// Ends a row. Whether there is sense in going on.
    fn store(&mut self, entry: &Entry, values: &[i32]) -> bool;
}

/// What rows are coded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) model: &'a Model,
    pub(super) family: &'static Family,
}

impl Walk<'_> {
    /// Carries all rows of a snapshot.
    pub(super) fn rows<S: Side>(&self, side: &mut S, structure: &Structure, mut basis: Basis<'_>) {
        let mut before = Before::Nothing;
        for entry in structure.entries(basis.baseline()) {
            let row = self.row(entry.kind);
            let fields = row.plan.fields.len();
            let mut values = [0; FIELDS_MAX];
            side.load(&mut values, fields);
            if let Some(index) = entry.before {
                let mut past = basis.past(index);
                let changed = S::KNOWS && values[..fields] != *past.now();
                let context = change_context(&past, before);
                let odds = row.model.changes[context];
                let changed = side.change(entry.kind, context, odds, changed);
                if changed {
                    past.prepare();
                    row.moved(side, &past, &mut values);
                } else if !S::KNOWS {
                    values[..fields].copy_from_slice(past.now());
                }
                before = match (past.is_settled, changed) {
                    (true, _) => before,
                    (false, false) => Before::Same,
                    (false, true) => Before::Changed,
                };
            } else {
                row.spawned(side, &mut values);
            }
            if !side.store(&entry, &values[..fields]) {
                return;
            }
        }
    }

    fn row(&self, kind: u8) -> Row<'_> {
        let plan = &self.plan.kinds[usize::from(kind)];
        let slots = plan.first_slot..=plan.first_slot + plan.fields.len();
        Row {
            kind,
            plan,
            model: &self.model.kinds[usize::from(kind)],
            fields: &self.model.fields[slots],
            family: self.family,
            substeps: self.plan.substeps,
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

fn change_context(past: &Past<'_>, before: Before) -> usize {
    let age = if past.is_settled { 4 } else { past.elapsed.min(4) as usize - 1 };
    let span = if past.changes() > 0 { past.span(0).min(3) as usize } else { 0 };
    (age * 4 + span) * 3 + before as usize
}

/// What one row is coded with.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    kind: u8,
    plan: &'a KindPlan,
    model: &'a KindModel,
    /// By their place in the row; the last is the moment.
    fields: &'a [FieldModel],
    family: &'static Family,
    substeps: f64,
}

/// How far off the last two forecasts of the same sort were: the next will be off alike.
#[derive(Clone, Copy, Debug, Default)]
struct Misses {
    last: u32,
    older: u32,
}

impl Misses {
    #[inline]
    fn push(&mut self, residual: i32) {
        *self = Self { last: residual.unsigned_abs().min(1 << 16), older: self.last };
    }

    #[inline]
    fn class(self) -> usize {
        class(2 * self.last + self.older)
    }
}

impl Row<'_> {
    #[inline]
    fn site(&self, field: usize, context: usize) -> Site {
        Site { slot: (self.plan.first_slot + field) as u16, context: context as u8, centre: 0 }
    }

    /// The row of an entity that was not in the baseline.
    fn spawned<S: Side>(&self, side: &mut S, values: &mut Values) {
        for (index, field) in self.plan.fields.iter().enumerate() {
            let site = self.site(index, SPAWNED);
            let table = self.fields[index].tables[SPAWNED];
            values[index] = if table == PLAIN {
                side.plain(site, field, values[index])
            } else {
                let usual = 0.clamp(field.min, field.max);
                let number = values[index].wrapping_sub(usual);
                usual.wrapping_add(side.number(site, self.family.table(table, 0), number))
            };
            check(side, field, values[index]);
        }
    }

    /// The row of an entity that changed.
    fn moved<S: Side>(&self, side: &mut S, past: &Past<'_>, values: &mut Values) {
        let mut elapsed = f64::from(past.elapsed);
        let mut misses = Misses::default();
        let mut has_moved = false;
        for &index in &self.plan.movers {
            if self.plan.moment_before == Some(index) {
                elapsed = self.moment(side, past, values, elapsed);
            }
            let index = usize::from(index);
            let field = &self.plan.fields[index];
            if !field.has_neighbour {
                misses = Misses::default();
            }
            if let Motion::Quaternion { spin, scale } = field.motion {
                let forecast = self.turn(index, spin, scale, past, values, elapsed);
                self.quaternion(side, index, scale, &forecast, values);
                has_moved |= values[index..index + 4] != past.now()[index..index + 4];
            } else {
                let forecast = Forecast::new(field, index, past, values, elapsed);
                self.value(side, index, &forecast, &mut misses, values);
                has_moved |= values[index] != past.now()[index];
            }
        }
        self.stills(side, has_moved, past, values);
    }

    /// The fields that are usually still. If no other field changed, one of these must have.
    fn stills<S: Side>(&self, side: &mut S, has_moved: bool, past: &Past<'_>, values: &mut Values) {
        let stills = self.plan.stills.iter().map(|&index| usize::from(index));
        if has_moved && stills.len() > 0 {
            let changed = stills.clone().any(|index| values[index] != past.now()[index]);
            if !side.stills(self.kind, self.model.stills, S::KNOWS && changed) {
                stills.for_each(|index| values[index] = past.now()[index]);
                return;
            }
        }
        let mut misses = Misses::default();
        for index in stills {
            let field = &self.plan.fields[index];
            if field.motion == Motion::Flags {
                self.flags(side, index, past, values);
            } else {
                let forecast = Forecast::new(field, index, past, values, 1.0);
                self.value(side, index, &forecast, &mut misses, values);
            }
        }
    }

    /// One value of which a forecast is made.
    #[inline]
    fn value<S: Side>(
        &self,
        side: &mut S,
        index: usize,
        forecast: &Forecast,
        misses: &mut Misses,
        values: &mut Values,
    ) {
        let (field, model): (&FieldPlan, &FieldModel) =
            (&self.plan.fields[index], &self.fields[index]);
        let weights = model.factors();
        let (expected, rest) = field.round(forecast.value(&weights));
        let context = class_of(forecast.activity) * CLASSES + misses.class();
        let centre = nearest(rest.abs() * 8.0).0 as u8;
        let table = self.family.table(model.tables[context], centre);
        // Tables are centred above the integer; below it, they are used in mirror.
        let mirror = |number: i32| if rest < 0.0 { number.wrapping_neg() } else { number };
        let site = Site { centre, ..self.site(index, context) };
        let residual = if S::KNOWS { mirror(field.residual(values[index], expected)) } else { 0 };
        let residual = side.number(site, table, residual);
        misses.push(residual);
        if S::KNOWS {
            if field.learns {
                let change = field.beyond(values[index], forecast.base);
                side.learn(site, forecast, change, weights);
            }
        } else {
            values[index] = field.value(mirror(residual), expected);
        }
        check(side, field, values[index]);
    }

    /// Switches: how many to the next one that changed, until there is none.
    fn flags<S: Side>(&self, side: &mut S, index: usize, past: &Past<'_>, values: &mut Values) {
        let mut changed = (values[index] ^ past.now()[index]).cast_unsigned();
        let (mut toggled, mut place) = (0u32, 0);
        for n in 0..32 {
            let context = n.min(CLASSES - 1);
            let table = self.family.table(self.fields[index].tables[context], 0);
            let step = if changed == 0 { 0 } else { changed.trailing_zeros() as i32 + 1 };
            let step = side.number(self.site(index, context), table, step);
            if step <= 0 || step > 32 - place {
                break;
            }
            place += step;
            toggled |= 1 << (place - 1);
            changed = changed.unbounded_shr(step as u32);
        }
        values[index] = past.now()[index] ^ toggled.cast_signed();
        check(side, &self.plan.fields[index], values[index]);
    }

    /// The rotation to come, and how much it turns, in a component's steps.
    fn turn(
        &self,
        index: usize,
        spin: Option<Spin>,
        scale: f64,
        past: &Past<'_>,
        values: &Values,
        elapsed: f64,
    ) -> (Quaternion, f64) {
        let read = |row: &[i32]| turn::unpack(row[index], &row[index + 1..index + 4], scale);
        let now = read(past.now());
        let weight = self.fields[index].factors()[0];
        let (half, activity) = match (spin, past.state(1)) {
            (Some(Spin { first, per_tick }), _) => {
                let factor = 0.5 * per_tick * elapsed;
                let (mut half, mut change) = ([0.0; 3], [0.0; 3]);
                for i in 0..3 {
                    let old = f64::from(past.now()[first + i]) * factor;
                    change[i] = f64::from(values[first + i]) * factor - old;
                    half[i] = old + weight * change[i];
                }
                (half, size(&change) + size(&half) * 0.125)
            }
            (None, Some(before)) => {
                let factor = elapsed * past.per_span[0];
                let half = turn::scaled(turn::half_angles(&read(before), &now), factor);
                (turn::scaled(half, weight), size(&half) * 0.0625)
            }
            (None, None) => ([0.0; 3], 0.0),
        };
        (turn::turned(&now, half), activity * scale)
    }

    /// Four values, of which the rotation to come is a forecast.
    fn quaternion<S: Side>(
        &self,
        side: &mut S,
        index: usize,
        scale: f64,
        (forecast, activity): &(Quaternion, f64),
        values: &mut Values,
    ) {
        let (expected, margin) = turn::largest(forecast);
        let context = class_of(margin * scale * 0.125) * CLASSES;
        let table = self.family.table(self.fields[index].tables[context], 0);
        let step = ((values[index] - expected + 1) & 3) - 1;
        let step = side.number(self.site(index, context), table, step);
        values[index] = expected.wrapping_add(step) & 3;

        let others = turn::others(values[index]);
        let sign = if forecast[values[index] as usize] < 0.0 { -scale } else { scale };
        let mut misses = Misses::default();
        for (part, place) in others.into_iter().enumerate() {
            let base = forecast[place] * sign;
            let forecast = Forecast { base, features: [0.0; 3], activity: *activity };
            self.value(side, index + 1 + part, &forecast, &mut misses, values);
        }
    }

    /// The ticks that really went by for this entity, if its kind has a clock of its own.
    fn moment<S: Side>(&self, side: &mut S, past: &Past<'_>, values: &Values, elapsed: f64) -> f64 {
        // Of all fields that move: how far in a tick, and by how much more or less this time.
        let (mut speed, mut square, mut product) = (0.0, 0.0, 0.0);
        for &index in &self.plan.paced {
            let index = usize::from(index);
            let field = &self.plan.fields[index];
            let forecast = Forecast::new(field, index, past, values, elapsed);
            let per_tick = forecast.pace(field, past.now()[index]) / elapsed;
            speed += per_tick.abs();
            if S::KNOWS {
                let expected = f64::from(past.now()[index]) + per_tick * elapsed;
                square += per_tick * per_tick;
                product += per_tick * field.beyond(values[index], expected);
            }
        }
        let per_substep = speed / self.substeps;
        if per_substep < 0.5 {
            return elapsed;
        }
        let guess = if S::KNOWS {
            let most = 4.0 * self.substeps;
            let least = f64::max(-most, -elapsed * self.substeps);
            nearest((product / square * self.substeps).clamp(least, most)).0
        } else {
            0
        };
        let moment = self.plan.fields.len();
        let context = class_of(per_substep) * CLASSES + (past.elapsed as usize).min(CLASSES - 1);
        let table = self.family.table(self.fields[moment].tables[context], 0);
        let substeps = side.number(self.site(moment, context), table, guess);
        f64::max(0.0, elapsed + f64::from(substeps) / self.substeps)
    }
}

fn size(parts: &[f64; 3]) -> f64 {
    parts[0].abs() + parts[1].abs() + parts[2].abs()
}

#[inline]
fn check<S: Side>(side: &mut S, field: &FieldPlan, value: i32) {
    if value < field.min || value > field.max {
        side.refuse();
    }
}
