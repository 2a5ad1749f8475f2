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

/// See the module.
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

    /// The events that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Audience, Vec<u8>)> {
        let mut start = 0;
        self.events.iter().map(move |&(audience, length)| {
            let end = start + usize::from(length);
            let payload = self.bytes.range(start..end).copied().collect();
            start = end;
            (audience, payload)
        })
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
        let mut copy = EventLog::default();
        log.iter().for_each(|(audience, payload)| copy.push(audience, &payload));
        check(&copy, Some(Seat(1)), 3, Some(&[2, 3, 5]));
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
