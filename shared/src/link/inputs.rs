//! The input queue: the server's jitter buffer for one seat.
//!
//! Inputs name the tick that they are for. They travel at the mercy of the network and arrive in
//! bunches, while the simulation wants exactly one a tick; the queue holds the early ones until
//! their tick and lets the late ones count at once. A client that doesn't predict names a tick
//! that is past, which means "as soon as possible".
//!
//! Bound: [`INPUTS_MAX`] waiting inputs. When one more comes, the oldest is dropped and counted.

use std::collections::VecDeque;

use crate::ids::{InputSeq, Tick};

/// Inputs of one seat that may wait for their tick: half a second at 30 Hz.
pub const INPUTS_MAX: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct InputQueue<I> {
    waiting: VecDeque<(Tick, InputSeq, I)>,
    current: I,
    processed: InputSeq,
    dropped: u64,
}

impl<I: Clone + Default> Default for InputQueue<I> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::with_capacity(INPUTS_MAX),
            current: I::default(),
            processed: InputSeq(0),
            dropped: 0,
        }
    }
}

impl<I: Clone + Default> InputQueue<I> {
    /// Takes in an input that just arrived. Sequence numbers must go up.
    pub fn push(&mut self, tick: Tick, seq: InputSeq, input: I) {
        if self.waiting.len() == INPUTS_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back((tick, seq, input));
    }

    /// The input for `tick`: the newest that is for it or an earlier one; the last one again when
    /// there is none. Older ones that were never used are dropped and counted.
    pub fn take(&mut self, tick: Tick) -> &I {
        let mut taken = 0;
        while let Some(&(named, seq, _)) = self.waiting.front()
            && named.since(tick) <= 0
        {
            taken += 1;
            self.processed = seq;
            self.current = self.waiting.pop_front().map_or_else(I::default, |(_, _, input)| input);
        }
        self.dropped += u64::from(taken > 1) * (taken.max(1) - 1);
        &self.current
    }

    /// The newest input that was taken or passed over.
    #[must_use]
    pub const fn processed(&self) -> InputSeq {
        self.processed
    }

    /// Inputs that never counted because newer ones had come, or too many waited.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets what waits and what was held: the player's connection is gone, so it stands still.
    pub fn release(&mut self) {
        self.waiting.clear();
        self.current = I::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_inputs_wait_for_their_tick() {
        let mut queue = queue(&[(10, 1), (11, 2), (12, 3)]);
        check(&mut queue, 9, 0, 0);
        check(&mut queue, 10, 1, 0);
        check(&mut queue, 11, 2, 0);
        check(&mut queue, 12, 3, 0);
    }

    #[test]
    fn a_starved_seat_repeats_its_last() {
        let mut queue = queue(&[(10, 1)]);
        check(&mut queue, 10, 1, 0);
        check(&mut queue, 11, 1, 0);
    }

    #[test]
    fn of_late_inputs_the_newest_counts() {
        let mut queue = queue(&[(3, 1), (4, 2), (20, 3)]);
        check(&mut queue, 10, 2, 1);
        check(&mut queue, 20, 3, 1);
    }

    #[test]
    fn the_queue_is_bounded() {
        let inputs: Vec<_> = (1..=INPUTS_MAX as u32 + 4).map(|n| (1_000 + n, n)).collect();
        let mut queue = queue(&inputs);
        check(&mut queue, 1, 0, 4);
        check(&mut queue, 1_005, 5, 4);
    }

    fn queue(inputs: &[(u32, u32)]) -> InputQueue<u32> {
        let mut queue = InputQueue::default();
        for &(tick, seq) in inputs {
            queue.push(Tick(tick), InputSeq(seq), seq);
        }
        queue
    }

    #[track_caller]
    fn check(queue: &mut InputQueue<u32>, tick: u32, expected: u32, dropped: u64) {
        assert_eq!(*queue.take(Tick(tick)), expected, "at tick {tick}");
        assert_eq!(queue.dropped(), dropped, "dropped by tick {tick}");
    }
}
