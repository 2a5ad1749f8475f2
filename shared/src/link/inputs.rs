//! The input queue: the server's jitter buffer for one seat.
//!
//! Each input names the tick that it is for. The network delivers inputs in bunches, while the
//! simulation takes exactly one per tick, so the queue holds early inputs until their tick. Of late
//! inputs only the newest is used, at the next tick; a client that doesn't predict names a tick in
//! the past, which means "as soon as possible".
//!
//! Bound: one input for each of the next [`INPUTS_MAX`] ticks. An input for a later tick is dropped
//! and counted. Of two inputs for one tick the newer is used.

use std::collections::VecDeque;

use crate::{
    ids::{InputSeq, Tick},
    time::Moment,
};

/// How many ticks ahead an input may be: a second and a half at the fastest rate.
pub const INPUTS_MAX: usize = 192;

/// The inputs of one seat that wait for their ticks; see the [module](self).
#[derive(Debug)]
pub struct InputQueue<I> {
    waiting: VecDeque<Waiting<I>>,
    next: Tick,
    current: I,
    seen: Option<Moment>,
    processed: InputSeq,
    /// Whether an input was taken since the last [`InputQueue::release`]: until then no tick counts
    /// as starved.
    is_fed: bool,
    dropped: u64,
    starved: u64,
}

#[derive(Debug)]
struct Waiting<I> {
    tick: Tick,
    seq: InputSeq,
    seen: Moment,
    input: I,
}

impl<I: Clone + Default> Default for InputQueue<I> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            next: Tick(0),
            current: I::default(),
            seen: None,
            processed: InputSeq(0),
            is_fed: false,
            dropped: 0,
            starved: 0,
        }
    }
}

impl<I: Clone + Default> InputQueue<I> {
    /// The queue of a seat whose inputs up to `processed` were used by another server.
    #[must_use]
    pub fn resumed(processed: InputSeq) -> Self {
        Self { processed, ..Self::default() }
    }

    /// Adds an input for `tick` that just arrived, made by a player who saw the match at `seen`.
    /// Sequence numbers must increase.
    pub fn push(&mut self, tick: Tick, seq: InputSeq, seen: Moment, input: I) {
        if tick.since(self.next) >= INPUTS_MAX as i32 {
            self.dropped += 1;
            return;
        }
        while self.waiting.back().is_some_and(|last| last.tick.since(tick) >= 0) {
            self.waiting.pop_back();
            self.dropped += 1;
        }
        // Only late inputs can fill the queue, and of those only the newest is used.
        while self.waiting.len() == INPUTS_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(Waiting { tick, seq, seen, input });
    }

    /// The input for `tick`: the newest that is for this tick or an earlier one, or else the
    /// previous input again. Older inputs that were never used are dropped and counted. Call this
    /// for each tick in turn.
    pub fn take(&mut self, tick: Tick) -> &I {
        let mut taken = 0_u64;
        let mut newest = None;
        while let Some(first) = self.waiting.front()
            && first.tick.since(tick) <= 0
        {
            taken += 1;
            newest = Some(first.tick);
            if let Some(Waiting { seq, seen, input, tick: _ }) = self.waiting.pop_front() {
                (self.processed, self.seen, self.current) = (seq, Some(seen), input);
            }
        }
        self.next = tick.plus(1);
        self.dropped += taken.saturating_sub(1);
        self.is_fed |= taken > 0;
        self.starved += u64::from(self.is_fed && newest != Some(tick));
        &self.current
    }

    /// The moment that the player saw when making the current input.
    #[must_use]
    pub const fn seen(&self) -> Option<Moment> {
        self.seen
    }

    /// The newest input that was used or skipped.
    #[must_use]
    pub const fn processed(&self) -> InputSeq {
        self.processed
    }

    /// Inputs that were never used, because newer ones replaced them or because they were for a
    /// tick too far ahead.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Ticks that had to repeat an input, or use one that was for an earlier tick.
    #[must_use]
    pub const fn starved(&self) -> u64 {
        self.starved
    }

    /// Drops waiting inputs and resets the current one to the default, so that a player whose
    /// connection is lost stands still.
    pub fn release(&mut self) {
        self.waiting.clear();
        self.current = I::default();
        self.seen = None;
        self.is_fed = false;
    }

    /// Like [`InputQueue::release`], for a seat that becomes free: its next player's inputs are
    /// numbered from 1. Counters keep their values.
    pub fn vacate(&mut self) {
        self.release();
        self.processed = InputSeq(0);
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
        assert_eq!((queue.starved(), queue.processed()), (0, InputSeq(3)));
    }

    #[test]
    fn a_starved_seat_repeats_its_last() {
        let mut queue = queue(&[(10, 1)]);
        check(&mut queue, 10, 1, 0);
        check(&mut queue, 11, 1, 0);
        assert_eq!(queue.starved(), 1);
        queue.release();
        check(&mut queue, 12, 0, 0);
        assert_eq!((queue.starved(), queue.processed()), (1, InputSeq(1)));
        queue.vacate();
        assert_eq!((queue.starved(), queue.processed()), (1, InputSeq(0)));
    }

    #[test]
    fn of_late_inputs_the_newest_counts() {
        let mut queue = queue(&[(3, 1), (4, 2), (20, 3)]);
        check(&mut queue, 10, 2, 1);
        assert_eq!(queue.starved(), 1);
        check(&mut queue, 20, 3, 1);
    }

    #[test]
    fn of_two_inputs_for_one_tick_the_newer_counts() {
        let mut queue = queue(&[(10, 1), (11, 2), (12, 3), (11, 4)]);
        check(&mut queue, 10, 1, 2);
        check(&mut queue, 11, 4, 2);
        check(&mut queue, 12, 4, 2);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = queue(&[]);
        check(&mut queue, 99, 0, 0);
        for n in 0..1_000 {
            queue.push(Tick(100 + n), InputSeq(n), Moment::default(), n);
        }
        assert_eq!(queue.waiting.len(), INPUTS_MAX);
        check(&mut queue, 100, 0, 1_000 - INPUTS_MAX as u64);
        // The bound also holds for inputs for past ticks.
        let mut queue = self::queue(&[]);
        check(&mut queue, 1_999, 0, 0);
        for n in 0..1_000 {
            queue.push(Tick(1_000 + n), InputSeq(n), Moment::default(), n);
            assert!(queue.waiting.len() <= INPUTS_MAX);
        }
        check(&mut queue, 2_000, 999, 999);
    }

    fn queue(inputs: &[(u32, u32)]) -> InputQueue<u32> {
        let mut queue = InputQueue::default();
        for &(tick, seq) in inputs {
            queue.push(Tick(tick), InputSeq(seq), Moment::default(), seq);
        }
        queue
    }

    #[track_caller]
    fn check(queue: &mut InputQueue<u32>, tick: u32, expected: u32, dropped: u64) {
        assert_eq!(*queue.take(Tick(tick)), expected, "at tick {tick}");
        assert_eq!(queue.dropped(), dropped, "dropped by tick {tick}");
    }
}
