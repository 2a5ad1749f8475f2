//! Which entities a snapshot has, encoded as the difference from the baseline: despawned entities
//! by their position, spawned ones by id and kind. An entity that changes its kind is both.

use std::ops::Range;

use super::{
    CodecError, ENTITIES_MAX,
    plan::Plan,
    range::{RangeDecoder, RangeEncoder},
    table::TOTAL_BITS,
};
use crate::{ids::EntityId, rows::Rows, schema::FIELDS_MAX};

/// The difference between two snapshots' entities. It keeps its memory for the next body.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// Positions in the baseline, ascending.
    despawned: Vec<u32>,
    /// In order of id.
    spawned: Vec<(EntityId, u8)>,
}

/// Neighbouring entities of the new snapshot.
pub(super) enum Stretch {
    /// Entities at these positions in the baseline; at least one.
    Kept(Range<usize>),
    /// One spawned entity.
    Spawned(EntityId, u8),
}

impl Structure {
    /// Finds the entities that despawned or spawned between two snapshots.
    pub(super) fn compare(&mut self, baseline: &Rows, rows: &Rows) {
        self.despawned.clear();
        self.spawned.clear();
        if rows.has_entities_of(baseline) {
            return;
        }
        let (mut old, mut new) = (0, 0);
        while old < baseline.len() || new < rows.len() {
            let before = (old < baseline.len()).then(|| baseline.entity(old));
            let after = (new < rows.len()).then(|| rows.entity(new));
            let is_despawned = before.is_some_and(|before| {
                after.is_none_or(|after| {
                    before.0 < after.0 || before.0 == after.0 && before.1 != after.1
                })
            });
            if is_despawned {
                self.despawned.push(old as u32);
                old += 1;
                continue;
            }
            if let Some(after) = after {
                if before.is_some_and(|before| before.0 == after.0) {
                    old += 1;
                } else {
                    self.spawned.push(after);
                }
                new += 1;
            }
        }
    }

    /// All entities of the new snapshot, in order of id.
    pub(super) fn stretches(&self, baseline: &Rows) -> impl Iterator<Item = Stretch> {
        let (mut old, mut despawned, mut spawned) = (0, &*self.despawned, &*self.spawned);
        std::iter::from_fn(move || {
            while let Some((&position, others)) = despawned.split_first()
                && position as usize == old
            {
                despawned = others;
                old += 1;
            }
            let spawn = spawned.first().map(|&(id, _)| baseline.place_for(id));
            let despawn = despawned.first().map(|&position| position as usize);
            let end = spawn.into_iter().chain(despawn).fold(baseline.len(), usize::min);
            if end > old {
                return Some(Stretch::Kept(std::mem::replace(&mut old, end)..end));
            }
            let (&(id, kind), others) = spawned.split_first()?;
            spawned = others;
            Some(Stretch::Spawned(id, kind))
        })
    }

    /// Replaces `rows` by the new snapshot's entities, with the baseline's values; spawned entities
    /// get zeros.
    pub(super) fn apply(&self, baseline: &Rows, plan: &Plan, rows: &mut Rows) {
        if self.is_quiet() {
            rows.copy_from(baseline);
            return;
        }
        rows.clear();
        for stretch in self.stretches(baseline) {
            match stretch {
                Stretch::Kept(range) => rows.extend_from(baseline, range),
                Stretch::Spawned(id, kind) => {
                    let fields = plan.kinds[usize::from(kind)].fields.len();
                    rows.push(id, kind, &[0; FIELDS_MAX][..fields]);
                }
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.despawned.is_empty() && self.spawned.is_empty()
    }

    /// Writes the difference; if there is none, this costs nearly nothing.
    pub(super) fn write(&self, coder: &mut RangeEncoder, baseline: &Rows, kinds: usize) {
        coder.bit(CHANGED, !self.is_quiet());
        if self.is_quiet() {
            return;
        }
        put_count(coder, self.despawned.len() as u32);
        let mut next = 0;
        for &position in &self.despawned {
            put_count(coder, position - next);
            next = position + 1;
        }
        put_count(coder, self.spawned.len() as u32);
        let beyond = id_beyond(baseline);
        let mut next = match self.spawned.first() {
            Some((id, _)) => {
                coder.raw(u32::from(id.0 >= beyond), 1);
                if id.0 >= beyond { beyond } else { 0 }
            }
            None => return,
        };
        for &(id, kind) in &self.spawned {
            put_count(coder, id.0 - next);
            coder.raw(kind.into(), kind_bits(kinds));
            next = id.0.saturating_add(1);
        }
    }

    /// Reads the difference. The id of a spawned entity must not be in use.
    pub(super) fn read(
        &mut self,
        coder: &mut RangeDecoder<'_>,
        baseline: &Rows,
        kinds: usize,
    ) -> Result<(), CodecError> {
        self.despawned.clear();
        self.spawned.clear();
        if !coder.bit(CHANGED) {
            return Ok(());
        }
        let mut next = 0;
        for _ in 0..take_count(coder)? {
            let position = take_count(coder)?.checked_add(next).ok_or(CodecError::BadStructure)?;
            if position as usize >= baseline.len() {
                return Err(CodecError::BadStructure);
            }
            self.despawned.push(position);
            next = position + 1;
        }
        let spawned = take_count(coder)? as usize;
        if baseline.len() - self.despawned.len() + spawned > ENTITIES_MAX {
            return Err(CodecError::TooManyEntities);
        }
        let mut next = if spawned > 0 && coder.raw(1) == 1 { id_beyond(baseline) } else { 0 };
        for n in 0..spawned {
            next += u32::from(n > 0);
            let id = next.checked_add(take_count(coder)?).ok_or(CodecError::BadStructure)?;
            if id > EntityId::MAX.0 {
                return Err(CodecError::BadStructure);
            }
            let kind = coder.raw(kind_bits(kinds)) as u8;
            if usize::from(kind) >= kinds {
                return Err(CodecError::UnknownKind(kind));
            }
            let kept = baseline.position(EntityId(id)).map(|position| position as u32);
            if kept.is_some_and(|kept| self.despawned.binary_search(&kept).is_err()) {
                return Err(CodecError::BadStructure);
            }
            self.spawned.push((EntityId(id), kind));
            next = id;
        }
        Ok(())
    }
}

/// Likelihood in 2^14 that an entity spawned or despawned.
const CHANGED: u16 = 1 << (TOTAL_BITS - 6);

/// The id after the baseline's last: new entities usually have ids from here on.
fn id_beyond(baseline: &Rows) -> u32 {
    let last = baseline.len().checked_sub(1).map(|last| baseline.row(last).id.0);
    last.map_or(0, |last| last + 1)
}

/// Bits that a kind's index needs.
fn kind_bits(kinds: usize) -> u32 {
    kinds.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

/// Writes a number that is usually small (Exp-Golomb): of the number plus 1, the bit length less 1
/// as ones ended by a zero, then the bits below the highest.
fn put_count(coder: &mut RangeEncoder, count: u32) {
    let count = count + 1;
    let length = count.ilog2();
    for _ in 0..length {
        coder.raw(1, 1);
    }
    coder.raw(0, 1);
    coder.raw(count - (1 << length), length);
}

fn take_count(coder: &mut RangeDecoder<'_>) -> Result<u32, CodecError> {
    let mut length = 0;
    while coder.raw(1) == 1 {
        length += 1;
        if length > 31 {
            return Err(CodecError::BadStructure);
        }
    }
    Ok((1u32 << length) - 1 + coder.raw(length))
}
