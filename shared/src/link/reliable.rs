//! The last events of a match, kept for sessions that resume.
//!
//! Bound: [`LOG_EVENTS_MAX`] events and [`LOG_BYTES_MAX`] of payloads; the oldest are evicted. A
//! session that has missed an evicted event can't be resumed. All memory is allocated at the start.

use std::collections::VecDeque;

use crate::{game::Audience, ids::Seat};

/// Most events: two hundred a second for the grace period of 20 s, as when an army dies.
pub const LOG_EVENTS_MAX: usize = 4096;
/// Most bytes of payloads: as many as these events take with four large values each.
pub const LOG_BYTES_MAX: usize = 24 * LOG_EVENTS_MAX;

/// Bytes of an event in a written log, beside its payload.
const HEAD_BYTES: usize = 6;

/// The last events of a match; see the [module](self).
#[derive(Debug)]
pub struct EventLog {
    bytes: VecDeque<u8>,
    events: VecDeque<(Audience, u16)>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self {
            bytes: VecDeque::with_capacity(LOG_BYTES_MAX),
            events: VecDeque::with_capacity(LOG_EVENTS_MAX),
        }
    }
}

impl EventLog {
    /// Adds an event's payload, which is at most 64 KiB.
    pub fn push(&mut self, audience: Audience, payload: &[u8]) {
        let length = u16::try_from(payload.len()).expect("an event has at most 32 values");
        while self.events.len() == LOG_EVENTS_MAX
            || self.bytes.len() + payload.len() > LOG_BYTES_MAX
        {
            let Some((_, oldest)) = self.events.pop_front() else { return };
            self.bytes.drain(..usize::from(oldest));
        }
        self.events.push_back((audience, length));
        self.bytes.extend(payload);
    }

    /// Writes the log out, for [`EventLog::read`].
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + HEAD_BYTES * self.events.len() + self.bytes.len());
        out.extend((self.events.len() as u32).to_le_bytes());
        for &(audience, length) in &self.events {
            let seat = match audience {
                Audience::All => 0,
                Audience::Seat(Seat(seat)) => 1 + u32::from(seat),
            };
            out.extend(seat.to_le_bytes());
            out.extend(length.to_le_bytes());
        }
        let (older, newer) = self.bytes.as_slices();
        out.extend_from_slice(older);
        out.extend_from_slice(newer);
        out
    }

    /// Reads a log that was written out. `None` if the bytes are none.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let (count, rest) = written.split_first_chunk()?;
        let heads_bytes = HEAD_BYTES.checked_mul(u32::from_le_bytes(*count) as usize)?;
        let (heads, mut payloads) = rest.split_at_checked(heads_bytes)?;
        let mut log = Self::default();
        for head in heads.chunks_exact(HEAD_BYTES) {
            let (seat, length) = head.split_first_chunk()?;
            let audience = match u32::from_le_bytes(*seat) {
                0 => Audience::All,
                seat => Audience::Seat(Seat(u16::try_from(seat - 1).ok()?)),
            };
            let length = u16::from_le_bytes(length.try_into().ok()?);
            let (payload, later) = payloads.split_at_checked(length.into())?;
            log.push(audience, payload);
            payloads = later;
        }
        payloads.is_empty().then_some(log)
    }

    /// Passes to `send` the last `count` payloads whose audience includes `seat` (`None`: a
    /// spectator), in order. Returns `None`, and sends nothing, when some of them were evicted.
    #[must_use]
    pub fn replay(
        &self,
        seat: Option<Seat>,
        count: u32,
        mut send: impl FnMut(&[u8]),
    ) -> Option<()> {
        let mine =
            |(at, (audience, _)): (usize, &(Audience, u16))| audience.includes(seat).then_some(at);
        let first = match (count as usize).checked_sub(1) {
            None => return Some(()),
            Some(before) => self.events.iter().enumerate().rev().filter_map(mine).nth(before)?,
        };
        let skipped = self.events.iter().take(first).map(|&(_, length)| usize::from(length));
        let mut start = skipped.sum::<usize>();
        let mut payload = Vec::new();
        for &(audience, length) in self.events.iter().skip(first) {
            let end = start + usize::from(length);
            if audience.includes(seat) {
                payload.clear();
                payload.extend(self.bytes.range(start..end));
                send(&payload);
            }
            start = end;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_events_are_replayed_once_and_in_order() {
        let mut log = EventLog::default();
        for n in 0..6 {
            let audience = if n % 3 == 1 { Audience::Seat(Seat(9)) } else { Audience::All };
            log.push(audience, &[n, n]);
        }
        check(&log, Some(Seat(9)), 3, Some(&[3, 4, 5]));
        check(&log, Some(Seat(1)), 3, Some(&[2, 3, 5]));
        check(&log, None, 4, Some(&[0, 2, 3, 5]));
        check(&log, None, 0, Some(&[]));
        check(&log, None, 5, None);
    }

    #[test]
    fn a_written_log_is_read_back() {
        let mut log = EventLog::default();
        for n in 0..6 {
            let audience = if n % 3 == 1 { Audience::Seat(Seat(9)) } else { Audience::All };
            log.push(audience, &[n; 3]);
        }
        let written = log.write();
        let copy = EventLog::read(&written).unwrap();
        check(&copy, Some(Seat(9)), 3, Some(&[3, 4, 5]));
        check(&copy, Some(Seat(1)), 3, Some(&[2, 3, 5]));
        for end in 0..written.len() {
            assert!(EventLog::read(&written[..end]).is_none(), "cut off at {end}");
        }
        assert!(EventLog::read(&[&written[..], &[0]].concat()).is_none());
    }

    #[test]
    fn the_log_is_bounded() {
        let mut log = EventLog::default();
        for n in 0..LOG_EVENTS_MAX as u32 + 2 {
            log.push(Audience::All, &n.to_le_bytes()[..2]);
        }
        assert_eq!(log.events.len(), LOG_EVENTS_MAX);
        for _ in 0..100 {
            log.push(Audience::All, &[7; 1000]);
        }
        assert_eq!(log.events.len(), LOG_BYTES_MAX / 1000);
        assert_eq!(log.bytes.len(), LOG_BYTES_MAX / 1000 * 1000);
        assert_eq!(log.replay(None, LOG_BYTES_MAX as u32 / 1000 + 1, |_| {}), None);
    }

    #[track_caller]
    fn check(log: &EventLog, seat: Option<Seat>, count: u32, expected: Option<&[u8]>) {
        let mut sent = Vec::new();
        let whole = log.replay(seat, count, |payload| sent.push(payload[0]));
        assert_eq!(whole.map(|()| &sent[..]), expected);
    }
}
