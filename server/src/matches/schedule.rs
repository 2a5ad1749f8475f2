//! When a match's ticks are due.
//!
//! Deadlines are computed from the start, so they don't drift. A match that falls behind may catch
//! up by one tick. Beyond that its time slips: the next tick is overdue by one interval at most.

use tickwire_shared::time::{Micros, TickRate};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    rate: TickRate,
    /// Factor by which the tick interval is stretched.
    slowdown: u8,
    start: Micros,
    ticks: u64,
    /// When the next tick is due: so many ticks after the start. Each input asks for it.
    due: Micros,
}

/// The timing of a tick that begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Begun {
    /// When it was due.
    pub(super) due: Micros,
    /// How late it is.
    pub(super) lateness: Micros,
    /// By how much all later deadlines were postponed.
    pub(super) slipped: Micros,
}

impl Schedule {
    /// The first tick is due at `start`.
    pub(super) const fn new(rate: TickRate, start: Micros) -> Self {
        Self { rate, slowdown: 1, start, ticks: 0, due: start }
    }

    /// When the next tick is due.
    pub(super) const fn due(&self) -> Micros {
        self.due
    }

    /// Time between two ticks.
    pub(super) const fn interval(&self) -> Micros {
        Micros(self.rate.interval().0 * self.slowdown as u64)
    }

    pub(super) const fn slowdown(&self) -> u8 {
        self.slowdown
    }

    /// Changes the factor for the ticks after the one that is due next.
    pub(super) fn set_slowdown(&mut self, slowdown: u8) {
        *self = Self { rate: self.rate, slowdown, start: self.due, ticks: 0, due: self.due };
    }

    /// Begins the tick that is due.
    pub(super) fn begin(&mut self, now: Micros) -> Begun {
        let due = self.due;
        let lateness = now.since(due);
        self.ticks += 1;
        let ticks = self.ticks * u64::from(self.slowdown);
        let next = self.start.plus(Micros(self.rate.nanos_to(ticks) / 1_000));
        // One catch-up tick may follow at once; the deadlines after it are postponed.
        let slipped = now.since(next.plus(self.interval()));
        self.start = self.start.plus(slipped);
        self.due = next.plus(slipped);
        Begun { due, lateness, slipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn an_hour_of_ticks_does_not_drift() {
        let mut schedule = schedule();
        for _ in 0..3600 * 30 {
            let due = schedule.due();
            assert_eq!(schedule.begin(due).slipped, Micros(0));
        }
        assert_eq!(schedule.due(), Micros(3601 * SECOND));
    }

    #[test]
    fn a_small_overrun_is_caught_up() {
        let mut schedule = schedule();
        let late = schedule.begin(Micros(SECOND + 40_000));
        assert_eq!((late.lateness, late.slipped), (Micros(40_000), Micros(0)));
        assert_eq!(schedule.due(), Micros(SECOND + 33_333));
    }

    #[test]
    fn a_large_overrun_slips() {
        let mut schedule = schedule();
        let late = schedule.begin(Micros(2 * SECOND));
        assert_eq!(late.slipped, Micros(SECOND - 66_666));
        // One tick is caught up, then the pace is as before.
        assert_eq!(schedule.due(), Micros(2 * SECOND - 33_333));
        let _ = schedule.begin(Micros(2 * SECOND));
        assert_eq!(schedule.due(), Micros(2 * SECOND));
    }

    #[test]
    fn a_slower_pace_begins_after_the_tick_that_is_due() {
        let mut schedule = schedule();
        let _ = schedule.begin(Micros(SECOND));
        schedule.set_slowdown(3);
        assert_eq!(schedule.due(), Micros(SECOND + 33_333));
        let _ = schedule.begin(schedule.due());
        assert_eq!(schedule.due(), Micros(SECOND + 133_333));
        schedule.set_slowdown(1);
        let _ = schedule.begin(schedule.due());
        assert_eq!(schedule.due(), Micros(SECOND + 166_666));
    }

    fn schedule() -> Schedule {
        Schedule::new(TickRate::new(30).unwrap(), Micros(SECOND))
    }
}
