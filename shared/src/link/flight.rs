//! What is on its way to a client, and whether more should be.
//!
//! A snapshot that has to queue for a link arrives late, and everything after it too. Nothing can
//! be seen of the link but when clients say that they have applied what they were sent. The way
//! there and back takes a certain time at best (`base`); what takes longer has queued. From that
//! follows how many snapshots may be on their way (`window`):
//! - when one has queued for longer than [`QUEUE`], as many as the link carries in the time that
//!   it takes at best and [`QUEUE`]. So a link that is too slow gets as many as it can carry, all
//!   of them new;
//! - when one has not queued for that long, one more, or, when it has hardly queued behind a full
//!   window, twice as many, up to all that are sent within [`STALL`]: a link that stalls delivers them all as soon as it
//!   goes on;
//! - whether more was right is judged by the next one that is sent;
//! - a client that has applied all that it was sent may always be sent one.
//!
//! When nothing has come close to `base` for [`BASE_LIFE`], the link is let run dry once and
//! `base` is measured anew.

use crate::{history::HISTORY_LEN, ids::Tick, time::Micros};

/// How much older than necessary a snapshot may arrive because it had to queue.
pub const QUEUE: Micros = Micros::from_millis(100);
/// How long a stall may last without snapshots being left out.
pub const STALL: Micros = Micros::from_millis(500);
/// What comes within this of `base` confirms it.
const BASE_SLACK: Micros = Micros::from_millis(33);
/// How long `base` is believed without being seen again.
pub const BASE_LIFE: Micros = Micros::from_secs(10);
/// Ticks that may be on their way whatever their rate: acknowledgements of what was sent before
/// the last 64 could not be judged.
pub const TICKS_MAX: i32 = 48;
/// Snapshots that may be on their way when nothing is known of queues.
const WINDOW_MAX: u32 = TICKS_MAX.cast_unsigned();
const _: () = assert!(TICKS_MAX < HISTORY_LEN as i32, "a baseline must outlive its flight");

/// See the module.
#[derive(Debug)]
pub(super) struct Flight {
    newest: Option<Tick>,
    /// Bit `n`: the tick `n` before the newest was sent.
    ticks: u64,
    applied: Option<Tick>,
    base: Option<Micros>,
    base_seen: Micros,
    window: u32,
    /// The first tick that is sent under this window, and so tells whether it is right.
    judged: Tick,
    sends: [Send; 64],
}

/// When a tick was sent, and how many were on their way then, itself included.
#[derive(Clone, Copy, Debug)]
struct Send {
    at: Micros,
    crowd: u32,
}

impl Flight {
    /// Nothing was sent yet.
    pub(super) const fn new() -> Self {
        Self {
            newest: None,
            ticks: 0,
            applied: None,
            base: None,
            base_seen: Micros(0),
            window: WINDOW_MAX,
            judged: Tick(0),
            sends: [Send { at: Micros(0), crowd: 0 }; 64],
        }
    }

    /// A snapshot of `tick` was sent.
    pub(super) fn send(&mut self, tick: Tick, now: Micros) {
        if self.newest.is_none() {
            self.judged = tick;
        }
        if self.on_their_way() == 0 && self.is_base_old(now) {
            self.base = None;
            self.base_seen = now;
        }
        let gap = self.newest.map_or(64, |newest| tick.since(newest).cast_unsigned());
        self.ticks = self.ticks.checked_shl(gap).unwrap_or(0) | 1;
        self.newest = Some(tick);
        self.sends[index(tick)] = Send { at: now, crowd: self.on_their_way().count_ones() };
    }

    /// The client has applied `tick`. Whether that was sent and is not older than what it had
    /// applied before.
    pub(super) fn apply(&mut self, tick: Tick, now: Micros) -> bool {
        if self.applied == Some(tick) {
            return true;
        }
        let Some(newest) = self.newest else { return false };
        let age = newest.since(tick);
        let was_sent = (0..64).contains(&age) && self.ticks & (1 << age) != 0;
        let goes_back = self.applied.is_some_and(|applied| tick.since(applied) < 0);
        if !was_sent || goes_back {
            return false;
        }
        self.applied = Some(tick);
        let took = now.since(self.sends[index(tick)].at);
        let was_known = self.base.is_some();
        let base = self.base.map_or(took, |base| base.min(took));
        if took.since(base) < BASE_SLACK {
            self.base_seen = now;
        }
        let window = self.judge(tick, took, base);
        if window < self.window || was_known && tick.since(self.judged) >= 0 {
            self.window = window;
            self.judged = newest.plus(1);
        }
        self.base = Some(base);
        true
    }

    /// The window that follows from how long `tick` took.
    fn judge(&self, tick: Tick, took: Micros, base: Micros) -> u32 {
        let queued = took.since(base);
        let crowd = self.sends[index(tick)].crowd;
        let window = if queued > QUEUE {
            // All that was on its way when this was sent has come while it was.
            let carried = u64::from(crowd) * base.plus(QUEUE).0 / took.0;
            // A stall makes it look worse than it is, so it is believed step by step.
            (carried as u32).max(self.window.div_ceil(2))
        } else if queued.0 < QUEUE.0 / 4 && crowd >= self.window {
            self.window * 2
        } else {
            self.window + 1
        };
        window.min(WINDOW_MAX)
    }

    /// Whether a snapshot of `tick` may be sent.
    pub(super) fn has_room(&self, tick: Tick, now: Micros) -> bool {
        let Some(newest) = self.newest else { return true };
        let on_their_way = self.on_their_way();
        if on_their_way == 0 {
            return true;
        }
        let oldest = Tick(newest.0.wrapping_sub(63 - on_their_way.leading_zeros()));
        if self.is_base_old(now) || tick.since(oldest) > TICKS_MAX {
            return false;
        }
        let limit = self.base.unwrap_or(Micros(0)).plus(STALL);
        on_their_way.count_ones() < self.window && now.since(self.sends[index(oldest)].at) <= limit
    }

    /// Of `ticks`, those that were sent after the one that was applied last.
    fn on_their_way(&self) -> u64 {
        match (self.newest, self.applied) {
            (Some(newest), Some(applied)) => {
                let age = newest.since(applied).cast_unsigned();
                self.ticks & !u64::MAX.checked_shl(age).unwrap_or(0)
            }
            (Some(_), None) => self.ticks,
            (None, _) => 0,
        }
    }

    fn is_base_old(&self, now: Micros) -> bool {
        self.base.is_some() && now.since(self.base_seen) > BASE_LIFE
    }
}

const fn index(tick: Tick) -> usize {
    tick.0 as usize % 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applied_ticks_must_have_been_sent() {
        let mut flight = Flight::new();
        let now = Micros(0);
        assert!(!flight.apply(Tick(0), now));
        for tick in [5, 6, 8] {
            flight.send(Tick(tick), now);
        }
        assert!(!flight.apply(Tick(7), now), "skipped");
        assert!(!flight.apply(Tick(9), now), "to come");
        assert!(flight.apply(Tick(6), now));
        assert!(flight.apply(Tick(6), now), "again");
        assert!(!flight.apply(Tick(5), now), "back");
        assert!(flight.apply(Tick(8), now));
        assert!(flight.has_room(Tick(500), Micros::from_secs(100)), "nothing is on its way");
    }

    #[test]
    fn a_stall_is_waited_out_up_to_a_point() {
        let mut line = Line::new();
        line.run(100, 5, 0);
        line.stalls = true;
        assert_eq!(line.run(24, 5, 0).sent, 24);
        assert_eq!(line.run(100, 5, 0).sent, 2, "half a second of them");
        line.stalls = false;
        assert_eq!(line.run(20, 5, 0).sent, 20);
    }

    #[test]
    fn a_slow_link_is_sent_what_it_can_carry() {
        let mut line = Line::new();
        line.run(100, 5, 0);
        // From now on each snapshot occupies the link for two and a half ticks.
        let Ran { sent, oldest } = line.run(150, 5, 25);
        assert!(sent > 55 && oldest < 35, "at first {sent}, up to {oldest} ticks old");
        let Ran { sent, oldest } = line.run(1_000, 5, 25);
        assert!((360..=400).contains(&sent), "{sent} snapshots, where 400 fit");
        assert!(oldest <= 5 + 3 + 2 * 5, "up to {oldest} ticks old: twice the queue that is meant");
        line.run(10, 5, 0);
        assert!(line.run(50, 5, 0).sent >= 49, "and recovers at once");
    }

    #[test]
    fn a_way_that_has_become_longer_is_learnt() {
        let mut line = Line::new();
        line.run(100, 2, 0);
        line.run(700, 12, 0);
        assert_eq!(line.run(100, 12, 0).sent, 100);
    }

    /// A link, a tick at a time.
    struct Line {
        flight: Flight,
        tick: u32,
        /// In tenths of ticks.
        free_at: u32,
        arriving: std::collections::VecDeque<(u32, u32)>,
        stalls: bool,
    }

    /// How many snapshots were sent, and how many ticks old the oldest was when it was applied.
    struct Ran {
        sent: u32,
        oldest: u32,
    }

    impl Line {
        fn new() -> Self {
            let flight = Flight::new();
            Self { flight, tick: 1_000, free_at: 0, arriving: [].into(), stalls: false }
        }

        /// Each snapshot occupies the link for so many tenths of a tick, and takes `way` ticks.
        fn run(&mut self, ticks: u32, way: u32, tenths: u32) -> Ran {
            let mut ran = Ran { sent: 0, oldest: 0 };
            for _ in 0..ticks {
                self.tick += 1;
                let now = Micros(u64::from(self.tick) * 20_000);
                let mut newest = None;
                while let Some(&(at, tick)) = self.arriving.front()
                    && at <= self.tick * 10
                    && !self.stalls
                {
                    self.arriving.pop_front();
                    ran.oldest = ran.oldest.max(self.tick - tick);
                    newest = Some(Tick(tick));
                }
                assert!(newest.is_none_or(|newest| self.flight.apply(newest, now)));
                if self.flight.has_room(Tick(self.tick), now) {
                    self.flight.send(Tick(self.tick), now);
                    ran.sent += 1;
                    self.free_at = self.free_at.max(self.tick * 10) + tenths;
                    self.arriving.push_back((self.free_at + way * 10, self.tick));
                }
            }
            ran
        }
    }
}
