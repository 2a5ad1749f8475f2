//! A range coder with 15-bit ranges. With so small a range it needs no division, and a decoder can
//! compare with all shares of a table at once. The coder of AV1 and Daala is of this kind:
//! Terriberry, "Multiplier-free multisymbol entropy coding", 2015; Valin et al., "Daala: a
//! perceptually-driven still picture codec", 2016.
//!
//! Raw bits, which are as likely 0 as 1, bypass the range coder: they are written backwards from
//! the end of the body. The two parts meet in the middle, and may share a byte.
//!
//! A decoder reads missing bytes as zeros, so without raw bits, zero bytes at the end are left out.
//! The body of a snapshot in which nothing changed is empty.

use super::table::{LONG, Meaning, Symbol, TOTAL, TOTAL_BITS, Table};

/// The first range is 2 to this. Later ranges are at least half of that, and smaller than it, so
/// that no share of a range is empty.
const RANGE_BITS: u32 = 15;
const RANGE_MAX: u32 = 1 << RANGE_BITS;

/// Encodes numbers and bits into a body. It keeps its memory for the next body.
#[derive(Debug)]
pub(super) struct RangeEncoder {
    bytes: Vec<u8>,
    /// A carry bit, then `pending_bits` that are not in `bytes` yet, then the 15 bits of the low
    /// end of the range.
    low: u64,
    pending_bits: u32,
    range: u32,
    raw: RawBits,
}

/// Raw bits, the first in the lowest bit of the body's last byte.
#[derive(Debug, Default)]
struct RawBits {
    /// In reverse: the body's last byte first.
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl RangeEncoder {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            low: 0,
            pending_bits: 0,
            range: RANGE_MAX,
            raw: RawBits::default(),
        }
    }

    /// Encodes a residual.
    #[inline(always)]
    pub(super) fn number(&mut self, table: &Table, symbol: Symbol) {
        let [start, end] = bounds(self.range, table, symbol.index());
        self.narrow(start, end);
        self.raw(symbol.extra(), symbol.extra_bits());
    }

    /// Encodes a residual that is too large for a bucket.
    #[cold]
    pub(super) fn long(&mut self, table: &Table, residual: i32) {
        self.narrow(bound(self.range, table.start(LONG)), self.range);
        let magnitude = residual.unsigned_abs();
        let bits = magnitude.ilog2();
        self.raw(bits, 5);
        self.raw(u32::from(residual < 0), 1);
        self.raw(magnitude - (1 << bits), bits);
    }

    /// Encodes a yes or no; yes has the likelihood `odds` in 2^14.
    #[inline(always)]
    pub(super) fn bit(&mut self, odds: u16, yes: bool) {
        let no = (self.range * (TOTAL - u32::from(odds))) >> TOTAL_BITS;
        let (start, end) = if yes { (no, self.range) } else { (0, no) };
        self.narrow(start, end);
    }

    /// Writes `count` raw bits; `value` must have no higher ones.
    #[inline(always)]
    pub(super) fn raw(&mut self, value: u32, count: u32) {
        self.raw.put(value, count);
    }

    #[inline(always)]
    fn narrow(&mut self, start: u32, end: u32) {
        let range = end - start;
        let shift = shift_of(range);
        self.low = (self.low + u64::from(start)) << shift;
        self.range = range << shift;
        self.pending_bits += shift;
        if self.pending_bits >= FLUSHED_BITS {
            self.flush();
        }
    }

    /// Moves the oldest bits to `bytes`.
    #[inline(never)]
    fn flush(&mut self) {
        self.pending_bits -= FLUSHED_BITS;
        let shift = RANGE_BITS + self.pending_bits;
        let bits = self.low >> shift;
        self.low &= (1 << shift) - 1;
        if bits >> FLUSHED_BITS == 1 {
            self.carry();
        }
        self.bytes.extend_from_slice(&(bits as u32).to_be_bytes());
    }

    #[cold]
    fn carry(&mut self) {
        for byte in self.bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }

    /// Appends the body to `out`, and starts a new one.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let has_raw = self.raw.pending_bits > 0 || !self.raw.bytes.is_empty();
        // The fewest bits that identify the last range, whatever bits follow; or if zeros follow,
        // when there are no raw bits.
        let (first, last) = (self.low, self.low + u64::from(self.range) - 1);
        let code = |free: u32| ((first + ((1 << free) - 1)) >> free) << free;
        let beyond = |free: u32| code(free) + if has_raw { (1 << free) - 1 } else { 0 };
        let free = (0..=RANGE_BITS).rev().find(|&free| beyond(free) <= last);
        let free = free.expect("with all its bits, `first` is within the range");
        let value = code(free);
        if value >> (RANGE_BITS + self.pending_bits) == 1 {
            self.carry();
        }
        let bits = RANGE_BITS + self.pending_bits - free;
        let tail = (value << (64 - RANGE_BITS - self.pending_bits)).to_be_bytes();
        self.bytes.extend_from_slice(&tail[..bits.div_ceil(8) as usize]);
        if has_raw {
            self.raw.finish(&mut self.bytes, bits.next_multiple_of(8) - bits);
        } else {
            while self.bytes.last() == Some(&0) {
                self.bytes.pop();
            }
        }
        out.extend_from_slice(&self.bytes);
        self.bytes.clear();
        (self.low, self.pending_bits, self.range) = (0, 0, RANGE_MAX);
    }
}

impl RawBits {
    #[inline(always)]
    fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count < 32 && value >> count == 0 || count == 32);
        self.pending |= u64::from(value) << self.pending_bits;
        self.pending_bits += count;
        if self.pending_bits >= 32 {
            self.flush();
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
        self.pending >>= 32;
        self.pending_bits -= 32;
    }

    /// Appends the raw bits to `out`, whose last byte has `spare` unused bits.
    fn finish(&mut self, out: &mut Vec<u8>, spare: u32) {
        let pending = self.pending.to_le_bytes();
        self.bytes.extend_from_slice(&pending[..self.pending_bits.div_ceil(8) as usize]);
        if (1..=spare).contains(&((self.pending_bits + 7) % 8 + 1))
            && let (Some(shared), Some(bits)) = (out.last_mut(), self.bytes.last())
        {
            *shared |= bits;
            self.bytes.pop();
        }
        out.extend(self.bytes.drain(..).rev());
        (self.pending, self.pending_bits) = (0, 0);
    }
}

/// Number of bits that are moved to the bytes at a time.
const FLUSHED_BITS: u32 = 32;

/// The part of a range that `share` is of 2^16.
#[inline(always)]
fn bound(range: u32, share: u32) -> u32 {
    (range * share) >> 16
}

/// Where a symbol's share of a range starts and ends. Not for the last symbol, whose share ends
/// where the range does.
#[inline(always)]
fn bounds(range: u32, table: &Table, symbol: usize) -> [u32; 2] {
    [symbol, symbol + 1].map(|symbol| bound(range, table.start(symbol)))
}

/// By how many bits a range must be shifted to be large enough again.
#[inline(always)]
fn shift_of(range: u32) -> u32 {
    // The logarithm is at most `RANGE_BITS`, whose bits are all ones: this subtracts it.
    RANGE_BITS ^ (2 * range + 1).ilog2()
}

/// Decodes numbers and bits from a body.
#[derive(Debug)]
pub(super) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    next: usize,
    /// In the 15 highest bits, the offset: the body's value less the low end of the range. Then the
    /// next `ahead_bits` bits of the body.
    window: u64,
    ahead_bits: u32,
    range: u32,
    /// Raw bits that were read ahead from `bytes`.
    raw: u64,
    raw_bits: u32,
    /// How many bytes, from the end, raw bits were read from.
    raw_next: usize,
}

impl<'a> RangeDecoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self {
            bytes,
            next: 0,
            window: 0,
            ahead_bits: 0,
            range: RANGE_MAX,
            raw: 0,
            raw_bits: 0,
            raw_next: 0,
        };
        decoder.window = u64::from(decoder.four_bytes()) << 32;
        decoder.ahead_bits = 32 - RANGE_BITS;
        decoder
    }

    #[inline(always)]
    pub(super) fn number(&mut self, table: &Table) -> i32 {
        // Most numbers are 0, for which no search is needed.
        let first = bound(self.range, table.start(1));
        if self.offset() < first {
            self.narrow(0, first);
            return 0;
        }
        let index = table.find(self.range, self.offset());
        if index == LONG {
            return self.long(table);
        }
        let [start, end] = bounds(self.range, table, index);
        self.narrow(start, end);
        let meaning = Meaning::of(index);
        let extra = self.raw(meaning.extra_bits.into());
        meaning.residual(extra)
    }

    #[cold]
    fn long(&mut self, table: &Table) -> i32 {
        self.narrow(bound(self.range, table.start(LONG)), self.range);
        let bits = self.raw(5);
        let negative = self.raw(1) == 1;
        Symbol::long(negative, bits, self.raw(bits))
    }

    #[inline(always)]
    pub(super) fn bit(&mut self, odds: u16) -> bool {
        let no = (self.range * (TOTAL - u32::from(odds))) >> TOTAL_BITS;
        let yes = self.offset() >= no;
        let (start, end) = if yes { (no, self.range) } else { (0, no) };
        self.narrow(start, end);
        yes
    }

    /// Reads `count` raw bits, up to 32.
    #[inline(always)]
    pub(super) fn raw(&mut self, count: u32) -> u32 {
        if self.raw_bits < count {
            self.look_back();
        }
        let value = self.raw & ((1 << count) - 1);
        self.raw >>= count;
        self.raw_bits -= count;
        value as u32
    }

    /// Whether the body has no superfluous bytes, and no fewer than its raw bits.
    pub(super) fn is_finished(&self) -> bool {
        // The bits that moved through the window, and 2 that identify the last range.
        let ranged = 8 * self.next - (self.ahead_bits + RANGE_BITS) as usize + 2;
        let raw = 8 * self.raw_next - self.raw_bits as usize;
        let is_used = self.bytes.len() <= (ranged + raw).div_ceil(8);
        is_used && (raw > 0 || self.bytes.last() != Some(&0)) && raw <= 8 * self.bytes.len()
    }

    #[inline(always)]
    fn offset(&self) -> u32 {
        (self.window >> (64 - RANGE_BITS)) as u32
    }

    #[inline(always)]
    fn narrow(&mut self, start: u32, end: u32) {
        let range = end - start;
        let shift = shift_of(range);
        self.window = (self.window - (u64::from(start) << (64 - RANGE_BITS))) << shift;
        self.range = range << shift;
        self.ahead_bits -= shift;
        if self.ahead_bits < RANGE_BITS {
            self.look_ahead();
        }
    }

    #[inline(never)]
    fn look_ahead(&mut self) {
        let bits = u64::from(self.four_bytes());
        self.window |= bits << (32 - RANGE_BITS - self.ahead_bits);
        self.ahead_bits += 32;
    }

    #[inline(never)]
    fn look_back(&mut self) {
        let end = self.bytes.len().saturating_sub(self.raw_next);
        let bytes = &self.bytes[end.saturating_sub(4)..end];
        let bits = bytes.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
        // Bytes before the body's first count as zeros.
        self.raw |= bits << self.raw_bits;
        self.raw_bits += 32;
        self.raw_next += 4;
    }

    fn four_bytes(&mut self) -> u32 {
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        self.next += 4;
        match rest.first_chunk() {
            Some(bytes) => u32::from_be_bytes(*bytes),
            None => {
                let mut bytes = [0; 4];
                bytes[..rest.len()].copy_from_slice(rest);
                u32::from_be_bytes(bytes)
            }
        }
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
        fn encoded_items_are_decoded(items in collection::vec(item(), 0..50)) {
            let family = Family::shared();
            let mut bytes = vec![7];
            let mut encoder = RangeEncoder::new();
            for item in &items {
                match *item {
                    Item::Number(table, number) => {
                        let table = family.table(table as u8, 0);
                        match Symbol::of(number) {
                            Some(symbol) => encoder.number(table, symbol),
                            None => encoder.long(table, number),
                        }
                    }
                    Item::Bit(odds, yes) => encoder.bit(odds, yes),
                    Item::Raw(value, count) => encoder.raw(value, count),
                }
            }
            encoder.finish(&mut bytes);
            prop_assert_eq!(bytes[0], 7);
            let mut decoder = RangeDecoder::new(&bytes[1..]);
            for item in &items {
                match *item {
                    Item::Number(table, number) => {
                        prop_assert_eq!(decoder.number(family.table(table as u8, 0)), number);
                    }
                    Item::Bit(odds, yes) => prop_assert_eq!(decoder.bit(odds), yes),
                    Item::Raw(value, count) => prop_assert_eq!(decoder.raw(count), value),
                }
            }
            prop_assert!(decoder.is_finished());
            // The same encoder, another body, which is empty.
            let length = bytes.len();
            encoder.finish(&mut bytes);
            prop_assert_eq!(bytes.len(), length);
        }
    }

    fn item() -> impl Strategy<Value = Item> {
        let number = prop_oneof![-9i32..10, -5000i32..5000, any::<i32>(), Just(i32::MIN)];
        prop_oneof![
            4 => (0..Family::LEN, number).prop_map(|(table, number)| Item::Number(table, number)),
            2 => (1u16..TOTAL as u16, any::<bool>()).prop_map(|(odds, yes)| Item::Bit(odds, yes)),
            1 => (any::<u32>(), 1u32..=32).prop_map(|(value, n)| Item::Raw(value >> (32 - n), n)),
        ]
    }
}
