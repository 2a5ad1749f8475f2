//! Interpolation of other entities: a little in the past, between two snapshots.
//!
//! The interpolation delay adapts to the network. Until the next snapshot arrives, the newest one
//! ages; with a delay above that age there is always a later snapshot to interpolate to. The delay
//! is the age that a [`Tail`] finds to be exceeded only rarely, so that skipped snapshots, jitter
//! and stalls all count for as long as they last. It changes smoothly, by [`STRETCH_PERCENT`] of
//! the time passed. When a snapshot is missing all the same, the newest is extrapolated for
//! [`BEYOND_MAX`], and then stands still.
//!
//! A program that was busy, or suspended because it is in the background, can't tell a stalled
//! network from its own pause. So after a time of [`AWAY`] without a snapshot or a rendered frame,
//! ages count again only from the first snapshot that is due after that: earlier ones have piled
//! up, or were not sent, since servers send less to clients that don't acknowledge.
//!
//! The moment that is shown never goes back.

use std::collections::VecDeque;

use super::View;
use crate::{
    ids::Tick,
    link::{
        Clock,
        tail::{AWAY, Tail},
    },
    rows::Rows,
    time::{Micros, Moment},
};

/// Largest change of the delay, as a part of the time passed.
pub const STRETCH_PERCENT: i64 = 5;
/// Added to the age that the newest snapshot rarely exceeds, in microseconds.
pub const MARGIN: i64 = 4_000;
/// Largest delay, in microseconds: with longer stalls no game is playable.
pub const DELAY_MAX: i64 = 1_500_000;
/// For one part in this many of the time there may be no snapshot to interpolate to.
const BEYOND_ONE_IN: u64 = 300;
/// How long the newest snapshot is extrapolated when the next one does not arrive.
pub const BEYOND_MAX: Micros = Micros::from_millis(100);
/// Most snapshots that are kept: more than are ever between the shown moment and the newest.
const KEPT_MAX: usize = 256;
/// Most snapshots that are no longer needed whose memory is kept for reuse.
const SPARE_MAX: usize = 8;

/// Shows other entities a little in the past, between two snapshots; see the [module](self).
#[derive(Debug)]
pub struct Interpolation {
    /// Oldest first; the first is the newest that is not after the shown moment.
    kept: VecDeque<(Tick, Rows)>,
    /// Rows whose memory is reused.
    spare: Vec<Rows>,
    /// How old the newest snapshot gets before the next one arrives.
    age: Tail,
    /// When the newest snapshot of this connection arrived.
    pushed_at: Option<Micros>,
    /// Whether the clock was settled at the last snapshot.
    was_settled: bool,
    /// When the program last handled a snapshot or rendered a frame.
    ran_at: Micros,
    /// When it did so for the first time after its last pause.
    back_at: Micros,
    /// In microseconds, and when it was last changed.
    delay: Option<i64>,
    delay_at: Micros,
    shown: Option<Moment>,
    /// Whether there was no snapshot to interpolate to in the last view.
    is_starving: bool,
}

impl Default for Interpolation {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            spare: Vec::new(),
            age: Tail::one_in(BEYOND_ONE_IN),
            pushed_at: None,
            was_settled: false,
            ran_at: Micros(0),
            back_at: Micros(0),
            delay: None,
            delay_at: Micros(0),
            shown: None,
            is_starving: false,
        }
    }
}

impl Interpolation {
    /// Adds the snapshot of `tick`, which was applied `now`.
    pub fn push(&mut self, tick: Tick, rows: &Rows, clock: &Clock, now: Micros) {
        self.note_activity(now);
        // Ages measured before the clock has settled are not reliable.
        if clock.is_settled(now) && !self.was_settled {
            self.age.clear();
        }
        self.was_settled = clock.is_settled(now);
        if let Some(&(before, _)) = self.kept.back()
            && let Some(due) = clock.due(before, now)
            && let Some(pushed_at) = self.pushed_at.filter(|_| clock.is_current())
        {
            let due = due.shifted(clock.lag(now));
            if due >= self.back_at {
                self.age.record_age(pushed_at.signed_since(due), now.signed_since(due));
            }
        }
        self.pushed_at = Some(now);
        if self.kept.len() == KEPT_MAX {
            self.drop_oldest();
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.copy_from(rows);
        self.kept.push_back((tick, copy));
    }

    fn drop_oldest(&mut self) {
        if let Some((_, oldest)) = self.kept.pop_front()
            && self.spare.len() < SPARE_MAX
        {
            self.spare.push(oldest);
        }
    }

    /// Handles a new connection of the same session: the time without one does not count as a
    /// stall.
    pub const fn restart(&mut self) {
        self.pushed_at = None;
    }

    /// What to show `now`, once there is a snapshot.
    pub fn view(&mut self, clock: &Clock, now: Micros) -> Option<View<'_>> {
        self.note_activity(now);
        let delay = self.advance(clock, now);
        let (newest, _) = self.kept.back()?;
        let last = Moment::from(*newest).plus(parts_in(BEYOND_MAX, clock));
        let wanted = clock.moment(now.shifted(-delay), now);
        self.is_starving = wanted.is_some_and(|wanted| wanted.since((*newest).into()) > 0);
        let wanted = wanted.map(|wanted| if wanted.since(last) > 0 { last } else { wanted });
        let shown = match (wanted, self.shown) {
            (Some(wanted), Some(shown)) if wanted.since(shown) < 0 => Some(shown),
            (wanted, shown) => wanted.or(shown),
        };
        self.shown = shown;
        let shown = shown.unwrap_or_else(|| (*newest).into());
        let is_past = |(tick, _): &(Tick, Rows)| shown.since(Moment::from(*tick)) >= 0;
        while self.kept.get(1).is_some_and(is_past) {
            self.drop_oldest();
        }
        self.shown()
    }

    /// What the last [`Self::view`] has shown.
    #[must_use]
    pub fn shown(&self) -> Option<View<'_>> {
        let (tick, rows) = self.kept.front()?;
        let from = (*tick, rows);
        let ticks = self.shown.map_or(0, |shown| shown.since(Moment::from(*tick)).max(0));
        let to = self.kept.get(1).map_or(from, |(next, rows)| (*next, rows));
        Some(View { from, to, ticks: ticks as f32 / 256.0 })
    }

    /// The interpolation delay behind the server's clock, in microseconds.
    #[must_use]
    pub const fn delay(&self) -> Option<i64> {
        self.delay
    }

    /// Detects a pause of the program.
    fn note_activity(&mut self, now: Micros) {
        if now.since(self.ran_at) > AWAY {
            self.back_at = now;
        }
        self.ran_at = now;
    }

    /// Moves the delay towards its target, and returns it.
    fn advance(&mut self, clock: &Clock, now: Micros) -> i64 {
        // No age is known until a second snapshot has arrived.
        let usual = 2 * clock.interval().0.cast_signed();
        let wanted = self.age.value().map_or(usual, |age| age + MARGIN) + clock.lag(now);
        let wanted = wanted.clamp(0, DELAY_MAX);
        let most = now.since(self.delay_at).0.cast_signed() * STRETCH_PERCENT / 100;
        // Entities that stand still already can wait until the delay is long enough.
        let most_up = if self.is_starving { DELAY_MAX } else { most };
        let delay = match self.delay {
            Some(delay) if most == 0 => return delay,
            Some(delay) => delay + (wanted - delay).clamp(-most, most_up),
            None if self.age.value().is_none() => return wanted,
            None => wanted,
        };
        (self.delay_at, self.delay) = (now, Some(delay));
        delay
    }
}

/// A span in 256ths of a tick.
fn parts_in(span: Micros, clock: &Clock) -> u32 {
    (span.0 * 256 / clock.interval().0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dice::Dice,
        ids::EntityId,
        time::TickRate,
        wire::{Pace, Pong},
    };

    const RATE: TickRate = TickRate::new(50).unwrap();

    #[test]
    fn others_move_smoothly_over_a_network_that_jitters() {
        let mut stage = Stage::new();
        let mut dice = Dice::new(5);
        for n in 0..6_000_u64 {
            let way = 50_000 + dice.within(0, 30_000) as u64;
            stage.send(n, way);
        }
        let mut before = None;
        let mut starved = 0;
        for millis in (10_000..118_000).step_by(8) {
            let (shown, is_beyond) = stage.look(Micros::from_millis(millis));
            starved += u32::from(is_beyond);
            if let Some(before) = before.replace(shown) {
                let parts = shown.since(before);
                // 8 ms are 102 256ths of a tick.
                assert!((92..=113).contains(&parts), "{parts} at {millis} ms");
            }
        }
        assert!(starved < 13_500 / 200, "{starved} frames had no snapshot to interpolate to");
        let delay = stage.interpolation.delay().unwrap();
        assert!((90_000..120_000).contains(&delay), "{delay} us behind");
    }

    #[test]
    fn entities_are_extrapolated_for_a_while_when_the_network_stalls() {
        let mut stage = Stage::new();
        for n in 0..500 {
            stage.send(n, 10_000);
        }
        let (shown, is_beyond) = stage.look(Micros::from_millis(10_000));
        assert!(!is_beyond && shown.tick.0 >= 497, "{shown:?}");
        stage.look(Micros::from_millis(10_060));
        let (shown, is_beyond) = stage.look(Micros::from_millis(11_000));
        assert!(is_beyond);
        assert_eq!(shown, Moment { tick: Tick(504), part: 0 }, "five ticks beyond");
    }

    #[test]
    fn a_reported_pause_of_the_server_is_no_network_stall() {
        let delay_after = |is_reported| {
            let mut stage = Stage::new();
            for n in 0..1_500 {
                stage.send(n, 10_000);
            }
            stage.look_until(20_000);
            for n in 0..3 {
                // The next tick comes 0.4 s late, and those after it likewise.
                let stands = Micros::from_millis(400);
                stage.arriving.iter_mut().for_each(|(at, _)| *at = at.plus(stands));
                let until = 20_400 + n * 1_000;
                stage.look_until(until);
                if is_reported {
                    let &(at, tick) = stage.arriving.front().unwrap();
                    let pace = Pace { slowdown: 1, tick, tick_time: at.shifted(-10_000) };
                    stage.clock.set_pace(pace, Micros::from_millis(until));
                }
                stage.look_until(until + 600);
            }
            stage.look_until(29_000);
            stage.interpolation.delay().unwrap() - stage.clock.lag(Micros::from_secs(29))
        };
        let (reported, silent) = (delay_after(true), delay_after(false));
        assert!(reported < 100_000 && silent > 500_000, "{reported} and {silent} us behind");
    }

    #[test]
    fn a_lost_connection_is_no_network_stall() {
        let delay_after = |restarts: bool| {
            let mut stage = Stage::new();
            for n in (0..500).chain(560..1_000).chain(1_060..1_700) {
                stage.send(n, 10_000);
            }
            for back_ms in [11_100, 21_100] {
                stage.look_until(back_ms);
                if restarts {
                    stage.interpolation.restart();
                }
            }
            stage.look_until(30_000);
            stage.interpolation.delay().unwrap()
        };
        let (restarted, stalled) = (delay_after(true), delay_after(false));
        assert!(restarted < 100_000 && stalled > 500_000, "{restarted} and {stalled} us behind");
    }

    struct Stage {
        interpolation: Interpolation,
        clock: Clock,
        arriving: VecDeque<(Micros, Tick)>,
        last: Micros,
        looked_ms: u64,
    }

    impl Stage {
        fn new() -> Self {
            let mut clock = Clock::new(RATE);
            let zero = Micros(0);
            let pong = Pong {
                client_time: zero,
                server_time: zero,
                held: zero,
                tick: Tick(0),
                tick_time: zero,
            };
            clock.handle_pong(pong, zero);
            let interpolation = Interpolation::default();
            Self { interpolation, clock, arriving: VecDeque::new(), last: zero, looked_ms: 20 }
        }

        fn send(&mut self, tick: u64, way: u64) {
            self.last = self.last.max(Micros(tick * 20_000 + way));
            self.arriving.push_back((self.last, Tick(tick as u32)));
        }

        /// Looks every 10 ms.
        fn look_until(&mut self, millis: u64) {
            for now in (self.looked_ms..millis).step_by(10) {
                self.look(Micros::from_millis(now));
            }
            self.looked_ms = millis;
        }

        fn look(&mut self, now: Micros) -> (Moment, bool) {
            while let Some(&(at, tick)) = self.arriving.front()
                && at <= now
            {
                self.arriving.pop_front();
                let mut rows = Rows::default();
                rows.push(EntityId(tick.0), 0, &[]);
                self.interpolation.push(tick, &rows, &self.clock, at);
                self.interpolation.view(&self.clock, at);
            }
            let view = self.interpolation.view(&self.clock, now).unwrap();
            assert_eq!(view.from.1.row(0).id.0, view.from.0.0);
            (view.moment(), view.is_beyond())
        }
    }
}
