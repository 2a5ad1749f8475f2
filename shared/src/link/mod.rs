//! The protocol of one session as two state machines, [`ServerLink`] and [`ClientLink`]: bytes and
//! time go in; events and bytes come out. Feed each the payloads of whole WebSocket messages, in
//! order.

mod chat;
pub mod client;
pub mod clock;
mod flight;
pub mod frames;
pub mod inputs;
pub mod integers;
pub mod pacing;
pub mod reliable;
pub mod server;
mod snapshots;
pub mod tail;

use crate::{codec::BASIS_MAX, history::HISTORY_LEN, ids::Tick};

pub use client::{ClientEvent, ClientLink, Digest, ServerFault};
pub use clock::Clock;
pub use inputs::InputQueue;
pub use pacing::InputPace;
pub use reliable::EventLog;
pub use server::{Received, ServerLink, Snapshot};

/// The baselines of the next snapshot: the last snapshots that were sent on a connection. Newest
/// first, all less than [`HISTORY_LEN`] ticks old.
///
/// The basis itself is never sent. TCP delivers in order or not at all, so the client will have
/// applied all of it before the next snapshot, and both ends can derive it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Basis {
    ticks: [Tick; BASIS_MAX],
    len: usize,
}

impl Basis {
    /// The ticks, newest first. Empty: the next snapshot is a full one.
    #[must_use]
    pub fn ticks(&self) -> &[Tick] {
        &self.ticks[..self.len]
    }

    /// The basis of a resumed session, whose client still has the rows of `tick` from its earlier
    /// connection.
    fn kept(tick: Tick) -> Self {
        Self::default().followed_by(tick)
    }

    /// The part of it that is recent enough for a snapshot of `tick`.
    #[must_use]
    fn serving(mut self, tick: Tick) -> Self {
        while let Some(&oldest) = self.ticks().last()
            && tick.since(oldest) >= HISTORY_LEN as i32
        {
            self.len -= 1;
            self.ticks[self.len] = Tick::default();
        }
        self
    }

    /// The basis after a snapshot of `tick` was sent.
    #[must_use]
    fn followed_by(mut self, tick: Tick) -> Self {
        self.len = (self.len + 1).min(BASIS_MAX);
        self.ticks.copy_within(..BASIS_MAX - 1, 1);
        self.ticks[0] = tick;
        self
    }
}

#[cfg(test)]
mod tests;
