//! Deadlines of a shard's matches, and how these are spread over the tick interval.

use std::{cmp::Reverse, collections::BinaryHeap};

use tickwire_shared::{
    ids::MatchId,
    time::{Micros, TickRate},
};

/// Matches in a bundle: their ticks follow one another without a wake-up between them.
const BUNDLE: usize = 16;
/// Rough tick time per seat: a match is due when the one before it in its bundle is done.
const SEAT_TIME: Micros = Micros(8);

/// When a match runs next. Ordered by time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Deadline {
    pub(crate) due: Micros,
    pub(crate) slot: usize,
    pub(crate) id: MatchId,
}

/// The deadlines of all matches. Deadlines of ended matches may remain until they are due.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<Deadline>>);

impl Deadlines {
    pub(crate) fn push(&mut self, deadline: Deadline) {
        self.0.push(Reverse(deadline));
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Micros> {
        self.0.peek().map(|Reverse(next)| next.due)
    }

    /// Removes and returns the earliest deadline, if it is not after `by`.
    pub(crate) fn pop(&mut self, by: Micros) -> Option<Deadline> {
        if self.next()? <= by { self.0.pop().map(|Reverse(next)| next) } else { None }
    }
}

/// When the match in a shard's slot `n` begins. Bundles are spread over the tick interval by the
/// golden ratio, which is even for any number of them; a bundle's matches follow one another.
pub(crate) fn stagger(rate: TickRate, seats: u16, n: usize, now: Micros) -> Micros {
    /// 2^32 divided by the golden ratio.
    const STEP: u32 = 0x9E37_79B9;
    let interval = rate.interval().0;
    let bundle = ((n / BUNDLE) as u32).wrapping_mul(STEP);
    let place = (n % BUNDLE) as u64 * u64::from(seats) * SEAT_TIME.0;
    let phase = ((u64::from(bundle) * interval) >> 32) + place;
    let intervals = now.0 / interval + 1;
    Micros(intervals * interval + phase % interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_spread_over_the_interval_and_their_matches_follow_one_another() {
        let rate = TickRate::new(30).unwrap();
        let start = |n| stagger(rate, 16, n, Micros(5)).0 % rate.interval().0;
        let mut bundles: Vec<_> = (0..10).map(|bundle| start(bundle * BUNDLE)).collect();
        bundles.sort_unstable();
        let gaps = bundles.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.min() >= Some(rate.interval().0 / 20), "{bundles:?}");
        assert!((1..BUNDLE).all(|n| start(n) == start(n - 1) + 16 * SEAT_TIME.0));
    }
}
