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
#[derive(Debug)]
pub(super) struct RangeEncoder<'a> {
    out: &'a mut Vec<u8>,
    /// Where in `out` this body begins.
    start: usize,
    low: u32,
    range: u32,
}

impl<'a> RangeEncoder<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, low: 0, range: u32::MAX }
    }

    /// A residual.
    #[inline]
    pub(super) fn number(&mut self, table: &Table, symbol: Symbol) {
        let (start, size) = table.share(symbol.index);
        self.narrow(start, size, TOTAL_BITS);
        match symbol.index {
            ..FIRST_BUCKET => {}
            LONG => {
                self.raw(symbol.extra_bits, 5);
                self.raw(u32::from(symbol.negative), 1);
                self.raw_long(symbol.extra, symbol.extra_bits);
            }
            FIRST_BUCKET.. => {
                let sign = u32::from(symbol.negative) << symbol.extra_bits;
                self.raw(sign | symbol.extra, symbol.extra_bits + 1);
            }
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

    #[inline]
    fn narrow(&mut self, start: u32, size: u32, total_bits: u32) {
        let unit = self.range >> total_bits;
        let (low, carries) = self.low.overflowing_add(unit * start);
        self.low = low;
        self.range = unit * size;
        if carries {
            self.carry();
        }
        while self.range < RANGE_MIN {
            self.out.push((self.low >> 24) as u8);
            self.low <<= 8;
            self.range <<= 8;
        }
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
        let end = u64::from(self.low) + u64::from(self.range);
        for bytes in 0..=4 {
            let free = (1u64 << (32 - 8 * bytes)) - 1;
            let value = (u64::from(self.low) + free) & !free;
            if value < end {
                if value > u64::from(u32::MAX) {
                    self.carry();
                }
                self.out.extend_from_slice(&(value as u32).to_be_bytes()[..bytes]);
                break;
            }
        }
        while self.out.len() > self.start && self.out.last() == Some(&0) {
            self.out.pop();
        }
    }
}

/// Takes from bytes.
#[derive(Debug)]
pub(super) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    next: usize,
    /// The bytes taken, less the low end of the range.
    offset: u32,
    range: u32,
}

impl<'a> RangeDecoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { bytes, next: 0, offset: 0, range: u32::MAX };
        for _ in 0..4 {
            decoder.offset = decoder.offset << 8 | decoder.byte();
        }
        decoder
    }

    #[inline]
    pub(super) fn number(&mut self, table: &Table) -> i32 {
        let unit = self.range >> TOTAL_BITS;
        let index = table.find(self.offset / unit);
        let (start, size) = table.share(index);
        self.narrow(unit, start, size);
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
        let yes = self.offset >= unit * no;
        if yes {
            self.narrow(unit, no, odds.into());
        } else {
            self.narrow(unit, 0, no);
        }
        yes
    }

    #[inline]
    pub(super) fn raw(&mut self, count: u32) -> u32 {
        let unit = self.range >> count;
        let value = (self.offset / unit).min((1 << count) - 1);
        self.narrow(unit, value, 1);
        value
    }

    pub(super) fn raw_long(&mut self, count: u32) -> u32 {
        let low = count.min(RAW_BITS_MAX);
        let value = self.raw(low);
        if count > low { value | self.raw(count - low) << low } else { value }
    }

    /// Whether the bytes are all used, and end where an encoder would have ended them.
    pub(super) fn is_finished(&self) -> bool {
        self.next >= self.bytes.len() && self.bytes.last() != Some(&0)
    }

    #[inline]
    fn narrow(&mut self, unit: u32, start: u32, size: u32) {
        self.offset -= unit * start;
        self.range = unit * size;
        while self.range < RANGE_MIN {
            self.offset = self.offset << 8 | self.byte();
            self.range <<= 8;
        }
    }

    #[inline]
    fn byte(&mut self) -> u32 {
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
