//! A running quantile: the value that a quantity exceeds only for a small part of the time.
//!
//! It is read from a histogram of the quantity, weighted by time, in which old samples decay, as in
//! the jitter buffer of WebRTC (NetEq). Jitter is covered within seconds. An occasional stall is
//! not: the time that may lie beyond the value is the agreed part of at least [`PATIENCE`]. Once
//! stalls have used up that time, hardly any may lie beyond until they are forgotten. An *outlier*,
//! a stall more than six times as long as any recent delay, counts only once another stall at least
//! half as long follows: a single one says nothing about the network.
//!
//! Cells are a millisecond wide at first, and later a sixteenth of their value; within a cell,
//! samples are assumed to be evenly distributed.

use crate::time::Micros;

/// Recorded time after which all earlier samples lose half of their weight.
pub const MEMORY: Micros = Micros::from_secs(300);
/// Least time from which the part that may lie beyond the value is computed.
pub const PATIENCE: Micros = Micros::from_secs(100);
/// Time beyond the value, in microseconds at a stretch, from which on it is a stall: a shorter one
/// is hardly visible.
const STALL_MIN: u64 = 50_000;
/// At most one part in this many of the recorded time may lie beyond the value, even at first.
const FIRST_PART: u64 = 64;
/// After too many stalls, the time that may lie beyond shrinks to one part in this many of itself.
const STRICTEST: u64 = 16;
/// A stall is an outlier if it is more than this many times as long as any recent delay.
const OUTLIER: i64 = 6;
/// A program that did not run for longer than this can't tell the network's lateness from its own.
/// No program renders this slowly on purpose.
pub const AWAY: Micros = Micros::from_millis(150);
/// Larger values count as this one: 2 s.
pub const VALUE_MAX: i64 = 2_047_999;
/// Width of the first cells, in microseconds.
const UNIT: i64 = 1_000;
/// Cells per octave.
const STEPS: usize = 16;
const CELLS: usize = 128;

/// A running quantile of a quantity in microseconds; see the [module](self).
#[derive(Clone, Debug)]
pub struct Tail {
    part: u64,
    /// For how long the value was in each cell, in microseconds.
    cells: [u32; CELLS],
    total: u64,
    /// Time beyond the value in stalls, in microseconds.
    stalled: u64,
    /// The largest recent value.
    largest: i64,
    /// Where the last outlier began and ended, while it does not count.
    outlier: [i64; 2],
    /// How much of the growth after it still belongs to it.
    aftermath: i64,
    value: Option<i64>,
}

impl Tail {
    /// A quantile that the quantity may exceed for one part in `part` of the time.
    #[must_use]
    pub const fn one_in(part: u64) -> Self {
        Self {
            part,
            cells: [0; CELLS],
            total: 0,
            stalled: 0,
            largest: 0,
            outlier: [0; 2],
            aftermath: 0,
            value: None,
        }
    }

    /// Records that the quantity was `value` for `span`.
    pub fn record(&mut self, value: i64, span: Micros) {
        self.add(cell_of(value), span.0);
        self.settle(if value > self.known() { span.0 } else { 0 });
    }

    /// Records that the quantity sank from one value to just above another, in steps of `step` that
    /// each lasted as long.
    pub fn record_steps(&mut self, from: i64, to: i64, step: Micros) {
        if self.hold_back(to, from) {
            return;
        }
        let (known, mut beyond, mut value) = (self.known(), 0, from);
        while value > to {
            self.add(cell_of(value), step.0);
            beyond += if value > known { step.0 } else { 0 };
            value -= step.0.cast_signed();
        }
        self.settle(beyond);
    }

    /// Records that the quantity grew with time from one value to another, as an age does. Growth
    /// beyond [`VALUE_MAX`] is ignored: it is a lost connection, not a stalled network.
    pub fn record_age(&mut self, from: i64, to: i64) {
        if to > VALUE_MAX {
            return;
        }
        let (from, to) = (from.max(0), to.max(0));
        // Snapshots that waited arrive at once, and then comes a gap: the server skips some while
        // too many are in flight.
        if from <= self.known() {
            self.aftermath = 0;
        } else if self.aftermath > 0 {
            self.aftermath -= to - from;
            return;
        }
        if !self.hold_back(from, to) {
            self.add_growth(from, to);
        }
    }

    /// Discards all samples.
    pub fn clear(&mut self) {
        *self = Self::one_in(self.part);
    }

    /// The value, once anything was recorded.
    #[must_use]
    pub const fn value(&self) -> Option<i64> {
        self.value
    }

    /// Holds a growth back if it is an outlier, and records the one that was held back if this one
    /// confirms it. Returns whether this one was held back.
    fn hold_back(&mut self, from: i64, to: i64) -> bool {
        let is_stall = self.beyond(from, to) > STALL_MIN;
        let is_outlier = is_stall && to > OUTLIER * self.largest;
        self.aftermath = if is_outlier { to } else { 0 };
        self.largest = self.largest.max(to);
        if is_stall && 2 * to >= self.outlier[1] {
            let held = if is_outlier { [from, to] } else { [0; 2] };
            let [from, to] = std::mem::replace(&mut self.outlier, held);
            self.add_growth(from, to);
        }
        is_outlier
    }

    fn add_growth(&mut self, from: i64, to: i64) {
        for cell in cell_of(from)..=cell_of(to) {
            let [low, high] = edges(cell);
            self.add(cell, (to.min(high) - from.max(low)).max(0).cast_unsigned());
        }
        self.settle(self.beyond(from, to));
    }

    /// How much of a growth lies beyond the value.
    fn beyond(&self, from: i64, to: i64) -> u64 {
        (to - from.max(self.known())).max(0).cast_unsigned()
    }

    fn known(&self) -> i64 {
        self.value.unwrap_or(VALUE_MAX)
    }

    fn add(&mut self, cell: usize, micros: u64) {
        let micros = micros.min(MEMORY.0);
        self.cells[cell] += micros as u32;
        self.total += micros;
    }

    /// Computes the new value, after samples that were beyond the old one for `beyond` in all.
    fn settle(&mut self, beyond: u64) {
        if beyond > STALL_MIN {
            self.stalled += beyond;
        }
        if self.total > MEMORY.0 {
            self.cells.iter_mut().for_each(|cell| *cell /= 2);
            self.stalled /= 2;
            self.largest /= 2;
            self.outlier = [0; 2];
            self.total = self.cells.iter().map(|&cell| u64::from(cell)).sum();
        }
        let part = self.total.max(PATIENCE.0) / self.part;
        let excess = self.stalled.saturating_sub(part + part / 5);
        let left = part.saturating_sub(4 * excess).max(part / STRICTEST);
        let mut beyond = left.min(self.total / FIRST_PART);
        for (cell, &micros) in self.cells.iter().enumerate().rev() {
            let micros = u64::from(micros);
            if micros > beyond {
                let [low, high] = edges(cell);
                let off = (high - low) * beyond.cast_signed() / micros.cast_signed();
                self.value = Some(high - off);
                return;
            }
            beyond -= micros;
        }
    }
}

fn cell_of(value: i64) -> usize {
    let units = (value.clamp(0, VALUE_MAX) / UNIT) as usize;
    let octave = units.max(STEPS).ilog2() - STEPS.ilog2();
    (octave as usize) * STEPS + (units >> octave)
}

/// The bounds of a cell.
const fn edges(cell: usize) -> [i64; 2] {
    let octave = (cell / STEPS).saturating_sub(1);
    let low = cell - octave * STEPS;
    [((low << octave) as i64) * UNIT, (((low + 1) << octave) as i64) * UNIT]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    const TICK: Micros = Micros(33_333);

    #[test]
    fn cells_leave_no_gaps() {
        let mut end = 0;
        for cell in 0..CELLS {
            let [low, high] = edges(cell);
            assert_eq!((low, cell_of(low), cell_of(high - 1)), (end, cell, cell));
            end = high;
        }
        assert_eq!(end, VALUE_MAX + 1);
    }

    #[test]
    fn only_the_agreed_part_exceeds_the_value() {
        let mut tail = Tail::one_in(200);
        let mut dice = Dice::new(1);
        let mut beyond = 0;
        for n in 0..110_000 {
            let sample = i64::from(dice.within(0, 40_000));
            beyond += u32::from(n >= 10_000 && tail.value().is_some_and(|value| sample > value));
            tail.record(sample, TICK);
        }
        assert!((400..600).contains(&beyond), "{beyond} of 100,000, instead of 500");
    }

    #[test]
    fn an_age_counts_for_as_long_as_it_lasts() {
        let mut tail = Tail::one_in(100);
        for _ in 0..3_000 {
            tail.record_age(50_000, 150_000);
        }
        let value = tail.value().unwrap();
        assert!((146_000..=151_000).contains(&value), "{value}");
    }

    #[test]
    fn a_lost_connection_is_no_stall() {
        let mut tail = Tail::one_in(100);
        tail.record_age(20_000, 53_333);
        let before = tail.value();
        tail.record_age(20_000, 9_000_000);
        assert_eq!(tail.value(), before);
    }

    #[test]
    fn stalls_that_come_often_are_covered_and_then_forgotten() {
        let mut tail = Tail::one_in(300);
        let mut record = |seconds: u32, stalls: u32| {
            for n in 0..seconds * 30 {
                let stalls = n % 600 == 599 && n / 600 < stalls;
                tail.record_age(20_000, if stalls { 320_000 } else { 53_333 });
            }
            tail.value().unwrap()
        };
        record(60, 0);
        let one = record(20, 1);
        assert!(one < 60_000, "{one} after one stall of 0.3 s");
        let three = record(40, 2);
        assert!(three > 280_000, "{three} after three");
        let soon = record(60, 0);
        assert!(soon > 80_000, "{soon} soon after, when more may come");
        let late = record(1_200, 0);
        assert!(late < 60_000, "{late} long after");
    }

    #[test]
    fn a_single_outlier_is_held_back() {
        for long in [800_000, 1_900_000] {
            let mut tail = Tail::one_in(300);
            let mut record = |seconds: u32, to: i64| {
                (0..seconds * 30).for_each(|_| tail.record_age(20_000, 53_333));
                tail.record_age(20_000, to);
                // What waited arrives at once; the next snapshot was sent when the first had arrived.
                tail.record_age(to, to);
                tail.record_age(to * 2 / 3, to * 2 / 3 + 90_000);
                tail.value().unwrap()
            };
            for to in [long, 130_000] {
                let value = record(60, to);
                assert!(value < 100_000, "{value} after {to} beside {long}");
            }
            let again = record(60, long);
            assert!(again > 100_000, "{again} after another of {long}");
            record(1_200, 53_333);
            let late = record(60, long);
            assert!(late < 100_000, "{late}, when the others are forgotten");
        }
        let mut tail = Tail::one_in(150);
        for n in 0..200 {
            tail.record(20_000, Micros(8 * TICK.0));
            if n == 100 {
                tail.record_steps(1_020_000, 24_000, TICK);
            }
        }
        assert!(tail.value().is_some_and(|value| value < 30_000), "{:?}", tail.value());
    }
}
