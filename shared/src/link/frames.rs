//! The frames of every tick: snapshot heads, inputs and acknowledgements.
//!
//! The first byte of a frame is its type. [`MESSAGE`] is followed by a bincode message (see
//! [`crate::wire`]); the frames here are little endian, with the layouts in `PROTOCOL.md`.

use crate::ids::{InputSeq, Tick};

/// First byte of a bincode message, both ways.
pub const MESSAGE: u8 = 0x00;
/// First byte of a client's input.
pub const INPUT: u8 = 0x01;
/// First byte of a client's acknowledgement without an input.
pub const ACK: u8 = 0x02;
/// Set in the first byte of a snapshot; the other bits are flags for its optional parts.
pub const SNAPSHOT: u8 = 0x80;

const FULL: u8 = 0x01;
const GAP: u8 = 0x02;
const DIGEST: u8 = 0x04;
const OWNER: u8 = 0x08;
const PROCESSED_NEXT: u8 = 0x10;
const PROCESSED: u8 = 0x20;
const LEAD: u8 = 0x40;

/// The part of a snapshot before the owner's values and the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SnapshotHead {
    /// The tick whose state this is.
    pub tick: Tick,
    /// Whether this is a full snapshot; otherwise the body is a delta against earlier ones.
    pub full: bool,
    /// [`crate::rows::Rows::digest`] of the rows, in some snapshots.
    pub digest: Option<u32>,
    /// The newest input of this client that the rows include.
    pub processed: InputSeq,
    /// The least lead of the inputs that arrived since the last report, encoded as in
    /// [`super::pacing`]; negative when an input was too late. Sent every few ticks.
    pub lead: Option<i8>,
    /// Whether the owner's values follow the head.
    pub owner: bool,
}

/// The part of an input frame before the packed values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InputHead {
    /// The input's number.
    pub seq: InputSeq,
    /// The tick that it is for.
    pub tick: Tick,
    /// The newest snapshot that the client has applied.
    pub applied: Tick,
    /// How far before `applied` the moment is at which the player saw the others when making the
    /// input, in 256ths of a tick.
    pub behind: u16,
}

/// State of the previous snapshot, which both ends know; heads are encoded relative to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    /// Tick of the last snapshot.
    pub tick: Option<Tick>,
    /// `processed` of the last snapshot.
    pub processed: InputSeq,
}

impl SnapshotHead {
    /// Appends the head. If it is not of a full snapshot, the snapshot before must be at most 255
    /// ticks older.
    pub fn write(&self, before: Before, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(SNAPSHOT);
        let mut flags = SNAPSHOT;
        if self.full {
            flags |= FULL;
            out.extend(self.tick.0.to_le_bytes());
        } else {
            let earlier = before.tick.expect("only a full snapshot can be the first");
            let gap = u8::try_from(self.tick.since(earlier)).expect("a delta spans 1 to 255 ticks");
            if gap != 1 {
                flags |= GAP;
                out.push(gap);
            }
        }
        if let Some(digest) = self.digest {
            flags |= DIGEST;
            out.extend(digest.to_le_bytes());
        }
        if self.processed == before.processed.next() {
            flags |= PROCESSED_NEXT;
        } else if self.processed != before.processed {
            flags |= PROCESSED;
            out.extend(self.processed.0.to_le_bytes());
        }
        if let Some(lead) = self.lead {
            flags |= LEAD;
            out.push(lead.cast_unsigned());
        }
        if self.owner {
            flags |= OWNER;
        }
        out[start] = flags;
    }

    /// Reads a head, and returns it with the bytes after it.
    pub fn read(bytes: &[u8], before: Before) -> Option<(Self, &[u8])> {
        let (&flags, mut rest) = bytes.split_first()?;
        let both = |two: u8| flags & two == two;
        if flags & SNAPSHOT == 0 || both(FULL | GAP) || both(PROCESSED_NEXT | PROCESSED) {
            return None;
        }
        let tick = if flags & FULL != 0 {
            Tick(take_u32(&mut rest)?)
        } else if flags & GAP != 0 {
            let (&gap, after) = rest.split_first()?;
            rest = after;
            if gap < 2 {
                return None;
            }
            before.tick?.plus(u32::from(gap))
        } else {
            before.tick?.plus(1)
        };
        let digest = if flags & DIGEST != 0 { Some(take_u32(&mut rest)?) } else { None };
        let processed = if flags & PROCESSED != 0 {
            InputSeq(take_u32(&mut rest)?)
        } else if flags & PROCESSED_NEXT != 0 {
            before.processed.next()
        } else {
            before.processed
        };
        let lead = if flags & LEAD != 0 {
            let (&lead, after) = rest.split_first()?;
            rest = after;
            Some(lead.cast_signed())
        } else {
            None
        };
        let (full, owner) = (flags & FULL != 0, flags & OWNER != 0);
        Some((Self { tick, full, digest, processed, lead, owner }, rest))
    }
}

impl InputHead {
    /// Appends the first byte and the head; the packed values follow.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(INPUT);
        for word in [self.seq.0, self.tick.0, self.applied.0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(self.behind.to_le_bytes());
    }

    /// Reads the head after the first byte, and returns it with the bytes after it.
    pub fn read(mut rest: &[u8]) -> Option<(Self, &[u8])> {
        let seq = InputSeq(take_u32(&mut rest)?);
        let tick = Tick(take_u32(&mut rest)?);
        let applied = Tick(take_u32(&mut rest)?);
        let (behind, rest) = rest.split_first_chunk()?;
        let behind = u16::from_le_bytes(*behind);
        Some((Self { seq, tick, applied, behind }, rest))
    }
}

/// Appends an acknowledgement.
pub fn write_ack(applied: Tick, out: &mut Vec<u8>) {
    out.push(ACK);
    out.extend(applied.0.to_le_bytes());
}

/// Reads an acknowledgement; `rest` is everything after its first byte.
#[must_use]
pub fn read_ack(rest: &[u8]) -> Option<Tick> {
    Some(Tick(u32::from_le_bytes(rest.try_into().ok()?)))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_usual_head_is_one_byte() {
        let before = Before { tick: Some(Tick(8)), processed: InputSeq(4) };
        let mut bytes = Vec::new();
        let head = SnapshotHead {
            tick: Tick(9),
            full: false,
            digest: None,
            processed: InputSeq(5),
            lead: None,
            owner: false,
        };
        head.write(before, &mut bytes);
        assert_eq!(bytes, [SNAPSHOT | PROCESSED_NEXT]);
    }

    #[test]
    fn a_head_that_contradicts_itself_is_rejected() {
        let before = Before { tick: Some(Tick(8)), processed: InputSeq(4) };
        let read = |flags: u8, gap: u8| {
            let bytes = [SNAPSHOT | flags, gap, 0, 0, 0, 0, 0, 0, 0];
            SnapshotHead::read(&bytes, before).map(|(head, _)| head.tick)
        };
        assert_eq!(read(FULL | GAP, 2), None);
        assert_eq!(read(PROCESSED_NEXT | PROCESSED, 2), None);
        assert_eq!([0, 1, 2].map(|gap| read(GAP, gap)), [None, None, Some(Tick(10))]);
        let kind = SnapshotHead::read(&[FULL, 9, 0, 0, 0], before);
        assert_eq!(kind, None, "not a snapshot");
    }

    proptest! {
        #[test]
        fn heads_come_back(
            earlier: u32, gap in 1_u32..=255, full: bool, owner: bool,
            digest: Option<u32>, lead: Option<i8>, seq: u32, advance in prop_oneof![0_u32..3, any::<u32>()],
        ) {
            let before = Before { tick: Some(Tick(earlier)), processed: InputSeq(seq) };
            let tick = Tick(earlier).plus(gap);
            let processed = InputSeq(seq.wrapping_add(advance));
            let head = SnapshotHead { tick, full, digest, processed, lead, owner };
            let mut bytes = Vec::new();
            head.write(before, &mut bytes);
            bytes.push(77);
            prop_assert_eq!(SnapshotHead::read(&bytes, before), Some((head, &[77][..])));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, tick: Option<u32>) {
            let before = Before { tick: tick.map(Tick), processed: InputSeq(0) };
            let _ = SnapshotHead::read(&bytes, before);
            let _ = InputHead::read(&bytes);
        }
    }
}
