//! The server's side of one session's connection.
//!
//! It checks the client's frames, keeps track of what the client was sent, and writes frame
//! payloads. It guarantees:
//! - No frame is accepted before a valid hello, and no second hello.
//! - Input sequence numbers increase by 1. An applied tick was sent on this connection, and never
//!   goes back. Neither does the moment that a player saw, and it is not newer than that tick.
//! - A delta only refers to snapshots that were written to this connection, or that the client has
//!   kept when it resumed.
//!
//! Not here: admission, the input queue, and the outbox.

use super::{
    Basis,
    flight::Flight,
    frames::{ACK, Before, INPUT, InputHead, MESSAGE, SnapshotHead, read_ack},
    integers,
    pacing::Leads,
};
use crate::{
    close::CloseReason,
    ids::{InputSeq, Tick},
    schema::Integer,
    time::{Micros, Moment},
    wire::{self, ClientMessage, Hello, PROTOCOL_VERSION, ServerMessage, Welcome},
};

/// The protocol of one connection at the server's end; see the [module](self).
#[derive(Debug)]
pub struct ServerLink {
    stage: Stage,
    received_at: Micros,
    seq: InputSeq,
    seen: Option<Moment>,
    flight: Flight,
    leads: Leads,
    basis: Basis,
    before: Before,
    owner_sent: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    AwaitingHello,
    Playing,
    Watching,
}

/// The content of a client's frame that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// A hello; answer it with a welcome or a close.
    Hello(Box<Hello>),
    /// An input for `tick`; its values are in the `values` passed to [`ServerLink::handle_frame`].
    Input {
        /// The input's number.
        seq: InputSeq,
        /// The tick that it is for.
        tick: Tick,
        /// The moment at which the player saw the others when making it.
        seen: Moment,
    },
    /// An acknowledgement of a snapshot; nothing is left to do.
    Ack,
    /// A ping; answer it with [`ServerMessage::Pong`].
    Ping {
        /// The client's time, to be returned.
        client_time: Micros,
    },
    /// The client's rows are wrong; the next snapshot will be a full one.
    Resync,
    /// A line of chat, as the user typed it.
    Chat(String),
}

/// One snapshot for one session.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The tick whose state it is.
    pub tick: Tick,
    /// The rows' digest, if this snapshot is to carry it.
    pub digest: Option<u32>,
    /// The newest input of this session that the rows include.
    pub processed: InputSeq,
    /// The owner's values, packed. Empty for a spectator. Sent when they have changed.
    pub owner: &'a [u8],
    /// The output of [`crate::codec::Encoder::encode`] for [`ServerLink::basis`].
    pub body: &'a [u8],
}

impl ServerLink {
    /// The link of a new connection.
    #[must_use]
    pub fn new(now: Micros) -> Self {
        Self {
            stage: Stage::AwaitingHello,
            received_at: now,
            seq: InputSeq::default(),
            seen: None,
            flight: Flight::new(),
            leads: Leads::default(),
            basis: Basis::default(),
            before: Before::default(),
            owner_sent: Vec::new(),
        }
    }

    /// Handles one frame. An input's values are unpacked into `values`, which must have room for
    /// each of `inputs`. An error must end the connection.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        inputs: &[Integer],
        values: &mut [i32],
        now: Micros,
    ) -> Result<Received, CloseReason> {
        self.received_at = now;
        let (&kind, rest) = frame.split_first().ok_or(CloseReason::Malformed)?;
        match kind {
            INPUT => self.handle_input(rest, inputs, values, now),
            ACK => {
                if self.stage == Stage::AwaitingHello {
                    return Err(CloseReason::OutOfOrder);
                }
                self.handle_applied(read_ack(rest).ok_or(CloseReason::Malformed)?, now)?;
                Ok(Received::Ack)
            }
            MESSAGE => {
                let message = wire::read_client(rest).map_err(|_| self.unread(rest))?;
                self.handle_message(message)
            }
            _ => Err(CloseReason::UnknownFrame),
        }
    }

    fn handle_input(
        &mut self,
        rest: &[u8],
        inputs: &[Integer],
        values: &mut [i32],
        now: Micros,
    ) -> Result<Received, CloseReason> {
        match self.stage {
            Stage::AwaitingHello => return Err(CloseReason::OutOfOrder),
            Stage::Watching => return Err(CloseReason::NotSeated),
            Stage::Playing => {}
        }
        let (head, packed) = InputHead::read(rest).ok_or(CloseReason::Malformed)?;
        let rest = integers::unpack(inputs, packed, values).map_err(|_| CloseReason::Malformed)?;
        if !rest.is_empty() {
            return Err(CloseReason::Malformed);
        }
        if head.seq != self.seq.next() {
            return Err(CloseReason::SequenceJump);
        }
        self.handle_applied(head.applied, now)?;
        let seen = Moment::before(head.applied, head.behind);
        if self.seen.is_some_and(|earlier| seen.since(earlier) < 0) {
            return Err(CloseReason::SeenGoesBack);
        }
        self.seen = Some(seen);
        self.seq = head.seq;
        Ok(Received::Input { seq: head.seq, tick: head.tick, seen })
    }

    /// Why a message can't be read: the hello of another version may have a different layout.
    fn unread(&self, message: &[u8]) -> CloseReason {
        let is_other = |version| version != PROTOCOL_VERSION;
        if self.stage == Stage::AwaitingHello && wire::hello_version(message).is_some_and(is_other)
        {
            CloseReason::WrongVersion
        } else {
            CloseReason::Malformed
        }
    }

    fn handle_message(&mut self, message: ClientMessage) -> Result<Received, CloseReason> {
        let is_welcomed = self.is_welcomed();
        match message {
            ClientMessage::Hello(_) if is_welcomed => Err(CloseReason::OutOfOrder),
            ClientMessage::Hello(hello) if hello.version != PROTOCOL_VERSION => {
                Err(CloseReason::WrongVersion)
            }
            ClientMessage::Hello(hello) => Ok(Received::Hello(Box::new(hello))),
            ClientMessage::Ping { .. } | ClientMessage::Resync | ClientMessage::Chat(_)
                if !is_welcomed =>
            {
                Err(CloseReason::OutOfOrder)
            }
            ClientMessage::Ping { client_time } => Ok(Received::Ping { client_time }),
            ClientMessage::Resync => {
                self.start_over();
                Ok(Received::Resync)
            }
            ClientMessage::Chat(text) => Ok(Received::Chat(text)),
        }
    }

    fn handle_applied(&mut self, applied: Tick, now: Micros) -> Result<(), CloseReason> {
        if self.flight.apply(applied, now) { Ok(()) } else { Err(CloseReason::NeverSent) }
    }

    /// Records the welcome that the hello was answered with: from now on inputs are accepted (if
    /// the session has a seat) and snapshots can be sent.
    pub fn welcome(&mut self, welcome: &Welcome) {
        self.stage = if welcome.seat.is_some() { Stage::Playing } else { Stage::Watching };
        self.seq = welcome.seq;
        self.before.processed = welcome.seq;
    }

    /// Makes the first snapshot a delta against `tick`, whose rows both the resuming client and the
    /// server still have.
    pub fn resume_from(&mut self, tick: Tick) {
        self.basis = Basis::kept(tick);
        self.before.tick = Some(tick);
    }

    /// Makes the next snapshot a full one.
    pub fn start_over(&mut self) {
        self.basis = Basis::default();
    }

    /// Records that the input just received arrived `lead` microseconds before its tick was due;
    /// negative if after.
    pub fn record_lead(&mut self, lead: i64) {
        self.leads.record(lead);
    }

    /// Whether the client's hello was answered with a welcome.
    #[must_use]
    pub fn is_welcomed(&self) -> bool {
        self.stage != Stage::AwaitingHello
    }

    /// The newest input that was accepted.
    #[must_use]
    pub const fn seq(&self) -> InputSeq {
        self.seq
    }

    /// When the last frame was received, or else when the client connected.
    #[must_use]
    pub const fn received_at(&self) -> Micros {
        self.received_at
    }

    /// Whether a snapshot of `tick` may be sent now: the client is welcomed, and the congestion
    /// window has room.
    #[must_use]
    pub fn has_credit(&self, tick: Tick, now: Micros) -> bool {
        self.is_welcomed() && self.flight.has_room(tick, now)
    }

    /// Whether a snapshot was sent on this connection, or kept from an earlier one.
    #[must_use]
    pub const fn has_sent(&self) -> bool {
        self.before.tick.is_some()
    }

    /// The basis against which to encode a snapshot of `tick`.
    #[must_use]
    pub fn basis(&self, tick: Tick) -> Basis {
        self.basis.serving(tick)
    }

    /// Appends a snapshot's frame, and counts it as sent: the caller must send it.
    pub fn write_snapshot(&mut self, snapshot: &Snapshot<'_>, now: Micros, out: &mut Vec<u8>) {
        let basis = self.basis(snapshot.tick);
        let owner = snapshot.owner != self.owner_sent;
        let head = SnapshotHead {
            tick: snapshot.tick,
            full: basis.ticks().is_empty(),
            digest: snapshot.digest,
            processed: snapshot.processed,
            lead: self.leads.poll(snapshot.tick),
            owner,
        };
        let start = out.len();
        head.write(self.before, out);
        if owner {
            self.owner_sent.clear();
            self.owner_sent.extend_from_slice(snapshot.owner);
            out.extend_from_slice(snapshot.owner);
        }
        out.extend_from_slice(snapshot.body);
        self.before = Before { tick: Some(snapshot.tick), processed: snapshot.processed };
        self.basis = basis.followed_by(snapshot.tick);
        self.flight.send(snapshot.tick, out.len() - start, now);
    }
}

/// Appends the frame of a message.
pub fn write_message(message: &ServerMessage<'_>, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    wire::write_server(message, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_out_of_order_are_rejected() {
        let mut link = ServerLink::new(Micros(0));
        let ping = message(&ClientMessage::Ping { client_time: Micros(0) });
        assert_eq!(receive(&mut link, &ping), Err(CloseReason::OutOfOrder));
        let hello = Hello { version: 9, schema_hash: None, resume: None, name: String::new() };
        let wrong = message(&ClientMessage::Hello(hello.clone()));
        assert_eq!(receive(&mut link, &wrong), Err(CloseReason::WrongVersion));
        let of_another_layout = [MESSAGE, 0, 9, 0xFF, 0xFF, 0xFF];
        assert_eq!(receive(&mut link, &of_another_layout), Err(CloseReason::WrongVersion));
        let cut_off = [MESSAGE, 0, PROTOCOL_VERSION as u8, 0xFF];
        assert_eq!(receive(&mut link, &cut_off), Err(CloseReason::Malformed));
        let mut link = playing();
        let again = message(&ClientMessage::Hello(Hello { version: PROTOCOL_VERSION, ..hello }));
        assert_eq!(receive(&mut link, &again), Err(CloseReason::OutOfOrder));
    }

    #[test]
    fn input_numbers_must_increase_by_one() {
        let mut link = playing();
        let mut out = Vec::new();
        snapshot(&mut link, Tick(7), &mut out);
        let input = |seq, applied| input(seq, applied, 0);
        let received =
            Received::Input { seq: InputSeq(1), tick: Tick(8), seen: Moment::from(Tick(7)) };
        assert_eq!(receive(&mut link, &input(1, 7)), Ok(received));
        assert_eq!(receive(&mut link, &input(3, 7)), Err(CloseReason::SequenceJump));
        assert_eq!(receive(&mut link, &input(1, 7)), Err(CloseReason::SequenceJump));
        assert_eq!(receive(&mut link, &input(2, 8)), Err(CloseReason::NeverSent));
        assert_eq!(receive(&mut link, &[INPUT, 0]), Err(CloseReason::Malformed));
        assert_eq!(receive(&mut link, &[9]), Err(CloseReason::UnknownFrame));
        assert_eq!(receive(&mut link, &[]), Err(CloseReason::Malformed));
    }

    #[test]
    fn the_seen_moment_never_goes_back() {
        let mut link = playing();
        let mut out = Vec::new();
        for tick in 7..=8 {
            snapshot(&mut link, Tick(tick), &mut out);
        }
        assert!(receive(&mut link, &input(1, 7, 300)).is_ok());
        let seen = Moment { tick: Tick(5), part: 212 };
        let received = Received::Input { seq: InputSeq(2), tick: Tick(8), seen };
        assert_eq!(receive(&mut link, &input(2, 8, 556)), Ok(received));
        assert_eq!(receive(&mut link, &input(3, 8, 557)), Err(CloseReason::SeenGoesBack));
    }

    fn input(seq: u32, applied: u32, behind: u16) -> Vec<u8> {
        let mut frame = Vec::new();
        let applied = Tick(applied);
        InputHead { seq: InputSeq(seq), tick: Tick(8), applied, behind }.write(&mut frame);
        frame
    }

    fn playing() -> ServerLink {
        let mut link = ServerLink::new(Micros(0));
        let welcome = crate::link::tests::welcome();
        link.welcome(&welcome);
        link
    }

    fn snapshot(link: &mut ServerLink, tick: Tick, out: &mut Vec<u8>) {
        let processed = InputSeq(0);
        let snapshot = Snapshot { tick, digest: None, processed, owner: &[], body: &[] };
        link.write_snapshot(&snapshot, Micros(0), out);
    }

    fn message(message: &ClientMessage) -> Vec<u8> {
        let mut frame = vec![MESSAGE];
        wire::write_client(message, &mut frame);
        frame
    }

    fn receive(link: &mut ServerLink, frame: &[u8]) -> Result<Received, CloseReason> {
        link.handle_frame(frame, &[], &mut [], Micros(0))
    }
}
