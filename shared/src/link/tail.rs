//! The value that a quantity stays below for all but a small part of the time, learnt as it goes.
//!
//! A histogram of the quantity, weighted by time, of which the past is forgotten by and by: the
//! jitter buffers of calls work like this (WebRTC's NetEq). What jitters is covered within
//! seconds; a stall now and then is not, since the part that may lie beyond is one of
//! [`PATIENCE`] at least; and when there were so many stalls that it is used up, hardly anything
//! may lie beyond until they are forgotten. A stall of more than six times what there was of late
//! counts when another comes that is half as long: one alone is no habit of the network.
//!
//! Cells are a millisecond wide at first and a sixteenth of their value later; what lies within
//! one is taken to lie evenly.

use crate::time::Micros;

/// Time until half of what was heard is forgotten.
pub const MEMORY: Micros = Micros::from_secs(300);
/// Time that the part which may lie beyond is reckoned from at least.
pub const PATIENCE: Micros = Micros::from_secs(100);
/// What lies beyond for longer than this is a stall: shorter ones are hardly seen.
const STALL_MIN: u64 = 50_000;
/// When there were few stalls yet, one part of so many of what was heard may lie beyond at most.
const FIRST_PART: u64 = 64;
/// When there were too many, one part of so many of what otherwise may.
const STRICTEST: u64 = 16;
/// A program that did not get to its work for longer than this can't tell how late the network is
/// from how late it is itself. As slow as this nobody draws on purpose.
pub const AWAY: Micros = Micros::from_millis(150);
/// Larger values count as this: 2 s.
pub const VALUE_MAX: i64 = 2_047_999;
/// Width of the first cells in microseconds.
const UNIT: i64 = 1_000;
/// Cells that an octave is divided into.
const STEPS: usize = 16;
const CELLS: usize = 128;

/// See the module. All values are microseconds.
#[derive(Clone, Debug)]
pub struct Tail {
    part: u64,
    /// For how long the value was in each cell, in microseconds.
    cells: [u32; CELLS],
    total: u64,
    /// For how long it was beyond the value in stalls.
    stalled: u64,
    /// How far the longest stall of late went.
    longest: i64,
    /// From where to where one went that does not count yet.
    alone: [i64; 2],
    /// How much of what follows it may still be its end.
    end: i64,
    value: Option<i64>,
}

impl Tail {
    /// One part of so many of the time the value may be larger.
    #[must_use]
    pub const fn one_in(part: u64) -> Self {
        Self {
            part,
            cells: [0; CELLS],
            total: 0,
            stalled: 0,
            longest: 0,
            alone: [0; 2],
            end: 0,
            value: None,
        }
    }

    /// Records that the quantity was `value` for `span`.
    pub fn record(&mut self, value: i64, span: Micros) {
        self.add(cell_of(value), span.0);
        self.settle(if value > self.known() { span.0 } else { 0 });
    }

    /// Records that the quantity sank from one value to just above another, in steps of `step`, each
    /// of which lasted for as long.
    pub fn record_steps(&mut self, from: i64, to: i64, step: Micros) {
        if self.is_alone(to, from) {
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

    /// The quantity grew from one value to another as time went by, as an age does. What grows
    /// beyond [`VALUE_MAX`] is ignored: no network stalls like that, a connection is lost.
    pub fn hear_age(&mut self, from: i64, to: i64) {
        if to > VALUE_MAX {
            return;
        }
        let (from, to) = (from.max(0), to.max(0));
        // Behind a stall comes what waited, and then a gap: a server sends nothing while too much waits.
        if from <= self.known() {
            self.end = 0;
        } else if self.end > 0 {
            self.end -= to - from;
            return;
        }
        if !self.is_alone(from, to) {
            self.grow(from, to);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::one_in(self.part);
    }

    /// The value, once anything was heard.
    #[must_use]
    pub const fn value(&self) -> Option<i64> {
        self.value
    }

    /// Whether that was a stall such as there was none of late.
    fn is_alone(&mut self, from: i64, to: i64) -> bool {
        let is_stall = self.beyond(from, to) > STALL_MIN;
        let is_alone = is_stall && to > 6 * self.longest;
        self.end = if is_alone { to } else { 0 };
        self.longest = self.longest.max(to);
        if is_stall && 2 * to >= self.alone[1] {
            let waiting = if is_alone { [from, to] } else { [0; 2] };
            let [from, to] = std::mem::replace(&mut self.alone, waiting);
            self.grow(from, to);
        }
        is_alone
    }

    fn grow(&mut self, from: i64, to: i64) {
        for cell in cell_of(from)..=cell_of(to) {
            let [low, high] = edges(cell);
            self.add(cell, (to.min(high) - from.max(low)).max(0).cast_unsigned());
        }
        self.settle(self.beyond(from, to));
    }

    /// How much of the way from one value to another lies beyond what is known.
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

    /// Finds the value, after one that was beyond the last for so long.
    fn settle(&mut self, beyond: u64) {
        if beyond > STALL_MIN {
            self.stalled += beyond;
        }
        if self.total > MEMORY.0 {
            self.cells.iter_mut().for_each(|cell| *cell /= 2);
            self.stalled /= 2;
            self.longest /= 2;
            self.alone = [0; 2];
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

/// Where a cell begins and where it ends.
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
    fn cells_follow_one_another() {
        let mut end = 0;
        for cell in 0..CELLS {
            let [low, high] = edges(cell);
            assert_eq!((low, cell_of(low), cell_of(high - 1)), (end, cell, cell));
            end = high;
        }
        assert_eq!(end, VALUE_MAX + 1);
    }

    #[test]
    fn all_but_the_agreed_part_stay_below() {
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
            tail.hear_age(50_000, 150_000);
        }
        let value = tail.value().unwrap();
        assert!((146_000..=151_000).contains(&value), "{value}");
    }

    #[test]
    fn a_lost_connection_is_no_stall() {
        let mut tail = Tail::one_in(100);
        tail.hear_age(20_000, 53_333);
        let before = tail.value();
        tail.hear_age(20_000, 9_000_000);
        assert_eq!(tail.value(), before);
    }

    #[test]
    fn stalls_that_come_often_are_covered_and_then_forgotten() {
        let mut tail = Tail::one_in(300);
        let mut hear = |seconds: u32, stalls: u32| {
            for n in 0..seconds * 30 {
                let stalls = n % 600 == 599 && n / 600 < stalls;
                tail.hear_age(20_000, if stalls { 320_000 } else { 53_333 });
            }
            tail.value().unwrap()
        };
        hear(60, 0);
        let one = hear(20, 1);
        assert!(one < 60_000, "{one} after one stall of 0.3 s");
        let three = hear(40, 2);
        assert!(three > 280_000, "{three} after three");
        let soon = hear(60, 0);
        assert!(soon > 80_000, "{soon}: they may come again");
        let late = hear(1_200, 0);
        assert!(late < 60_000, "{late}: they do not");
    }

    #[test]
    fn a_stall_alone_is_no_habit() {
        for long in [800_000, 1_900_000] {
            let mut tail = Tail::one_in(300);
            let mut hear = |seconds: u32, to: i64| {
                (0..seconds * 30).for_each(|_| tail.hear_age(20_000, 53_333));
                tail.hear_age(20_000, to);
                // What waited comes at once, and what comes next was sent when the first had come.
                tail.hear_age(to, to);
                tail.hear_age(to * 2 / 3, to * 2 / 3 + 90_000);
                tail.value().unwrap()
            };
            for to in [long, 130_000] {
                let value = hear(60, to);
                assert!(value < 100_000, "{value} after {to} beside {long}");
            }
            let again = hear(60, long);
            assert!(again > 100_000, "{again} after another of {long}");
            hear(1_200, 53_333);
            let late = hear(60, long);
            assert!(late < 100_000, "{late}: the others are forgotten");
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
