//! The participants of a match: its connections, and the sessions that outlive them.

use std::sync::Arc;

use tickwire_shared::{
    close::CloseReason,
    ids::{InputSeq, Seat, SessionId, Tick},
    link::ServerLink,
    time::Micros,
    wire::{Pong, ResumeToken, ServerMessage},
    ws,
};

use super::{MatchSettings, interest::Sight};
use crate::{
    bucket::Bucket,
    directory::Reservation,
    places::{AddressPlace, Place},
    socket::Socket,
};

/// One socket with its protocol state.
pub(super) struct Connection {
    pub(super) id: SessionId,
    pub(super) socket: Socket,
    pub(super) decoder: ws::Decoder,
    pub(super) link: ServerLink,
    /// Set by the hello.
    pub(super) session: Option<usize>,
    /// The session's seat.
    pub(super) seat: Option<Seat>,
    pub(super) sight: Sight,
    /// What was reserved at admission; the hello moves it into the session.
    pub(super) claim: Claim,
    pub(super) role: Role,
    /// Rate limit of messages.
    pub(super) allowance: Bucket,
    /// When a snapshot was last sent, or skipped for the server's reasons: the start of a stall.
    pub(super) sendable_at: Micros,
    /// Answered with the next snapshot.
    pub(super) ping: Option<Ping>,
}

/// A client's ping that waits for its pong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    pub(super) client_time: Micros,
    pub(super) arrived: Micros,
}

/// What a participant has reserved. Dropping it releases that.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    /// The seat in the directory; `None` for spectators and for clients that resume.
    pub(crate) seat: Option<Reservation>,
    /// A place among the sessions of the ticket's subject.
    pub(crate) subject: Option<Place<Arc<str>>>,
    /// The name in the ticket; empty without one.
    pub(crate) name: Box<str>,
    /// What the ticket says of its bearer to the game.
    pub(crate) data: Box<[i32]>,
}

/// A participant, connected or within the grace period.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) resume: ResumeToken,
    pub(super) seat: Option<Seat>,
    pub(super) name: Arc<str>,
    /// Rate limit of chat lines.
    pub(super) line_allowance: Bucket,
    /// Released when the session ends.
    pub(super) claim: Claim,
    pub(super) state: SessionState,
    pub(super) seq: InputSeq,
    /// What its last connection saw.
    pub(super) sight: Sight,
    /// How many events were addressed to it so far, connected or not.
    pub(super) events: u32,
    /// How many there were when a rewound match went on, until the session is resumed.
    pub(super) rewound_to: Option<u32>,
    /// How many chat lines were received from it so far.
    pub(super) lines: u32,
    /// The tick that carries the newest Presence or Line addressed to it. A client that has applied
    /// this tick is up to date on roster and chat.
    pub(super) social_at: Tick,
}

/// Whether a session has a connection.
pub(super) enum SessionState {
    Connected(usize),
    /// Detached: it may be resumed within the grace period.
    Away {
        since: Micros,
        /// A place among its address' kept seats, unless the address is not limited.
        _kept: Option<AddressPlace>,
    },
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Takes a seat.
    Player,
    /// Watches.
    Spectator,
    /// Resumes a session.
    Resumer,
}

impl Connection {
    /// Whether it may be read less often: a spectator's connection with nothing to flush.
    pub(super) fn can_wait(&self) -> bool {
        self.seat.is_none() && self.session.is_some() && self.socket.is_flushed()
    }

    /// Why to close the connection, if it is silent or stalled.
    pub(super) fn fault(&self, settings: &MatchSettings, now: Micros) -> Option<CloseReason> {
        let is_welcomed = self.link.is_welcomed();
        let silence_max = if is_welcomed { settings.idle_timeout } else { settings.hello_timeout };
        if now.since(self.link.received_at()) > silence_max {
            return Some(CloseReason::Idle);
        }
        let is_stalled = is_welcomed && now.since(self.sendable_at) > settings.stall_timeout;
        is_stalled.then_some(CloseReason::TooSlow)
    }
}

impl Ping {
    /// The pong, for a client whose newest tick is `tick`, in a match whose newest was due at
    /// `tick_time`.
    pub(super) const fn answer(
        self,
        tick: Tick,
        tick_time: Micros,
        now: Micros,
    ) -> ServerMessage<'static> {
        let Self { client_time, arrived: server_time } = self;
        let held = now.since(server_time);
        ServerMessage::Pong(Pong { client_time, server_time, held, tick, tick_time })
    }
}
