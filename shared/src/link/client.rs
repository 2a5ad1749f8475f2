//! The client's side of one session: it says hello, applies snapshots, checks their digests,
//! numbers inputs, keeps the server's clock and its own pace, and takes the session up again when
//! the connection was lost.
//!
//! Whatever the server sends, nothing here panics or grows without bound: a frame is either
//! applied whole or a [`ServerFault`].

use super::{
    clock::Clock,
    frames::{InputHead, MESSAGE, SNAPSHOT, write_ack},
    integers,
    pacing::InputPace,
    snapshots::Snapshots,
};
use crate::{
    codec::CodecError,
    ids::{InputSeq, Tick},
    rows::Rows,
    schema::{Schema, SchemaError},
    social::{CHAT_CHARS_MAX, ChatRefused, NAME_CHARS_MAX, Social},
    time::{Micros, Moment},
    wire::{
        self, ClientMessage, Hello, Kept, PROTOCOL_VERSION, Pace, Resume, ResumeToken,
        ServerMessage, Welcome, schema_hash,
    },
};

/// Time between two pings, and between the first few.
const PING_INTERVAL: Micros = Micros::from_millis(500);
const FIRST_PING_INTERVAL: Micros = Micros::from_millis(100);
const FIRST_PINGS: u32 = 8;

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
    snapshots: Snapshots,
    stage: Stage,
    /// Events that the session was told.
    events: u32,
    seq: InputSeq,
    seen: Option<Moment>,
    /// What the newest input of this connection said about that: it never goes back.
    seen_said: Option<Moment>,
    clock: Clock,
    pace: InputPace,
    pings: u32,
    ping_due: Micros,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The hello of a new connection is on its way.
    AwaitingWelcome,
    /// Nothing was applied on this connection, so no input may be sent.
    AwaitingSnapshot,
    Playing,
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
    /// [`Clock::interval`].
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
    /// Appends the hello of a new session, or of one that is taken up by a client that has nothing
    /// of it but its token. It must be the first frame of a connection. An empty `name` leaves it
    /// to the server to find one; of a long one the first [`NAME_CHARS_MAX`] characters count.
    pub fn write_hello(name: &str, resume: Option<ResumeToken>, out: &mut Vec<u8>) {
        let name = name.chars().take(NAME_CHARS_MAX).collect();
        let resume = resume.map(|token| Resume { token, kept: None });
        let hello = Hello { version: PROTOCOL_VERSION, schema_hash: None, resume, name };
        write_message(&ClientMessage::Hello(hello), out);
    }

    /// The connection was lost and there is a new one: appends the hello with which the session
    /// goes on where it was. Without a session, that of a new one.
    pub fn write_hello_again(&mut self, out: &mut Vec<u8>) {
        let Some(game) = &mut self.game else { return Self::write_hello("", None, out) };
        game.stage = Stage::AwaitingWelcome;
        game.pace.reconnect();
        (game.seen, game.seen_said) = (None, None);
        let kept = Kept {
            applied: game.snapshots.applied(),
            events: game.events,
            model_hash: game.snapshots.model_hash(),
        };
        let hello = Hello {
            version: PROTOCOL_VERSION,
            schema_hash: Some(game.welcome.schema_hash),
            resume: Some(Resume { token: game.welcome.resume, kept: Some(kept) }),
            // The session keeps its name.
            name: String::new(),
        };
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
            return self.welcomed()?.apply(frame);
        }
        if kind != MESSAGE {
            return Err(ServerFault::Malformed);
        }
        match wire::read_server(rest).map_err(|_| ServerFault::Malformed)? {
            ServerMessage::Welcome(welcome) => {
                let game = match &mut self.game {
                    Some(game) => {
                        game.again(*welcome)?;
                        game
                    }
                    none => none.insert(Joined::new(*welcome)?),
                };
                Ok(ClientEvent::Welcome(&game.welcome))
            }
            ServerMessage::Pong(pong) => {
                self.welcomed()?.clock.hear(pong, now);
                Ok(ClientEvent::Pong { rtt: pong.rtt(now) })
            }
            ServerMessage::Event { tick, kind, values } => {
                let game = self.welcomed()?;
                let known = game.schema.events.get(usize::from(kind));
                if known.is_none_or(|event| event.values.len() != values.len()) {
                    return Err(ServerFault::Malformed);
                }
                game.events = game.events.wrapping_add(1);
                Ok(ClientEvent::Event { tick, kind, values: values.into_owned() })
            }
            ServerMessage::Model(model) => {
                self.welcomed()?.snapshots.set_model(&model)?;
                Ok(ClientEvent::Model)
            }
            ServerMessage::Pace(Pace { slowdown: 0, .. }) => Err(ServerFault::Malformed),
            ServerMessage::Pace(pace) => {
                self.welcomed()?.clock.set_pace(pace, now);
                Ok(ClientEvent::Pace { slowdown: pace.slowdown })
            }
            ServerMessage::Leaving { within } => {
                self.welcomed()?;
                Ok(ClientEvent::Leaving { within })
            }
            ServerMessage::Social(social) => {
                self.welcomed()?;
                Ok(ClientEvent::Social(social))
            }
        }
    }

    fn welcomed(&mut self) -> Result<&mut Joined, ServerFault> {
        let game = self.game.as_mut().filter(|game| game.stage != Stage::AwaitingWelcome);
        game.ok_or(ServerFault::OutOfOrder)
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
        self.game.as_ref()?.snapshots.applied()
    }

    /// The rows of the newest snapshot.
    #[must_use]
    pub fn rows(&self) -> Option<&Rows> {
        self.game.as_ref()?.snapshots.rows()
    }

    /// What only this seat's owner is told, as of the newest snapshot.
    #[must_use]
    pub fn owner(&self) -> &[i32] {
        self.game.as_ref().map_or(&[], |game| game.snapshots.owner())
    }

    /// The newest input that the newest snapshot includes.
    #[must_use]
    pub fn processed(&self) -> InputSeq {
        self.game.as_ref().map_or_else(InputSeq::default, |game| game.snapshots.processed())
    }

    /// The others were shown as they were at `moment` when the next inputs are made. Without this,
    /// it is taken that they are shown as the newest snapshot has them.
    pub fn set_seen(&mut self, moment: Moment) {
        if let Some(game) = &mut self.game
            && game.seen.is_none_or(|earlier| moment.since(earlier) > 0)
        {
            game.seen = Some(moment);
        }
    }

    /// The tick for which an input is to be made now, so that it arrives just in time. To be asked
    /// until there is none, as often as the client can.
    pub fn poll_input(&mut self, now: Micros) -> Option<Tick> {
        let game = self.game.as_mut().filter(|game| game.stage == Stage::Playing)?;
        game.pace.poll(&game.clock, now)
    }

    /// When the next input is due, as far as is known.
    #[must_use]
    pub fn input_due(&self, now: Micros) -> Option<Micros> {
        let game = self.game.as_ref().filter(|game| game.stage == Stage::Playing)?;
        game.pace.due(&game.clock, now)
    }

    /// Appends an input for `tick` and gives its number, or `None` (and nothing is appended) as
    /// long as no snapshot was applied on this connection.
    ///
    /// # Panics
    /// When `values` are not those that the schema's `input` lists, each within its range.
    pub fn write_input(
        &mut self,
        tick: Tick,
        values: &[i32],
        out: &mut Vec<u8>,
    ) -> Option<InputSeq> {
        let game = self.game.as_mut().filter(|game| game.stage == Stage::Playing)?;
        let applied = game.snapshots.applied()?;
        game.seq = game.seq.next();
        let newest = Moment::from(applied);
        let seen = game.seen.unwrap_or(newest);
        let seen = game.seen_said.filter(|said| said.since(seen) > 0).unwrap_or(seen);
        let behind = newest.since(seen).clamp(0, u16::MAX.into()) as u16;
        game.seen_said = Some(Moment::before(applied, behind));
        InputHead { seq: game.seq, tick, applied, behind }.write(out);
        integers::pack(&game.schema.input, values, out)
            .unwrap_or_else(|error| panic!("the input does not fit the schema: {error}"));
        game.pace.made(game.seq);
        Some(game.seq)
    }

    /// Appends an acknowledgement of the newest snapshot, for a client that has no inputs to
    /// carry it. Nothing is appended as long as there is none.
    pub fn write_ack(&self, out: &mut Vec<u8>) {
        let game = self.game.as_ref().filter(|game| game.stage == Stage::Playing);
        if let Some(applied) = game.and_then(|game| game.snapshots.applied()) {
            write_ack(applied, out);
        }
    }

    /// Appends a ping if one is due: often at first, then twice a second.
    pub fn poll_ping(&mut self, now: Micros, out: &mut Vec<u8>) {
        let Ok(game) = self.welcomed() else { return };
        if now < game.ping_due {
            return;
        }
        game.pings += 1;
        let interval = if game.pings < FIRST_PINGS { FIRST_PING_INTERVAL } else { PING_INTERVAL };
        game.ping_due = now.plus(interval);
        self.write_ping(now, out);
    }

    /// Appends a ping.
    pub fn write_ping(&self, now: Micros, out: &mut Vec<u8>) {
        write_message(&ClientMessage::Ping { client_time: now }, out);
    }

    /// Appends a request for a full snapshot.
    pub fn write_resync(&self, out: &mut Vec<u8>) {
        write_message(&ClientMessage::Resync, out);
    }

    /// Appends something to say to everyone in the match, unless it is longer than
    /// [`CHAT_CHARS_MAX`] characters. The server may refuse it for other reasons, and says so.
    pub fn write_chat(&self, text: &str, out: &mut Vec<u8>) -> Result<(), ChatRefused> {
        let line = text.trim();
        if line.chars().count() > CHAT_CHARS_MAX {
            return Err(ChatRefused::TooLong);
        }
        write_message(&ClientMessage::Chat(line.to_owned()), out);
        Ok(())
    }

    /// The server's clock, as far as pongs tell.
    #[must_use]
    pub fn clock(&self) -> Option<&Clock> {
        self.game.as_ref().map(|game| &game.clock)
    }

    /// The pace at which inputs are made.
    #[must_use]
    pub fn pace(&self) -> Option<&InputPace> {
        self.game.as_ref().map(|game| &game.pace)
    }

    /// When `tick` was or will be due, on this client's clock, as far as pongs tell.
    #[must_use]
    pub fn due(&self, tick: Tick, now: Micros) -> Option<Micros> {
        self.clock()?.due(tick, now)
    }
}

impl Joined {
    fn new(mut welcome: Welcome) -> Result<Self, ServerFault> {
        let schema = welcome.schema.take().ok_or(ServerFault::OutOfOrder)?;
        schema.validate()?;
        if schema_hash(&schema) != welcome.schema_hash {
            return Err(ServerFault::Malformed);
        }
        let model = welcome.model.take().ok_or(ServerFault::OutOfOrder)?;
        let mut snapshots = Snapshots::new(&schema, welcome.tick_rate, welcome.seq);
        snapshots.set_model(&model)?;
        Ok(Self {
            snapshots,
            stage: Stage::AwaitingSnapshot,
            events: welcome.events,
            seq: welcome.seq,
            seen: None,
            seen_said: None,
            clock: Clock::new(welcome.tick_rate),
            pace: InputPace::default(),
            pings: 0,
            ping_due: Micros(0),
            schema,
            welcome,
        })
    }

    /// The same session, welcomed on another connection.
    fn again(&mut self, mut welcome: Welcome) -> Result<(), ServerFault> {
        let is_same = self.stage == Stage::AwaitingWelcome
            && welcome.session == self.welcome.session
            && welcome.schema_hash == self.welcome.schema_hash
            && welcome.schema.is_none();
        if !is_same {
            return Err(ServerFault::OutOfOrder);
        }
        if let Some(model) = welcome.model.take() {
            self.snapshots.set_model(&model)?;
        }
        self.snapshots.reconnect(welcome.seq);
        self.stage = Stage::AwaitingSnapshot;
        (self.seq, self.events) = (welcome.seq, welcome.events);
        self.pings = 0;
        self.ping_due = Micros(0);
        self.welcome = welcome;
        Ok(())
    }

    fn apply(&mut self, frame: &[u8]) -> Result<ClientEvent<'_>, ServerFault> {
        let applied = self.snapshots.apply(frame, &self.schema.owner)?;
        self.stage = Stage::Playing;
        if let Some(lead) = applied.lead {
            self.pace.hear(lead, applied.processed, self.clock.interval());
        }
        Ok(ClientEvent::Snapshot { tick: applied.tick, digest: applied.digest })
    }
}

fn write_message(message: &ClientMessage, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    wire::write_client(message, out);
}
