//! Lag compensation: the match as a player saw it when they made their input.
//!
//! Every input tells which moment of the others was shown to its player. The link has seen to it
//! that this is not newer than what they had been sent, and never goes back; here it is bounded by
//! [`REWIND_MAX`]: who sees the match even later is judged as if it were that late. So a shot that
//! hit on the shooter's screen hits, and nobody is hit for longer than that after they took cover.

use super::View;
use crate::{
    history::History,
    ids::{Seat, Tick},
    time::{Micros, Moment, TickRate},
};

/// How far back the past is that a shot may be judged by.
pub const REWIND_MAX: Micros = Micros::from_millis(250);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Rewind<'a> {
    known: Option<Known<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    history: &'a History,
    /// By seat.
    seen: &'a [Option<Moment>],
    oldest: Moment,
}

impl<'a> Rewind<'a> {
    /// Nothing of the past is known: everything is judged as it is.
    #[must_use]
    pub const fn none() -> Self {
        Self { known: None }
    }

    /// The past of the step that makes `tick`; `seen` tells for each seat what its player saw.
    #[must_use]
    pub fn new(
        history: &'a History,
        seen: &'a [Option<Moment>],
        tick: Tick,
        rate: TickRate,
    ) -> Self {
        let parts = REWIND_MAX.0 * u64::from(rate.hz()) * 256 / 1_000_000;
        let oldest = Moment::before(tick, u16::try_from(parts).unwrap_or(u16::MAX));
        Self { known: Some(Known { history, seen, oldest }) }
    }

    /// What the player in a seat saw when they made the input that this step takes. `None` when it
    /// is to be judged by the present: nobody told, or it is not known any more.
    #[must_use]
    pub fn seen_by(self, seat: Seat) -> Option<View<'a>> {
        let Known { history, seen, oldest } = self.known?;
        let seen = (*seen.get(seat.index())?)?;
        let Moment { tick, part } = if seen.since(oldest) < 0 { oldest } else { seen };
        let from = (tick, history.rows(tick)?);
        if part == 0 {
            return Some(View { from, to: from, ticks: 0.0 });
        }
        let next = tick.plus(1);
        Some(View { from, to: (next, history.rows(next)?), ticks: f32::from(part) / 256.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: TickRate = TickRate::new(20).unwrap();

    #[test]
    fn the_past_is_bounded() {
        let mut history = History::default();
        for tick in 80..100 {
            let _ = history.push(Tick(tick));
        }
        check(&history, Some(Moment { tick: Tick(97), part: 64 }), Some((97, 98, 0.25)));
        check(&history, Some(Moment { tick: Tick(99), part: 0 }), Some((99, 99, 0.0)));
        check(&history, Some(Moment { tick: Tick(95), part: 0 }), Some((95, 95, 0.0)));
        check(&history, Some(Moment { tick: Tick(94), part: 255 }), Some((95, 95, 0.0)));
        check(&history, Some(Moment { tick: Tick(3), part: 0 }), Some((95, 95, 0.0)));
        check(&history, None, None);
        check(&History::default(), Some(Moment { tick: Tick(97), part: 0 }), None);
    }

    /// In the step of tick 100, of which a quarter of a second is 5 ticks.
    #[track_caller]
    fn check(history: &History, seen: Option<Moment>, expected: Option<(u32, u32, f32)>) {
        let seen = [None, seen];
        let rewind = Rewind::new(history, &seen, Tick(100), RATE);
        let view = rewind.seen_by(Seat(1));
        let said = view.map(|view| (view.from.0.0, view.to.0.0, view.ticks));
        assert_eq!(said, expected, "{seen:?}");
        assert!(rewind.seen_by(Seat(0)).is_none() && rewind.seen_by(Seat(2)).is_none());
    }
}
