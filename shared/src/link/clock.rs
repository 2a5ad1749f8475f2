//! The server's clock as a client sees it, from pongs.
//!
//! The offset between both clocks is taken from the pong with the shortest round trip, half of
//! which is counted for the way back; the record fades, so that a lasting change of route or a
//! drift is followed.

use crate::{
    ids::Tick,
    time::{Micros, TickRate},
    wire::{Pace, Pong},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    /// Shortest round trip, faded, and what to add to the server's time to get the client's.
    best: Option<(Micros, i64)>,
    /// The newest tick whose time was told, on the server's clock.
    newest: Option<(Tick, Micros)>,
    slowdown: u8,
}

impl Default for Clock {
    fn default() -> Self {
        Self { best: None, newest: None, slowdown: 1 }
    }
}

impl Clock {
    /// Takes in a pong that took `rtt` from ping to now.
    pub(super) fn hear(&mut self, pong: Pong, rtt: Micros) {
        let sent = pong.client_time.0.cast_signed();
        let offset = sent + (rtt.0 / 2).cast_signed() - pong.server_time.0.cast_signed();
        self.best = Some(match self.best {
            Some((best_rtt, best_offset)) if best_rtt < rtt => {
                (Micros(best_rtt.0 + best_rtt.0 / 64 + 1), best_offset)
            }
            Some(_) | None => (rtt, offset),
        });
        self.newest = Some((pong.tick, pong.tick_time));
    }

    /// Takes in how far apart ticks are from now on.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.slowdown = pace.slowdown;
        self.newest = Some((pace.tick, pace.tick_time));
    }

    /// Time between two ticks.
    pub(super) fn interval(&self, rate: TickRate) -> Micros {
        Micros(rate.interval().0 * u64::from(self.slowdown))
    }

    /// When `tick` was or will be due, on the client's clock.
    pub(super) fn due(&self, tick: Tick, rate: TickRate) -> Option<Micros> {
        let (newest, newest_time) = self.newest?;
        let (_, offset) = self.best?;
        let slowdown = i64::from(self.slowdown);
        let ahead = i64::from(tick.since(newest)) * slowdown * 1_000_000 / i64::from(rate.hz());
        u64::try_from(newest_time.0.cast_signed() + ahead + offset).ok().map(Micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_counts() {
        let mut clock = Clock::default();
        // The client's clock is 1,000 ahead; the second pong is late on its way back.
        hear(&mut clock, 11_000, 10_010, 20);
        hear(&mut clock, 12_000, 11_010, 900);
        let rate = TickRate::new(100).unwrap();
        assert_eq!(clock.due(Tick(5), rate), Some(Micros(11_000)));
        assert_eq!(clock.due(Tick(7), rate), Some(Micros(31_000)));
    }

    #[test]
    fn stretched_ticks_are_foreseen() {
        let mut clock = Clock::default();
        hear(&mut clock, 11_000, 10_010, 20);
        clock.set_pace(Pace { slowdown: 2, tick: Tick(9), tick_time: Micros(50_000) });
        let rate = TickRate::new(100).unwrap();
        assert_eq!(clock.due(Tick(11), rate), Some(Micros(91_000)));
        assert_eq!(clock.interval(rate), Micros(20_000));
    }

    fn hear(clock: &mut Clock, client_time: u64, server_time: u64, rtt: u64) {
        let pong = Pong {
            client_time: Micros(client_time),
            server_time: Micros(server_time),
            tick: Tick(5),
            tick_time: Micros(10_000),
        };
        clock.hear(pong, Micros(rtt));
    }
}
