//! Packs integers of known ranges: inputs, and the values that only a seat's owner receives.
//!
//! Each value takes the fewest bits that its range needs, least significant bit first, in the
//! schema's order; the last byte is padded with zeros. Each list has exactly one valid encoding.

use crate::schema::Integer;

/// The bytes are not a valid list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a list of integers within their ranges")]
pub struct NotInRange;

/// The first value that is not within its range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{} is {value}, outside {} to {}", integer.name, integer.min, integer.max)]
pub struct OutOfRange<'a> {
    /// The integer that it is a value of.
    pub integer: &'a Integer,
    /// The value.
    pub value: i32,
}

/// The packed size of a list, in bytes.
#[must_use]
pub fn packed_bytes(integers: &[Integer]) -> usize {
    integers.iter().map(|integer| bits(integer) as usize).sum::<usize>().div_ceil(8)
}

/// Appends `values`, one for each integer. After an error, `out` contains an incomplete list.
pub fn pack<'a>(
    integers: &'a [Integer],
    values: &[i32],
    out: &mut Vec<u8>,
) -> Result<(), OutOfRange<'a>> {
    assert_eq!(integers.len(), values.len(), "one value for each integer");
    let (mut pending, mut pending_bits) = (0_u64, 0);
    for (integer, &value) in integers.iter().zip(values) {
        if !integer.holds(value) {
            return Err(OutOfRange { integer, value });
        }
        pending |= u64::from(value.abs_diff(integer.min)) << pending_bits;
        pending_bits += bits(integer);
        while pending_bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            pending_bits -= 8;
        }
    }
    if pending_bits > 0 {
        out.push(pending as u8);
    }
    Ok(())
}

/// Reads a list from the start of `bytes` into `values`, and returns the bytes after it.
pub fn unpack<'a>(
    integers: &[Integer],
    bytes: &'a [u8],
    values: &mut [i32],
) -> Result<&'a [u8], NotInRange> {
    let (mut rest, mut pending, mut pending_bits) = (bytes, 0_u64, 0);
    for (integer, value) in integers.iter().zip(values) {
        let width = bits(integer);
        while pending_bits < width {
            let (&byte, after) = rest.split_first().ok_or(NotInRange)?;
            pending |= u64::from(byte) << pending_bits;
            pending_bits += 8;
            rest = after;
        }
        let steps = (pending & ((1 << width) - 1)) as u32;
        pending >>= width;
        pending_bits -= width;
        if steps > integer.max.abs_diff(integer.min) {
            return Err(NotInRange);
        }
        *value = integer.min.wrapping_add_unsigned(steps);
    }
    if pending != 0 { Err(NotInRange) } else { Ok(rest) }
}

/// Bits that a range needs.
fn bits(integer: &Integer) -> u32 {
    u32::BITS - integer.max.abs_diff(integer.min).leading_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_takes_the_fewest_bits() {
        let integers = [integer(-127, 127), integer(0, 1), integer(5, 5), integer(0, 1023)];
        let mut bytes = Vec::new();
        pack(&integers, &[-127, 1, 5, 1023], &mut bytes).unwrap();
        assert_eq!(bytes, [0b0000_0000, 0b1111_1111, 0b0000_0111]);
    }

    #[test]
    fn values_out_of_range_are_rejected() {
        let mut values = [0; 1];
        assert_eq!(unpack(&[integer(0, 2)], &[3], &mut values), Err(NotInRange));
        assert_eq!(unpack(&[integer(0, 2)], &[4], &mut values), Err(NotInRange));
        assert_eq!(unpack(&[integer(0, 2)], &[], &mut values), Err(NotInRange));
        assert_eq!(unpack(&[integer(0, 2)], &[2, 9], &mut values), Ok(&[9][..]));
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(list in prop::collection::vec(any::<(i32, i32, i32)>(), 0..9)) {
            let ordered = |(a, b, c): (i32, i32, i32)| {
                let mut three = [a, b, c];
                three.sort_unstable();
                three
            };
            let list: Vec<_> = list.into_iter().map(ordered).collect();
            let integers: Vec<_> = list.iter().map(|&[min, _, max]| integer(min, max)).collect();
            let values: Vec<_> = list.iter().map(|&[_, value, _]| value).collect();
            let mut bytes = Vec::new();
            pack(&integers, &values, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), packed_bytes(&integers));
            let mut read = vec![0; values.len()];
            prop_assert_eq!(unpack(&integers, &bytes, &mut read), Ok(&[][..]));
            prop_assert_eq!(read, values);
        }
    }

    fn integer(min: i32, max: i32) -> Integer {
        Integer { name: String::from("n"), min, max }
    }
}
