//! How likely each residual is: a family of distributions, made by a formula, from which a model
//! picks one for each context.
//!
//! A residual is a *symbol* and, when it is large, some raw bits. A table divides 2^14 among the
//! symbols, in the shape of Student's t-distribution: a bell curve with heavy tails, which
//! collisions and sudden turns need. It has a scale, from a tenth of a step to thousands, a weight
//! of its tails, and a centre: a forecast falls between two integers, and using its fraction saves
//! bits when residuals are small.
//!
//! Only `+ - * /` and `floor` on doubles are used, so that every language makes the same tables.

use std::sync::OnceLock;

/// Symbols: 0, ±1, ±2, ±3; then buckets of growing width; then all the rest.
pub(super) const SYMBOLS: usize = 28;
/// The first symbol that stands for several magnitudes, of either sign.
pub(super) const FIRST_BUCKET: usize = 7;
/// The symbol of magnitudes from 4096 up.
pub(super) const LONG: usize = SYMBOLS - 1;
/// The shares of a table add up to 2 to this.
pub(super) const TOTAL_BITS: u32 = 14;
/// The sum of a table's shares.
pub(super) const TOTAL: u32 = 1 << TOTAL_BITS;

/// A residual, split into a table's symbol and raw bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    index: u8,
    /// Number of raw bits: none, or one for the sign and the rest for the magnitude.
    extra_bits: u8,
    extra: u16,
}

impl Symbol {
    /// The symbol of a residual; `None` if it is too large for a bucket (see [`LONG`]).
    #[inline(always)]
    pub(super) fn of(residual: i32) -> Option<Self> {
        match NEAR.get(residual.wrapping_add(NEAR_MAX) as usize) {
            Some(&near) => Some(near),
            None => Self::of_far(residual),
        }
    }

    const fn of_far(residual: i32) -> Option<Self> {
        let (magnitude, negative) = (residual.unsigned_abs(), residual < 0);
        if magnitude < 4 {
            let index = (magnitude * 2 - (residual > 0) as u32) as u8;
            return Some(Self { index, extra_bits: 0, extra: 0 });
        }
        let log = magnitude.ilog2();
        if log > 11 {
            return None;
        }
        let (bits, half) = (log - 1, magnitude >> (log - 1) & 1);
        let extra = (negative as u32) << bits | magnitude & ((1 << bits) - 1);
        let index = FIRST_BUCKET as u32 + 2 * (log - 2) + half;
        Some(Self { index: index as u8, extra_bits: log as u8, extra: extra as u16 })
    }

    /// The index in a table of a residual's symbol.
    pub(super) fn index_of(residual: i32) -> usize {
        Self::of(residual).map_or(LONG, Self::index)
    }

    /// Its index in a table.
    #[inline(always)]
    pub(super) fn index(self) -> usize {
        // The remainder is the index itself, and spares the processor checks of bounds.
        usize::from(self.index) % SYMBOLS.next_power_of_two()
    }

    /// Number of raw bits.
    #[inline(always)]
    pub(super) fn extra_bits(self) -> u32 {
        self.extra_bits.into()
    }

    /// The raw bits.
    #[inline(always)]
    pub(super) fn extra(self) -> u32 {
        self.extra.into()
    }

    /// The residual of the symbol [`LONG`].
    pub(super) fn long(negative: bool, bits: u32, extra: u32) -> i32 {
        let magnitude = (1 << bits | extra).cast_signed();
        if negative { magnitude.wrapping_neg() } else { magnitude }
    }
}

/// Which residuals a symbol below [`LONG`] stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// The only residual, or the least of a bucket that is positive.
    base: i16,
    /// Number of raw bits: none, or some for the magnitude and the highest for the sign.
    pub(super) extra_bits: u8,
    /// What the raw bits can add to the base.
    most: u16,
}

impl Meaning {
    /// What the symbol with this index in a table means.
    #[inline(always)]
    pub(super) fn of(index: usize) -> Self {
        // The remainder only spares a check of bounds.
        MEANINGS[index % MEANINGS.len()]
    }

    const fn new(index: usize) -> Self {
        const SMALL: [i16; FIRST_BUCKET] = [0, 1, -1, 2, -2, 3, -3];
        if index < FIRST_BUCKET {
            return Self { base: SMALL[index], extra_bits: 0, most: 0 };
        }
        let (bits, half) = ((index - FIRST_BUCKET) / 2 + 1, (index - FIRST_BUCKET) % 2);
        let base = ((2 + half) << bits) as i16;
        Self { base, extra_bits: bits as u8 + 1, most: (1 << bits) - 1 }
    }

    /// The residual with these raw bits. Which symbol it is is hard to predict, so there are no
    /// branches.
    #[inline(always)]
    pub(super) fn residual(self, extra: u32) -> i32 {
        let sign = -i32::from(extra > self.most.into());
        let magnitude = i32::from(self.base) + (extra & u32::from(self.most)).cast_signed();
        (magnitude ^ sign) - sign
    }
}

const MEANINGS: [Meaning; SYMBOLS.next_power_of_two()] = {
    let mut meanings = [Meaning::new(0); SYMBOLS.next_power_of_two()];
    let mut index = 0;
    while index < LONG {
        meanings[index] = Meaning::new(index);
        index += 1;
    }
    meanings
};

/// Up to this magnitude, symbols are looked up in a table.
const NEAR_MAX: i32 = 127;

const NEAR: [Symbol; 2 * NEAR_MAX as usize + 1] = {
    let mut near = [Symbol { index: 0, extra_bits: 0, extra: 0 }; 2 * NEAR_MAX as usize + 1];
    let mut place = 0;
    while place < near.len() {
        near[place] = Symbol::of_far(place as i32 - NEAR_MAX).expect("127 is below 4096");
        place += 1;
    }
    near
};

/// One distribution.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Table {
    /// Where each symbol's share starts, in 2^16; then the total, which wraps to 0, and zeros.
    starts: [u16; 2 + Self::COMPARED],
    /// The cost of each symbol, in 1/256 bit, raw bits included.
    pub(super) costs: [u16; SYMBOLS],
}

impl Table {
    /// Starts that are compared to find a symbol.
    const COMPARED: usize = SYMBOLS.next_power_of_two();

    /// Where a symbol's share starts, in 2^16. It ends where the next one's starts, and the last
    /// symbol's at 2^16.
    #[inline(always)]
    pub(super) fn start(&self, symbol: usize) -> u32 {
        self.starts[symbol].into()
    }

    /// The symbol in whose share of a 15-bit range `offset` lies; not the first symbol.
    #[inline(always)]
    pub(super) fn find(&self, range: u32, offset: u32) -> usize {
        // Comparing all is faster than a search, since it can be vectorised and has no branches.
        let (range, beyond) = (range as u16, offset as u16 + 1);
        let mut starts = 0u16;
        for &start in &self.starts[2..] {
            let bound = ((u32::from(range) * u32::from(start)) >> 16) as u16;
            // The sign of the difference, which fits: both are below 2^15.
            starts += bound.wrapping_sub(beyond) >> 15;
        }
        // The entries after the last symbol are 0, so they count too.
        usize::from(starts) + SYMBOLS - Self::COMPARED - 1
    }

    fn new(scale: f64, power: u32, centre: f64) -> Self {
        let shape = f64::from(2 * power - 1) * scale * scale;
        let density = |x: f64| {
            let base = 1.0 / (1.0 + x * x / shape);
            (0..power).fold(1.0, |product, _| product * base)
        };
        let cell = |x: f64| {
            let points = [-0.4, -0.2, 0.0, 0.2, 0.4];
            points.iter().fold(0.0, |sum, point| sum + density(x - centre + point)) / 5.0
        };
        let mut masses = [0.0; SYMBOLS];
        for (symbol, mass) in masses.iter_mut().enumerate() {
            let Meaning { base, most, .. } = Meaning::of(symbol);
            *mass = if symbol < FIRST_BUCKET {
                cell(f64::from(base))
            } else if symbol < LONG {
                let first = f64::from(base) - 0.5;
                let quarter = (f64::from(most) + 1.0) / 4.0;
                let points = [0.5, 1.5, 2.5, 3.5];
                let sum = |sum, point| sum + density(first + point * quarter);
                2.0 * quarter * points.iter().fold(0.0, sum)
            } else {
                4096.0 * density(4096.0)
            };
        }
        Self::share_out(&masses)
    }

    fn share_out(masses: &[f64; SYMBOLS]) -> Self {
        let total = masses.iter().fold(0.0, |sum, mass| sum + mass);
        let shared = f64::from(TOTAL - SYMBOLS as u32);
        let shares = masses.map(|mass| 1 + (mass / total * shared).floor() as u16);
        let left = TOTAL as u16 - shares.iter().sum::<u16>();
        let mut table = Self { starts: [0; 2 + Self::COMPARED], costs: [0; SYMBOLS] };
        for (symbol, share) in shares.into_iter().enumerate() {
            // The remainder of rounding goes to the first symbol.
            let share = if symbol == 0 { share + left } else { share };
            let share_of_16_bits = share << (16 - TOTAL_BITS);
            table.starts[symbol + 1] = table.starts[symbol].wrapping_add(share_of_16_bits);
            let bits = f64::from(TOTAL_BITS) - f64::from(share).log2();
            let extra = if symbol == LONG { 5 + 1 + 14 } else { Meaning::of(symbol).extra_bits };
            table.costs[symbol] = ((bits + f64::from(extra)) * 256.0) as u16;
        }
        table
    }
}

/// All distributions. They are the same for every match, so a process makes them once.
#[derive(Debug)]
pub(super) struct Family {
    /// By member and centre; the last of a member are never used.
    tables: [[Table; Self::STRIDE]; Self::LEN],
}

impl Family {
    /// Number of scales: each is 1.5 times the one before.
    pub(super) const SCALES: usize = 28;
    /// The exponents of the density, from the heaviest tails to the lightest.
    pub(super) const POWERS: [u32; 3] = [1, 2, 6];
    /// Number of members of the family.
    pub(super) const LEN: usize = Self::SCALES * Self::POWERS.len();
    /// Number of centres: 0 to 4 eighths above an integer.
    pub(super) const CENTRES: usize = 5;
    /// Room for a member's centres: a power of two, so that an index of three bits needs no check.
    const STRIDE: usize = Self::CENTRES.next_power_of_two();

    /// The family, which is made at the first call.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Box<Family>> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// A member of the family, at a centre.
    #[inline(always)]
    pub(super) fn table(&self, member: u8, centre: u8) -> &Table {
        &self.tables[usize::from(member)][usize::from(centre)]
    }

    fn new() -> Box<Self> {
        let member = |index: usize| {
            let scale = (0..index % Self::SCALES).fold(0.1, |scale, _| scale * 1.5);
            let power = Self::POWERS[index / Self::SCALES];
            std::array::from_fn(|centre| Table::new(scale, power, centre as f64 / 8.0))
        };
        Box::new(Self { tables: std::array::from_fn(member) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::model::Odds, wire::model_hash};

    fn tables() -> impl Iterator<Item = &'static Table> {
        Family::shared().tables.iter().flat_map(|member| &member[..Family::CENTRES])
    }

    #[test]
    fn every_residual_has_one_encoding() {
        for residual in -4095i32..4096 {
            let symbol = Symbol::of(residual).expect("it is not long");
            let meaning = Meaning::of(symbol.index());
            assert_eq!(u32::from(meaning.extra_bits), symbol.extra_bits());
            assert_eq!(meaning.residual(symbol.extra()), residual);
        }
        for residual in [4096, -4096, i32::MAX, i32::MIN] {
            assert!(Symbol::of(residual).is_none());
        }
    }

    #[test]
    fn the_shares_of_a_table_add_up() {
        for table in tables() {
            assert_eq!(table.start(SYMBOLS), 0, "2^16 does not fit");
            assert!((1..SYMBOLS).all(|symbol| table.start(symbol - 1) < table.start(symbol)));
        }
    }

    #[test]
    fn shares_are_those_of_the_protocol() {
        let starts = |table: &Table| (0..=SYMBOLS).map(|i| table.starts[i]).collect::<Vec<_>>();
        let tables = tables().map(starts);
        let share = |pair: &[u16]| (pair[1].wrapping_sub(pair[0]) >> 2).to_le_bytes();
        let shares =
            tables.flat_map(|starts| starts.windows(2).flat_map(share).collect::<Vec<_>>());
        assert_eq!(model_hash(&shares.collect::<Vec<_>>()), 0xB515_FA8B);
        let odds = Odds::new().of.iter().flat_map(|odds| odds.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(model_hash(&odds), 0x86CD_71FF);
    }
}
