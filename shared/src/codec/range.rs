//! A range coder on 32-bit integers: numbers into bytes at the cost that their tables say.
//!
//! A body ends where the decoder no longer needs bytes: those that would be zero are left out, and
//! a decoder takes zeros for what it misses. A snapshot in which nothing happened has no byte.

use super::table::{FIRST_BUCKET, LONG, Symbol, TOTAL_BITS, Table};

/// The range is kept at or above this, so that a symbol's share of it is never zero.
const RANGE_MIN: u32 = 1 << 24;

/// Bits that [`RangeEncoder::raw`] takes at a time.
pub(super) const RAW_BITS_MAX: u32 = 16;

/// Appends to bytes.
///
/// The low end of the range is kept with the bytes that a carry may still change most, so that
/// most symbols touch nothing else.
#[derive(Debug)]
pub(super) struct RangeEncoder<'a> {
    out: &'a mut Vec<u8>,
    /// Where in `out` this body begins.
    start: usize,
    /// A carry, so many bits that are not in `out` yet, and the 32 bits of the low end.
    low: u64,
    pending_bits: u32,
    range: u32,
}

impl<'a> RangeEncoder<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, low: 0, pending_bits: 0, range: u32::MAX }
    }

    /// A residual.
    #[inline(always)]
    pub(super) fn number(&mut self, table: &Table, symbol: Symbol) {
        let (start, size) = table.share(symbol.index);
        self.narrow(start, size, TOTAL_BITS);
        if symbol.index >= FIRST_BUCKET {
            self.extra(symbol);
        }
    }

    #[inline(never)]
    fn extra(&mut self, symbol: Symbol) {
        if symbol.index == LONG {
            self.raw(symbol.extra_bits, 5);
            self.raw(u32::from(symbol.negative), 1);
            self.raw_long(symbol.extra, symbol.extra_bits);
        } else {
            let sign = u32::from(symbol.negative) << symbol.extra_bits;
            self.raw(sign | symbol.extra, symbol.extra_bits + 1);
        }
    }

    /// A yes or no, of which yes has `odds` in 2^14.
    #[inline]
    pub(super) fn bit(&mut self, odds: u16, yes: bool) {
        let odds = u32::from(odds);
        let no = (1 << TOTAL_BITS) - odds;
        if yes {
            self.narrow(no, odds, TOTAL_BITS);
        } else {
            self.narrow(0, no, TOTAL_BITS);
        }
    }

    /// The `count` low bits of `value`, which has no higher ones.
    #[inline]
    pub(super) fn raw(&mut self, value: u32, count: u32) {
        debug_assert!(count <= RAW_BITS_MAX && value >> count == 0);
        self.narrow(value, 1, count);
    }

    /// As [`Self::raw`], up to 32 bits: the low half first.
    pub(super) fn raw_long(&mut self, value: u32, count: u32) {
        let low = count.min(RAW_BITS_MAX);
        self.raw(value & ((1 << low) - 1), low);
        if count > low {
            self.raw(value >> low, count - low);
        }
    }

    #[inline(always)]
    fn narrow(&mut self, start: u32, size: u32, total_bits: u32) {
        let unit = self.range >> total_bits;
        let range = unit * size;
        let shift = shift_of(range);
        self.low = (self.low + u64::from(unit * start)) << shift;
        self.range = range << shift;
        self.pending_bits += shift;
        if self.pending_bits >= FLUSHED_BITS {
            self.flush();
        }
    }

    /// Moves the oldest bits to `out`.
    #[inline(never)]
    fn flush(&mut self) {
        self.pending_bits -= FLUSHED_BITS;
        let bits = self.low >> (32 + self.pending_bits);
        self.low &= (1 << (32 + self.pending_bits)) - 1;
        if bits >> FLUSHED_BITS == 1 {
            self.carry();
        }
        self.out.extend_from_slice(&(bits as u16).to_be_bytes());
    }

    #[cold]
    fn carry(&mut self) {
        for byte in self.out[self.start..].iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }

    /// Writes as few bytes as tell the last range from all others.
    pub(super) fn finish(mut self) {
        let end = self.low + u64::from(self.range);
        let value = |free_bytes: u32| {
            let free = (1u64 << (8 * free_bytes)) - 1;
            (self.low + free) & !free
        };
        let shortest = (0..=4).rev().map(value).find(|value| *value < end);
        let shortest = shortest.expect("the low end itself is below the end");
        if shortest >> (32 + self.pending_bits) == 1 {
            self.carry();
        }
        let bytes = (shortest << (32 - self.pending_bits)).to_be_bytes();
        self.out.extend_from_slice(&bytes);
        while self.out.len() > self.start && self.out.last() == Some(&0) {
            self.out.pop();
        }
    }
}

/// What is moved to `out` at a time.
const FLUSHED_BITS: u32 = 16;

/// By how much a range has to be shifted to be long enough again: whole bytes.
#[inline]
fn shift_of(range: u32) -> u32 {
    8 * (u32::from(range < RANGE_MIN) + u32::from(range < RANGE_MIN >> 8))
}

/// Takes from bytes.
#[derive(Debug)]
pub(super) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    next: usize,
    /// 32 bits of the bytes taken, less the low end of the range; then `ahead_bits` that follow.
    window: u64,
    ahead_bits: u32,
    range: u32,
}

impl<'a> RangeDecoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { bytes, next: 0, window: 0, ahead_bits: 32, range: u32::MAX };
        for _ in 0..8 {
            decoder.window = decoder.window << 8 | decoder.byte();
        }
        decoder
    }

    #[inline(always)]
    pub(super) fn number(&mut self, table: &Table) -> i32 {
        let unit = self.range >> TOTAL_BITS;
        let zero = unit * table.share(0).1;
        if self.offset() < zero {
            self.narrow(0, zero);
            return 0;
        }
        self.other_number(unit, table)
    }

    #[inline(never)]
    fn other_number(&mut self, unit: u32, table: &Table) -> i32 {
        let index = table.find(self.offset() / unit);
        let (start, size) = table.share(index);
        self.narrow(unit * start, unit * size);
        match index {
            ..FIRST_BUCKET => Symbol::small(index),
            LONG => {
                let bits = self.raw(5);
                let negative = self.raw(1) == 1;
                Symbol::long(negative, bits, self.raw_long(bits))
            }
            FIRST_BUCKET.. => {
                let bits = Symbol::bucket_bits(index);
                Symbol::bucket(index, self.raw(bits + 1))
            }
        }
    }

    #[inline]
    pub(super) fn bit(&mut self, odds: u16) -> bool {
        let unit = self.range >> TOTAL_BITS;
        let no = (1 << TOTAL_BITS) - u32::from(odds);
        let yes = self.offset() >= unit * no;
        let (start, size) = if yes { (no, odds.into()) } else { (0, no) };
        self.narrow(unit * start, unit * size);
        yes
    }

    #[inline]
    pub(super) fn raw(&mut self, count: u32) -> u32 {
        let unit = self.range >> count;
        let value = (self.offset() / unit).min((1 << count) - 1);
        self.narrow(unit * value, unit);
        value
    }

    pub(super) fn raw_long(&mut self, count: u32) -> u32 {
        let low = count.min(RAW_BITS_MAX);
        let value = self.raw(low);
        if count > low { value | self.raw(count - low) << low } else { value }
    }

    /// Whether the bytes are all used, and end where an encoder would have ended them.
    pub(super) fn is_finished(&self) -> bool {
        let used = self.next - self.ahead_bits as usize / 8;
        used >= self.bytes.len() && self.bytes.last() != Some(&0)
    }

    #[inline]
    fn offset(&self) -> u32 {
        (self.window >> 32) as u32
    }

    #[inline(always)]
    fn narrow(&mut self, start: u32, range: u32) {
        let shift = shift_of(range);
        self.window = self.window.wrapping_sub(u64::from(start) << 32) << shift;
        self.range = range << shift;
        self.ahead_bits -= shift;
        if self.ahead_bits < 16 {
            self.look_ahead();
        }
    }

    #[inline(never)]
    fn look_ahead(&mut self) {
        self.window |= (self.byte() << 8 | self.byte()) << (16 - self.ahead_bits);
        self.ahead_bits += 16;
    }

    #[inline]
    fn byte(&mut self) -> u64 {
        let byte = self.bytes.get(self.next).map_or(0, |&byte| byte.into());
        self.next += 1;
        byte
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::{super::table::Family, *};

    #[derive(Clone, Debug)]
    enum Item {
        Number(usize, i32),
        Bit(u16, bool),
        Raw(u32, u32),
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(items in collection::vec(item(), 0..50)) {
            let family = Family::shared();
            let mut bytes = vec![7];
            let mut encoder = RangeEncoder::new(&mut bytes);
            for item in &items {
                match *item {
                    Item::Number(table, number) => {
                        encoder.number(family.table(table as u8, 0), Symbol::of(number));
                    }
                    Item::Bit(odds, yes) => encoder.bit(odds, yes),
                    Item::Raw(value, count) => encoder.raw_long(value, count),
                }
            }
            encoder.finish();
            prop_assert_eq!(bytes[0], 7);
            let mut decoder = RangeDecoder::new(&bytes[1..]);
            for item in &items {
                match *item {
                    Item::Number(table, number) => {
                        prop_assert_eq!(decoder.number(family.table(table as u8, 0)), number);
                    }
                    Item::Bit(odds, yes) => prop_assert_eq!(decoder.bit(odds), yes),
                    Item::Raw(value, count) => prop_assert_eq!(decoder.raw_long(count), value),
                }
            }
            prop_assert!(decoder.is_finished());
        }
    }

    fn item() -> impl Strategy<Value = Item> {
        let number = prop_oneof![-9i32..10, -5000i32..5000, any::<i32>(), Just(i32::MIN)];
        prop_oneof![
            (0..Family::LEN, number).prop_map(|(table, number)| Item::Number(table, number)),
            (1u16..(1 << TOTAL_BITS), any::<bool>()).prop_map(|(odds, yes)| Item::Bit(odds, yes)),
            (any::<u32>(), 1u32..=32).prop_map(|(value, n)| Item::Raw(value >> (32 - n), n)),
        ]
    }
}
