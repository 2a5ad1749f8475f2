//! The state of a match at one tick, as integers: one row for each entity.
//!
//! Invariants
//! - Rows are sorted by entity id, without repeats.
//! - A row's values are those of its kind's fields, in the schema's order.
//!
//! Rows know no schema, so that they can be compared, copied and digested as plain integers.

use std::ops::Range;

use crate::ids::EntityId;

/// Rows of all entities of a match at one tick. Clearing them keeps their memory for reuse.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rows {
    ids: Vec<u32>,
    kinds: Vec<u8>,
    /// Index in `values` at which each row ends, and the next one begins.
    ends: Vec<u32>,
    values: Vec<i32>,
}

/// One entity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row<'a> {
    /// Which entity.
    pub id: EntityId,
    /// Index of its kind in the schema.
    pub kind: u8,
    /// One integer for each field of the kind.
    pub values: &'a [i32],
}

impl Rows {
    /// Removes all rows, but keeps the memory allocated for them.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.kinds.clear();
        self.ends.clear();
        self.values.clear();
    }

    /// Makes sure that there is capacity for this many entities and integers; if there is not,
    /// reserves half as much again. The rows must be empty.
    pub(crate) fn make_room(&mut self, entities: usize, integers: usize) {
        if self.ids.capacity() < entities || self.values.capacity() < integers {
            let (entities, integers) = (entities * 3 / 2, integers * 3 / 2);
            self.ids.reserve(entities);
            self.kinds.reserve(entities);
            self.ends.reserve(entities);
            self.values.reserve(integers);
        }
    }

    /// Makes these rows equal to `other`, reusing their memory.
    pub fn copy_from(&mut self, other: &Self) {
        self.ids.clone_from(&other.ids);
        self.kinds.clone_from(&other.kinds);
        self.ends.clone_from(&other.ends);
        self.values.clone_from(&other.values);
    }

    /// Appends the row of an entity. Its id must be larger than that of every row before it.
    ///
    /// # Panics
    /// When the id is not larger: a game that writes rows out of order has a bug.
    #[inline]
    pub fn push(&mut self, id: EntityId, kind: u8, values: &[i32]) {
        if let Some(&last) = self.ids.last() {
            assert!(
                last < id.0,
                "rows must be written in order of id, and {} is after {last}",
                id.0
            );
        }
        self.values.extend_from_slice(values);
        self.ids.push(id.0);
        self.kinds.push(kind);
        self.ends.push(self.values.len() as u32);
    }

    /// Appends a range of `other`'s rows, whose ids must be larger than those of all rows here.
    pub(crate) fn extend_from(&mut self, other: &Self, rows: Range<usize>) {
        let values = other.place(rows.start).start..other.place(rows.end - 1).end;
        let shift = (self.values.len() as u32).wrapping_sub(values.start as u32);
        self.ends.extend(other.ends[rows.clone()].iter().map(|end| end.wrapping_add(shift)));
        self.values.extend_from_slice(&other.values[values]);
        self.ids.extend_from_slice(&other.ids[rows.clone()]);
        self.kinds.extend_from_slice(&other.kinds[rows]);
    }

    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no entity.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The integers of all rows, one row after the other.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// The integers of all rows, one row after the other, to be changed in place.
    #[must_use]
    pub fn values_mut(&mut self) -> &mut [i32] {
        &mut self.values
    }

    /// Index in [`Self::values`] at which each row ends, and the next one begins.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The kind of each entity.
    pub(crate) fn kinds(&self) -> &[u8] {
        &self.kinds
    }

    /// Index in [`Self::values`] at which each row begins.
    pub(crate) fn starts(&self) -> impl Iterator<Item = u32> {
        std::iter::once(0).chain(self.ends.iter().copied()).take(self.len())
    }

    /// The range in [`Self::values`] of the row at `index`, counted in order of id.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    #[inline]
    pub fn place(&self, index: usize) -> Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[index] as usize
    }

    /// The row at `index`, counted in order of id.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    #[inline]
    pub fn row(&self, index: usize) -> Row<'_> {
        let (id, kind) = self.entity(index);
        Row { id, kind, values: &self.values[self.place(index)] }
    }

    /// The id and kind of the row at `index`.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    #[inline]
    pub fn entity(&self, index: usize) -> (EntityId, u8) {
        (EntityId(self.ids[index]), self.kinds[index])
    }

    /// Whether `other` has the same entities, of the same kinds.
    #[must_use]
    pub fn has_entities_of(&self, other: &Self) -> bool {
        self.ids == other.ids && self.kinds == other.kinds
    }

    /// The row of an entity, if it exists.
    #[must_use]
    pub fn find(&self, id: EntityId) -> Option<Row<'_>> {
        self.position(id).map(|index| self.row(index))
    }

    /// The index of an entity's row, if it exists.
    #[must_use]
    pub fn position(&self, id: EntityId) -> Option<usize> {
        self.ids.binary_search(&id.0).ok()
    }

    /// The index at which an entity's row is, or would be inserted.
    pub(crate) fn place_for(&self, id: EntityId) -> usize {
        self.ids.partition_point(|&other| other < id.0)
    }

    /// All rows, in order of id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// A checksum over ids, kinds and values, the same in every language (see `PROTOCOL.md`).
    #[must_use]
    pub fn digest(&self) -> u32 {
        // Does not start from 0: mixing zeros into 0 would leave it at 0.
        let mut digest = mix(0x811C_9DC5, self.ids.len() as u32);
        for row in self.iter() {
            digest = mix(digest, row.id.0);
            digest = mix(digest, u32::from(row.kind));
            for &value in row.values {
                digest = mix(digest, value.cast_unsigned());
            }
        }
        digest
    }
}

/// One round of a multiply-xorshift hash on 32-bit words, which JavaScript can do with `Math.imul`.
const fn mix(digest: u32, word: u32) -> u32 {
    let digest = (digest ^ word).wrapping_mul(0x9E37_79B1);
    digest ^ (digest >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let mut rows = Rows::default();
        rows.push(EntityId(3), 0, &[1, 2, 3]);
        rows.push(EntityId(9), 1, &[]);
        rows.push(EntityId(10), 2, &[-7]);
        assert_eq!(rows.row(0), Row { id: EntityId(3), kind: 0, values: &[1, 2, 3] });
        assert_eq!(rows.find(EntityId(9)), Some(Row { id: EntityId(9), kind: 1, values: &[] }));
        assert_eq!(rows.find(EntityId(10)).map(|row| row.values), Some(&[-7][..]));
        assert_eq!(rows.find(EntityId(4)), None);
    }

    #[test]
    #[should_panic(expected = "rows must be written in order of id, and 3 is after 9")]
    fn rows_out_of_order_are_refused() {
        let mut rows = Rows::default();
        rows.push(EntityId(9), 0, &[]);
        rows.push(EntityId(3), 0, &[]);
    }

    #[test]
    fn the_digest_sees_every_part() {
        let digest = |id, kind, value| {
            let mut rows = Rows::default();
            rows.push(EntityId(id), kind, &[value]);
            rows.digest()
        };
        let all = [digest(1, 0, 0), digest(2, 0, 0), digest(1, 1, 0), digest(1, 0, 1)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{all:?}");
        }
        assert_ne!(Rows::default().digest(), all[0]);
    }
}
