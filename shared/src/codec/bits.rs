//! Plain bit packing, least significant bit first.

use super::CodecError;

/// Appends bits to bytes.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// The `count` low bits of `value`, which has no higher ones.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A number that is usually small: Exp-Golomb.
    pub(super) fn put_number(&mut self, value: u32) {
        let length = (u64::from(value) + 1).ilog2();
        self.put(((1u64 << length) - 1) as u32, length);
        self.put(0, 1);
        self.put((u64::from(value) + 1 - (1 << length)) as u32, length);
    }

    /// A value within a range.
    pub(super) fn put_ranged(&mut self, value: i32, min: i32, max: i32) {
        self.put(value.wrapping_sub(min).cast_unsigned(), width(min, max));
    }

    /// A value within a range that is often equal or near to `before`.
    pub(super) fn put_delta(&mut self, before: i32, value: i32, min: i32, max: i32) {
        self.put(u32::from(before != value), 1);
        if before == value {
            return;
        }
        let delta = i64::from(value) - i64::from(before);
        let small = (-16..16).contains(&delta) && width(min, max) > 5;
        self.put(u32::from(small), 1);
        if small { self.put((delta + 16) as u32, 5) } else { self.put_ranged(value, min, max) }
    }

    pub(super) fn finish(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

/// Takes bits from bytes.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    pub(super) fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        while self.count < count {
            let (&byte, rest) = self.bytes.split_first().ok_or(CodecError::Truncated)?;
            self.held |= u64::from(byte) << self.count;
            self.count += 8;
            self.bytes = rest;
        }
        let value = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Ok(value as u32)
    }

    pub(super) fn take_number(&mut self) -> Result<u32, CodecError> {
        let mut length = 0;
        while self.take(1)? == 1 {
            length += 1;
            if length > 31 {
                return Err(CodecError::BadStructure);
            }
        }
        Ok((1 << length) - 1 + self.take(length)?)
    }

    pub(super) fn take_ranged(&mut self, min: i32, max: i32) -> Result<i32, CodecError> {
        let above = self.take(width(min, max))?;
        let value = i64::from(min) + i64::from(above);
        i32::try_from(value).ok().filter(|value| *value <= max).ok_or(CodecError::OutOfRange)
    }

    pub(super) fn take_delta(
        &mut self,
        before: i32,
        min: i32,
        max: i32,
    ) -> Result<i32, CodecError> {
        if self.take(1)? == 0 {
            return Ok(before);
        }
        if self.take(1)? == 0 {
            return self.take_ranged(min, max);
        }
        let value = i64::from(before) + i64::from(self.take(5)?) - 16;
        let value = i32::try_from(value).map_err(|_| CodecError::OutOfRange)?;
        if (min..=max).contains(&value) { Ok(value) } else { Err(CodecError::OutOfRange) }
    }

    pub(super) fn finish(self) -> Result<(), CodecError> {
        if self.bytes.is_empty() && self.held == 0 {
            Ok(())
        } else {
            Err(CodecError::TrailingBytes)
        }
    }
}

/// Bits that a value within a range needs.
fn width(min: i32, max: i32) -> u32 {
    32 - max.wrapping_sub(min).cast_unsigned().leading_zeros()
}
