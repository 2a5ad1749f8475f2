//! A match between two of its ticks, or a little after the newest.
//!
//! Positions are interpolated linearly, angles and quaternions along the shorter way; all other
//! values are those of the earlier tick until the later one is reached. A field's [`Predict`] says
//! which of these it is. An entity with a velocity that moved further than that allows was
//! teleported: it is shown at its old place, then at its new one, never in between. An entity that
//! spawns in the later tick is not there before it; one that despawns is there until then. After the
//! newest tick, only fields with a velocity ([`Predict::Carried`]) keep moving.

use crate::{
    codec::turn,
    ids::{EntityId, Tick},
    rows::{Row, Rows},
    schema::{Field, Predict},
    time::{Moment, TickRate},
};

/// The entities of a match as they are shown at one moment; see the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The earlier tick.
    pub from: (Tick, &'a Rows),
    /// The later tick, or the same.
    pub to: (Tick, &'a Rows),
    /// Ticks after `from`; beyond `to` when extrapolating.
    pub ticks: f32,
}

/// One entity in a [`View`].
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    from: Row<'a>,
    to: Option<Row<'a>>,
    /// Ticks from one row to the other.
    span: f32,
    /// Ticks from the first row to the shown moment.
    ticks: f32,
}

impl<'a> View<'a> {
    /// All entities that exist at this moment, in order of id.
    pub fn iter(self) -> impl Iterator<Item = Seen<'a>> {
        let rows = if self.is_past() { self.from.1 } else { self.to.1 };
        (0..rows.len()).map(move |index| self.seen(rows.row(index)))
    }

    /// An entity, if it exists at this moment.
    #[must_use]
    pub fn find(self, id: EntityId) -> Option<Seen<'a>> {
        let rows = if self.is_past() { self.from.1 } else { self.to.1 };
        rows.find(id).map(|row| self.seen(row))
    }

    /// The moment that is shown.
    #[must_use]
    pub fn moment(self) -> Moment {
        let parts = (self.ticks * 256.0) as u32;
        Moment { tick: self.from.0.plus(parts / 256), part: (parts % 256) as u8 }
    }

    /// Whether the moment is after the newest snapshot, because the next one is late.
    #[must_use]
    pub fn is_beyond(self) -> bool {
        self.ticks > self.span()
    }

    /// Whether the later tick has not been reached.
    fn is_past(self) -> bool {
        self.ticks < self.span()
    }

    fn span(self) -> f32 {
        self.to.0.since(self.from.0) as f32
    }

    fn seen(self, row: Row<'a>) -> Seen<'a> {
        let (span, ticks) = (self.span(), self.ticks);
        if !self.is_past() {
            return Seen { from: row, to: None, span: 0.0, ticks: ticks - span };
        }
        let to = self.to.1.find(row.id).filter(|to| to.kind == row.kind);
        Seen { from: row, to, span, ticks: if to.is_some() { ticks } else { 0.0 } }
    }
}

impl<'a> Seen<'a> {
    /// Which entity.
    #[must_use]
    pub const fn id(self) -> EntityId {
        self.from.id
    }

    /// Its kind's index in the schema.
    #[must_use]
    pub const fn kind(self) -> u8 {
        self.from.kind
    }

    /// The row of the tick that was reached last: for integers as they are, such as a score.
    #[must_use]
    pub const fn row(self) -> Row<'a> {
        self.from
    }

    /// The interpolated value of a field, in the field's steps: multiply it by [`Field::step`] for
    /// the quantity that it stands for. Of an angle, it is from `min` to below `max + 1`. `fields` are
    /// those of its kind in the schema; a game that calls this in each step keeps its schema in a
    /// `static`, by [`LazyLock`](std::sync::LazyLock).
    ///
    /// # Panics
    /// When the kind has no field of this `index`.
    #[must_use]
    pub fn value(self, fields: &[Field], index: usize, rate: TickRate) -> f32 {
        let from = self.from.values[index];
        let way = |to: Row<'_>| i64::from(to.values[index]) - i64::from(from);
        let field = &fields[index];
        match (field.predict, self.to) {
            (Predict::Carried { rate: by }, None) => {
                let velocity = self.from.values[usize::from(by)];
                let seconds = self.ticks * rate.seconds();
                from as f32 + velocity as f32 * seconds * fields[usize::from(by)].step / field.step
            }
            (
                Predict::Carried { .. } | Predict::Linear | Predict::Angle | Predict::Turned { .. },
                Some(to),
            ) if self.jumps(to, fields, rate) => from as f32,
            (Predict::Carried { .. } | Predict::Linear, Some(to)) => {
                from as f32 + way(to) as f32 * self.part()
            }
            (Predict::Angle | Predict::Turned { .. }, Some(to)) => {
                let turn = i64::from(field.max) - i64::from(field.min) + 1;
                let shorter = (way(to) + turn / 2).rem_euclid(turn) - turn / 2;
                let value = from as f32 + shorter as f32 * self.part();
                wrapped(value, field.min as f32, turn as f32)
            }
            (Predict::Component, Some(to)) => self.component(to, fields, index),
            (
                Predict::Held
                | Predict::Linear
                | Predict::Angle
                | Predict::Turned { .. }
                | Predict::Counter
                | Predict::Flags
                | Predict::Quaternion { .. }
                | Predict::Component,
                _,
            ) => from as f32,
        }
    }

    /// The interpolated value of a quaternion's component. It is one of those that the earlier row
    /// has, even if another component is the largest by now.
    fn component(self, to: Row<'_>, fields: &[Field], index: usize) -> f32 {
        let is_first = |&at: &usize| matches!(fields[at].predict, Predict::Quaternion { .. });
        let Some(first) = (0..index).rev().find(is_first) else { return 0.0 };
        let per_step = f64::from(fields[index].step);
        let read = |row: Row<'_>| {
            turn::unpack(row.values[first], &row.values[first + 1..first + 4], per_step)
        };
        let between = turn::between(&read(self.from), &read(to), f64::from(self.part()));
        let largest = self.from.values[first];
        // The largest one is never negative, and both signs are the same rotation.
        let sign = if between[largest as usize & 3] < 0.0 { -1.0 } else { 1.0 };
        (sign * between[turn::others(largest)[index - first - 1]] / per_step) as f32
    }

    fn part(self) -> f32 {
        self.ticks / self.span
    }

    /// Whether it moved further than the largest velocity of its fields' ranges allows.
    fn jumps(self, to: Row<'_>, fields: &[Field], rate: TickRate) -> bool {
        fields.iter().enumerate().any(|(index, field)| {
            let Predict::Carried { rate: by } = field.predict else { return false };
            let velocity = &fields[usize::from(by)];
            let fastest = velocity.max.unsigned_abs().max(velocity.min.unsigned_abs()) as f32;
            let most = fastest * velocity.step / field.step * self.span * rate.seconds();
            to.values[index].abs_diff(self.from.values[index]) as f32 > most + 1.0
        })
    }
}

/// The same angle from `min` to below `min + turn`, also if an addition is rounded up to that.
fn wrapped(value: f32, min: f32, turn: f32) -> f32 {
    let value = if value < min { value + turn } else { value };
    if value < min + turn { value } else { value - turn }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{pack_quaternion, unpack_quaternion};

    const RATE: TickRate = TickRate::new(10).unwrap();

    #[test]
    fn positions_are_linear_and_angles_take_the_shorter_way() {
        let (from, to) = (rows(1, &[30, 100, 350, 7]), rows(1, &[30, 106, 10, 9]));
        check(&from, &to, 0.9, Some([30.0, 102.7, 359.0, 7.0]));
        check(&from, &to, 1.0, Some([30.0, 103.0, 0.0, 7.0]));
        check(&from, &to, 2.0, Some([30.0, 106.0, 10.0, 9.0]));
        check(&to, &from, 1.5, Some([30.0, 101.5, 355.0, 9.0]));
    }

    #[test]
    fn quaternions_take_the_shorter_way_also_if_another_component_is_the_largest() {
        const BITS: u8 = 12;
        let fields = Field::quaternion("turn", BITS, None);
        // About the z axis.
        let turned = |degrees: f32| {
            let half = degrees.to_radians() / 2.0;
            [0.0, 0.0, half.sin(), half.cos()]
        };
        for (from, to) in [(10.0, 30.0), (80.0, 100.0), (170.0, 190.0), (350.0, 370.0)] {
            let [older, newer] =
                [from, to].map(|degrees| rows(1, &pack_quaternion(turned(degrees), BITS)));
            let seen = view(&older, &newer, 0.5).find(EntityId(1)).unwrap();
            let values = [0, 1, 2, 3].map(|index| seen.value(&fields, index, RATE));
            let (shown, wanted) = (unpack_quaternion(values, BITS), turned(from + 5.0));
            let dot: f32 = shown.iter().zip(wanted).map(|(a, b)| a * b).sum();
            assert!(dot.abs() > 0.99999, "{shown:?}, not {wanted:?}");
        }
    }

    #[test]
    fn fields_may_be_as_wide_as_integers_are() {
        let all = |predict| [Field::new("x", 1.0, i32::MIN, i32::MAX).predict(predict)];
        let halfway = |predict, from, to| {
            let (from, to) = (rows(1, &[from]), rows(1, &[to]));
            view(&from, &to, 1.0).find(EntityId(1)).unwrap().value(&all(predict), 0, RATE)
        };
        assert_eq!(halfway(Predict::Linear, 2_000_000_000, -2_000_000_000), 0.0);
        assert_eq!(halfway(Predict::Angle, 100, 300), 200.0);
        assert_eq!(halfway(Predict::Angle, i32::MAX, i32::MIN), -2_147_483_648.0);
    }

    #[test]
    fn positions_are_extrapolated_beyond_the_newest_tick() {
        let (from, to) = (rows(1, &[30, 100, 350, 7]), rows(1, &[-40, 106, 10, 9]));
        check(&from, &to, 3.0, Some([-40.0, 98.0, 10.0, 9.0]));
    }

    #[test]
    fn jumps_are_not_interpolated() {
        let (from, to) = (rows(1, &[30, 100, 90, 0]), rows(1, &[0, 150, 180, 0]));
        check(&from, &to, 1.9, Some([30.0, 100.0, 90.0, 0.0]));
        check(&from, &to, 2.0, Some([0.0, 150.0, 180.0, 0.0]));
        // The furthest without a jump: 50 m/s for 0.2 s, in quarter metres, and 1 for rounding.
        let [furthest, further] = [141, 142].map(|x| rows(1, &[30, x, 90, 0]));
        check(&from, &furthest, 1.0, Some([30.0, 120.5, 90.0, 0.0]));
        check(&from, &further, 1.0, Some([30.0, 100.0, 90.0, 0.0]));
    }

    #[test]
    fn entities_appear_and_vanish_with_their_snapshots() {
        let (from, to) = (rows(1, &[0, 1, 0, 0]), rows(2, &[0, 2, 0, 0]));
        check(&from, &to, 1.0, Some([0.0, 1.0, 0.0, 0.0]));
        check(&to, &from, 1.0, None);
        check(&to, &from, 2.0, Some([0.0, 1.0, 0.0, 0.0]));
        assert_eq!(view(&from, &to, 1.9).iter().map(|seen| seen.id().0).collect::<Vec<_>>(), [1]);
        assert_eq!(view(&from, &to, 2.0).iter().map(|seen| seen.id().0).collect::<Vec<_>>(), [2]);
    }

    /// Entity 1 at `ticks` after `from`, which is two ticks before `to`.
    #[track_caller]
    fn check(from: &Rows, to: &Rows, ticks: f32, expected: Option<[f32; 4]>) {
        let fields = [
            Field::new("velocity", 0.5, -100, 100),
            Field::new("x", 0.25, 0, 1000).predict(Predict::Carried { rate: 0 }),
            Field::new("aim", 1.0, 0, 359).predict(Predict::Angle),
            Field::new("shots", 1.0, 0, 99).predict(Predict::Counter),
        ];
        let seen = view(from, to, ticks).find(EntityId(1));
        let values = seen.map(|seen| [0, 1, 2, 3].map(|index| seen.value(&fields, index, RATE)));
        assert_eq!(values, expected);
    }

    fn view<'a>(from: &'a Rows, to: &'a Rows, ticks: f32) -> View<'a> {
        View { from: (Tick(7), from), to: (Tick(9), to), ticks }
    }

    fn rows(id: u32, values: &[i32]) -> Rows {
        let mut rows = Rows::default();
        rows.push(EntityId(id), 0, values);
        rows
    }
}
