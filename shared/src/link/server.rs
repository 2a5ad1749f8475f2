//! The server's side of one session's connection.
//!
//! It judges what the client sends, remembers what the client was sent, and writes frame
//! payloads. Guarantees
//! - Nothing is accepted before a valid hello, and no second one.
//! - Input numbers follow one another; an applied tick was sent, and never goes back.
//! - A delta is only made from snapshots that were written to this connection before it.
//!
//! Not here: who may join, the input queue, the bytes that the kernel did not take.

use super::{
    Basis,
    frames::{ACK, Before, INPUT, InputHead, MESSAGE, SnapshotHead, read_ack},
    integers,
};
use crate::{
    close::CloseReason,
    history::HISTORY_LEN,
    ids::{InputSeq, Tick},
    schema::Integer,
    time::Micros,
    wire::{self, ClientMessage, Hello, PROTOCOL_VERSION, ServerMessage, Welcome},
};

/// Ticks that may be on their way to a client. More means that a buffer between here and there is
/// filling up, and whatever is sent now would arrive late.
pub const CREDIT_TICKS: i32 = 48;
const _: () = assert!(CREDIT_TICKS < HISTORY_LEN as i32, "a baseline must outlive the credit");

/// See the module.
#[derive(Debug)]
pub struct ServerLink {
    stage: Stage,
    heard_at: Micros,
    seq: InputSeq,
    sent: Sent,
    basis: Basis,
    before: Before,
    owner_told: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    AwaitingHello,
    Playing,
    Watching,
}

/// What a client's frame says, once it has been judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// It wants to take part; answer with a welcome or a close.
    Hello(Hello),
    /// An input for `tick`; its values are in the buffer that was given.
    Input {
        /// The input's number.
        seq: InputSeq,
        /// The tick that it is for.
        tick: Tick,
    },
    /// It has applied a snapshot; nothing to do.
    Ack,
    /// It asks for the time; answer with [`ServerMessage::Pong`].
    Ping {
        /// To be sent back.
        client_time: Micros,
    },
    /// It has lost track; the next snapshot will be a full one.
    Resync,
    /// It says something, as it was typed.
    Chat(String),
}

/// One snapshot, as far as it is not the same for everybody.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Which tick it is the state of.
    pub tick: Tick,
    /// The rows' digest, if this tick is one that carries it.
    pub digest: Option<u32>,
    /// The newest input of this session that the rows include.
    pub processed: InputSeq,
    /// The owner's values, packed. Empty for a spectator. Sent when they have changed.
    pub owner: &'a [u8],
    /// What [`crate::codec::Encoder::encode`] made from [`ServerLink::basis`].
    pub body: &'a [u8],
}

impl ServerLink {
    /// A connection that was made just now.
    #[must_use]
    pub fn new(now: Micros) -> Self {
        Self {
            stage: Stage::AwaitingHello,
            heard_at: now,
            seq: InputSeq::default(),
            sent: Sent::default(),
            basis: Basis::default(),
            before: Before::default(),
            owner_told: Vec::new(),
        }
    }

    /// Judges one message. An input's values are unpacked into `values`, which has a place for
    /// each of `inputs`. An error is the end of the connection.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        inputs: &[Integer],
        values: &mut [i32],
        now: Micros,
    ) -> Result<Received, CloseReason> {
        self.heard_at = now;
        let (&kind, rest) = frame.split_first().ok_or(CloseReason::Malformed)?;
        match kind {
            INPUT => self.handle_input(rest, inputs, values),
            ACK => {
                if self.stage == Stage::AwaitingHello {
                    return Err(CloseReason::OutOfOrder);
                }
                self.handle_applied(read_ack(rest).ok_or(CloseReason::Malformed)?)?;
                Ok(Received::Ack)
            }
            MESSAGE => {
                let message = wire::read_client(rest).map_err(|_| CloseReason::Malformed)?;
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
        self.handle_applied(head.applied)?;
        self.seq = head.seq;
        Ok(Received::Input { seq: head.seq, tick: head.tick })
    }

    fn handle_message(&mut self, message: ClientMessage) -> Result<Received, CloseReason> {
        let said_hello = self.stage != Stage::AwaitingHello;
        match message {
            ClientMessage::Hello(_) if said_hello => Err(CloseReason::OutOfOrder),
            ClientMessage::Hello(hello) if hello.version != PROTOCOL_VERSION => {
                Err(CloseReason::WrongVersion)
            }
            ClientMessage::Hello(hello) => Ok(Received::Hello(hello)),
            ClientMessage::Ping { .. } | ClientMessage::Resync | ClientMessage::Chat(_)
                if !said_hello =>
            {
                Err(CloseReason::OutOfOrder)
            }
            ClientMessage::Ping { client_time } => Ok(Received::Ping { client_time }),
            ClientMessage::Resync => {
                self.basis = Basis::default();
                Ok(Received::Resync)
            }
            ClientMessage::Chat(text) => Ok(Received::Chat(text)),
        }
    }

    fn handle_applied(&mut self, applied: Tick) -> Result<(), CloseReason> {
        if self.sent.apply(applied) { Ok(()) } else { Err(CloseReason::NeverSent) }
    }

    /// The hello was answered by this welcome: from now on inputs are accepted (if there is a
    /// seat) and snapshots go out.
    pub fn welcome(&mut self, welcome: &Welcome) {
        self.stage = if welcome.seat.is_some() { Stage::Playing } else { Stage::Watching };
        self.seq = welcome.seq;
        self.before.processed = welcome.seq;
    }

    /// Whether the client has said a hello that was welcomed.
    #[must_use]
    pub fn is_welcomed(&self) -> bool {
        self.stage != Stage::AwaitingHello
    }

    /// The newest input that was accepted.
    #[must_use]
    pub const fn seq(&self) -> InputSeq {
        self.seq
    }

    /// When the client last said something, or connected.
    #[must_use]
    pub const fn heard_at(&self) -> Micros {
        self.heard_at
    }

    /// Whether a snapshot of `tick` may be sent now: the client is welcomed, and not too many
    /// ticks are still on their way to it.
    #[must_use]
    pub fn has_credit(&self, tick: Tick) -> bool {
        self.is_welcomed() && self.sent.in_flight(tick) <= CREDIT_TICKS
    }

    /// What a snapshot of `tick` is to be encoded from.
    #[must_use]
    pub fn basis(&self, tick: Tick) -> Basis {
        self.basis.serving(tick)
    }

    /// Appends a snapshot's frame, which from now on counts as sent.
    pub fn write_snapshot(&mut self, snapshot: &Snapshot<'_>, out: &mut Vec<u8>) {
        let basis = self.basis(snapshot.tick);
        let owner = snapshot.owner != self.owner_told;
        let head = SnapshotHead {
            tick: snapshot.tick,
            full: basis.ticks().is_empty(),
            digest: snapshot.digest,
            processed: snapshot.processed,
            owner,
        };
        head.write(self.before, out);
        if owner {
            self.owner_told.clear();
            self.owner_told.extend_from_slice(snapshot.owner);
            out.extend_from_slice(snapshot.owner);
        }
        out.extend_from_slice(snapshot.body);
        self.before = Before { tick: Some(snapshot.tick), processed: snapshot.processed };
        self.basis = basis.followed_by(snapshot.tick);
        self.sent.send(snapshot.tick);
    }
}

/// Appends the frame of a message.
pub fn write_message(message: &ServerMessage<'_>, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    wire::write_server(message, out);
}

/// Which of the last 64 ticks were sent, and the newest of them that the client has applied.
#[derive(Debug, Default)]
struct Sent {
    newest: Option<Tick>,
    /// Bit `n`: the tick `n` before the newest was sent.
    ticks: u64,
    applied: Option<Tick>,
    /// The first tick that was sent, from which flight counts until something is applied.
    first: Tick,
}

impl Sent {
    fn send(&mut self, tick: Tick) {
        let Some(newest) = self.newest else {
            *self = Self { newest: Some(tick), ticks: 1, applied: None, first: tick };
            return;
        };
        let gap = tick.since(newest).cast_unsigned();
        self.ticks = self.ticks.checked_shl(gap).unwrap_or(0) | 1;
        self.newest = Some(tick);
    }

    /// Whether this tick was sent and is not older than what was applied before.
    fn apply(&mut self, tick: Tick) -> bool {
        if self.applied == Some(tick) {
            return true;
        }
        let Some(newest) = self.newest else { return false };
        let age = newest.since(tick);
        let was_sent = (0..64).contains(&age) && self.ticks & (1 << age) != 0;
        let goes_back = self.applied.is_some_and(|applied| tick.since(applied) < 0);
        if was_sent && !goes_back {
            self.applied = Some(tick);
        }
        was_sent && !goes_back
    }

    /// Ticks from what the client is known to have to `tick`, as far as anything was sent.
    fn in_flight(&self, tick: Tick) -> i32 {
        let Some(newest) = self.newest else { return 0 };
        match self.applied {
            Some(applied) if applied == newest => 0,
            Some(applied) => tick.since(applied),
            None => tick.since(self.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::frames::write_ack;

    #[test]
    fn applied_ticks_must_have_been_sent() {
        let mut sent = Sent::default();
        assert!(!sent.apply(Tick(0)));
        for tick in [5, 6, 8] {
            sent.send(Tick(tick));
        }
        assert!(!sent.apply(Tick(7)), "skipped");
        assert!(!sent.apply(Tick(9)), "to come");
        assert!(sent.apply(Tick(6)));
        assert!(sent.apply(Tick(6)), "again");
        assert!(!sent.apply(Tick(5)), "back");
        assert_eq!(sent.in_flight(Tick(9)), 3);
        assert!(sent.apply(Tick(8)));
        assert_eq!(sent.in_flight(Tick(500)), 0, "nothing is on its way");
    }

    #[test]
    fn credit_runs_out_and_comes_back() {
        let mut link = playing();
        let mut out = Vec::new();
        let mut tick = Tick(100);
        while link.has_credit(tick) {
            snapshot(&mut link, tick, &mut out);
            tick = tick.plus(1);
        }
        assert_eq!(tick.since(Tick(100)), CREDIT_TICKS + 1);
        let mut ack = Vec::new();
        write_ack(Tick(120), &mut ack);
        assert_eq!(receive(&mut link, &ack), Ok(Received::Ack));
        assert!(link.has_credit(tick));
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        let mut link = ServerLink::new(Micros(0));
        let ping = message(&ClientMessage::Ping { client_time: Micros(0) });
        assert_eq!(receive(&mut link, &ping), Err(CloseReason::OutOfOrder));
        let hello = Hello { version: 9, schema_hash: None, resume: None, name: String::new() };
        let wrong = message(&ClientMessage::Hello(hello.clone()));
        assert_eq!(receive(&mut link, &wrong), Err(CloseReason::WrongVersion));
        let mut link = playing();
        let again = message(&ClientMessage::Hello(Hello { version: PROTOCOL_VERSION, ..hello }));
        assert_eq!(receive(&mut link, &again), Err(CloseReason::OutOfOrder));
    }

    #[test]
    fn inputs_must_follow_one_another() {
        let mut link = playing();
        let mut out = Vec::new();
        snapshot(&mut link, Tick(7), &mut out);
        let input = |seq, applied| {
            let mut frame = Vec::new();
            let head = InputHead { seq: InputSeq(seq), tick: Tick(8), applied: Tick(applied) };
            head.write(&mut frame);
            frame
        };
        let received = Received::Input { seq: InputSeq(1), tick: Tick(8) };
        assert_eq!(receive(&mut link, &input(1, 7)), Ok(received));
        assert_eq!(receive(&mut link, &input(3, 7)), Err(CloseReason::SequenceJump));
        assert_eq!(receive(&mut link, &input(1, 7)), Err(CloseReason::SequenceJump));
        assert_eq!(receive(&mut link, &input(2, 8)), Err(CloseReason::NeverSent));
        assert_eq!(receive(&mut link, &[INPUT, 0]), Err(CloseReason::Malformed));
        assert_eq!(receive(&mut link, &[9]), Err(CloseReason::UnknownFrame));
        assert_eq!(receive(&mut link, &[]), Err(CloseReason::Malformed));
    }

    fn playing() -> ServerLink {
        let mut link = ServerLink::new(Micros(0));
        let welcome = crate::link::client::tests::welcome();
        link.welcome(&welcome);
        link
    }

    fn snapshot(link: &mut ServerLink, tick: Tick, out: &mut Vec<u8>) {
        let processed = InputSeq(0);
        let snapshot = Snapshot { tick, digest: None, processed, owner: &[], body: &[] };
        link.write_snapshot(&snapshot, out);
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
