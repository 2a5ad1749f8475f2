//! Why a connection ends, told as a WebSocket close code and a reason in words.
//!
//! A refusal is nothing but a close frame: one mechanism for both. Faults in WebSocket framing
//! have the codes of RFC 6455 (see [`FrameError`]); what is above it has those below.

use crate::ws::FrameError;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseReason {
    /// Either end is done. From a client: it gives up its seat at once.
    #[error("bye")]
    Done,
    /// The client's end went away but may come back: its seat is kept for the grace period.
    #[error("gone")]
    Left,
    /// The frame is not one that RFC 6455 allows.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A text frame; the protocol is binary.
    #[error("text frames are not part of the protocol")]
    Text,
    /// The handshake did not offer the subprotocol.
    #[error("the subprotocol must be tickwire.v1")]
    WrongSubprotocol,
    /// The hello names another protocol version.
    #[error("the server speaks another protocol version")]
    WrongVersion,
    /// The hello names another schema.
    #[error("the match has another schema")]
    WrongSchema,
    /// The first byte of a frame is none of the known ones.
    #[error("unknown kind of frame")]
    UnknownFrame,
    /// The frame is not a valid one of its kind.
    #[error("malformed frame")]
    Malformed,
    /// Something else came before the hello, a hello came twice, or an input came before the
    /// first snapshot was applied.
    #[error("frame out of order")]
    OutOfOrder,
    /// An input's number does not follow the one before it.
    #[error("the input sequence jumps")]
    SequenceJump,
    /// A frame claims to have applied a snapshot that was never sent, or goes back.
    #[error("the applied tick was never sent")]
    NeverSent,
    /// An input from a session without a seat.
    #[error("spectators have no inputs")]
    NotSeated,
    /// An input was made looking at a moment before the one that an earlier input was made at.
    #[error("what was seen goes back")]
    SeenGoesBack,
    /// No seat is free.
    #[error("the match is full")]
    MatchFull,
    /// There is no such match (any more).
    #[error("no such match")]
    NoMatch,
    /// The resume token is unknown, or its grace period is over.
    #[error("nothing to resume")]
    NothingToResume,
    /// The session was taken up by a newer connection.
    #[error("replaced by a newer connection")]
    Replaced,
    /// The client did not say hello, or anything else, for too long.
    #[error("idle for too long")]
    Idle,
    /// The client did not read what the server must not drop.
    #[error("too slow to read")]
    TooSlow,
    /// The server wants a ticket.
    #[error("a ticket is required")]
    NoTicket,
    /// The ticket is not one that the server accepts for this.
    #[error("the ticket is not valid")]
    BadTicket,
    /// The ticket's time is over.
    #[error("the ticket has expired")]
    TicketExpired,
    /// The ticket has let somebody in before.
    #[error("the ticket was used before")]
    TicketUsed,
    /// The ticket's subject has as many sessions as it may.
    #[error("too many sessions of one subject")]
    TooManySessions,
    /// The client sends more than it may.
    #[error("sending too fast")]
    TooFast,
    /// The server has no capacity left: try again later.
    #[error("the server is overloaded; try again later")]
    Overloaded,
    /// The game failed; its match is over.
    #[error("the match has failed")]
    MatchFailed,
    /// The match has been played to its end.
    #[error("the match is over")]
    MatchOver,
    /// The server is going away: connect again, elsewhere or later.
    #[error("the server is going away; connect again")]
    Drain,
}

impl CloseReason {
    /// One for each [`CloseReason::name`].
    pub const ALL: [Self; 33] = [
        Self::Done,
        Self::Left,
        Self::Frame(FrameError::Unmasked),
        Self::Frame(FrameError::TooLong),
        Self::Frame(FrameError::NotUtf8),
        Self::Frame(FrameError::ReservedBits),
        Self::Text,
        Self::WrongSubprotocol,
        Self::WrongVersion,
        Self::WrongSchema,
        Self::UnknownFrame,
        Self::Malformed,
        Self::OutOfOrder,
        Self::SequenceJump,
        Self::NeverSent,
        Self::NotSeated,
        Self::SeenGoesBack,
        Self::MatchFull,
        Self::NoMatch,
        Self::NothingToResume,
        Self::Replaced,
        Self::Idle,
        Self::TooSlow,
        Self::NoTicket,
        Self::BadTicket,
        Self::TicketExpired,
        Self::TicketUsed,
        Self::TooManySessions,
        Self::TooFast,
        Self::Overloaded,
        Self::MatchFailed,
        Self::MatchOver,
        Self::Drain,
    ];

    /// The WebSocket close code. Those from 4000 are ours and never change their meaning.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Done => 1000,
            Self::Left => 1001,
            Self::Drain => 1012,
            Self::Frame(error) => error.close_code(),
            Self::Overloaded => 1013,
            Self::Text => 1003,
            Self::WrongSubprotocol => 4000,
            Self::WrongVersion => 4001,
            Self::WrongSchema => 4002,
            Self::UnknownFrame => 4003,
            Self::Malformed => 4004,
            Self::OutOfOrder => 4005,
            Self::SequenceJump => 4006,
            Self::NeverSent => 4007,
            Self::NotSeated => 4008,
            Self::SeenGoesBack => 4009,
            Self::MatchFull => 4010,
            Self::NoMatch => 4011,
            Self::NothingToResume => 4012,
            Self::Replaced => 4013,
            Self::Idle => 4014,
            Self::TooSlow => 4015,
            Self::MatchFailed => 4016,
            Self::MatchOver => 4017,
            Self::NoTicket => 4020,
            Self::BadTicket => 4021,
            Self::TicketExpired => 4022,
            Self::TicketUsed => 4023,
            Self::TooManySessions => 4024,
            Self::TooFast => 4025,
        }
    }

    /// Whether it is for a frame that the client should not have sent.
    #[must_use]
    pub const fn refuses_frame(self) -> bool {
        match self {
            Self::Frame(_)
            | Self::Text
            | Self::WrongVersion
            | Self::WrongSchema
            | Self::UnknownFrame
            | Self::Malformed
            | Self::OutOfOrder
            | Self::SequenceJump
            | Self::NeverSent
            | Self::NotSeated
            | Self::SeenGoesBack
            | Self::TooFast => true,
            Self::Done
            | Self::Left
            | Self::WrongSubprotocol
            | Self::MatchFull
            | Self::NoMatch
            | Self::NothingToResume
            | Self::Replaced
            | Self::Idle
            | Self::TooSlow
            | Self::NoTicket
            | Self::BadTicket
            | Self::TicketExpired
            | Self::TicketUsed
            | Self::TooManySessions
            | Self::Overloaded
            | Self::MatchFailed
            | Self::MatchOver
            | Self::Drain => false,
        }
    }

    /// A short name for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Left => "left",
            Self::Frame(FrameError::Unmasked) => "unmasked",
            Self::Frame(FrameError::TooLong) => "too_long",
            Self::Frame(FrameError::NotUtf8) => "not_utf8",
            Self::Frame(
                FrameError::ReservedBits
                | FrameError::UnknownOpcode
                | FrameError::BadControl
                | FrameError::BadFragment
                | FrameError::LongLength
                | FrameError::BadCloseCode,
            ) => "bad_framing",
            Self::Text => "text",
            Self::WrongSubprotocol => "wrong_subprotocol",
            Self::WrongVersion => "wrong_version",
            Self::WrongSchema => "wrong_schema",
            Self::UnknownFrame => "unknown_frame",
            Self::Malformed => "malformed",
            Self::OutOfOrder => "out_of_order",
            Self::SequenceJump => "sequence_jump",
            Self::NeverSent => "never_sent",
            Self::NotSeated => "not_seated",
            Self::SeenGoesBack => "seen_goes_back",
            Self::MatchFull => "match_full",
            Self::NoMatch => "no_match",
            Self::NothingToResume => "nothing_to_resume",
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::TooSlow => "too_slow",
            Self::MatchFailed => "match_failed",
            Self::MatchOver => "match_over",
            Self::NoTicket => "no_ticket",
            Self::BadTicket => "bad_ticket",
            Self::TicketExpired => "ticket_expired",
            Self::TicketUsed => "ticket_used",
            Self::TooManySessions => "too_many_sessions",
            Self::TooFast => "too_fast",
            Self::Overloaded => "overloaded",
            Self::Drain => "drain",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn protocol_and_counters_know_all_reasons() {
        let protocol = include_str!("../PROTOCOL.md");
        let (_, table) = protocol.split_once("| code | meaning | back |").unwrap();
        let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| "));
        let cells = rows.flat_map(|row| row.split(" | ").next().unwrap().split(", "));
        let documented: BTreeSet<u16> = cells.flat_map(codes).collect();
        let known: BTreeSet<_> = CloseReason::ALL.map(CloseReason::code).into();
        assert_eq!(documented, known);
        let names: BTreeSet<_> = CloseReason::ALL.map(CloseReason::name).into();
        assert_eq!(names.len(), CloseReason::ALL.len());
    }

    /// A code, or the first and the last.
    fn codes(cell: &str) -> std::ops::RangeInclusive<u16> {
        let (first, last) = cell.split_once('–').unwrap_or((cell, cell));
        first.parse().unwrap()..=last.parse().unwrap()
    }
}
