//! The client's side of one session's connection.
//!
//! It says hello, applies snapshots, checks their digests, numbers inputs and keeps a clock.
//! Whatever the server sends, nothing here panics or grows without bound: a frame is either
//! applied whole or a [`ServerFault`].

use super::{
    Basis,
    clock::Clock,
    frames::{Before, InputHead, MESSAGE, SNAPSHOT, SnapshotHead, write_ack},
    integers,
};
use crate::{
    codec::{BASIS_MAX, CodecError, Decoder},
    ids::{InputSeq, Tick},
    rows::Rows,
    schema::{Schema, SchemaError},
    social::Social,
    time::Micros,
    wire::{
        self, ClientMessage, Hello, PROTOCOL_VERSION, Pace, ResumeToken, ServerMessage, Welcome,
        schema_hash,
    },
};

/// See the module.
#[derive(Debug, Default)]
pub struct ClientLink {
    game: Option<Joined>,
}

/// What the link is once the server has welcomed it.
#[derive(Debug)]
struct Joined {
    welcome: Welcome,
    schema: Schema,
    decoder: Decoder,
    basis: Basis,
    before: Before,
    /// Rows of the basis and of the snapshot being decoded, by tick.
    slots: [(Option<Tick>, Rows); BASIS_MAX + 1],
    owner: Vec<i32>,
    seq: InputSeq,
    clock: Clock,
}

/// What a frame from the server brought.
#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// The server takes the client in.
    Welcome(&'a Welcome),
    /// [`ClientLink::rows`] are those of a newer tick.
    Snapshot {
        /// Which.
        tick: Tick,
        /// Whether a digest was there and agreed. If it did not, ask with
        /// [`ClientLink::write_resync`].
        digest: Digest,
    },
    /// Something happened in the match.
    Event {
        /// The tick that it happened in.
        tick: Tick,
        /// Index in the schema's `events`.
        kind: u8,
        /// One integer for each value that the schema names.
        values: Vec<i32>,
    },
    /// The answer to a ping.
    Pong {
        /// Time from writing the ping to reading the answer.
        rtt: Micros,
    },
    /// The codec has new statistics.
    Model,
    /// Ticks are so much farther apart from now on than the welcome says; see
    /// [`ClientLink::tick_interval`].
    Pace {
        /// 1 is normal.
        slowdown: u8,
    },
    /// The server is going away.
    Leaving {
        /// Time left at most.
        within: Micros,
    },
    /// About those who take part, and what they say.
    Social(Social),
}

/// What a snapshot's digest said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// There was none.
    Absent,
    /// Both ends have the same rows.
    Agrees,
    /// This end's rows are wrong.
    Differs,
}

/// What a server should not have sent. Each ends the connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerFault {
    /// A frame that is none of the known ones, or not valid.
    #[error("malformed frame from the server")]
    Malformed,
    /// A snapshot before the welcome, a second welcome, or a welcome without the schema.
    #[error("the server's frames are out of order")]
    OutOfOrder,
    /// The schema is not one that a match can run on.
    #[error("bad schema: {0}")]
    Schema(#[from] SchemaError),
    /// The body or the model can't be decoded.
    #[error("bad snapshot: {0}")]
    Codec(#[from] CodecError),
}

impl ClientLink {
    /// Appends the hello, which must be the first frame of every connection. An empty `name`
    /// leaves it to the server to find one.
    pub fn write_hello(name: &str, resume: Option<ResumeToken>, out: &mut Vec<u8>) {
        let name = name.to_owned();
        let hello = Hello { version: PROTOCOL_VERSION, schema_hash: None, resume, name };
        write_message(&ClientMessage::Hello(hello), out);
    }

    /// Takes in one message from the server.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        now: Micros,
    ) -> Result<ClientEvent<'_>, ServerFault> {
        let (&kind, rest) = frame.split_first().ok_or(ServerFault::Malformed)?;
        if kind & SNAPSHOT != 0 {
            return self.game.as_mut().ok_or(ServerFault::OutOfOrder)?.apply(frame);
        }
        if kind != MESSAGE {
            return Err(ServerFault::Malformed);
        }
        match wire::read_server(rest).map_err(|_| ServerFault::Malformed)? {
            ServerMessage::Welcome(_) if self.game.is_some() => Err(ServerFault::OutOfOrder),
            ServerMessage::Welcome(welcome) => {
                let game = self.game.insert(Joined::new(*welcome)?);
                Ok(ClientEvent::Welcome(&game.welcome))
            }
            ServerMessage::Pong(pong) => {
                let rtt = now.since(pong.client_time);
                let game = self.game.as_mut().ok_or(ServerFault::OutOfOrder)?;
                game.clock.hear(pong, rtt);
                Ok(ClientEvent::Pong { rtt })
            }
            ServerMessage::Event { tick, kind, values } => {
                Ok(ClientEvent::Event { tick, kind, values: values.into_owned() })
            }
            ServerMessage::Model(model) => {
                let game = self.game.as_mut().ok_or(ServerFault::OutOfOrder)?;
                game.decoder.set_model(&model)?;
                Ok(ClientEvent::Model)
            }
            ServerMessage::Pace(Pace { slowdown: 0, .. }) => Err(ServerFault::Malformed),
            ServerMessage::Pace(pace) => {
                let game = self.game.as_mut().ok_or(ServerFault::OutOfOrder)?;
                game.clock.set_pace(pace);
                Ok(ClientEvent::Pace { slowdown: pace.slowdown })
            }
            ServerMessage::Leaving { within } => Ok(ClientEvent::Leaving { within }),
            ServerMessage::Social(social) => Ok(ClientEvent::Social(social)),
        }
    }

    /// What the server said in its welcome.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        self.game.as_ref().map(|game| &game.welcome)
    }

    /// What the integers in rows, inputs and events mean, once the server has said it.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.game.as_ref().map(|game| &game.schema)
    }

    /// The newest snapshot that was applied.
    #[must_use]
    pub fn applied(&self) -> Option<Tick> {
        self.game.as_ref()?.before.tick
    }

    /// The rows of the newest snapshot.
    #[must_use]
    pub fn rows(&self) -> Option<&Rows> {
        let game = self.game.as_ref()?;
        game.before.tick.map(|tick| &game.slots[slot_of(&game.slots, tick)].1)
    }

    /// What only this seat's owner is told, as of the newest snapshot.
    #[must_use]
    pub fn owner(&self) -> &[i32] {
        self.game.as_ref().map_or(&[], |game| &game.owner)
    }

    /// The newest input that the newest snapshot includes.
    #[must_use]
    pub fn processed(&self) -> InputSeq {
        self.game.as_ref().map_or_else(InputSeq::default, |game| game.before.processed)
    }

    /// Appends an input for `tick` and gives its number, or `None` (and nothing is appended) as
    /// long as no snapshot was applied.
    pub fn write_input(
        &mut self,
        tick: Tick,
        values: &[i32],
        out: &mut Vec<u8>,
    ) -> Option<InputSeq> {
        let game = self.game.as_mut()?;
        let applied = game.before.tick?;
        game.seq = game.seq.next();
        InputHead { seq: game.seq, tick, applied }.write(out);
        integers::pack(&game.schema.input, values, out);
        Some(game.seq)
    }

    /// Appends an acknowledgement of the newest snapshot, for a client that has no inputs to
    /// carry it. Nothing is appended as long as there is none.
    pub fn write_ack(&self, out: &mut Vec<u8>) {
        if let Some(applied) = self.applied() {
            write_ack(applied, out);
        }
    }

    /// Appends a ping.
    pub fn write_ping(&self, now: Micros, out: &mut Vec<u8>) {
        write_message(&ClientMessage::Ping { client_time: now }, out);
    }

    /// Appends a request for a full snapshot.
    pub fn write_resync(&self, out: &mut Vec<u8>) {
        write_message(&ClientMessage::Resync, out);
    }

    /// Appends something to say to everyone in the match. More than
    /// [`CHAT_CHARS_MAX`](crate::social::CHAT_CHARS_MAX) characters would be refused.
    pub fn write_chat(&self, text: &str, out: &mut Vec<u8>) {
        write_message(&ClientMessage::Chat(text.to_owned()), out);
    }

    /// When `tick` was or will be due, on this client's clock, as far as pongs tell.
    #[must_use]
    pub fn due(&self, tick: Tick) -> Option<Micros> {
        let game = self.game.as_ref()?;
        game.clock.due(tick, game.welcome.tick_rate)
    }

    /// Time between two ticks at the match's present pace, once the server has said it.
    #[must_use]
    pub fn tick_interval(&self) -> Option<Micros> {
        let game = self.game.as_ref()?;
        Some(game.clock.interval(game.welcome.tick_rate))
    }
}

impl Joined {
    fn new(mut welcome: Welcome) -> Result<Self, ServerFault> {
        let schema = welcome.schema.take().ok_or(ServerFault::OutOfOrder)?;
        schema.validate()?;
        if schema_hash(&schema) != welcome.schema_hash {
            return Err(ServerFault::Malformed);
        }
        let mut decoder = Decoder::new(&schema, welcome.tick_rate);
        decoder.set_model(&welcome.model)?;
        Ok(Self {
            owner: schema.owner.iter().map(|integer| integer.min).collect(),
            decoder,
            basis: Basis::default(),
            before: Before { tick: None, processed: welcome.seq },
            slots: Default::default(),
            seq: welcome.seq,
            clock: Clock::default(),
            schema,
            welcome,
        })
    }

    fn apply(&mut self, frame: &[u8]) -> Result<ClientEvent<'_>, ServerFault> {
        let (head, rest) = SnapshotHead::read(frame, self.before).ok_or(ServerFault::Malformed)?;
        let mut owner_and_body = rest;
        if head.owner {
            owner_and_body = integers::unpack(&self.schema.owner, rest, &mut self.owner)
                .map_err(|_| ServerFault::Malformed)?;
        }
        let basis = if head.full { Basis::default() } else { self.basis.serving(head.tick) };
        if !head.full && basis.ticks().is_empty() {
            return Err(ServerFault::OutOfOrder);
        }
        let free = (0..self.slots.len())
            .find(|&slot| self.slots[slot].0.is_none_or(|tick| !basis.ticks().contains(&tick)))
            .expect("there is one slot more than a basis has ticks");
        let mut rows = std::mem::take(&mut self.slots[free].1);
        let decoded = {
            let none = (Tick::default(), &Rows::default());
            let mut both = [none; BASIS_MAX];
            for (place, &tick) in both.iter_mut().zip(basis.ticks()) {
                *place = (tick, &self.slots[slot_of(&self.slots, tick)].1);
            }
            let both = &both[..basis.ticks().len()];
            self.decoder.decode(both, head.tick, owner_and_body, &mut rows)
        };
        let digest = head.digest.map(|digest| digest == rows.digest());
        self.slots[free] = (Some(head.tick), rows);
        decoded?;
        self.basis = basis.followed_by(head.tick);
        self.before = Before { tick: Some(head.tick), processed: head.processed };
        let digest = match digest {
            None => Digest::Absent,
            Some(true) => Digest::Agrees,
            Some(false) => Digest::Differs,
        };
        Ok(ClientEvent::Snapshot { tick: head.tick, digest })
    }
}

fn slot_of(slots: &[(Option<Tick>, Rows)], tick: Tick) -> usize {
    slots.iter().position(|slot| slot.0 == Some(tick)).expect("a basis has its rows")
}

fn write_message(message: &ClientMessage, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    wire::write_client(message, out);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        codec::Encoder,
        ids::{EntityId, MatchId, Seat, SessionId},
        link::{ServerLink, Snapshot, integers::pack},
        schema::Field,
        time::TickRate,
    };

    #[test]
    fn snapshots_of_any_gap_arrive_whole() {
        let mut pair = Pair::new();
        for tick in [7, 8, 9, 12, 40, 41, 200, 201] {
            pair.check_snapshot(Tick(tick));
        }
    }

    #[test]
    fn a_resync_brings_a_full_snapshot() {
        let mut pair = Pair::new();
        pair.check_snapshot(Tick(7));
        let mut frame = Vec::new();
        pair.client.write_resync(&mut frame);
        pair.server.handle_frame(&frame, &[], &mut [], Micros(0)).unwrap();
        assert!(pair.server.basis(Tick(8)).ticks().is_empty());
        pair.check_snapshot(Tick(8));
        pair.check_snapshot(Tick(9));
    }

    #[test]
    fn inputs_are_numbered_and_judged() {
        let mut pair = Pair::new();
        let mut frame = Vec::new();
        assert_eq!(pair.client.write_input(Tick(9), &[3], &mut frame), None, "no snapshot yet");
        pair.check_snapshot(Tick(7));
        for seq in 1..4 {
            frame.clear();
            let said = pair.client.write_input(Tick(9), &[3], &mut frame);
            assert_eq!(said, Some(InputSeq(seq)));
            let mut values = [0];
            let heard = pair.server.handle_frame(&frame, &schema().input, &mut values, Micros(0));
            let expected = crate::link::Received::Input { seq: InputSeq(seq), tick: Tick(9) };
            assert_eq!((heard, values), (Ok(expected), [3]));
        }
    }

    #[test]
    fn hostile_frames_are_faults() {
        let mut pair = Pair::new();
        check_fault(&mut pair, &[], &ServerFault::Malformed);
        check_fault(&mut pair, &[1], &ServerFault::Malformed);
        check_fault(&mut pair, &[SNAPSHOT], &ServerFault::Malformed);
        check_fault(&mut pair, &[MESSAGE, 77], &ServerFault::Malformed);
        pair.check_snapshot(Tick(7));
        check_fault(&mut pair, &[SNAPSHOT | 0x40], &ServerFault::Malformed);
    }

    #[track_caller]
    fn check_fault(pair: &mut Pair, frame: &[u8], expected: &ServerFault) {
        let said = pair.client.handle_frame(frame, Micros(0));
        assert_eq!(said.err().as_ref(), Some(expected), "{frame:?}");
    }

    struct Pair {
        server: ServerLink,
        client: ClientLink,
        encoder: Encoder,
        sent: Vec<(Tick, Rows)>,
    }

    impl Pair {
        fn new() -> Self {
            let mut server = ServerLink::new(Micros(0));
            let mut client = ClientLink::default();
            let mut frame = Vec::new();
            server.welcome(&welcome());
            crate::link::server::write_message(
                &ServerMessage::Welcome(Box::new(welcome())),
                &mut frame,
            );
            client.handle_frame(&frame, Micros(0)).unwrap();
            let encoder = Encoder::new(&schema(), welcome().tick_rate);
            Self { server, client, encoder, sent: Vec::new() }
        }

        #[track_caller]
        fn check_snapshot(&mut self, tick: Tick) {
            let mut rows = Rows::default();
            rows.push(EntityId(3), 0, &[tick.0.cast_signed() * 3 % 100]);
            let basis = self.server.basis(tick);
            let rows_of = |tick: &Tick| self.sent.iter().find(|sent| sent.0 == *tick).unwrap();
            let both: Vec<_> = (basis.ticks().iter().map(rows_of).map(|(t, r)| (*t, r))).collect();
            let mut body = Vec::new();
            self.encoder.encode(&both, tick, &rows, &mut body);
            let mut owner = Vec::new();
            pack(&schema().owner, &[i32::from(tick.0.is_multiple_of(3))], &mut owner);
            let digest = Some(rows.digest());
            let processed = InputSeq(0);
            let snapshot = Snapshot { tick, digest, processed, owner: &owner, body: &body };
            let mut frame = Vec::new();
            self.server.write_snapshot(&snapshot, &mut frame);
            match self.client.handle_frame(&frame, Micros(0)) {
                Ok(ClientEvent::Snapshot { tick: applied, digest: Digest::Agrees }) => {
                    assert_eq!(applied, tick);
                }
                other => panic!("{other:?} for {tick:?}"),
            }
            assert_eq!(self.client.rows(), Some(&rows));
            assert_eq!(self.client.owner(), [i32::from(tick.0.is_multiple_of(3))]);
            self.sent.push((tick, rows));
        }
    }

    pub(in crate::link) fn welcome() -> Welcome {
        Welcome {
            session: SessionId(1),
            resume: ResumeToken([7; 16]),
            match_id: MatchId(1),
            seat: Some(Seat(0)),
            seq: InputSeq(0),
            tick_rate: TickRate::new(30).unwrap(),
            schema_hash: schema_hash(&schema()),
            schema: Some(schema()),
            model: Vec::new(),
        }
    }

    fn schema() -> Schema {
        Schema::new("test")
            .kind("thing", [Field::new("x", 1.0, 0, 1000)])
            .owner("secret", 0, 1)
            .input("key", 0, 3)
    }
}
