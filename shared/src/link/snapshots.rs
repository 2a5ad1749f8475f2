//! Decodes a client's snapshots: from frames to rows.

use super::{
    Basis, ServerFault,
    client::Digest,
    frames::{Before, SnapshotHead},
    integers,
};
use crate::{
    codec::{BASIS_MAX, CodecError, Decoder},
    ids::{InputSeq, Tick},
    rows::Rows,
    schema::{Integer, Schema},
    time::TickRate,
    wire::model_hash,
};

/// The newest snapshot, and the basis of the next one.
#[derive(Debug)]
pub(super) struct Snapshots {
    decoder: Decoder,
    model_hash: u32,
    basis: Basis,
    before: Before,
    /// Rows of the basis and of the snapshot being decoded, by tick.
    slots: [(Option<Tick>, Rows); BASIS_MAX + 1],
    owner: Vec<i32>,
    /// The owner's values of the snapshot being decoded.
    next_owner: Vec<i32>,
}

/// What a snapshot contained beside the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) tick: Tick,
    pub(super) digest: Digest,
    /// The newest input that the rows include.
    pub(super) processed: InputSeq,
    /// How early inputs arrived; see [`super::pacing`].
    pub(super) lead: Option<i8>,
}

impl Snapshots {
    /// Before the first snapshot. `processed` is the newest input that the server has.
    pub(super) fn new(schema: &Schema, rate: TickRate, processed: InputSeq) -> Self {
        Self {
            decoder: Decoder::new(schema, rate),
            model_hash: model_hash(&[]),
            basis: Basis::default(),
            before: Before { tick: None, processed },
            slots: Default::default(),
            owner: schema.owner.iter().map(|integer| integer.min).collect(),
            next_owner: vec![0; schema.owner.len()],
        }
    }

    /// Replaces the codec's statistics.
    pub(super) fn set_model(&mut self, model: &[u8]) -> Result<(), CodecError> {
        self.decoder.set_model(model)?;
        self.model_hash = model_hash(model);
        Ok(())
    }

    /// Handles a new connection: its first snapshot can only be a delta against the newest tick
    /// that was applied.
    pub(super) fn reconnect(&mut self, processed: InputSeq) {
        self.basis = self.before.tick.map_or_else(Basis::default, Basis::kept);
        self.before.processed = processed;
    }

    /// Decodes a snapshot's frame. `owner` is the schema's list of owner integers.
    pub(super) fn apply(
        &mut self,
        frame: &[u8],
        owner: &[Integer],
    ) -> Result<Applied, ServerFault> {
        let (head, rest) = SnapshotHead::read(frame, self.before).ok_or(ServerFault::Malformed)?;
        if self.before.tick.is_some_and(|before| head.tick.since(before) <= 0) {
            return Err(ServerFault::OutOfOrder);
        }
        let mut owner_and_body = rest;
        if head.owner {
            owner_and_body = integers::unpack(owner, rest, &mut self.next_owner)
                .map_err(|_| ServerFault::Malformed)?;
        }
        let basis = if head.full { Basis::default() } else { self.basis.serving(head.tick) };
        if !head.full && basis.ticks().is_empty() {
            return Err(ServerFault::OutOfOrder);
        }
        // Keeps the newest rows too, in case decoding fails.
        let stays = |tick: Tick| basis.ticks().contains(&tick) || self.before.tick == Some(tick);
        let free = (0..self.slots.len())
            .find(|&slot| !self.slots[slot].0.is_some_and(stays))
            .expect("a basis includes the newest tick, and leaves at least one slot free");
        let mut rows = std::mem::take(&mut self.slots[free].1);
        let decoded = self.decoder.decode(
            &basis.with_rows(|tick| rows_of(&self.slots, tick)),
            head.tick,
            owner_and_body,
            &mut rows,
        );
        let digest = match head.digest {
            None => Digest::Absent,
            Some(digest) if digest == rows.digest() => Digest::Agrees,
            Some(_) => Digest::Differs,
        };
        self.slots[free] = (None, rows);
        decoded?;
        if head.owner {
            std::mem::swap(&mut self.owner, &mut self.next_owner);
        }
        self.slots[free].0 = Some(head.tick);
        self.basis = basis.followed_by(head.tick);
        for (tick, _) in &mut self.slots {
            *tick = tick.filter(|tick| self.basis.ticks().contains(tick));
        }
        let SnapshotHead { tick, processed, lead, .. } = head;
        self.before = Before { tick: Some(tick), processed };
        Ok(Applied { tick, digest, processed, lead })
    }

    /// The newest tick that was applied.
    pub(super) const fn applied(&self) -> Option<Tick> {
        self.before.tick
    }

    /// The newest input that its rows include.
    pub(super) const fn processed(&self) -> InputSeq {
        self.before.processed
    }

    /// Its rows.
    pub(super) fn rows(&self) -> Option<&Rows> {
        self.before.tick.map(|tick| rows_of(&self.slots, tick))
    }

    /// The owner's values, as of the newest snapshot.
    pub(super) fn owner(&self) -> &[i32] {
        &self.owner
    }

    /// Hash of the codec's current statistics.
    pub(super) const fn model_hash(&self) -> u32 {
        self.model_hash
    }
}

fn rows_of(slots: &[(Option<Tick>, Rows)], tick: Tick) -> &Rows {
    let slot = slots.iter().find(|slot| slot.0 == Some(tick));
    &slot.expect("the rows of every tick of the basis are kept").1
}
