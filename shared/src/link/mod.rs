//! The protocol of one session as a state machine, one side each: bytes and time in; events and
//! bytes out. Both are to be fed the payloads of whole WebSocket messages, in order.

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

/// The snapshots that a session was sent last and has therefore applied before the next one: what
/// the codec may refer to. Newest first, and none as old as [`HISTORY_LEN`] ticks.
///
/// Nothing about it travels. TCP delivers everything in order or not at all, so both ends know it.
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

    /// Both ends know that the client has this tick's rows, and nothing else: it has kept them
    /// from an earlier connection.
    fn kept(tick: Tick) -> Self {
        Self::default().followed_by(tick)
    }

    /// The part of it that may serve a snapshot of `tick`.
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

    /// The basis after a snapshot of `tick` that was made from this one.
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
