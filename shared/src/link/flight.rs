//! Congestion control: which snapshots are in flight to a client, and whether to send another.
//!
//! A snapshot that queues on a slow link arrives late, and delays everything after it. All that the
//! server can measure is the RTT, from sending a snapshot until the client acknowledges that it
//! has applied it. An RTT more than [`QUEUE`] above the usual one (`base_rtt`) means that either
//! the snapshot has queued, or the path has become longer:
//! - If the excess grows, or the congestion window was full, it is a queue.
//! - If all RTTs were too long for [`DOUBT`], this is probed: every other snapshot is skipped until
//!   half as many bytes are in flight (after a skip snapshots are longer, so half as many snapshots
//!   may be as many bytes). If their RTTs are clearly shorter, it was a queue; if not, the path is
//!   longer (others may fill its queue), `base_rtt` becomes what they took, and the window what it
//!   was at first.
//!
//! The first snapshot is a full one, many times as long as the others. What was sent before it was
//! applied has queued behind it, and does not count.
//!
//! The congestion window (`window`) limits how many snapshots may be in flight:
//! - After one that has queued, it shrinks to as many as the link carries in `base_rtt` +
//!   [`QUEUE`]. So a link that is too slow gets as many as it can carry, all of them recent.
//! - After one that has not, it grows by one; or it doubles, if the window was full and the
//!   snapshot hardly queued. It may hold all that are sent within [`STALL`], because a link that
//!   stalls delivers them all as soon as it recovers. Only snapshots sent after a change of the
//!   window decide on its next growth.
//! - A client that has applied everything can always be sent one snapshot.

use crate::{history::HISTORY_LEN, ids::Tick, time::Micros};

/// How much later than necessary a snapshot may arrive because of queueing.
const QUEUE: Micros = Micros::from_millis(100);
/// How long a stall may last before snapshots are skipped.
const STALL: Micros = Micros::from_millis(500);
/// Gain of `base_rtt`: each RTT moves it by one part in this many of the difference.
const BASE_GAIN: i64 = 128;
/// How long all RTTs must be too long before `base_rtt` is probed.
const DOUBT: Micros = Micros::from_millis(500);
/// How many RTTs of a probe are enough to replace `base_rtt`.
const PROBE_SAMPLES: u32 = 4;
/// Most ticks between the oldest snapshot in flight and the next, at any rate: acknowledgements can
/// only be checked for the last 64 ticks.
const TICKS_MAX: i32 = 48;
/// Largest congestion window, and the first.
const WINDOW_MAX: u32 = TICKS_MAX.cast_unsigned();
const _: () = assert!(TICKS_MAX < HISTORY_LEN as i32, "history must keep what is in flight");

/// See the module.
#[derive(Debug)]
pub(super) struct Flight {
    newest: Option<Tick>,
    /// Bit `n`: the tick `n` before the newest was sent.
    ticks: u64,
    applied: Option<Tick>,
    /// Bytes sent, and those of them that were sent up to `applied`. They wrap.
    bytes: u32,
    bytes_applied: u32,
    base_rtt: Option<Micros>,
    trust: Trust,
    window: u32,
    /// The first tick that is sent with this window: from its acknowledgement on, it may grow.
    window_from: Tick,
    /// By tick.
    sends: [Sent; 64],
}

/// When a tick was sent, and how many were then in flight, itself included. Every tick touches one
/// in every session, so it is packed: the bits of [`IN_FLIGHT`] are the number, those above are the
/// time in steps of [`SEND_STEP`]. The time wraps, but is unambiguous for snapshots sent up to nine
/// minutes ago, half of its range.
#[derive(Clone, Copy, Debug)]
struct Sent {
    packed: u32,
    /// [`Flight::bytes`], this tick's included.
    bytes: u32,
}

/// In microseconds.
const SEND_STEP: u64 = 16;
const IN_FLIGHT: u32 = 63;

/// Whether `base_rtt` is believed to be right.
#[derive(Clone, Copy, Debug)]
enum Trust {
    Sure,
    /// All RTTs since `since` were more than [`QUEUE`] too long; the least was `least`.
    Doubted {
        since: Micros,
        least: Micros,
    },
    /// A probe that keeps only `half` as many bytes in flight as when the least RTT was `before`,
    /// which has come about with the snapshot of `from`. Of `samples` since then, the least RTT was
    /// `least`.
    Probing {
        since: Micros,
        before: Micros,
        half: u32,
        from: Option<Tick>,
        samples: u32,
        least: Micros,
    },
}

/// What a snapshot's RTT says about the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Path {
    Free,
    Unclear,
    Queueing,
}

impl Flight {
    /// Before the first snapshot.
    pub(super) const fn new() -> Self {
        Self {
            newest: None,
            ticks: 0,
            applied: None,
            bytes: 0,
            bytes_applied: 0,
            base_rtt: None,
            trust: Trust::Sure,
            window: WINDOW_MAX,
            window_from: Tick(0),
            sends: [Sent { packed: 0, bytes: 0 }; 64],
        }
    }

    /// Records that a snapshot of `tick` was sent, of so many bytes.
    pub(super) fn send(&mut self, tick: Tick, bytes: usize, now: Micros) {
        let bytes_before = self.bytes_in_flight();
        if let Trust::Probing { half, from: from @ None, .. } = &mut self.trust
            && bytes_before < *half
        {
            *from = Some(tick);
        }
        let gap = self.newest.map_or(64, |newest| tick.since(newest).cast_unsigned());
        self.ticks = self.ticks.checked_shl(gap).unwrap_or(0) | 1;
        self.newest = Some(tick);
        self.bytes = self.bytes.wrapping_add(bytes as u32);
        let in_flight = self.in_flight().count_ones();
        self.sends[index(tick)] = Sent::new(now, in_flight, self.bytes);
    }

    /// Handles an acknowledgement that the client has applied `tick`. Returns `false` if this tick
    /// was not sent, or is older than the one acknowledged before.
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
        if self.applied.is_none() {
            self.window_from = newest.plus(1);
        }
        self.applied = Some(tick);
        let sent = self.sends[index(tick)];
        self.bytes_applied = sent.bytes;
        if self.base_rtt.is_none() && tick.since(self.window_from) < 0 {
            return true;
        }
        let (rtt, in_flight) = (sent.age(now), sent.in_flight());
        let was_known = self.base_rtt.is_some();
        let is_limited = in_flight >= self.window;
        let base = match self.base_rtt {
            Some(base) => updated_base(base, rtt, is_limited),
            None => rtt,
        };
        self.base_rtt = Some(base);
        match self.judge(tick, rtt, base, now) {
            Path::Queueing => {
                // All snapshots in flight when this one was sent arrived within its RTT.
                let carried = u64::from(in_flight) * base.plus(QUEUE).0 / rtt.0;
                // A stall makes the link look slower than it is, so one RTT can only halve it.
                let window = (carried as u32).max(self.window.div_ceil(2));
                if window < self.window {
                    self.window = window;
                    self.window_from = newest.plus(1);
                }
            }
            Path::Free if was_known && tick.since(self.window_from) >= 0 => {
                let is_idle = rtt.since(base).0 < QUEUE.0 / 4 && in_flight >= self.window;
                let window = if is_idle { self.window * 2 } else { self.window + 1 };
                self.window = window.min(WINDOW_MAX);
                self.window_from = newest.plus(1);
            }
            Path::Free | Path::Unclear => {}
        }
        true
    }

    /// What the RTT of `tick` says; may replace `base_rtt`.
    fn judge(&mut self, tick: Tick, rtt: Micros, base: Micros, now: Micros) -> Path {
        if rtt.since(base) <= QUEUE {
            self.trust = Trust::Sure;
            return Path::Free;
        }
        let half = (self.bytes_in_flight() / 2).max(1);
        if let Trust::Sure = self.trust {
            self.trust = Trust::Doubted { since: now, least: rtt };
        }
        match &mut self.trust {
            Trust::Doubted { since, least } => {
                *least = rtt.min(*least);
                let is_limited = self.sends[index(tick)].in_flight() >= self.window;
                let is_queue = is_limited || rtt.since(*least).0 > QUEUE.0 / 2;
                if now.since(*since) > DOUBT {
                    let (since, before, least) = (now, *least, *least);
                    self.trust =
                        Trust::Probing { since, before, half, from: None, samples: 0, least };
                }
                if is_queue {
                    return Path::Queueing;
                }
            }
            Trust::Probing { before, from: Some(from), samples, least, .. }
                if tick.since(*from) >= 0 =>
            {
                *samples += 1;
                *least = rtt.min(*least);
                if least.0 * 4 < before.0 * 3 {
                    self.trust = Trust::Doubted { since: now, least: *least };
                    return Path::Queueing;
                }
                if *samples == PROBE_SAMPLES {
                    // The window was cut for a queue that there was not.
                    self.window = WINDOW_MAX;
                    self.base_rtt = Some(*least);
                    self.trust = Trust::Sure;
                }
            }
            Trust::Sure | Trust::Probing { .. } => {}
        }
        Path::Unclear
    }

    /// Whether a snapshot of `tick` may be sent.
    pub(super) fn has_room(&self, tick: Tick, now: Micros) -> bool {
        let Some(newest) = self.newest else { return true };
        let in_flight = self.in_flight();
        if in_flight == 0 {
            return true;
        }
        let count = in_flight.count_ones();
        let is_held_by_probe = match self.trust {
            Trust::Sure | Trust::Doubted { .. } => false,
            // For the first round trip, skipping every other tick is enough to halve them.
            Trust::Probing { since, before, half, .. } => {
                tick.since(newest) < 2
                    || now.since(since) > before && self.bytes_in_flight() >= half
            }
        };
        let oldest = Tick(newest.0.wrapping_sub(63 - in_flight.leading_zeros()));
        if is_held_by_probe || tick.since(oldest) > TICKS_MAX {
            return false;
        }
        let limit = self.base_rtt.unwrap_or(Micros(0)).plus(STALL);
        count < self.window && self.sends[index(oldest)].age(now) <= limit
    }

    /// Those of `ticks` that were sent after the one applied last.
    fn in_flight(&self) -> u64 {
        match (self.newest, self.applied) {
            (Some(newest), Some(applied)) => {
                let age = newest.since(applied).cast_unsigned();
                self.ticks & !u64::MAX.checked_shl(age).unwrap_or(0)
            }
            (Some(_), None) => self.ticks,
            (None, _) => 0,
        }
    }

    const fn bytes_in_flight(&self) -> u32 {
        self.bytes.wrapping_sub(self.bytes_applied)
    }
}

impl Sent {
    fn new(now: Micros, in_flight: u32, bytes: u32) -> Self {
        Self { packed: Self::time(now) | in_flight.min(IN_FLIGHT), bytes }
    }

    fn age(self, now: Micros) -> Micros {
        let sent = self.packed & !IN_FLIGHT;
        let age = Self::time(now).wrapping_sub(sent).cast_signed() / (IN_FLIGHT + 1).cast_signed();
        // An acknowledgement's timestamp may be a little before that of the send.
        Micros(u64::from(age.max(0).cast_unsigned()) * SEND_STEP)
    }

    const fn in_flight(self) -> u32 {
        self.packed & IN_FLIGHT
    }

    /// The time in the upper bits, with zeros in those of [`IN_FLIGHT`].
    const fn time(now: Micros) -> u32 {
        ((now.0 / SEND_STEP) as u32).wrapping_mul(IN_FLIGHT + 1)
    }
}

/// The new `base_rtt` after a snapshot with this RTT.
fn updated_base(base: Micros, rtt: Micros, is_limited: bool) -> Micros {
    let base = base.min(rtt.plus(QUEUE));
    let off = rtt.signed_since(base);
    // With a full window, a longer RTT may come from a queue of our own making.
    let is_path = off < 0 || off <= QUEUE.0.cast_signed() && !is_limited;
    if is_path { base.shifted(off / BASE_GAIN) } else { base }
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
            flight.send(Tick(tick), 1, now);
        }
        assert!(!flight.apply(Tick(7), now), "skipped");
        assert!(!flight.apply(Tick(9), now), "not sent yet");
        assert!(flight.apply(Tick(6), now));
        assert!(flight.apply(Tick(6), now), "repeated");
        assert!(!flight.apply(Tick(5), now), "goes back");
        assert!(flight.apply(Tick(8), now));
        assert!(flight.has_room(Tick(500), Micros::from_secs(100)), "nothing is in flight");
    }

    #[test]
    fn a_stall_of_up_to_half_a_second_skips_nothing() {
        let mut line = Line::new();
        line.run(100, 5, 0);
        line.stalls = true;
        assert_eq!(line.run(24, 5, 0).sent, 24);
        assert_eq!(line.run(100, 5, 0).sent, 2, "half a second's worth");
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
    fn long_snapshots_are_not_a_longer_path() {
        let mut line = Line::new();
        line.grows = true;
        // A full snapshot, and then more than the link can carry even of those without a gap.
        line.run(1, 10, 900);
        line.run(200, 10, 13);
        let Ran { sent, oldest } = line.run(2_000, 10, 13);
        assert!((1_000..1_450).contains(&sent), "{sent} snapshots");
        assert!(oldest <= 10 + 3 + 4 * 5, "up to {oldest} ticks old");
    }

    #[test]
    fn a_path_that_has_become_longer_is_not_a_queue() {
        for delay in [4, 10, 20] {
            let mut line = Line::new();
            line.run(100, 2, 0);
            let Ran { sent, .. } = line.run(100, delay, 0);
            assert!(sent > 60, "{sent} of 100 while a delay of {delay} ticks is learnt");
            assert!(line.run(100, delay, 0).sent >= 99, "a delay of {delay} ticks");
            line.run(50, 2, 0);
            let Ran { sent, oldest } = line.run(500, 2, 25);
            assert!((180..=205).contains(&sent), "{sent} snapshots, where 200 fit, after {delay}");
            assert!(oldest < 2 * delay + 40, "{oldest} ticks old");
        }
    }

    #[test]
    fn a_queue_that_others_fill_is_learnt_as_the_path() {
        let mut line = Line::new();
        line.run(100, 4, 0);
        // A download fills a queue of 300 ms; then it takes between 180 and 300 ms.
        let filling = (0..20).map(|tick| 4 + 15 * tick / 20);
        let busy = || (0..180).map(|tick| 13 + 6 * (tick % 40) / 40);
        let first = line.run_over(filling.chain(busy()));
        assert!(first >= 95, "{first} of 200 when it begins");
        line.run(100, 4, 0);
        let again = line.run_over(busy());
        assert!(again >= 130, "{again} of 180 when it begins again");
    }

    /// A simulated link.
    struct Line {
        flight: Flight,
        tick: u32,
        /// When the link is free again, in tenths of ticks.
        free_at: u32,
        arriving: std::collections::VecDeque<(u32, u32)>,
        stalls: bool,
        /// Whether snapshots are longer after a gap.
        grows: bool,
        sent_at: u32,
    }

    /// How many snapshots were sent, and how many ticks old the oldest was when it was applied.
    struct Ran {
        sent: u32,
        oldest: u32,
    }

    impl Line {
        fn new() -> Self {
            let flight = Flight::new();
            Self {
                flight,
                tick: 1_000,
                free_at: 0,
                arriving: [].into(),
                stalls: false,
                grows: false,
                sent_at: 1_000,
            }
        }

        /// Takes each delay for a tick. Returns how many snapshots were sent.
        fn run_over(&mut self, delays: impl Iterator<Item = u32>) -> u32 {
            delays.map(|delay| self.run(1, delay, 0).sent).sum()
        }

        /// Each snapshot occupies the link for `tenths` of a tick, and then takes `delay` ticks.
        fn run(&mut self, ticks: u32, delay: u32, tenths: u32) -> Ran {
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
                    let gap = self.tick - std::mem::replace(&mut self.sent_at, self.tick);
                    let part = if self.grows { 4 + 6 * gap.min(4) } else { 10 };
                    let tenths = tenths * part / 10;
                    self.flight.send(Tick(self.tick), 1 + tenths as usize, now);
                    ran.sent += 1;
                    self.free_at = self.free_at.max(self.tick * 10) + tenths;
                    self.arriving.push_back((self.free_at + delay * 10, self.tick));
                }
            }
            ran
        }
    }
}
