//! Estimates from pongs when the server's ticks are due, on the client's clock.
//!
//! A ping reached the server at some time within its round trip, most likely half-way; the time
//! for which the server held it is not part of the round trip. So of the last [`SAMPLES`] pongs,
//! the one with the shortest round trip gives the best estimate of the offset between the clocks.
//! Two pongs that contradict each other mean that a clock has jumped, as when the client's machine
//! slept; the older pongs are then discarded.
//!
//! The estimate moves smoothly, by at most [`SLEW_PERCENT`] of the time passed. It jumps only
//! within [`SETTLING`] of the first pong, when it is wrong by [`JUMP_FROM`] or more, and with the
//! first pong of another connection: the match may have stood still meanwhile, or gone on in another
//! server, whose clock is another.

use crate::{
    ids::Tick,
    time::{Micros, Moment, TickRate},
    wire::{Pace, Pong},
};

/// How many pongs are kept.
pub const SAMPLES: usize = 16;
/// Largest correction, as a part of the time passed.
pub const SLEW_PERCENT: i64 = 2;
/// How long after the first pong the clock is still being set.
pub const SETTLING: Micros = Micros::from_secs(2);
/// An error of this many microseconds or more is corrected at once: the machine has slept.
pub const JUMP_FROM: i64 = 500_000;
/// Largest difference in rate between two undisturbed clocks: one part in this many.
const DRIFT: i64 = 10_000;

/// The estimate of when the server's ticks are due; see the [module](self).
#[derive(Clone, Debug)]
pub struct Clock {
    rate: TickRate,
    slowdown: u8,
    /// Newest last.
    samples: Vec<Sample>,
    estimate: Option<Estimate>,
    settled_at: Micros,
    /// Whether a pong has arrived on this connection.
    is_current: bool,
    jitter: i64,
}

/// The measurement from one pong.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Micros,
    rtt: i64,
    /// What to add to the server's time to get the client's.
    offset: i64,
}

/// When a tick is due by the estimate: at first, at `at`, `due`, then slewing towards `target`.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    tick: Tick,
    at: Micros,
    due: i64,
    target: i64,
}

impl Clock {
    /// The clock of a match with this tick rate.
    #[must_use]
    pub const fn new(rate: TickRate) -> Self {
        Self {
            rate,
            slowdown: 1,
            samples: Vec::new(),
            estimate: None,
            settled_at: Micros(0),
            is_current: false,
            jitter: 0,
        }
    }

    /// Handles a pong that arrived `now`.
    pub fn handle_pong(&mut self, pong: Pong, now: Micros) {
        if self.estimate.is_none() {
            self.settled_at = now.plus(SETTLING);
        }
        let rtt = pong.rtt(now).0.cast_signed();
        let halfway = pong.client_time.0.cast_signed() + rtt / 2;
        let offset = halfway - pong.server_time.0.cast_signed();
        let sample = Sample { at: now, rtt, offset };
        if self.samples.iter().any(|earlier| earlier.contradicts(&sample)) {
            self.samples.clear();
        }
        if self.samples.len() == SAMPLES {
            self.samples.remove(0);
        }
        self.samples.push(sample);
        let best = self.best(now).unwrap_or(sample);
        self.jitter += (rtt - best.rtt - self.jitter) / 8;
        self.set_target(pong.tick, pong.tick_time, now);
        self.is_current = true;
    }

    /// Changes the tick interval and the schedule.
    pub fn set_pace(&mut self, pace: Pace, now: Micros) {
        if self.is_current {
            self.set_target(pace.tick, pace.tick_time, now);
        }
        self.slowdown = pace.slowdown;
    }

    /// Handles the welcome of a new connection: its first pong, and a pace unless ticks are at their
    /// normal interval, say how things are now.
    pub const fn reconnect(&mut self) {
        self.is_current = false;
        self.slowdown = 1;
    }

    /// Whether a pong has arrived on this connection, so that the estimate can be relied on.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.is_current
    }

    /// When `tick` was or will be due, on the client's clock, by the estimate as of `now`.
    #[must_use]
    pub fn due(&self, tick: Tick, now: Micros) -> Option<Micros> {
        let estimate = self.estimate?;
        u64::try_from(estimate.due_at(now) + self.span(estimate.tick, tick)).ok().map(Micros)
    }

    /// By how many microseconds ticks are really due later than [`Clock::due`] returns `now`: what
    /// is left of a smooth correction.
    #[must_use]
    pub fn lag(&self, now: Micros) -> i64 {
        self.estimate.map_or(0, |estimate| estimate.target - estimate.due_at(now))
    }

    /// Where the server's match is at `at` on the client's clock, by the estimate as of `now`.
    #[must_use]
    pub fn moment(&self, at: Micros, now: Micros) -> Option<Moment> {
        let estimate = self.estimate?;
        let micros = i128::from(at.0) - i128::from(estimate.due_at(now));
        let parts = micros * i128::from(self.rate.hz()) * 256;
        let parts = parts.div_euclid(1_000_000 * i128::from(self.slowdown));
        let tick = estimate.tick.plus(parts.div_euclid(256) as u32);
        Some(Moment { tick, part: parts.rem_euclid(256) as u8 })
    }

    /// Whether [`SETTLING`] has passed since the first pong.
    #[must_use]
    pub fn is_settled(&self, now: Micros) -> bool {
        self.estimate.is_some() && now >= self.settled_at
    }

    /// Time between two ticks.
    #[must_use]
    pub const fn interval(&self) -> Micros {
        Micros(self.rate.interval().0 * self.slowdown as u64)
    }

    /// The shortest recent round trip.
    #[must_use]
    pub fn rtt(&self) -> Option<Micros> {
        self.samples.iter().map(|sample| Micros(sample.rtt.cast_unsigned())).min()
    }

    /// By how much round trips exceed the shortest, on average.
    #[must_use]
    pub const fn jitter(&self) -> Micros {
        Micros(self.jitter.cast_unsigned())
    }

    /// Moves the estimate towards `tick` being due at `tick_time` on the server's clock.
    fn set_target(&mut self, tick: Tick, tick_time: Micros, now: Micros) {
        let Some(best) = self.best(now) else { return };
        let target = tick_time.0.cast_signed() + best.offset;
        let before =
            self.estimate.map(|estimate| estimate.due_at(now) + self.span(estimate.tick, tick));
        let may_slew = self.is_current && self.is_settled(now);
        let slews = before.filter(|before| may_slew && (target - before).abs() < JUMP_FROM);
        self.estimate = Some(Estimate { tick, at: now, due: slews.unwrap_or(target), target });
    }

    fn best(&self, now: Micros) -> Option<Sample> {
        self.samples.iter().min_by_key(|sample| sample.error(now)).copied()
    }

    /// Microseconds from one tick to another.
    fn span(&self, from: Tick, to: Tick) -> i64 {
        let ticks = i64::from(to.since(from)) * i64::from(self.slowdown);
        ticks * 1_000_000 / i64::from(self.rate.hz())
    }
}

impl Sample {
    /// Whether no steady clock fits both samples.
    const fn contradicts(&self, later: &Self) -> bool {
        let drift = later.at.signed_since(self.at) / DRIFT + 2;
        (self.offset - later.offset).abs() > (self.rtt + later.rtt) / 2 + drift
    }

    /// Largest error of its offset by `now`, in microseconds.
    const fn error(&self, now: Micros) -> i64 {
        self.rtt / 2 + now.signed_since(self.at) / DRIFT
    }
}

impl Estimate {
    fn due_at(&self, now: Micros) -> i64 {
        let most = now.since(self.at).0.cast_signed() * SLEW_PERCENT / 100;
        self.due + (self.target - self.due).clamp(-most, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    const RATE: TickRate = TickRate::new(100).unwrap();

    #[test]
    fn the_shortest_round_trip_counts() {
        let mut clock = Clock::new(RATE);
        // The client's clock is 1,000 ahead; the second pong is late on its way back.
        pong(&mut clock, 11_000, 10_010, 20);
        pong(&mut clock, 12_000, 11_010, 900);
        assert_eq!(clock.due(Tick(1), Micros(12_900)), Some(Micros(11_000)));
        assert_eq!(clock.due(Tick(3), Micros(12_900)), Some(Micros(31_000)));
        let moment = clock.moment(Micros(16_000), Micros(12_900));
        assert_eq!(moment, Some(Moment { tick: Tick(1), part: 128 }));
    }

    #[test]
    fn a_jittery_network_never_makes_it_jump() {
        let mut clock = Clock::new(RATE);
        let mut dice = Dice::new(3);
        let mut before = None;
        for n in 0..600_u64 {
            let rtt = 120_000 + dice.within(0, 80_000) as u64;
            let way = rtt / 2 - 20_000 + dice.within(0, 40_000) as u64;
            let sent = 1_000_000 + n * 500_000;
            pong(&mut clock, sent, sent - 700_000 + way, rtt);
            let now = Micros(sent + rtt);
            let due = clock.due(Tick(0), now).unwrap().0.cast_signed();
            if let Some((then, earlier)) = before.replace((now, due))
                && now > Micros::from_secs(4)
            {
                let most = now.signed_since(then) / 50 + 1;
                assert!((due - earlier).abs() <= most, "at {now:?}: {earlier} to {due}");
                assert!((due - 700_000).abs() < 20_000, "at {now:?}: {due}");
            }
        }
        assert!((10_000..60_000).contains(&clock.jitter().0), "{:?}", clock.jitter());
    }

    #[test]
    fn a_clock_that_is_settling_jumps_to_a_better_estimate() {
        for (since, settled) in [(1_000_000, false), (2_300_000, true)] {
            let mut clock = Clock::new(RATE);
            // The first pong came 0.2 s late.
            pong(&mut clock, 0, 10_000, 220_000);
            let at = Micros(since + 20_000);
            pong(&mut clock, since, since + 10_000, 20_000);
            let wrong = clock.due(Tick(0), at).unwrap().0.cast_signed();
            assert_eq!((clock.is_settled(at), wrong != 0), (settled, settled), "{wrong} us");
            assert_eq!(clock.due(Tick(0), at.plus(Micros::from_secs(9))), Some(Micros(0)));
        }
    }

    #[test]
    fn the_clock_of_a_machine_that_slept_is_corrected_at_once() {
        let mut clock = Clock::new(RATE);
        for n in 0..20 {
            pong(&mut clock, n * 500_000, n * 500_000 + 5_000, 10_000);
        }
        // The client's clock stood still for a minute, and the round trip is longer now.
        pong(&mut clock, 10_000_000, 70_008_000, 16_000);
        assert_eq!(clock.due(Tick(7_000), Micros(10_016_000)), Some(Micros(10_000_000)));
    }

    #[test]
    fn the_estimate_of_a_match_that_fell_behind_slews() {
        let mut clock = Clock::new(RATE);
        for n in 0..20 {
            pong(&mut clock, n * 500_000, n * 500_000 + 500, 1_000);
        }
        for n in 20..40 {
            pong(&mut clock, n * 500_000, n * 500_000 + 500 - 40_000, 1_000);
        }
        assert_eq!(clock.due(Tick(2_000), Micros(19_501_000)), Some(Micros(20_040_000)));
        assert_eq!(clock.rtt(), Some(Micros(1_000)));
    }

    #[test]
    fn the_first_pong_of_another_connection_is_believed_at_once() {
        let mut clock = Clock::new(RATE);
        for n in 0..20 {
            pong(&mut clock, n * 500_000, n * 500_000 + 500, 1_000);
        }
        clock.reconnect();
        // A pace by the clock of another server means nothing yet.
        let pace = Pace { slowdown: 1, tick: Tick(1_000), tick_time: Micros(0) };
        clock.set_pace(pace, Micros(10_000_000));
        assert_eq!(clock.due(Tick(1_000), Micros(10_000_000)), Some(Micros(10_000_000)));
        // The match has stood still for 0.3 s.
        pong(&mut clock, 10_000_000, 10_000_500 - 300_000, 1_000);
        assert_eq!(clock.due(Tick(1_000), Micros(10_001_000)), Some(Micros(10_300_000)));
    }

    #[test]
    fn stretched_ticks_are_foreseen() {
        let mut clock = Clock::new(RATE);
        pong(&mut clock, 1_000_000, 1_000_000, 0);
        let pace = Pace { slowdown: 3, tick: Tick(100), tick_time: Micros(1_000_000) };
        clock.set_pace(pace, Micros(1_001_000));
        let now = Micros(1_001_000);
        assert_eq!(clock.due(Tick(102), now), Some(Micros(1_060_000)));
        let moment = clock.moment(Micros(1_045_000), now);
        assert_eq!(moment, Some(Moment { tick: Tick(101), part: 128 }));
        assert_eq!(clock.interval(), Micros(30_000));
        let even = Pace { slowdown: 1, tick: Tick(102), tick_time: Micros(1_060_000) };
        clock.set_pace(even, Micros(1_061_000));
        assert_eq!(clock.due(Tick(103), Micros(1_061_000)), Some(Micros(1_070_000)));
    }

    /// `match_time` is how long the match has run when the ping arrives.
    fn pong(clock: &mut Clock, client_time: u64, match_time: u64, rtt: u64) {
        let tick = match_time / 10_000;
        let pong = Pong {
            client_time: Micros(client_time),
            server_time: Micros(match_time),
            held: Micros(0),
            tick: Tick(tick as u32),
            tick_time: Micros(tick * 10_000),
        };
        clock.handle_pong(pong, Micros(client_time + rtt));
    }
}
