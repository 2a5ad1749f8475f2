//! Fields that are more than one number: flags, rotations, and the moment of a row.

use super::{Columns, Group, Linear, Moving, Scratch, aimed};
use crate::codec::{
    forecast::{cells, lanes, nearest},
    model::{CLASSES, class_of},
    plan::{FieldPlan, Motion, Rate, Run},
    turn::{self, Quaternion},
    walk::Side,
};

impl Columns<'_> {
    /// Flags: the distance to each next bit that changed, ended by a 0.
    pub(super) fn flags<S: Side>(&self, side: &mut S, moving: &Moving<'_>, index: usize) {
        let (at, now) = (moving.start + index, moving.states[0][index]);
        let mut changed = (side.values()[at] ^ now).cast_unsigned();
        let (mut toggled, mut place) = (0u32, 0);
        for n in 0..32 {
            let context = n.min(CLASSES - 1);
            let table = self.family.table(self.fields[index].tables[context], 0);
            let step = if changed == 0 { 0 } else { changed.trailing_zeros() as i32 + 1 };
            let step = side.number(self.site(index, context, 0), table, step);
            if step <= 0 || step > 32 - place {
                break;
            }
            place += step;
            toggled |= 1 << (place - 1);
            changed = changed.unbounded_shr(step as u32);
        }
        side.set(&self.plan.fields[index], at, now ^ toggled.cast_signed());
    }

    /// The four fields of each quaternion, from a forecast of the next rotation.
    pub(super) fn quaternions<S: Side>(
        &self,
        side: &mut S,
        group: &mut Group<'_>,
        index: usize,
        spin: Option<Rate>,
        scale: f64,
        scratch: &mut Scratch,
    ) {
        let per_step = 1.0 / scale;
        let components: &[FieldPlan; 3] =
            self.plan.fields[index + 1..].first_chunk().expect("a quaternion has four fields");
        let max = components[0].range.1;
        for (moving, places) in group.iter_mut().zip(&mut scratch.cells) {
            let at = moving.start + index;
            let (forecast, activity) = self.turn(side.values(), moving, index, spin, per_step);
            let activity = activity * scale;
            let (expected, margin) = turn::largest(&forecast);
            let context = class_of(margin * scale * 0.125) * CLASSES;
            let table = self.family.table(self.fields[index].tables[context], 0);
            let step = ((side.values()[at] - expected + 1) & 3) - 1;
            let step = side.number(self.site(index, context, 0), table, step);
            let largest = expected.wrapping_add(step) & 3;
            side.set(&self.plan.fields[index], at, largest);
            let sign = if forecast[largest as usize] < 0.0 { -scale } else { scale };
            let value = turn::others(largest).map(|place| {
                // Adding 0 turns -0 into 0.
                (forecast[place] * sign + 0.0).clamp(-max, max)
            });
            let made = cells(value, &[activity; 3]);
            places[..3].copy_from_slice(&aimed::<S, Linear, 3>(side, at + 1, components, made));
        }
        let motion = Motion::Component;
        let components = Run { first: index + 1, len: 3, motion, is_after_moment: false };
        self.numbers::<S, false>(side, group, &components, scratch);
    }

    /// The forecast of the next rotation, and its activity.
    #[inline(always)]
    fn turn(
        &self,
        values: &[i32],
        moving: &Moving<'_>,
        index: usize,
        spin: Option<Rate>,
        per_step: f64,
    ) -> (Quaternion, f64) {
        let Moving { start, states: [newer, older, ..], elapsed, .. } = moving;
        let read = |row: &[i32]| turn::unpack(row[index], &row[index + 1..index + 4], per_step);
        let now = read(newer);
        let weight = self.weights[index][0];
        let (half, activity) = if let Some(by) = spin {
            let factor = 0.5 * by.per_tick * elapsed;
            let old = lanes::<3>(newer, by.index).map(|rate| rate * factor);
            let new = lanes::<3>(&values[*start..], by.index).map(|rate| rate * factor);
            let change = [new[0] - old[0], new[1] - old[1], new[2] - old[2]];
            let half = [0, 1, 2].map(|i| old[i] + weight * change[i]);
            (half, size(&change) + size(&half) * 0.125)
        } else {
            let half = turn::half_angles(&read(older), &now);
            let half = turn::scaled(half, moving.pace[0]);
            (turn::scaled(half, weight), size(&half) * 0.0625)
        };
        (turn::turned(&now, half), activity)
    }

    /// The ticks that really passed for this entity, in a schema with substeps.
    pub(super) fn moment<S: Side>(&self, side: &mut S, moving: &mut Moving<'_>) {
        let Moving { start, states: [newer, older, ..], pattern, elapsed, .. } = *moving;
        // Over all paced fields: their speed, and the least-squares fit of the extra time, in which
        // each would have moved by as much as its forecast was off.
        let (mut speed, mut square, mut product) = (0.0, 0.0, 0.0);
        for &index in &self.plan.paced {
            let index = usize::from(index);
            let field = &self.plan.fields[index];
            let now = f64::from(newer[index]);
            // Its pace: the mean of its old and new velocity, or else the last change.
            let per_tick = if let Motion::Carried(by) = field.motion {
                let rate = side.values()[start + by.index];
                (f64::from(newer[by.index]) + f64::from(rate)) * 0.5 * by.per_tick
            } else {
                (now - f64::from(older[index])) * pattern.per_span[0]
            };
            speed += per_tick.abs();
            if S::KNOWS {
                square += per_tick * per_tick;
                let value = f64::from(side.values()[start + index]);
                product += per_tick * (value - (now + per_tick * elapsed));
            }
        }
        let per_substep = speed * self.substep;
        if per_substep < 0.5 {
            return;
        }
        let guess = if S::KNOWS {
            let most = 4.0 / self.substep;
            let least = f64::max(-most, -elapsed / self.substep);
            nearest((product / (square * self.substep)).clamp(least, most)).0
        } else {
            0
        };
        let moment = self.plan.fields.len();
        let context = class_of(per_substep) * CLASSES + (pattern.elapsed as usize).min(CLASSES - 1);
        let table = self.family.table(self.fields[moment].tables[context], 0);
        let substeps = side.number(self.site(moment, context, 0), table, guess);
        moving.set_elapsed(f64::max(0.0, elapsed + f64::from(substeps) * self.substep));
    }
}

fn size(parts: &[f64; 3]) -> f64 {
    parts[0].abs() + parts[1].abs() + parts[2].abs()
}
