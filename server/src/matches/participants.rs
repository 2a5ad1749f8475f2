//! Who takes part in a match: the connections that it has, and the sessions that outlive them.

use std::sync::Arc;

use tickwire_shared::{
    close::CloseReason,
    ids::{InputSeq, Seat, SessionId, Tick},
    link::ServerLink,
    time::Micros,
    wire::{Pong, ResumeToken, ServerMessage},
    ws,
};

use super::MatchSettings;
use crate::{
    bucket::Bucket,
    directory::Reservation,
    places::{AddressPlace, Place},
    socket::Socket,
};

/// One socket and what is said on it.
pub(super) struct Connection {
    pub(super) id: SessionId,
    pub(super) socket: Socket,
    pub(super) decoder: ws::Decoder,
    pub(super) link: ServerLink,
    /// Set by the hello.
    pub(super) session: Option<usize>,
    /// The session's.
    pub(super) seat: Option<Seat>,
    /// What is held for the hello.
    pub(super) claim: Claim,
    pub(super) role: Role,
    /// What the client may still send.
    pub(super) allowance: Bucket,
    /// When the client could last be sent a snapshot.
    pub(super) took_at: Micros,
    /// To be answered with the next snapshot.
    pub(super) ping: Option<Ping>,
}

/// A client has asked for the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    pub(super) client_time: Micros,
    pub(super) arrived: Micros,
}

/// What a participant holds of the server. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    /// Keeps a seat taken in the directory; none for spectators and for those who resume.
    pub(crate) seat: Option<Reservation>,
    /// One of the sessions of a ticket's subject.
    pub(crate) subject: Option<Place<Arc<str>>>,
    /// What others call the participant; empty without a ticket.
    pub(crate) name: Box<str>,
}

/// A participant, connected or within the grace period.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) resume: ResumeToken,
    pub(super) seat: Option<Seat>,
    pub(super) name: Arc<str>,
    /// What it may still say.
    pub(super) lines: Bucket,
    /// Given back when it is over.
    pub(super) _claim: Claim,
    pub(super) state: SessionState,
    pub(super) seq: InputSeq,
    /// How many events it was told, or would have been, had it been connected.
    pub(super) events: u32,
    /// The tick with which the newest Presence or Line goes out that it was told, or would have
    /// been. Whoever has applied it knows who is here and what was said.
    pub(super) social_at: Tick,
}

/// Whether a session has a connection.
pub(super) enum SessionState {
    Connected(usize),
    /// It may be taken up for a while.
    Away {
        since: Micros,
        /// One of its address', unless that is not limited.
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
    /// Takes up a session whose connection was lost.
    Resumer,
}

impl Connection {
    /// Whether it does no harm to read it a little later.
    pub(super) fn can_wait(&self) -> bool {
        self.seat.is_none() && self.session.is_some() && self.socket.is_flushed()
    }

    /// Why the connection is as good as dead, if it is.
    pub(super) fn fault(&self, settings: &MatchSettings, now: Micros) -> Option<CloseReason> {
        let is_welcomed = self.link.is_welcomed();
        let silence_max = if is_welcomed { settings.idle_timeout } else { settings.hello_timeout };
        if now.since(self.link.heard_at()) > silence_max {
            return Some(CloseReason::Idle);
        }
        let is_stalled = is_welcomed && now.since(self.took_at) > settings.stall_timeout;
        is_stalled.then_some(CloseReason::TooSlow)
    }
}

impl Ping {
    /// The answer, in a match whose newest tick was due at `tick_time`.
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
