//! How likely each residual is: a family of distributions, made by a formula, from which a model
//! picks one for each context.
//!
//! A residual is a *symbol* and, when it is large, a few more bits that cost what they are. A
//! table shares out 2^14 among the symbols, in the shape of Student's t-distribution: like a bell,
//! but with tails that collisions and changes of mind need. It has a scale, from a tenth of a step
//! to thousands, a weight of its tails, and a centre: a forecast falls between two integers, and
//! knowing where is worth something when residuals are small.
//!
//! Only `+ - * /` and `floor` on doubles are used, so that every language makes the same tables.

use std::sync::OnceLock;

/// Symbols: 0, ±1, ±2, ±3; then buckets of growing width; then all the rest.
pub(super) const SYMBOLS: usize = 28;
/// The first symbol that stands for several magnitudes, of either sign.
pub(super) const FIRST_BUCKET: usize = 7;
/// The symbol of magnitudes from 4096 up.
pub(super) const LONG: usize = SYMBOLS - 1;
/// A table shares out 2 to this.
pub(super) const TOTAL_BITS: u32 = 14;

/// A residual, split into what a table knows of and what is sent as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) index: usize,
    pub(super) negative: bool,
    /// How many bits of the magnitude follow.
    pub(super) extra_bits: u32,
    /// Those bits.
    pub(super) extra: u32,
}

impl Symbol {
    #[inline(always)]
    pub(super) fn of(residual: i32) -> Self {
        let magnitude = residual.unsigned_abs();
        let negative = residual < 0;
        if magnitude < 4 {
            let index = (magnitude * 2 - u32::from(residual > 0)) as usize;
            return Self { index, negative, extra_bits: 0, extra: 0 };
        }
        Self::of_large(magnitude, negative)
    }

    #[inline(never)]
    fn of_large(magnitude: u32, negative: bool) -> Self {
        let log = magnitude.ilog2();
        let below = |bits: u32| magnitude & ((1 << bits) - 1);
        if log > 11 {
            return Self { index: LONG, negative, extra_bits: log, extra: below(log) };
        }
        let half = magnitude >> (log - 1) & 1;
        let index = FIRST_BUCKET + (2 * (log - 2) + half) as usize;
        Self { index, negative, extra_bits: log - 1, extra: below(log - 1) }
    }

    /// The residual of one of the first symbols.
    #[inline]
    pub(super) fn small(index: usize) -> i32 {
        let magnitude = (index as i32 + 1) / 2;
        if index % 2 == 1 { magnitude } else { -magnitude }
    }

    /// Bits of the magnitude that follow a bucket's symbol.
    #[inline]
    pub(super) fn bucket_bits(index: usize) -> u32 {
        ((index - FIRST_BUCKET) / 2 + 1) as u32
    }

    /// The residual of a bucket's symbol and the bits after it, the first of which is the sign.
    #[inline]
    pub(super) fn bucket(index: usize, extra: u32) -> i32 {
        let bits = Self::bucket_bits(index);
        let half = ((index - FIRST_BUCKET) % 2) as u32;
        let magnitude = (2 + half) << bits | extra & ((1 << bits) - 1);
        if extra >> bits == 1 { -magnitude.cast_signed() } else { magnitude.cast_signed() }
    }

    /// The residual of the last symbol.
    pub(super) fn long(negative: bool, bits: u32, extra: u32) -> i32 {
        let magnitude = (1 << bits | extra).cast_signed();
        if negative { magnitude.wrapping_neg() } else { magnitude }
    }
}

/// One distribution.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Table {
    /// Where each symbol's share starts; then the total, and what is beyond it.
    starts: [i16; 32],
    /// What each symbol costs, in 1/256 bit, extra bits and sign included.
    pub(super) costs: [u16; SYMBOLS],
}

impl Table {
    /// Start and size of a symbol's share.
    #[inline]
    pub(super) fn share(&self, symbol: usize) -> (u32, u32) {
        let (start, end) = (self.starts[symbol], self.starts[symbol + 1]);
        (start as u32, (end - start) as u32)
    }

    /// The symbol in whose share `point` lies; beyond the total, the last.
    #[inline]
    pub(super) fn find(&self, point: u32) -> usize {
        let point = point.min((1 << TOTAL_BITS) - 1) as i16;
        // All are compared, which a processor does at once, rather than some and a guess.
        let mut starts = 0i16;
        for &start in &self.starts {
            starts += i16::from(start <= point);
        }
        starts as usize - 1
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
            *mass = if symbol < FIRST_BUCKET {
                cell(f64::from(Symbol::small(symbol)))
            } else if symbol < LONG {
                let first = f64::from(Symbol::bucket(symbol, 0)) - 0.5;
                let quarter = f64::from(1u32 << Symbol::bucket_bits(symbol)) / 4.0;
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
        let shared = f64::from((1u32 << TOTAL_BITS) - SYMBOLS as u32);
        let shares = masses.map(|mass| 1 + (mass / total * shared).floor() as u16);
        let left = (1 << TOTAL_BITS) - shares.iter().sum::<u16>();
        let mut table = Self { starts: [i16::MAX; 32], costs: [0; SYMBOLS] };
        table.starts[0] = 0;
        for (symbol, share) in shares.into_iter().enumerate() {
            // What rounding has left over goes to the first symbol.
            let share = if symbol == 0 { share + left } else { share };
            table.starts[symbol + 1] = table.starts[symbol] + share.cast_signed();
            let bits = f64::from(TOTAL_BITS) - f64::from(share).log2();
            let extra = match symbol {
                ..FIRST_BUCKET => 0,
                LONG => 5 + 1 + 14,
                FIRST_BUCKET.. => Symbol::bucket_bits(symbol) + 1,
            };
            table.costs[symbol] = ((bits + f64::from(extra)) * 256.0) as u16;
        }
        table
    }
}

/// All distributions. The same for every match, so made once in a process.
#[derive(Debug)]
pub(super) struct Family {
    tables: Vec<Table>,
}

impl Family {
    /// Scales: each is half as large again as the one before.
    pub(super) const SCALES: usize = 28;
    /// The exponents of the density, from the heaviest tails to the lightest.
    pub(super) const POWERS: [u32; 3] = [1, 2, 6];
    /// Members of the family.
    pub(super) const LEN: usize = Self::SCALES * Self::POWERS.len();
    /// Centres: none, and 1 to 4 eighths above an integer.
    pub(super) const CENTRES: usize = 5;

    /// The family, which is made when it is first asked for.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Family> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// A member of the family, at a centre.
    #[inline]
    pub(super) fn table(&self, member: u8, centre: u8) -> &Table {
        &self.tables[usize::from(member) * Self::CENTRES + usize::from(centre)]
    }

    fn new() -> Self {
        let mut tables = Vec::with_capacity(Self::LEN * Self::CENTRES);
        for power in Self::POWERS {
            let mut scale = 0.1;
            for _ in 0..Self::SCALES {
                for centre in 0..Self::CENTRES {
                    tables.push(Table::new(scale, power, centre as f64 / 8.0));
                }
                scale *= 1.5;
            }
        }
        Self { tables }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_residual_has_one_spelling() {
        let edges = (0..32).flat_map(|log| [(1u32 << log) - 1, 1 << log, (1 << log) + 1]);
        for magnitude in edges.chain(0..5000) {
            for residual in [magnitude.cast_signed(), magnitude.wrapping_neg().cast_signed()] {
                let Symbol { index, negative, extra_bits, extra } = Symbol::of(residual);
                let back = match index {
                    ..FIRST_BUCKET => Symbol::small(index),
                    LONG => Symbol::long(negative, extra_bits, extra),
                    FIRST_BUCKET.. => {
                        assert_eq!(Symbol::bucket_bits(index), extra_bits);
                        Symbol::bucket(index, u32::from(negative) << extra_bits | extra)
                    }
                };
                assert_eq!(back, residual);
            }
        }
    }

    #[test]
    fn tables_share_out_the_whole() {
        for table in &Family::shared().tables {
            assert_eq!(table.starts[SYMBOLS], 1 << TOTAL_BITS);
            assert!((0..SYMBOLS).all(|symbol| table.share(symbol).1 > 0));
        }
    }
}
