//! Why a connection ends: a WebSocket close code and a reason in words.
//!
//! A server rejects a client by a close frame too, so there is one mechanism for both. WebSocket
//! framing errors have the codes of RFC 6455; most others have Tickwire's own.

use crate::ws::FrameError;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseReason {
    /// Normal end of the session. From a client, it gives up the seat at once.
    #[error("bye")]
    Done,
    /// The client went away but may resume: its seat is kept for the grace period.
    #[error("gone")]
    Left,
    /// The frame violates RFC 6455.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A text frame; the protocol is binary.
    #[error("text frames are not part of the protocol")]
    Text,
    /// The handshake did not offer the subprotocol.
    #[error("the subprotocol must be tickwire.v1")]
    WrongSubprotocol,
    /// The hello has another protocol version.
    #[error("the server speaks another protocol version")]
    WrongVersion,
    /// The hello has another schema's hash.
    #[error("the match has another schema")]
    WrongSchema,
    /// The first byte of a frame is unknown.
    #[error("unknown kind of frame")]
    UnknownFrame,
    /// The frame is not valid for its kind.
    #[error("malformed frame")]
    Malformed,
    /// Another frame before the hello, or a second hello.
    #[error("frame out of order")]
    OutOfOrder,
    /// An input's sequence number is not the previous one plus 1.
    #[error("an input number is not the next one")]
    SequenceJump,
    /// The applied tick in a frame was never sent on this connection, or is older than in a
    /// previous frame.
    #[error("the applied tick was never sent, or goes back")]
    NeverSent,
    /// An input from a session without a seat.
    #[error("spectators have no inputs")]
    NotSeated,
    /// The moment that the player saw when making an input is before that of an earlier input.
    #[error("the seen moment goes back")]
    SeenGoesBack,
    /// No seat is free.
    #[error("the match is full")]
    MatchFull,
    /// The match does not exist, or no longer exists.
    #[error("no such match")]
    NoMatch,
    /// The resume token is unknown, or its grace period is over.
    #[error("nothing to resume")]
    NothingToResume,
    /// A newer connection has resumed the session.
    #[error("replaced by a newer connection")]
    Replaced,
    /// The client sent no hello in time, or then nothing for too long.
    #[error("idle for too long")]
    Idle,
    /// The client reads too slowly: its outbox of reliable messages is full.
    #[error("too slow to read")]
    TooSlow,
    /// The server requires a ticket.
    #[error("a ticket is required")]
    NoTicket,
    /// The ticket is not valid, or not for this.
    #[error("the ticket is not valid")]
    BadTicket,
    /// The ticket has expired.
    #[error("the ticket has expired")]
    TicketExpired,
    /// The ticket was used before.
    #[error("the ticket was used before")]
    TicketUsed,
    /// The ticket's subject has reached its limit of sessions.
    #[error("too many sessions of one subject")]
    TooManySessions,
    /// The client exceeds its rate limit.
    #[error("sending too fast")]
    TooFast,
    /// The server has no capacity left; the client may try again later.
    #[error("the server is overloaded; try again later")]
    Overloaded,
    /// The game failed, which ended the match.
    #[error("the match has failed")]
    MatchFailed,
    /// The match has been played to its end.
    #[error("the match is over")]
    MatchOver,
    /// The game, or an operator, has removed the player.
    #[error("removed from the match")]
    Removed,
    /// The server is draining; the client should connect again, elsewhere or later.
    #[error("the server is going away; connect again")]
    Drain,
}

impl CloseReason {
    /// One for each [`CloseReason::name`].
    pub const ALL: [Self; 34] = [
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
        Self::Removed,
        Self::Drain,
    ];

    /// The WebSocket close code. Codes from 4000 are Tickwire's own and never change their meaning.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.facts().0
    }

    /// A short name for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().1
    }

    /// Whether the reason is a frame that the client should not have sent.
    #[must_use]
    pub const fn refuses_frame(self) -> bool {
        self.facts().2
    }

    /// Its code, its name, and whether it refuses a frame.
    const fn facts(self) -> (u16, &'static str, bool) {
        match self {
            Self::Done => (1000, "done", false),
            Self::Left => (1001, "left", false),
            Self::Frame(FrameError::Unmasked) => (1002, "unmasked", true),
            Self::Frame(FrameError::NotUtf8) => (1007, "not_utf8", true),
            Self::Frame(FrameError::TooLong) => (1009, "too_long", true),
            Self::Frame(
                FrameError::ReservedBits
                | FrameError::UnknownOpcode
                | FrameError::BadControl
                | FrameError::BadFragment
                | FrameError::LongLength
                | FrameError::BadCloseCode,
            ) => (1002, "bad_framing", true),
            Self::Text => (1003, "text", true),
            Self::Drain => (1012, "drain", false),
            Self::Overloaded => (1013, "overloaded", false),
            Self::WrongSubprotocol => (4000, "wrong_subprotocol", false),
            Self::WrongVersion => (4001, "wrong_version", true),
            Self::WrongSchema => (4002, "wrong_schema", true),
            Self::UnknownFrame => (4003, "unknown_frame", true),
            Self::Malformed => (4004, "malformed", true),
            Self::OutOfOrder => (4005, "out_of_order", true),
            Self::SequenceJump => (4006, "sequence_jump", true),
            Self::NeverSent => (4007, "never_sent", true),
            Self::NotSeated => (4008, "not_seated", true),
            Self::SeenGoesBack => (4009, "seen_goes_back", true),
            Self::MatchFull => (4010, "match_full", false),
            Self::NoMatch => (4011, "no_match", false),
            Self::NothingToResume => (4012, "nothing_to_resume", false),
            Self::Replaced => (4013, "replaced", false),
            Self::Idle => (4014, "idle", false),
            Self::TooSlow => (4015, "too_slow", false),
            Self::MatchFailed => (4016, "match_failed", false),
            Self::MatchOver => (4017, "match_over", false),
            Self::Removed => (4018, "removed", false),
            Self::NoTicket => (4020, "no_ticket", false),
            Self::BadTicket => (4021, "bad_ticket", false),
            Self::TicketExpired => (4022, "ticket_expired", false),
            Self::TicketUsed => (4023, "ticket_used", false),
            Self::TooManySessions => (4024, "too_many_sessions", false),
            Self::TooFast => (4025, "too_fast", true),
        }
    }
}

/// What a client can do after its connection has ended: the column "back" of the table of close
/// codes in `PROTOCOL.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Back {
    /// Wait, connect again and resume the session, or join if there is none yet.
    Resume,
    /// The session is lost: join as a new one, with an empty
    /// [`ClientLink`](crate::link::ClientLink). A client that had no session has been refused: the
    /// user must be told.
    Anew,
    /// Neither: the user must be told.
    No,
}

impl Back {
    /// What to do after this close code. WebSocket libraries have the code 1006, or none, for a
    /// connection that ended without a close frame, such as one that was lost.
    #[must_use]
    pub const fn after(code: u16) -> Self {
        match code {
            // 1011 is a proxy's.
            1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 4014 | 4015 => Self::Resume,
            4002 | 4011 | 4012 | 4020..=4023 => Self::Anew,
            _ => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn protocol_and_counters_know_all_reasons() {
        let known: BTreeSet<_> = CloseReason::ALL.map(CloseReason::code).into();
        assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), known);
        let names: BTreeSet<_> = CloseReason::ALL.map(CloseReason::name).into();
        assert_eq!(names.len(), CloseReason::ALL.len());
    }

    #[test]
    fn clients_come_back_as_the_protocol_says() {
        for (code, back) in documented() {
            let expected = match back {
                "yes" => Back::Resume,
                "anew" => Back::Anew,
                "no" => Back::No,
                other => panic!("{code} has {other}"),
            };
            assert_eq!(Back::after(code), expected, "{code}");
        }
    }

    /// The codes in the protocol's table, with what its column "back" says.
    fn documented() -> BTreeMap<u16, &'static str> {
        let protocol = include_str!("../PROTOCOL.md");
        let (_, table) = protocol.split_once("| code | meaning | back |").unwrap();
        let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| "));
        let entries = rows.flat_map(|row| {
            let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
            let [first, _, back] = cells[..] else { panic!("{row}") };
            first.split(", ").flat_map(codes).map(move |code| (code, back))
        });
        entries.collect()
    }

    /// The range that a cell of the table names: one code, or a first and a last.
    fn codes(cell: &str) -> std::ops::RangeInclusive<u16> {
        let (first, last) = cell.split_once('–').unwrap_or((cell, cell));
        first.parse().unwrap()..=last.parse().unwrap()
    }
}
