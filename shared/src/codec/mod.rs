//! Snapshot bodies: rows of one tick, told as their difference from rows that both ends have.
//!
//! Both ends hold the schema, the tick rate, the *basis* (see [`Encoder::encode`]) and the model;
//! a body decodes from these and its own bytes alone. The link layer sees to it that both ends
//! agree on them: the basis is made of the snapshots that a session has been sent, in order, and
//! a new model travels as a message of its own before the first body that needs it.
//!
//! Not here: which snapshots a session has, the header with the tick, and the digest.

mod bits;
mod structure;

use crate::{ids::Tick, rows::Rows, schema::Schema, time::TickRate};
use bits::{BitReader, BitWriter};
use structure::Structure;

/// Snapshots that a basis may have; more are ignored.
pub const BASIS_MAX: usize = 3;
/// Entities that a snapshot may have: a bound on what a hostile body can make a client reserve.
pub const ENTITIES_MAX: usize = 4096;
/// Bytes that a model may have.
pub const MODEL_BYTES_MAX: usize = 4096;

/// Why a body or a model was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end before the snapshot does.
    #[error("the snapshot body ends too early")]
    Truncated,
    /// More bytes follow the end of the snapshot.
    #[error("bytes follow the end of the snapshot body")]
    TrailingBytes,
    /// More than [`ENTITIES_MAX`] entities.
    #[error("a snapshot has at most {ENTITIES_MAX} entities")]
    TooManyEntities,
    /// An id or a position is out of order, or beyond the last.
    #[error("spawns or despawns are out of order or beyond the last entity")]
    BadStructure,
    /// The schema has no such kind.
    #[error("the schema has no kind {0}")]
    UnknownKind(u8),
    /// A value is outside its field's range.
    #[error("a value is outside its field's range")]
    OutOfRange,
    /// The model is not one that an encoder makes.
    #[error("the model is malformed")]
    BadModel,
}

/// Makes the bodies of one match.
#[derive(Debug)]
pub struct Encoder {
    schema: Schema,
    structure: Structure,
}

impl Encoder {
    /// An encoder for a match with this schema.
    #[must_use]
    pub fn new(schema: &Schema, _rate: TickRate) -> Self {
        Self { schema: schema.clone(), structure: Structure::default() }
    }

    /// Appends to `out` the body from which [`Decoder::decode`] makes `rows` of `tick`.
    ///
    /// `basis` is what both ends have: the baseline, then snapshots that were sent before it,
    /// newest first. Without any, the body is a full snapshot.
    ///
    /// # Panics
    /// When rows have more than [`ENTITIES_MAX`] entities, or do not fit the schema.
    pub fn encode(&mut self, basis: &[(Tick, &Rows)], _tick: Tick, rows: &Rows, out: &mut Vec<u8>) {
        assert!(rows.len() <= ENTITIES_MAX, "at most {ENTITIES_MAX} entities");
        let none = Rows::default();
        let baseline = basis.first().map_or(&none, |&(_, rows)| rows);
        let mut bits = BitWriter::new(out);
        self.structure.compare(baseline, rows);
        self.structure.write(&mut bits);
        for (entry, row) in self.structure.entries(baseline).zip(rows.iter()) {
            let fields = &self.schema.kinds[usize::from(row.kind)].fields;
            assert_eq!(fields.len(), row.values.len(), "a row has a value for each field");
            let before = entry.before.map(|index| baseline.row(index).values);
            if let Some(before) = before {
                bits.put(u32::from(before != row.values), 1);
                if before == row.values {
                    continue;
                }
            }
            for (i, field) in fields.iter().enumerate() {
                let value = row.values[i];
                assert!((field.min..=field.max).contains(&value), "{} is {value}", field.name);
                match before {
                    Some(before) => bits.put_delta(before[i], value, field.min, field.max),
                    None => bits.put_ranged(value, field.min, field.max),
                }
            }
        }
        bits.finish();
    }

    /// A new model, if the encoder has changed to one: every decoder must have it before the
    /// next body. To be called before the first encoding of each tick.
    pub fn poll_model(&mut self) -> Option<&[u8]> {
        None
    }

    /// The model in use, for a decoder that comes later. Empty: the one that a decoder starts with.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &[]
    }
}

/// Reads the bodies that one [`Encoder`] makes.
#[derive(Debug)]
pub struct Decoder {
    schema: Schema,
    structure: Structure,
    values: Vec<i32>,
}

impl Decoder {
    /// A decoder for a match with this schema, which must be valid.
    #[must_use]
    pub fn new(schema: &Schema, _rate: TickRate) -> Self {
        Self { schema: schema.clone(), structure: Structure::default(), values: Vec::new() }
    }

    /// Takes a model that an encoder has made; it is used for all bodies that follow.
    pub fn set_model(&mut self, model: &[u8]) -> Result<(), CodecError> {
        if model.is_empty() { Ok(()) } else { Err(CodecError::BadModel) }
    }

    /// Replaces `rows` by those of `tick`. With an error, `rows` are of no use.
    ///
    /// `basis` must be what the body was encoded with.
    pub fn decode(
        &mut self,
        basis: &[(Tick, &Rows)],
        _tick: Tick,
        body: &[u8],
        rows: &mut Rows,
    ) -> Result<(), CodecError> {
        let none = Rows::default();
        let baseline = basis.first().map_or(&none, |&(_, rows)| rows);
        let mut bits = BitReader::new(body);
        rows.clear();
        self.structure.read(&mut bits, baseline)?;
        let Self { schema, structure, values } = self;
        for entry in structure.entries(baseline) {
            let kind = schema.kinds.get(usize::from(entry.kind));
            let kind = kind.ok_or(CodecError::UnknownKind(entry.kind))?;
            if rows.len() == ENTITIES_MAX {
                return Err(CodecError::TooManyEntities);
            }
            values.clear();
            let before = entry.before.map(|index| baseline.row(index).values);
            if let Some(before) = before
                && bits.take(1)? == 0
            {
                rows.push(entry.id, entry.kind, before);
                continue;
            }
            for (i, field) in kind.fields.iter().enumerate() {
                values.push(match before {
                    Some(before) => bits.take_delta(before[i], field.min, field.max)?,
                    None => bits.take_ranged(field.min, field.max)?,
                });
            }
            rows.push(entry.id, entry.kind, values);
        }
        bits.finish()
    }
}

#[cfg(test)]
mod tests;
