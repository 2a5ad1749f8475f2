//! Lag compensation: the match as a player saw it when making an input.
//!
//! Every input carries the moment at which its player saw the others. The link has checked that it
//! is not newer than the snapshots that the client has applied, and never goes back; here it is
//! limited to [`REWIND_MAX`] ago. So a shot that hits on the shooter's screen hits on the server,
//! and a player can't be hit later than that after taking cover.

use super::View;
use crate::{
    history::History,
    ids::{Seat, Tick},
    time::{Micros, Moment, TickRate},
};

/// How far back a shot can be judged.
pub const REWIND_MAX: Micros = Micros::from_millis(250);

/// The match as each player saw it when making an input; see the [module](self).
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
    /// Without lag compensation: everything is judged in the present.
    #[must_use]
    pub const fn none() -> Self {
        Self { known: None }
    }

    /// The past for the step that computes `tick`; `seen` has for each seat the moment that its
    /// player saw.
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

    /// What the player in a seat saw when making the input of this step. `None` when the input must
    /// be judged in the present: the moment is unknown, or not in the history any more.
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

    /// In the step of tick 100; 250 ms are 5 ticks.
    #[track_caller]
    fn check(history: &History, seen: Option<Moment>, expected: Option<(u32, u32, f32)>) {
        let seen = [None, seen];
        let rewind = Rewind::new(history, &seen, Tick(100), RATE);
        let view = rewind.seen_by(Seat(1));
        let actual = view.map(|view| (view.from.0.0, view.to.0.0, view.ticks));
        assert_eq!(actual, expected, "{seen:?}");
        assert!(rewind.seen_by(Seat(0)).is_none() && rewind.seen_by(Seat(2)).is_none());
    }
}
