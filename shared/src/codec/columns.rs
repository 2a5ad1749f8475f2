//! The fields of entities that changed: a group of one kind travels by columns, a field of all of
//! them, then the next field.
//!
//! What one number is coded with hardly depends on the number before then, so that a processor can
//! prepare several while one waits for its turn in the range coder.

use arrayvec::ArrayVec;

use super::{
    forecast::{FEATURES, Forecast, nearest},
    model::{CLASSES, FieldModel, KindModel, PLAIN, SPAWNED, class, class_of},
    past::Steps,
    plan::{FieldPlan, KindPlan, Motion, Rate},
    table::Family,
    turn::{self, Quaternion},
    walk::{Side, Site},
};

/// Entities of a group: enough for columns to pay, and few enough for a processor's first cache.
const GROUP_MAX: usize = 16;

/// Entities of one kind that changed, in order of id.
pub(super) type Group<'a> = ArrayVec<Moving<'a>, GROUP_MAX>;

/// An entity that changed.
#[derive(Debug)]
pub(super) struct Moving<'a> {
    /// Where its values begin.
    start: usize,
    steps: Steps<'a>,
    /// Ticks that went by for it: as its clock may say, and as snapshots do.
    elapsed: f64,
    age: i32,
    misses: Misses,
    /// The rotation to come, as integers would say it, and how much it turns.
    turn: Quaternion,
    activity: f64,
}

impl<'a> Moving<'a> {
    #[inline]
    pub(super) fn new(start: usize, steps: Steps<'a>, elapsed: i32) -> Self {
        Self {
            start,
            steps,
            elapsed: elapsed.into(),
            age: elapsed,
            misses: Misses::default(),
            turn: [0.0; 4],
            activity: 0.0,
        }
    }
}

/// How far off the last two forecasts of the same sort were: the next will be off alike.
#[derive(Clone, Copy, Debug, Default)]
struct Misses {
    last: f64,
    older: f64,
}

impl Misses {
    #[inline]
    fn push(&mut self, residual: i32) {
        *self = Self { last: f64::from(residual).abs(), older: self.last };
    }

    #[inline]
    fn class(self) -> usize {
        class(2.0 * self.last + self.older)
    }
}

/// What entities of one kind are coded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    pub(super) kind: u8,
    pub(super) plan: &'a KindPlan,
    pub(super) model: &'a KindModel,
    /// By their place in the row; the last is the moment.
    pub(super) fields: &'a [FieldModel],
    pub(super) family: &'static Family,
    pub(super) substeps: f64,
}

impl Columns<'_> {
    #[inline]
    fn site(&self, field: usize, context: usize) -> Site {
        Site { slot: (self.plan.first_slot + field) as u16, context: context as u8, centre: 0 }
    }

    /// The row of an entity that was not in the baseline.
    pub(super) fn spawned<S: Side>(&self, side: &mut S, start: usize) {
        for (index, field) in self.plan.fields.iter().enumerate() {
            let site = self.site(index, SPAWNED);
            let table = self.fields[index].tables[SPAWNED];
            let value = side.values()[start + index];
            let value = if table == PLAIN {
                side.plain(site, field, value)
            } else {
                let usual = 0.clamp(field.min, field.max);
                let number = value.wrapping_sub(usual);
                usual.wrapping_add(side.number(site, self.family.table(table, 0), number))
            };
            set(side, field, start + index, value);
        }
    }

    /// A group of entities that changed, which is empty afterwards.
    pub(super) fn carry<S: Side>(&self, side: &mut S, group: &mut Group<'_>) {
        for &index in &self.plan.movers {
            let index = usize::from(index);
            if self.plan.moment_before == Some(index) {
                group.iter_mut().for_each(|moving| self.moment(side, moving));
            }
            self.column(side, group, index);
        }
        self.stills(side, group);
        group.clear();
    }

    /// The fields that are usually still. If no other field changed, one of these must have.
    fn stills<S: Side>(&self, side: &mut S, group: &mut Group<'_>) {
        if self.plan.stills.is_empty() {
            return;
        }
        group.retain(|moving| {
            let (start, now) = (moving.start, moving.steps.newer[0]);
            let is_other = |index: &u8| {
                let index = usize::from(*index);
                side.values()[start + index] != now[index]
            };
            let has_moved = self.plan.moving.iter().any(is_other);
            let changed = S::KNOWS && self.plan.stills.iter().any(is_other);
            moving.elapsed = 1.0;
            !has_moved || side.stills(self.kind, self.model.stills, changed)
        });
        self.plan.stills.iter().for_each(|&index| self.column(side, group, index.into()));
    }

    /// One field of all entities of a group.
    fn column<S: Side>(&self, side: &mut S, group: &mut Group<'_>, index: usize) {
        let field = &self.plan.fields[index];
        if !field.has_neighbour {
            group.iter_mut().for_each(|moving| moving.misses = Misses::default());
        }
        match field.motion {
            Motion::Flags => group.iter().for_each(|moving| self.flags(side, moving, index)),
            Motion::Quaternion { spin, scale } => {
                self.quaternions(side, group, index, spin, scale);
            }
            Motion::Held | Motion::Component => {
                let held = |moving: &Moving<'_>, _: &[i32]| {
                    Forecast::held(index, &moving.steps, moving.elapsed)
                };
                self.numbers(side, group, index, held);
            }
            Motion::Linear | Motion::Angle => {
                let linear = |moving: &Moving<'_>, _: &[i32]| {
                    Forecast::linear(field, index, &moving.steps, moving.elapsed)
                };
                self.numbers(side, group, index, linear);
            }
            Motion::Carried(by) | Motion::Turned(by) => {
                let carried = |moving: &Moving<'_>, values: &[i32]| {
                    let rate = values[moving.start + by.index];
                    Forecast::carried(field, index, by, rate, &moving.steps, moving.elapsed)
                };
                self.numbers(side, group, index, carried);
            }
        }
    }

    /// A number for each entity of a group, of which a forecast is made.
    #[inline(always)]
    fn numbers<S: Side>(
        &self,
        side: &mut S,
        group: &mut Group<'_>,
        index: usize,
        forecast: impl Fn(&Moving<'_>, &[i32]) -> Forecast,
    ) {
        let (field, model) = (&self.plan.fields[index], &self.fields[index]);
        let weights = model.factors();
        for moving in group {
            let at = moving.start + index;
            let forecast = forecast(moving, side.values());
            let (expected, rest) = field.round(forecast.value(&weights));
            let context = class_of(forecast.activity) * CLASSES + moving.misses.class();
            let centre = nearest(rest.abs() * 8.0).0 as u8;
            let table = self.family.table(model.tables[context], centre);
            // Tables are centred above the integer; below it, they are used in mirror.
            let sign = -i32::from(rest < 0.0);
            let mirror = |number: i32| (number ^ sign).wrapping_sub(sign);
            let known = side.values()[at];
            let residual = if S::KNOWS { mirror(field.residual(known, expected)) } else { 0 };
            let site = Site { centre, ..self.site(index, context) };
            let residual = side.number(site, table, residual);
            moving.misses.push(residual);
            if S::KNOWS && field.learns {
                side.learn(site, field, &forecast, known, weights);
            }
            let value = if S::KNOWS { known } else { field.value(mirror(residual), expected) };
            set(side, field, at, value);
        }
    }

    /// Switches: how many to the next one that changed, until there is none.
    fn flags<S: Side>(&self, side: &mut S, moving: &Moving<'_>, index: usize) {
        let (at, now) = (moving.start + index, moving.steps.newer[0][index]);
        let mut changed = (side.values()[at] ^ now).cast_unsigned();
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
        set(side, &self.plan.fields[index], at, now ^ toggled.cast_signed());
    }

    /// Four fields, of which the rotation to come is a forecast.
    fn quaternions<S: Side>(
        &self,
        side: &mut S,
        group: &mut Group<'_>,
        index: usize,
        spin: Option<Rate>,
        scale: f64,
    ) {
        for moving in &mut *group {
            let at = moving.start + index;
            let (forecast, activity) = self.turn(side.values(), moving, index, spin, scale);
            let (expected, margin) = turn::largest(&forecast);
            let context = class_of(margin * scale * 0.125) * CLASSES;
            let table = self.family.table(self.fields[index].tables[context], 0);
            let step = ((side.values()[at] - expected + 1) & 3) - 1;
            let step = side.number(self.site(index, context), table, step);
            let largest = expected.wrapping_add(step) & 3;
            side.set(at, largest);
            let sign = if forecast[largest as usize] < 0.0 { -scale } else { scale };
            moving.turn = forecast.map(|part| part * sign);
            moving.activity = activity;
            moving.misses = Misses::default();
        }
        for part in 0..3 {
            let component = |moving: &Moving<'_>, values: &[i32]| {
                let place = turn::others(values[moving.start + index])[part];
                let Moving { turn, activity, .. } = *moving;
                Forecast { base: turn[place], features: [0.0; FEATURES], activity }
            };
            self.numbers(side, group, index + 1 + part, component);
        }
    }

    /// The rotation to come, and how much it turns, in a component's steps.
    fn turn(
        &self,
        values: &[i32],
        moving: &Moving<'_>,
        index: usize,
        spin: Option<Rate>,
        scale: f64,
    ) -> (Quaternion, f64) {
        let Moving { start, steps, elapsed, .. } = moving;
        let (newer, older) = (steps.newer[0], steps.older[0]);
        let read = |row: &[i32]| turn::unpack(row[index], &row[index + 1..index + 4], scale);
        let now = read(newer);
        let weight = self.fields[index].factors()[0];
        let (half, activity) = if let Some(by) = spin {
            let factor = 0.5 * by.per_tick * elapsed;
            let (mut half, mut change) = ([0.0; 3], [0.0; 3]);
            for i in 0..3 {
                let old = f64::from(newer[by.index + i]) * factor;
                change[i] = f64::from(values[start + by.index + i]) * factor - old;
                half[i] = old + weight * change[i];
            }
            (half, size(&change) + size(&half) * 0.125)
        } else {
            let half = turn::half_angles(&read(older), &now);
            let half = turn::scaled(half, elapsed * steps.per_span[0]);
            (turn::scaled(half, weight), size(&half) * 0.0625)
        };
        (turn::turned(&now, half), activity * scale)
    }

    /// The ticks that really went by for this entity, if its kind has a clock of its own.
    fn moment<S: Side>(&self, side: &mut S, moving: &mut Moving<'_>) {
        let Moving { start, steps, elapsed, age, .. } = moving;
        // Of all fields that move: how far in a tick, and by how much more or less this time.
        let (mut speed, mut square, mut product) = (0.0, 0.0, 0.0);
        for &index in &self.plan.paced {
            let index = usize::from(index);
            let field = &self.plan.fields[index];
            let now = f64::from(steps.newer[0][index]);
            // By the mean of its old and new velocity, or as much as the last time.
            let change = if let Motion::Carried(by) = field.motion {
                let rate = side.values()[*start + by.index];
                let forecast = Forecast::carried(field, index, by, rate, steps, *elapsed);
                forecast.base - now + 0.5 * forecast.features[0]
            } else {
                Forecast::linear(field, index, steps, *elapsed).features[0]
            };
            let per_tick = change / *elapsed;
            speed += per_tick.abs();
            if S::KNOWS {
                square += per_tick * per_tick;
                let value = side.values()[*start + index];
                product += per_tick * field.beyond(value, now + per_tick * *elapsed);
            }
        }
        let per_substep = speed / self.substeps;
        if per_substep < 0.5 {
            return;
        }
        let guess = if S::KNOWS {
            let most = 4.0 * self.substeps;
            let least = f64::max(-most, -*elapsed * self.substeps);
            nearest((product / square * self.substeps).clamp(least, most)).0
        } else {
            0
        };
        let moment = self.plan.fields.len();
        let context = class_of(per_substep) * CLASSES + (*age as usize).min(CLASSES - 1);
        let table = self.family.table(self.fields[moment].tables[context], 0);
        let substeps = side.number(self.site(moment, context), table, guess);
        *elapsed = f64::max(0.0, *elapsed + f64::from(substeps) / self.substeps);
    }
}

fn size(parts: &[f64; 3]) -> f64 {
    parts[0].abs() + parts[1].abs() + parts[2].abs()
}

/// Tells a value, which may be out of range if it was not honest.
#[inline]
fn set<S: Side>(side: &mut S, field: &FieldPlan, at: usize, value: i32) {
    if value < field.min || value > field.max {
        side.refuse();
    }
    side.set(at, value);
}
