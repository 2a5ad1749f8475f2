//! A match between two of its ticks, or a little after the newest.
//!
//! Positions go evenly from one to the other, angles the shorter way; everything else is as it was
//! until the later tick is reached. What jumps further than its velocity can carry it was put
//! there: it is shown where it was, and then where it is, and never in between. What appears with
//! the later tick is not there before it; what is gone by then is there until then.

use crate::{
    ids::{EntityId, Tick},
    rows::{Row, Rows},
    schema::{Field, Predict},
    time::{Moment, TickRate},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The earlier tick.
    pub from: (Tick, &'a Rows),
    /// The later tick, or the same.
    pub to: (Tick, &'a Rows),
    /// Ticks after `from`; more than those to `to` when it is the future that is shown.
    pub ticks: f32,
}

/// One entity in a [`View`].
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    from: Row<'a>,
    to: Option<Row<'a>>,
    /// Ticks from one row to the other, and from the first to what is shown.
    span: f32,
    ticks: f32,
}

impl<'a> View<'a> {
    /// All entities that are there, in order of id.
    pub fn iter(self) -> impl Iterator<Item = Seen<'a>> {
        let rows = if self.is_past() { self.from.1 } else { self.to.1 };
        (0..rows.len()).map(move |index| self.seen(rows.row(index)))
    }

    /// An entity, if it is there.
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

    /// Whether it is later than any snapshot: the next one should be there, and is not.
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

    /// The row that holds until the next is reached: for what does not change bit by bit.
    #[must_use]
    pub const fn row(self) -> Row<'a> {
        self.from
    }

    /// Its value of a field, in the field's steps. `fields` are its kind's.
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
                from as f32 + shorter as f32 * self.part()
            }
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

    fn part(self) -> f32 {
        self.ticks / self.span
    }

    /// Whether it went further than any velocity that its row could tell would have carried it.
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

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: TickRate = TickRate::new(10).unwrap();

    #[test]
    fn positions_go_evenly_and_angles_the_shorter_way() {
        let (from, to) = (rows(1, &[30, 100, 350, 7]), rows(1, &[30, 106, 10, 9]));
        check(&from, &to, 1.0, Some([30.0, 103.0, 360.0, 7.0]));
        check(&from, &to, 2.0, Some([30.0, 106.0, 10.0, 9.0]));
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
        assert_eq!(halfway(Predict::Angle, i32::MAX, i32::MIN), 2_147_483_648.0);
    }

    #[test]
    fn what_is_beyond_the_newest_is_carried_on() {
        let (from, to) = (rows(1, &[30, 100, 350, 7]), rows(1, &[-40, 106, 10, 9]));
        check(&from, &to, 3.0, Some([-40.0, 98.0, 10.0, 9.0]));
    }

    #[test]
    fn what_jumps_is_never_in_between() {
        let (from, to) = (rows(1, &[30, 100, 90, 0]), rows(1, &[0, 150, 180, 0]));
        check(&from, &to, 1.9, Some([30.0, 100.0, 90.0, 0.0]));
        check(&from, &to, 2.0, Some([0.0, 150.0, 180.0, 0.0]));
        // As far as it may be carried: 50 metres a second, for 0.2 s, in quarters; and one for rounding.
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

    /// Entity 1 so many ticks after `from`, which is two ticks before `to`.
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
