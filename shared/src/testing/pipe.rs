//! One direction of a network, like TCP over a bad link: frames arrive whole and in order, but late
//! and in bunches.

use std::collections::VecDeque;

use super::Profile;
use crate::{dice::Dice, time::Micros};

/// Overhead per frame, in bytes: WebSocket, TCP and IP headers.
const HEAD_BYTES: u64 = 60;

/// One direction of a simulated network, determined by its seed; see the [module](self).
#[derive(Debug)]
pub struct Pipe {
    delay: Micros,
    jitter: Micros,
    bps: u64,
    stall_every: Micros,
    stall_for: [Micros; 2],
    dice: Dice,
    /// When each frame arrives, in order.
    in_flight: VecDeque<(Micros, Vec<u8>)>,
    /// When the last frame arrives.
    last: Micros,
    /// When the bottleneck has transmitted all frames.
    free_at: Micros,
    /// Start and end of the next stall.
    stall: [Micros; 2],
}

impl Pipe {
    /// The direction to the client.
    #[must_use]
    pub fn down(profile: &Profile, seed: u64) -> Self {
        Self::new(profile, profile.down_bps, seed)
    }

    /// The direction to the server.
    #[must_use]
    pub fn up(profile: &Profile, seed: u64) -> Self {
        Self::new(profile, profile.up_bps, seed ^ 0x0B)
    }

    fn new(profile: &Profile, bps: u64, seed: u64) -> Self {
        let &Profile { delay, jitter, stall_every, stall_for, .. } = profile;
        let mut pipe = Self {
            delay,
            jitter,
            bps,
            stall_every,
            stall_for,
            dice: Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            in_flight: VecDeque::new(),
            last: Micros(0),
            free_at: Micros(0),
            stall: [Micros(0); 2],
        };
        pipe.plan_stall(Micros(0));
        pipe
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: Vec<u8>, now: Micros) {
        let bits = (frame.len() as u64 + HEAD_BYTES) * 8;
        self.free_at = self.free_at.max(now).plus(Micros(bits * 1_000_000 / self.bps));
        let jitter = self.between(0, 2 * self.jitter.0);
        let mut at = self.free_at.plus(self.delay).plus(jitter).0 - self.jitter.0;
        while at >= self.stall[1].0 && self.stall_every.0 > 0 {
            self.plan_stall(self.stall[1]);
        }
        if at >= self.stall[0].0 && at < self.stall[1].0 {
            at = self.stall[1].0;
        }
        self.last = self.last.max(Micros(at));
        self.in_flight.push_back((self.last, frame));
    }

    /// The next frame that has arrived by `now`, and when it did.
    pub fn poll(&mut self, now: Micros) -> Option<(Micros, Vec<u8>)> {
        self.in_flight.pop_front_if(|(at, _)| *at <= now)
    }

    /// Number of frames that are in flight, or have arrived but were not polled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether there are no such frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn due(&self) -> Option<Micros> {
        self.in_flight.front().map(|(at, _)| *at)
    }

    /// Loses the connection, with all frames in flight.
    pub fn cut(&mut self) {
        self.in_flight.clear();
    }

    fn plan_stall(&mut self, after: Micros) {
        // Uniform up to twice the mean: regular enough for short runs, but not predictable.
        let from = after.plus(self.between(0, 2 * self.stall_every.0));
        let length = self.between(self.stall_for[0].0, self.stall_for[1].0);
        self.stall = [from, from.plus(length)];
    }

    fn between(&mut self, low: u64, high: u64) -> Micros {
        Micros(low + self.dice.next() % (high - low + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_in_order_as_late_as_the_profile_says() {
        let mut pipe = Pipe::down(&Profile::G4, 3);
        let (mut delays, mut before) = (Vec::new(), Micros(0));
        for n in 0..60_000_u64 {
            let sent = Micros(n * 33_333);
            pipe.send(n.to_le_bytes().to_vec(), sent);
            let (at, frame) = pipe.poll(Micros(u64::MAX)).unwrap();
            assert_eq!(frame, n.to_le_bytes());
            assert!(at >= before);
            before = at;
            delays.push(at.since(sent).0);
        }
        delays.sort_unstable();
        let median = delays[30_000];
        assert!(delays[0] >= 40_000 && (58_000..64_000).contains(&median), "{median}");
        assert!(delays[59_999] > 250_000, "stalls are visible");
        assert!(delays[59_000] < 90_000, "stalls are rare");
    }

    #[test]
    fn a_narrow_link_queues() {
        let mut pipe = Pipe::up(&Profile { up_bps: 8_000, ..Profile::LAN }, 1);
        for _ in 0..10 {
            pipe.send(vec![0; 40], Micros(0));
        }
        assert!(pipe.last >= Micros::from_millis(1_000), "{:?}", pipe.last);
    }
}
