//! The send schedule: each bot sends once per tick interval, at a fixed phase of its own.
//!
//! Sends are due whatever the bot receives, so that a server's stall shows up in the latencies (no
//! coordinated omission). The phases follow the golden ratio, which spreads any run of neighbours
//! evenly over the interval: bots of one match are neighbours, so their mean wait for its tick is
//! half an interval. Phases are rounded to `MOMENTS`, so that one wake-up serves several bots of a
//! large swarm.

use tickwire_shared::time::{Micros, TickRate};

/// Moments of a tick interval at which bots send: 130 µs apart at 30 Hz.
const MOMENTS: u64 = 256;
/// The part of an interval between the phases of neighbours: the golden ratio, in units of 2^-64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// When each bot of a swarm sends; see the [module](self).
#[derive(Debug)]
pub struct Schedule {
    start: Micros,
    rate: TickRate,
    /// By phase.
    slots: Vec<Slot>,
    round: u64,
    /// Index of the next slot of this round.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    phase: Micros,
    bot: usize,
}

/// One send of one bot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Send {
    /// Which bot.
    pub bot: usize,
    /// When it is due.
    pub due: Micros,
}

impl Schedule {
    /// The sends of at least one bot from `start` on.
    #[must_use]
    pub fn new(start: Micros, rate: TickRate, bots: usize) -> Self {
        let interval_nanos = rate.nanos_to(1);
        let slot = |bot: usize| {
            let moment = GOLDEN.wrapping_mul(bot as u64) / (u64::MAX / MOMENTS + 1);
            Slot { phase: Micros(moment * interval_nanos / MOMENTS / 1_000), bot }
        };
        let mut slots: Vec<_> = (0..bots).map(slot).collect();
        slots.sort_by_key(|slot| slot.phase);
        Self { start, rate, slots, round: 0, next: 0 }
    }

    /// When the next send is due.
    #[must_use]
    pub fn due(&self) -> Micros {
        let round_start = Micros(self.rate.nanos_to(self.round) / 1_000);
        self.start.plus(round_start).plus(self.slots[self.next].phase)
    }

    /// The next send, if it is due by `now`.
    pub fn take(&mut self, now: Micros) -> Option<Send> {
        let due = self.due();
        if due > now {
            return None;
        }
        let bot = self.slots[self.next].bot;
        self.next += 1;
        if self.next == self.slots.len() {
            self.next = 0;
            self.round += 1;
        }
        Some(Send { bot, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bot_sends_once_in_each_interval() {
        let rate = TickRate::new(30).unwrap();
        let mut schedule = Schedule::new(Micros(500), rate, 40);
        let mut last = vec![None; 40];
        let end = Micros::from_secs(10);
        while let Some(Send { bot, due }) = schedule.take(end) {
            if let Some(before) = last[bot].replace(due) {
                let gap = due.since(before).0;
                assert!((33_333..=33_334).contains(&gap), "bot {bot} sends after {gap} µs");
            }
        }
        assert!(schedule.due() > end);
        assert!(last.iter().all(|due| due.is_some_and(|due| end.since(due) <= rate.interval())));
    }

    #[test]
    fn nothing_is_sent_early() {
        let mut schedule = Schedule::new(Micros(500), TickRate::new(30).unwrap(), 1);
        assert_eq!(schedule.take(Micros(499)), None);
        assert_eq!(schedule.take(Micros(500)), Some(Send { bot: 0, due: Micros(500) }));
        assert_eq!(schedule.take(Micros(500)), None);
    }

    #[test]
    fn phases_of_a_match_are_spread_evenly() {
        let rate = TickRate::new(30).unwrap();
        let schedule = Schedule::new(Micros(0), rate, 160);
        for first in (0..160).step_by(16) {
            let players = first..first + 16;
            let of_match = |slot: &&Slot| players.contains(&slot.bot);
            let phases: Vec<_> = schedule.slots.iter().filter(of_match).collect();
            let gaps = phases.windows(2).map(|pair| pair[1].phase.since(pair[0].phase).0);
            let widest = gaps.max().unwrap_or(0);
            assert!(widest <= rate.interval().0 / 8, "bots {players:?}: a gap of {widest} µs");
        }
    }
}
