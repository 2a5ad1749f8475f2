//! Controls for the codec: the size of the same rows in other encodings.

use std::io;

use tickwire_shared::{
    rows::{Row, Rows},
    schema::Schema,
    wire,
};

/// The total size in each encoding, in bytes or bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Controls {
    /// Bytes of the id, kind and integers of each changed row in bincode.
    pub bincode_rows: u64,
    /// Bytes of each changed row as a struct of a 32-bit id and a 32-bit float for each field.
    pub bincode_f32: u64,
    /// Bits of plain bit packing against the baseline.
    pub bitpack_bits: u64,
    /// Bytes of a snapshot's bincode rows, compressed by zstd at level 3.
    pub zstd: u64,
}

impl Controls {
    /// Adds one snapshot in each encoding.
    pub fn add(&mut self, schema: &Schema, baseline: &Rows, rows: &Rows) -> io::Result<()> {
        let mut bincode = Vec::new();
        let mut left = baseline.len() as u64;
        for row in rows.iter() {
            let before = baseline.find(row.id).filter(|before| before.kind == row.kind);
            left -= u64::from(before.is_some());
            self.bitpack_bits += bitpack(schema, before, row);
            if before == Some(row) {
                continue;
            }
            wire::write_value(&(row.id, row.kind, row.values), &mut bincode);
            // bincode has no overhead for floats and fixed-width ids.
            self.bincode_f32 += 4 + 4 * row.values.len() as u64;
        }
        self.bitpack_bits += 1 + 16 * left;
        self.bincode_rows += bincode.len() as u64;
        self.zstd += zstd::bulk::compress(&bincode, 3)?.len() as u64;
        Ok(())
    }
}

/// The size of a row in plain bit packing: a bit for whether the row changed; for each field a bit
/// for whether it did, then a sign and four bits for a small difference, or the value in the bits
/// of its range. A new row has its id and all values.
fn bitpack(schema: &Schema, before: Option<Row<'_>>, row: Row<'_>) -> u64 {
    let fields = &schema.kinds[usize::from(row.kind)].fields;
    let width = |i: usize| {
        u64::from(32 - fields[i].max.wrapping_sub(fields[i].min).cast_unsigned().leading_zeros())
    };
    let Some(before) = before else {
        return 40 + (0..fields.len()).map(width).sum::<u64>();
    };
    if before == row {
        return 1;
    }
    let field = |i: usize| match i64::from(row.values[i]) - i64::from(before.values[i]) {
        0 => 1,
        -16..=15 if width(i) > 5 => 7,
        _ => 2 + width(i),
    };
    1 + (0..fields.len()).map(field).sum::<u64>()
}
