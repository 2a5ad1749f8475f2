//! The protocol of one session as two state machines, [`ServerLink`] and [`ClientLink`]: bytes and
//! time go in; events and bytes come out. Feed each the payloads of whole WebSocket messages, in
//! order.
//!
//! # A client
//!
//! Most clients use a [`Session`], which calls a [`ClientLink`] as follows, and decides what to do
//! when a connection ends. A client with another policy uses the link itself, as bots do. All times
//! are on one clock of the client's, which must not go back.
//!
//! 1. Begin a connection with [`ClientLink::write_hello`]. When one has ended, write the next hello
//!    at once, though it can only be sent later: the link learns from it that there is no
//!    connection, and makes no inputs until it is welcomed again.
//! 2. Pass each frame to [`ClientLink::handle_frame`] with the time at which it *arrived*. A
//!    snapshot is for [`Interpolation::push`].
//! 3. In each turn of the program's loop, call [`ClientLink::poll_input`] until it returns `None`,
//!    and for each tick [`ClientLink::write_input`]; then [`ClientLink::poll_ping`]. After a welcome
//!    and after [`ClientLink::chat`], call [`ClientLink::poll_chat`]. A client without inputs calls
//!    [`ClientLink::write_ack`] after each snapshot.
//! 4. In each rendered frame, show [`Interpolation::view`], and pass its moment to
//!    [`ClientLink::set_seen`].
//! 5. After a connection has ended, [`Back::after`] says what to do. To resume the session, keep
//!    the link, call [`Interpolation::restart`], and go on with 1. Each new session needs a new link
//!    and interpolation. A spectator's session ends with its connection.
//!
//! A link that has returned a [`ServerFault`] should not be used again. The session can be resumed
//! by a new one, with the token of the welcome.
//!
//! [`Session`]: crate::session::Session
//! [`Back::after`]: crate::close::Back::after
//! [`Interpolation::push`]: crate::replica::Interpolation::push
//! [`Interpolation::view`]: crate::replica::Interpolation::view
//! [`Interpolation::restart`]: crate::replica::Interpolation::restart

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

use arrayvec::ArrayVec;

use crate::{codec::BASIS_MAX, history::HISTORY_LEN, ids::Tick, rows::Rows};

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

    /// The ticks with their rows, as the codec takes them.
    pub fn with_rows<'a>(
        &self,
        rows_of: impl Fn(Tick) -> &'a Rows,
    ) -> ArrayVec<(Tick, &'a Rows), BASIS_MAX> {
        self.ticks().iter().map(|&tick| (tick, rows_of(tick))).collect()
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
