//! What is on its way to a client, and whether more should be.
//!
//! A snapshot that has to queue for a link arrives late, and everything after it too. Nothing can
//! be seen of the link but when clients say that they have applied what they were sent. The way
//! there and back usually takes a certain time (`base`). What takes more than [`QUEUE`] longer has
//! queued, or else the way has become longer:
//! - when it grows, or comes behind a full window, it is a queue;
//! - when nothing else has come for [`DOUBT`], every other snapshot is left out until half as many
//!   are on their way. If those take clearly less, it was a queue; if not, it is the way, and
//!   `base` is what they took.
//!
//! From that follows how many snapshots may be on their way (`window`):
//! - when one has queued, as many as the link carries in the time that it usually takes and
//!   [`QUEUE`]. So a link that is too slow gets as many as it can carry, all of them new;
//! - when one has not, one more, or, when it has hardly queued behind a full window, twice as
//!   many, up to all that are sent within [`STALL`]: a link that stalls delivers them all as soon
//!   as it goes on. Whether more was right is judged by the next one that is sent;
//! - a client that has applied all that it was sent may always be sent one.

use crate::{history::HISTORY_LEN, ids::Tick, time::Micros};

/// How much older than necessary a snapshot may arrive because it had to queue.
const QUEUE: Micros = Micros::from_millis(100);
/// How long a stall may last without snapshots being left out.
const STALL: Micros = Micros::from_millis(500);
/// What is left of a difference between a way and what was believed of it: one in so many.
const FOLLOW: i64 = 128;
/// How long all must have taken longer than they should before `base` is doubted.
const DOUBT: Micros = Micros::from_millis(500);
/// Snapshots that must have come since half as many are on their way.
const TRIED: u32 = 4;
/// Ticks that may be on their way whatever their rate: acknowledgements of what was sent before
/// the last 64 could not be judged.
const TICKS_MAX: i32 = 48;
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
    trust: Trust,
    window: u32,
    /// The first tick that is sent under this window, and so tells whether it is right.
    judged: Tick,
    sends: Sends,
}

/// When each of the last 64 ticks was sent, and how many were on their way then, itself included.
/// There are as many of these as clients, and a tick touches all of them, so they are small: the
/// upper bits are the time in steps of [`SEND_STEP`], of which what is on its way was sent less
/// than half of what fits ago, nine minutes; those of [`CROWD`] are the number.
#[derive(Debug)]
struct Sends([u32; 64]);

/// Microseconds.
const SEND_STEP: u64 = 16;
const CROWD: u32 = 63;

/// Whether `base` is what it usually takes.
#[derive(Clone, Copy, Debug)]
enum Trust {
    Sure,
    /// What came `since` has taken more than [`QUEUE`] longer, and `least` at least.
    Doubted {
        since: Micros,
        least: Micros,
    },
    /// Half as many are to be on their way as took `before` at least, that is `half`. `came` of
    /// those have come, and took `least` at least.
    Tried {
        since: Micros,
        before: Micros,
        half: u32,
        came: u32,
        least: Micros,
    },
}

/// What the time that a snapshot took says about the way there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Free,
    Unclear,
    Queue,
}

impl Flight {
    /// Nothing was sent yet.
    pub(super) const fn new() -> Self {
        Self {
            newest: None,
            ticks: 0,
            applied: None,
            base: None,
            trust: Trust::Sure,
            window: WINDOW_MAX,
            judged: Tick(0),
            sends: Sends([0; 64]),
        }
    }

    /// A snapshot of `tick` was sent.
    pub(super) fn send(&mut self, tick: Tick, now: Micros) {
        if self.newest.is_none() {
            self.judged = tick;
        }
        let gap = self.newest.map_or(64, |newest| tick.since(newest).cast_unsigned());
        self.ticks = self.ticks.checked_shl(gap).unwrap_or(0) | 1;
        self.newest = Some(tick);
        let crowd = self.on_their_way().count_ones();
        self.sends.keep(tick, now, crowd);
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
        let (took, crowd) = (self.sends.age(tick, now), self.sends.crowd(tick));
        let was_known = self.base.is_some();
        let is_limited = crowd >= self.window;
        let base = match self.base {
            Some(base) => follow(base, took, is_limited),
            None => took,
        };
        self.base = Some(base);
        match self.judge(crowd, took, base, now) {
            Way::Queue => {
                // All that was on its way when this was sent has come while it was.
                let carried = u64::from(crowd) * base.plus(QUEUE).0 / took.0;
                // A stall makes it look worse than it is, so it is believed step by step.
                let window = (carried as u32).max(self.window.div_ceil(2));
                if window < self.window {
                    self.window = window;
                    self.judged = newest.plus(1);
                }
            }
            Way::Free if was_known && tick.since(self.judged) >= 0 => {
                let is_idle = took.since(base).0 < QUEUE.0 / 4 && crowd >= self.window;
                let window = if is_idle { self.window * 2 } else { self.window + 1 };
                self.window = window.min(WINDOW_MAX);
                self.judged = newest.plus(1);
            }
            Way::Free | Way::Unclear => {}
        }
        true
    }

    /// What it says that a snapshot took so long behind so many; sets `base` anew.
    fn judge(&mut self, crowd: u32, took: Micros, base: Micros, now: Micros) -> Way {
        if took.since(base) <= QUEUE {
            self.trust = Trust::Sure;
            return Way::Free;
        }
        if let Trust::Sure = self.trust {
            self.trust = Trust::Doubted { since: now, least: took };
        }
        match &mut self.trust {
            Trust::Doubted { since, least } => {
                *least = took.min(*least);
                let is_queue = crowd >= self.window || took.since(*least).0 > QUEUE.0 / 2;
                if now.since(*since) > DOUBT {
                    let (before, half) = (*least, crowd.div_ceil(2));
                    self.trust = Trust::Tried { since: now, before, half, came: 0, least: before };
                }
                if is_queue {
                    return Way::Queue;
                }
            }
            Trust::Tried { before, half, came, least, .. } if crowd <= *half => {
                *came += 1;
                *least = took.min(*least);
                if least.0 * 4 < before.0 * 3 {
                    self.trust = Trust::Doubted { since: now, least: *least };
                    return Way::Queue;
                }
                if *came == TRIED {
                    self.base = Some(*least);
                    self.trust = Trust::Sure;
                }
            }
            Trust::Sure | Trust::Tried { .. } => {}
        }
        Way::Unclear
    }

    /// Whether a snapshot of `tick` may be sent.
    pub(super) fn has_room(&self, tick: Tick, now: Micros) -> bool {
        let Some(newest) = self.newest else { return true };
        let on_their_way = self.on_their_way();
        if on_their_way == 0 {
            return true;
        }
        let in_flight = on_their_way.count_ones();
        let is_tried_too_much = match self.trust {
            Trust::Sure | Trust::Doubted { .. } => false,
            // Within a round trip from the start, half as many are on their way by themselves.
            Trust::Tried { since, before, half, .. } => {
                tick.since(newest) < 2 || now.since(since) > before && in_flight >= half
            }
        };
        let oldest = Tick(newest.0.wrapping_sub(63 - on_their_way.leading_zeros()));
        if is_tried_too_much || tick.since(oldest) > TICKS_MAX {
            return false;
        }
        let limit = self.base.unwrap_or(Micros(0)).plus(STALL);
        in_flight < self.window && self.sends.age(oldest, now) <= limit
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
}

impl Sends {
    fn keep(&mut self, tick: Tick, now: Micros, crowd: u32) {
        self.0[index(tick)] = Self::time(now) | crowd.min(CROWD);
    }

    fn age(&self, tick: Tick, now: Micros) -> Micros {
        let sent = self.0[index(tick)] & !CROWD;
        let age = Self::time(now).wrapping_sub(sent).cast_signed() / (CROWD + 1).cast_signed();
        // An arrival may be noted a little before the send.
        Micros(u64::from(age.max(0).cast_unsigned()) * SEND_STEP)
    }

    fn crowd(&self, tick: Tick) -> u32 {
        self.0[index(tick)] & CROWD
    }

    /// In the upper bits, with nobody in the lower.
    const fn time(now: Micros) -> u32 {
        ((now.0 / SEND_STEP) as u32).wrapping_mul(CROWD + 1)
    }
}

/// The time that the way takes, after one that took so long.
fn follow(base: Micros, took: Micros, is_limited: bool) -> Micros {
    let base = base.min(took.plus(QUEUE));
    let off = took.signed_since(base);
    // What is behind a queue that we have made says nothing.
    let is_way = off < 0 || off <= QUEUE.0.cast_signed() && !is_limited;
    if is_way { base.shifted(off / FOLLOW) } else { base }
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
        assert!(sent > 55 && oldest < 40, "at first {sent}, up to {oldest} ticks old");
        let Ran { sent, oldest } = line.run(1_000, 5, 25);
        assert!((360..=405).contains(&sent), "{sent} snapshots, where 400 fit");
        assert!(oldest <= 5 + 3 + 2 * 5, "up to {oldest} ticks old: twice the queue that is meant");
        line.run(10, 5, 0);
        let sent = line.run(50, 5, 0).sent;
        assert!(sent >= 48, "and recovers at once, but {sent} of 50");
    }

    #[test]
    fn a_way_that_has_become_longer_is_not_a_queue() {
        for way in [4, 10, 20] {
            let mut line = Line::new();
            line.run(100, 2, 0);
            let Ran { sent, .. } = line.run(100, way, 0);
            assert!(sent > 60, "{sent} of 100 while a way of {way} ticks is learnt");
            assert!(line.run(100, way, 0).sent >= 99, "a way of {way} ticks");
            line.run(50, 2, 0);
            let Ran { sent, oldest } = line.run(500, 2, 25);
            assert!((180..=205).contains(&sent), "{sent} snapshots, where 200 fit, after {way}");
            assert!(oldest < 2 * way + 40, "{oldest} ticks old");
        }
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
