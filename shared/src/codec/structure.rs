//! Which entities a snapshot has, told as their difference from the baseline: despawned ones by
//! their position, spawned ones by id and kind. One that changes kind does both.

use super::{
    CodecError, ENTITIES_MAX,
    bits::{BitReader, BitWriter},
};
use crate::{ids::EntityId, rows::Rows};

/// The difference between two snapshots' entities. Reused without giving memory back.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// Positions in the baseline, ascending.
    despawned: Vec<u32>,
    /// In order of id.
    spawned: Vec<(EntityId, u8)>,
}

/// One entity of the new snapshot.
pub(super) struct Entry {
    pub(super) id: EntityId,
    pub(super) kind: u8,
    /// Its position in the baseline, unless it is spawned.
    pub(super) before: Option<usize>,
}

impl Structure {
    /// Finds what despawned and spawned between two snapshots.
    pub(super) fn compare(&mut self, baseline: &Rows, rows: &Rows) {
        self.despawned.clear();
        self.spawned.clear();
        let (mut old, mut new) = (0, 0);
        while old < baseline.len() || new < rows.len() {
            let before = (old < baseline.len()).then(|| baseline.row(old));
            let after = (new < rows.len()).then(|| rows.row(new));
            let despawned = before.filter(|before| {
                after.is_none_or(|after| {
                    before.id < after.id || before.id == after.id && before.kind != after.kind
                })
            });
            if despawned.is_some() {
                self.despawned.push(old as u32);
                old += 1;
                continue;
            }
            if let Some(after) = after {
                if before.is_some_and(|before| before.id == after.id) {
                    old += 1;
                } else {
                    self.spawned.push((after.id, after.kind));
                }
                new += 1;
            }
        }
    }

    /// All entities of the new snapshot, in order of id.
    pub(super) fn entries(&self, baseline: &Rows) -> impl Iterator<Item = Entry> {
        let (mut old, mut spawned, mut despawned) = (0, 0, 0);
        std::iter::from_fn(move || {
            while self.despawned.get(despawned) == Some(&(old as u32)) {
                despawned += 1;
                old += 1;
            }
            let kept = (old < baseline.len()).then(|| baseline.row(old));
            match (kept, self.spawned.get(spawned)) {
                (kept, Some(&(id, kind))) if kept.is_none_or(|kept| id < kept.id) => {
                    spawned += 1;
                    Some(Entry { id, kind, before: None })
                }
                (Some(kept), _) => {
                    old += 1;
                    Some(Entry { id: kept.id, kind: kept.kind, before: Some(old - 1) })
                }
                (None, _) => None,
            }
        })
    }

    pub(super) fn write(&self, bits: &mut BitWriter<'_>) {
        let quiet = self.despawned.is_empty() && self.spawned.is_empty();
        bits.put(u32::from(!quiet), 1);
        if quiet {
            return;
        }
        bits.put_number(self.despawned.len() as u32);
        let mut next = 0;
        for &position in &self.despawned {
            bits.put_number(position - next);
            next = position + 1;
        }
        bits.put_number(self.spawned.len() as u32);
        let mut next = 0;
        for &(id, kind) in &self.spawned {
            bits.put_number(id.0.wrapping_sub(next));
            bits.put(kind.into(), 5);
            next = id.0.wrapping_add(1);
        }
    }

    /// Reads what [`Structure::write`] wrote. An id that spawns must not be there already.
    pub(super) fn read(
        &mut self,
        bits: &mut BitReader<'_>,
        baseline: &Rows,
    ) -> Result<(), CodecError> {
        self.despawned.clear();
        self.spawned.clear();
        if bits.take(1)? == 0 {
            return Ok(());
        }
        let mut next = 0;
        for _ in 0..bits.take_number()? {
            let position = bits.take_number()?.checked_add(next).ok_or(CodecError::BadStructure)?;
            if position as usize >= baseline.len() {
                return Err(CodecError::BadStructure);
            }
            self.despawned.push(position);
            next = position + 1;
        }
        let spawned = bits.take_number()?;
        if spawned as usize > ENTITIES_MAX {
            return Err(CodecError::TooManyEntities);
        }
        let mut next = Some(0u32);
        for _ in 0..spawned {
            let gap = bits.take_number()?;
            let id = next.and_then(|next| next.checked_add(gap)).ok_or(CodecError::BadStructure)?;
            let id = EntityId(id);
            let kept = baseline.position(id).map(|position| position as u32);
            if kept.is_some_and(|kept| self.despawned.binary_search(&kept).is_err()) {
                return Err(CodecError::BadStructure);
            }
            self.spawned.push((id, bits.take(5)? as u8));
            next = id.0.checked_add(1);
        }
        Ok(())
    }
}
