//! Inputs that arrive just in time: the server tells how early they come, the client makes its
//! ticks a little longer or shorter.
//!
//! An input that comes late is worthless and one that comes early waits, which is delay. The
//! server (`Leads`) knows how early each input came; every [`TOLD_EVERY`] ticks it tells the
//! least of them, in a byte. The client ([`InputPace`]) knows how far ahead of the server's clock it
//! made them, so the difference is how long the way took at worst, whatever it did in the
//! meantime. It keeps ahead of the server by what [`Tail`] makes of that.
//!
//! A client that was kept from its work makes up for the ticks of [`AWAY`] at most. When it was
//! kept for longer, it goes on with the tick that is due, and the server repeats what it has: inputs
//! that were made too late would be held against the network. One that is always as slow as that
//! makes an input each time.

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

/// Ticks between two tellings of how early inputs came.
pub const TOLD_EVERY: i32 = 8;
/// What a step of a told lead is worth, near to just in time and far from it.
pub const LEAD_FINE: i64 = 2_000;
/// See [`LEAD_FINE`].
pub const LEAD_COARSE: i64 = 32_000;
/// Leads up to here are told in fine steps.
pub const LEAD_FINE_MAX: i64 = 128_000;
/// How early the latest inputs are meant to come.
pub const MARGIN: i64 = 4_000;
/// Change of tick length per tick length.
pub const STRETCH_PERCENT: i64 = 4;
/// A client is never further ahead of the server's clock than this.
pub const AHEAD_MAX: i64 = 1_400_000;
const _: () = assert!(
    AHEAD_MAX < (INPUTS_MAX as i64 - 4) * 1_000_000 / TickRate::MAX_HZ as i64,
    "inputs must be able to wait for so long, at any rate"
);
/// One tick of so many may have to do without its input.
const LATE_ONE_IN: u64 = 150;

/// The least of the leads that have arrived since it was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leads {
    least: Option<i64>,
    told_at: Option<Tick>,
}

impl Leads {
    /// An input arrived so many microseconds before its tick, or (negative) after.
    pub(super) fn hear(&mut self, lead: i64) {
        self.least = Some(self.least.map_or(lead, |least| least.min(lead)));
    }

    /// What is to be told with the snapshot of `tick`, if anything.
    pub(super) fn tell(&mut self, tick: Tick) -> Option<i8> {
        if self.told_at.is_some_and(|told_at| tick.since(told_at) < TOLD_EVERY) {
            return None;
        }
        let lead = self.least.take()?;
        self.told_at = Some(tick);
        Some(tell_lead(lead))
    }
}

/// A lead as it is told, rounded towards being late: in steps of [`LEAD_FINE`] up to
/// [`LEAD_FINE_MAX`] early or late, and of [`LEAD_COARSE`] beyond.
fn tell_lead(lead: i64) -> i8 {
    let near = lead.clamp(-LEAD_FINE_MAX, LEAD_FINE_MAX);
    let told = near.div_euclid(LEAD_FINE) + (lead - near).div_euclid(LEAD_COARSE);
    told.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// The lead that was told, in microseconds. The least may stand for less.
#[must_use]
pub fn told_lead(told: i8) -> i64 {
    let told = i64::from(told);
    let near = told.clamp(-LEAD_FINE_MAX / LEAD_FINE, LEAD_FINE_MAX / LEAD_FINE);
    near * LEAD_FINE + (told - near) * LEAD_COARSE
}

/// When a client makes its inputs, and for which ticks.
#[derive(Clone, Debug)]
pub struct InputPace {
    /// How long inputs travel, but for the worst few.
    way: Tail,
    /// How far ahead of the server's clock inputs are made.
    ahead: Option<i64>,
    at: Micros,
    newest: Option<Tick>,
    /// How far ahead inputs were made that the server may still tell about, oldest first.
    made: VecDeque<(InputSeq, i64)>,
    /// How far ahead the one was made that it told about last.
    told: Option<i64>,
}

impl Default for InputPace {
    fn default() -> Self {
        Self {
            way: Tail::one_in(LATE_ONE_IN),
            ahead: None,
            at: Micros(0),
            newest: None,
            made: VecDeque::with_capacity(MADE_MAX),
            told: None,
        }
    }
}

impl InputPace {
    /// The tick for which an input is to be made now, if one is due. Ask until there is none.
    pub fn poll(&mut self, clock: &Clock, now: Micros) -> Option<Tick> {
        let ahead = self.advance(clock, now)?;
        let due = clock.moment(now.shifted(ahead), now)?.tick;
        let Some(newest) = self.newest else {
            // Who comes into the middle of a tick is too late for it.
            self.newest = Some(due);
            return None;
        };
        let missing = due.since(newest);
        let ticks = missing.unsigned_abs();
        let tick = if ticks > 1 && u64::from(ticks) * clock.interval().0 > AWAY.0 {
            // Nor is a clock waited for that was set back by so much.
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

    /// How far ahead of the server's clock inputs are made.
    #[must_use]
    pub const fn ahead(&self) -> Option<i64> {
        self.ahead
    }

    /// An input was made and numbered.
    pub fn made(&mut self, seq: InputSeq) {
        if self.made.len() == MADE_MAX {
            self.made.pop_front();
        }
        self.made.extend(self.ahead.map(|ahead| (seq, ahead)));
    }

    /// The server told how early inputs came, the newest of which is `processed` or one after it;
    /// ticks are `interval` apart. What came later than can be told is ignored: no network does that.
    pub fn hear(&mut self, lead: i8, processed: InputSeq, interval: Micros) {
        let is_older = |seq: InputSeq| seq.0.wrapping_sub(processed.0).cast_signed() <= 0;
        let mut ticks = 0;
        while let Some(&(seq, then)) = self.made.front()
            && is_older(seq)
        {
            self.told = Some(then);
            ticks += 1;
            self.made.pop_front();
        }
        let Some(ahead) = self.told.or(self.ahead).filter(|_| lead > i8::MIN) else { return };
        let way = ahead - told_lead(lead);
        // Who comes late has those behind it waiting, each an interval less late than the one before.
        if way > ahead {
            self.way.hear_steps(way, ahead, interval);
        } else {
            self.way.hear(way, Micros(interval.0 * ticks.max(1)));
        }
    }

    /// A new connection: nothing is on its way any more.
    pub fn reconnect(&mut self) {
        self.made.clear();
        self.told = None;
    }

    /// Goes towards where the client should be, a little for the time that has passed.
    fn advance(&mut self, clock: &Clock, now: Micros) -> Option<i64> {
        let wanted = match self.way.value() {
            Some(way) => way + MARGIN,
            // Nothing was told yet: half of a round trip, and what may come on top.
            None => (clock.rtt()?.0 / 2 + 2 * clock.jitter().0).cast_signed() + 2 * MARGIN,
        };
        let wanted = wanted.clamp(0, AHEAD_MAX);
        let most = now.since(self.at).0.cast_signed() * STRETCH_PERCENT / 100;
        // Remainders are kept for the next time.
        let ahead = match self.ahead {
            Some(ahead) if most == 0 => return Some(ahead),
            Some(ahead) => ahead + (wanted - ahead).clamp(-most, most),
            None => wanted,
        };
        self.at = now;
        self.ahead = Some(ahead);
        Some(ahead)
    }
}

/// Inputs whose lead may not be known yet: as many as travel in two seconds and more.
const MADE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dice::Dice, wire::Pong};

    #[test]
    fn the_least_lead_is_told_every_few_ticks() {
        let mut leads = Leads::default();
        assert_eq!(leads.tell(Tick(1)), None);
        leads.hear(7_000);
        leads.hear(-1_000);
        assert_eq!(leads.tell(Tick(2)), Some(-1));
        leads.hear(5_999);
        assert_eq!(leads.tell(Tick(9)), None);
        assert_eq!(leads.tell(Tick(10)), Some(2));
        leads.hear(-5_000_000);
        assert_eq!(leads.tell(Tick(18)), Some(-128));
    }

    #[test]
    fn inputs_come_just_in_time_over_any_way() {
        for (way, jitter) in [(1_000, 100), (30_000, 3_000), (60_000, 40_000), (150_000, 10_000)] {
            check_pace(way, jitter);
        }
    }

    #[test]
    fn who_comes_into_the_middle_of_a_tick_waits_for_the_next() {
        let rate = TickRate::new(10).unwrap();
        let (mut clock, mut pace) = (Clock::new(rate), InputPace::default());
        let pong = Pong {
            client_time: Micros(0),
            server_time: Micros(0),
            held: Micros(0),
            tick: Tick(10),
            tick_time: Micros(1_000_000),
        };
        clock.hear(pong, Micros(0));
        // 8 ms ahead of the server: tick 11 has begun there 58 ms ago.
        assert_eq!(pace.poll(&clock, Micros(1_150_000)), None);
        assert_eq!(pace.poll(&clock, Micros(1_192_000)), Some(Tick(12)));
        // The machine was busy for a second, and goes on.
        assert_eq!(pace.poll(&clock, Micros(2_450_000)), Some(Tick(24)));
        assert_eq!(pace.poll(&clock, Micros(2_450_000)), None);
        assert_eq!(pace.poll(&clock, Micros(2_492_000)), Some(Tick(25)));
    }

    /// Inputs that take `way` and up to `jitter` more.
    #[track_caller]
    fn check_pace(way: i64, jitter: i32) {
        let rate = TickRate::new(30).unwrap();
        let (mut clock, mut pace, mut leads) =
            (Clock::new(rate), InputPace::default(), Leads::default());
        let mut dice = Dice::new(7);
        let (mut late, mut made, mut waited) = (0, 0, 0);
        let lead = |due: i64, now: u64, dice: &mut Dice| {
            due - now.cast_signed() - way - i64::from(dice.within(0, jitter))
        };
        // On their way back.
        let mut telling = VecDeque::new();
        for millis in 1_000..120_000_u64 {
            let now = Micros::from_millis(millis);
            if millis.is_multiple_of(500) {
                let sent = now.shifted(-2 * way);
                let tick = Tick((millis * 30 / 1000) as u32);
                let tick_time = Micros(rate.nanos_to(tick.0.into()) / 1_000);
                let server_time = now.shifted(-way);
                clock.hear(
                    Pong { client_time: sent, server_time, held: Micros(0), tick, tick_time },
                    now,
                );
            }
            while let Some(tick) = pace.poll(&clock, now) {
                let seq = InputSeq(tick.0);
                pace.made(seq);
                let due = (rate.nanos_to(tick.0.into()) / 1_000).cast_signed();
                let lead = lead(due, now.0, &mut dice);
                leads.hear(lead);
                if let Some(told) = leads.tell(tick) {
                    telling.push_back((now.shifted(2 * way), told, seq));
                }
                while let Some(&(at, told, seq)) = telling.front()
                    && at <= now
                {
                    pace.hear(told, seq, rate.interval());
                    telling.pop_front();
                }
                if millis > 20_000 {
                    made += 1;
                    late += u32::from(lead < 0);
                    waited += lead.max(0);
                }
            }
        }
        assert!((2_995..=3_005).contains(&made), "{made} inputs in 100 s");
        assert!(late < 30, "{late} of {made} inputs came too late");
        let mean = waited / i64::from(made);
        assert!(mean < i64::from(jitter) + 12_000, "inputs wait for {mean} us");
    }
}
