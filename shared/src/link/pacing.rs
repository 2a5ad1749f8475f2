//! Input pacing: the server reports how early inputs arrive, and the client makes its ticks a
//! little longer or shorter so that they arrive just in time.
//!
//! A late input is worthless, and an early one waits, which adds latency. The server (`Leads`)
//! knows each input's *lead*, how early it arrived; every [`LEAD_INTERVAL`] ticks it sends the
//! least one, in a byte. The client ([`InputPace`]) knows how far ahead of the server's clock it
//! made these inputs; the difference is the longest one-way delay among them, even if the client
//! has changed its pace since. A [`Tail`] of these delays decides how far ahead the client keeps.
//!
//! A client that was suspended, by other work or by its system, makes up for the ticks of at most
//! [`AWAY`]. After a longer pause it continues with the tick that is due, and the server repeats
//! the last input for the ticks between: inputs made too late would pass for network delay. A
//! client that always runs this slowly makes one input each time.

use std::collections::VecDeque;

use super::{
    clock::Clock,
    inputs::INPUTS_MAX,
    tail::{AWAY, Tail},
};
use crate::{
    ids::{InputSeq, Tick},
    time::{Micros, TickRate},
};

/// Ticks between two reports of a lead.
pub const LEAD_INTERVAL: i32 = 8;
/// Step of an encoded lead of up to [`LEAD_FINE_MAX`], in microseconds.
pub const LEAD_FINE: i64 = 2_000;
/// Step of an encoded lead beyond [`LEAD_FINE_MAX`], in microseconds.
pub const LEAD_COARSE: i64 = 32_000;
/// Leads up to here, early or late, are encoded in fine steps; in microseconds.
pub const LEAD_FINE_MAX: i64 = 128_000;
/// How early the latest inputs should arrive, in microseconds.
pub const MARGIN: i64 = 4_000;
/// Largest change of the tick length.
pub const STRETCH_PERCENT: i64 = 4;
/// How far ahead of the server's clock a client is at most, in microseconds.
pub const AHEAD_MAX: i64 = 1_400_000;
const _: () = assert!(
    AHEAD_MAX < (INPUTS_MAX as i64 - 4) * 1_000_000 / TickRate::MAX_HZ as i64,
    "the input queue must hold inputs that are this early, at any rate"
);
/// One in this many ticks may lack its input.
const LATE_ONE_IN: u64 = 150;

/// The least lead of the inputs that arrived since the last report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leads {
    least: Option<i64>,
    reported_at: Option<Tick>,
}

impl Leads {
    /// Records that an input arrived `lead` microseconds before its tick was due; negative if
    /// after.
    pub(super) fn record(&mut self, lead: i64) {
        self.least = Some(self.least.map_or(lead, |least| least.min(lead)));
    }

    /// The report to send with the snapshot of `tick`, if one is due.
    pub(super) fn poll(&mut self, tick: Tick) -> Option<i8> {
        if self.reported_at.is_some_and(|at| tick.since(at) < LEAD_INTERVAL) {
            return None;
        }
        let lead = self.least.take()?;
        self.reported_at = Some(tick);
        Some(encode_lead(lead))
    }
}

/// Encodes a lead in a byte, rounded towards late: in steps of [`LEAD_FINE`] up to
/// [`LEAD_FINE_MAX`] early or late, and of [`LEAD_COARSE`] beyond.
fn encode_lead(lead: i64) -> i8 {
    let near = lead.clamp(-LEAD_FINE_MAX, LEAD_FINE_MAX);
    let encoded = near.div_euclid(LEAD_FINE) + (lead - near).div_euclid(LEAD_COARSE);
    encoded.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// Decodes a lead, in microseconds. The least, -128, also stands for anything less.
#[must_use]
pub fn decode_lead(lead: i8) -> i64 {
    let lead = i64::from(lead);
    let near = lead.clamp(-LEAD_FINE_MAX / LEAD_FINE, LEAD_FINE_MAX / LEAD_FINE);
    near * LEAD_FINE + (lead - near) * LEAD_COARSE
}

/// Decides when a client makes its inputs, and for which ticks.
#[derive(Clone, Debug)]
pub struct InputPace {
    /// One-way delay of inputs that all but the slowest few stay below.
    delay: Tail,
    /// How far ahead of the server's clock inputs are made, and when this was last changed.
    ahead: Option<i64>,
    ahead_at: Micros,
    /// The newest tick that an input was asked for.
    newest: Option<Tick>,
    /// How far ahead each input was made that the server may not have reported on, oldest first.
    made: VecDeque<(InputSeq, i64)>,
    /// How far ahead the newest input was made that the server has reported on.
    reported: Option<i64>,
}

impl Default for InputPace {
    fn default() -> Self {
        Self {
            delay: Tail::one_in(LATE_ONE_IN),
            ahead: None,
            ahead_at: Micros(0),
            newest: None,
            made: VecDeque::with_capacity(MADE_MAX),
            reported: None,
        }
    }
}

impl InputPace {
    /// The tick for which the client should make an input now, if one is due. Call this until it
    /// returns `None`.
    pub fn poll(&mut self, clock: &Clock, now: Micros) -> Option<Tick> {
        let ahead = self.advance(clock, now)?;
        let due = clock.moment(now.shifted(ahead), now)?.tick;
        let Some(newest) = self.newest else {
            // A client that joins in the middle of a tick is too late for it.
            self.newest = Some(due);
            return None;
        };
        let missing = due.since(newest);
        let ticks = missing.unsigned_abs();
        let tick = if ticks > 1 && u64::from(ticks) * clock.interval().0 > AWAY.0 {
            // Also if the clock was set back by as much: waiting for it would take too long.
            due
        } else if missing > 0 {
            newest.plus(1)
        } else {
            return None;
        };
        self.newest = Some(tick);
        Some(tick)
    }

    /// When the next input is due.
    #[must_use]
    pub fn due(&self, clock: &Clock, now: Micros) -> Option<Micros> {
        let next = self.newest?.plus(1);
        Some(clock.due(next, now)?.shifted(-self.ahead?))
    }

    /// How far ahead of the server's clock inputs are made, in microseconds.
    #[must_use]
    pub const fn ahead(&self) -> Option<i64> {
        self.ahead
    }

    /// Records that an input was made, with this number.
    pub fn record_input(&mut self, seq: InputSeq) {
        if self.made.len() == MADE_MAX {
            self.made.pop_front();
        }
        self.made.extend(self.ahead.map(|ahead| (seq, ahead)));
    }

    /// Handles a lead that the server has reported, for inputs up to `processed` or newer ones;
    /// ticks are `interval` apart. The least value is ignored: no network is that slow.
    pub fn handle_lead(&mut self, lead: i8, processed: InputSeq, interval: Micros) {
        let is_older = |seq: InputSeq| seq.0.wrapping_sub(processed.0).cast_signed() <= 0;
        let mut ticks = 0;
        while let Some(&(seq, then)) = self.made.front()
            && is_older(seq)
        {
            self.reported = Some(then);
            ticks += 1;
            self.made.pop_front();
        }
        let Some(ahead) = self.reported.or(self.ahead).filter(|_| lead > i8::MIN) else { return };
        let delay = ahead - decode_lead(lead);
        // A late input holds up those behind it, each of which is an interval less late.
        if delay > ahead {
            self.delay.record_steps(delay, ahead, interval);
        } else {
            self.delay.record(delay, Micros(interval.0 * ticks.max(1)));
        }
    }

    /// Handles a new connection: no input is in flight, or waits for its tick, any more.
    pub fn reconnect(&mut self) {
        self.newest = None;
        self.made.clear();
        self.reported = None;
    }

    /// Moves `ahead` towards its target, by at most [`STRETCH_PERCENT`] of the time passed.
    fn advance(&mut self, clock: &Clock, now: Micros) -> Option<i64> {
        let wanted = match self.delay.value() {
            Some(delay) => delay + MARGIN,
            // No report yet: half of the shortest round trip, and an allowance for jitter.
            None => (clock.rtt()?.0 / 2 + 2 * clock.jitter().0).cast_signed() + 2 * MARGIN,
        };
        let wanted = wanted.clamp(0, AHEAD_MAX);
        let most = now.since(self.ahead_at).0.cast_signed() * STRETCH_PERCENT / 100;
        // A move of less than a microsecond waits until more time has passed.
        let ahead = match self.ahead {
            Some(ahead) if most == 0 => return Some(ahead),
            Some(ahead) => ahead + (wanted - ahead).clamp(-most, most),
            None => wanted,
        };
        self.ahead_at = now;
        self.ahead = Some(ahead);
        Some(ahead)
    }
}

/// Most inputs that the server has not reported on yet: those of two seconds at the fastest rate.
const MADE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dice::Dice, wire::Pong};

    #[test]
    fn the_least_lead_is_reported_every_few_ticks() {
        let mut leads = Leads::default();
        assert_eq!(leads.poll(Tick(1)), None);
        leads.record(7_000);
        leads.record(-1_000);
        assert_eq!(leads.poll(Tick(2)), Some(-1));
        leads.record(5_999);
        assert_eq!(leads.poll(Tick(9)), None);
        assert_eq!(leads.poll(Tick(10)), Some(2));
        leads.record(-5_000_000);
        assert_eq!(leads.poll(Tick(18)), Some(-128));
    }

    #[test]
    fn inputs_arrive_just_in_time_whatever_the_delay() {
        for (delay, jitter) in [(1_000, 100), (30_000, 3_000), (60_000, 40_000), (150_000, 10_000)]
        {
            check_pace(delay, jitter);
        }
    }

    #[test]
    fn a_client_that_joins_in_the_middle_of_a_tick_waits_for_the_next() {
        let rate = TickRate::new(10).unwrap();
        let (mut clock, mut pace) = (Clock::new(rate), InputPace::default());
        let pong = Pong {
            client_time: Micros(0),
            server_time: Micros(0),
            held: Micros(0),
            tick: Tick(10),
            tick_time: Micros(1_000_000),
        };
        clock.handle_pong(pong, Micros(0));
        // 8 ms ahead of the server: tick 11 has begun there 58 ms ago.
        assert_eq!(pace.poll(&clock, Micros(1_150_000)), None);
        assert_eq!(pace.poll(&clock, Micros(1_192_000)), Some(Tick(12)));
        // The machine was busy for a second, and continues.
        assert_eq!(pace.poll(&clock, Micros(2_450_000)), Some(Tick(24)));
        assert_eq!(pace.poll(&clock, Micros(2_450_000)), None);
        assert_eq!(pace.poll(&clock, Micros(2_492_000)), Some(Tick(25)));
        // The server has dropped the inputs that waited; a new connection begins like the first.
        pace.reconnect();
        assert_eq!(pace.poll(&clock, Micros(2_692_000)), None);
        assert_eq!(pace.poll(&clock, Micros(2_694_000)), None);
        assert_eq!(pace.poll(&clock, Micros(2_792_000)), Some(Tick(28)));
    }

    /// Inputs that take `delay` and up to `jitter` more.
    #[track_caller]
    fn check_pace(delay: i64, jitter: i32) {
        let rate = TickRate::new(30).unwrap();
        let (mut clock, mut pace, mut leads) =
            (Clock::new(rate), InputPace::default(), Leads::default());
        let mut dice = Dice::new(7);
        let (mut late, mut made, mut waited) = (0, 0, 0);
        let lead = |due: i64, now: u64, dice: &mut Dice| {
            due - now.cast_signed() - delay - i64::from(dice.within(0, jitter))
        };
        // Reports that are in flight to the client.
        let mut reports = VecDeque::new();
        for millis in 1_000..120_000_u64 {
            let now = Micros::from_millis(millis);
            if millis.is_multiple_of(500) {
                let sent = now.shifted(-2 * delay);
                let tick = Tick((millis * 30 / 1000) as u32);
                let tick_time = Micros(rate.nanos_to(tick.0.into()) / 1_000);
                let server_time = now.shifted(-delay);
                clock.handle_pong(
                    Pong { client_time: sent, server_time, held: Micros(0), tick, tick_time },
                    now,
                );
            }
            while let Some(tick) = pace.poll(&clock, now) {
                let seq = InputSeq(tick.0);
                pace.record_input(seq);
                let due = (rate.nanos_to(tick.0.into()) / 1_000).cast_signed();
                let lead = lead(due, now.0, &mut dice);
                leads.record(lead);
                if let Some(report) = leads.poll(tick) {
                    reports.push_back((now.shifted(2 * delay), report, seq));
                }
                while let Some(&(at, report, seq)) = reports.front()
                    && at <= now
                {
                    pace.handle_lead(report, seq, rate.interval());
                    reports.pop_front();
                }
                if millis > 20_000 {
                    made += 1;
                    late += u32::from(lead < 0);
                    waited += lead.max(0);
                }
            }
        }
        assert!((2_995..=3_005).contains(&made), "{made} inputs in 100 s");
        assert!(late < 30, "{late} of {made} inputs were too late");
        let mean = waited / i64::from(made);
        assert!(mean < i64::from(jitter) + 12_000, "inputs wait for {mean} us");
    }
}
