//! The client's side of one session: it sends the hello, applies snapshots, checks their digests,
//! numbers inputs, estimates the server's clock, paces inputs, and resumes the session after the
//! connection was lost.
//!
//! Whatever the server sends, nothing here panics or grows without bound: a frame is either
//! applied completely or rejected with a [`ServerFault`].

use super::{
    chat::ChatQueue,
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
    social::{ChatRefused, NAME_CHARS_MAX, Social},
    time::{Micros, Moment},
    wire::{
        self, ClientMessage, Hello, Kept, PROTOCOL_VERSION, Pace, Resume, ResumeToken,
        ServerMessage, Welcome, schema_hash,
    },
};

/// Time between two pings.
const PING_INTERVAL: Micros = Micros::from_millis(500);
/// Time between the first [`FIRST_PINGS`] pings of a connection.
const FIRST_PING_INTERVAL: Micros = Micros::from_millis(100);
const FIRST_PINGS: u32 = 8;

/// The protocol of one session at the client's end; see [`super`] for the order of calls.
#[derive(Debug, Default)]
pub struct ClientLink {
    game: Option<Joined>,
}

/// The link's state once the server has welcomed it.
#[derive(Debug)]
struct Joined {
    welcome: Welcome,
    schema: Schema,
    snapshots: Snapshots,
    stage: Stage,
    /// How many events the session has received.
    events: u32,
    chat: ChatQueue,
    seq: InputSeq,
    seen: Option<Moment>,
    /// The seen moment in the newest input of this connection: it must never go back.
    seen_sent: Option<Moment>,
    clock: Clock,
    pace: InputPace,
    pings: u32,
    ping_due: Micros,
}

/// The stage of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The hello of a resuming connection was sent.
    AwaitingWelcome,
    /// No snapshot was applied on this connection yet, so no input may be sent.
    AwaitingSnapshot,
    Playing,
}

/// What a frame from the server contained.
#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// The server has accepted the hello.
    Welcome(&'a Welcome),
    /// A snapshot was applied: [`ClientLink::rows`] are those of a newer tick.
    Snapshot {
        /// The snapshot's tick.
        tick: Tick,
        /// Whether the digest, if there was one, matched. If it differs, send
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
    /// The tick interval changes; see [`Clock::interval`].
    Pace {
        /// Factor by which it is longer than the welcome's rate says. 1 is normal.
        slowdown: u8,
    },
    /// The server is draining, and will close the connection.
    Leaving {
        /// Longest time until then.
        within: Micros,
    },
    /// Presence, chat and notices.
    Social(Social),
}

/// The result of comparing a snapshot's digest with the decoded rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// The snapshot had no digest.
    Absent,
    /// Both ends have the same rows.
    Agrees,
    /// The client's rows are wrong.
    Differs,
}

/// A protocol violation by the server. The client should close the connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerFault {
    /// An unknown or invalid frame.
    #[error("malformed frame from the server")]
    Malformed,
    /// A frame at the wrong time, such as a snapshot before the welcome, one that is not newer than
    /// the last, a second welcome, or a first welcome without the schema.
    #[error("the server's frames are out of order")]
    OutOfOrder,
    /// The schema is not valid.
    #[error("bad schema: {0}")]
    Schema(#[from] SchemaError),
    /// The body or the model can't be decoded.
    #[error("bad snapshot: {0}")]
    Codec(#[from] CodecError),
}

impl ClientLink {
    /// Appends the hello, which must be the first frame of a connection. It resumes the session
    /// that this link has, or else the one that `token` belongs to; without either, it requests a
    /// new one. The name is for a new session: if it is empty the server chooses one, and it is cut
    /// off after [`NAME_CHARS_MAX`] characters.
    pub fn write_hello(&mut self, name: &str, token: Option<ResumeToken>, out: &mut Vec<u8>) {
        let (schema_hash, resume) = match &mut self.game {
            Some(game) => {
                let (schema_hash, resume) = game.disconnect();
                (Some(schema_hash), Some(resume))
            }
            None => (None, token.map(|token| Resume { token, kept: None })),
        };
        let name = name.chars().take(NAME_CHARS_MAX).collect();
        let hello = Hello { version: PROTOCOL_VERSION, schema_hash, resume, name };
        write_message(&ClientMessage::Hello(hello), out);
    }

    /// Handles one frame from the server, which arrived `now`.
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
                        game.resume(*welcome)?;
                        game
                    }
                    none => none.insert(Joined::new(*welcome)?),
                };
                Ok(ClientEvent::Welcome(&game.welcome))
            }
            ServerMessage::Pong(pong) => {
                self.welcomed()?.clock.handle_pong(pong, now);
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

    /// The server's welcome, without its schema and model.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        self.game.as_ref().map(|game| &game.welcome)
    }

    /// What the integers in rows, inputs and events mean, once the server has sent it.
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

    /// The values that only this seat's owner receives, as of the newest snapshot.
    #[must_use]
    pub fn owner(&self) -> &[i32] {
        self.game.as_ref().map_or(&[], |game| game.snapshots.owner())
    }

    /// The newest input that the newest snapshot includes.
    #[must_use]
    pub fn processed(&self) -> InputSeq {
        self.game.as_ref().map_or_else(InputSeq::default, |game| game.snapshots.processed())
    }

    /// Sets the moment at which the player sees the others, for the next inputs. It only moves
    /// forward. If it is never set, inputs say that the newest snapshot is shown as it is.
    pub fn set_seen(&mut self, moment: Moment) {
        if let Some(game) = &mut self.game
            && game.seen.is_none_or(|earlier| moment.since(earlier) > 0)
        {
            game.seen = Some(moment);
        }
    }

    /// The tick for which the client should make an input now, so that it arrives just in time.
    /// Call this as often as possible, each time until it returns `None`.
    pub fn poll_input(&mut self, now: Micros) -> Option<Tick> {
        let game = self.game.as_mut().filter(|game| game.stage == Stage::Playing)?;
        game.pace.poll(&game.clock, now)
    }

    /// When the next input is due, once this is known.
    #[must_use]
    pub fn input_due(&self, now: Micros) -> Option<Micros> {
        let game = self.game.as_ref().filter(|game| game.stage == Stage::Playing)?;
        game.pace.due(&game.clock, now)
    }

    /// How much of the tick after the newest input has passed, from 0 to 1: for
    /// [`Prediction::shown`](crate::replica::Prediction::shown). 0 while no input may be sent.
    #[must_use]
    pub fn input_part(&self, now: Micros) -> f32 {
        let Some((due, clock)) = self.input_due(now).zip(self.clock()) else { return 0.0 };
        let left = due.signed_since(now) as f32 / clock.interval().0 as f32;
        (1.0 - left).clamp(0.0, 1.0)
    }

    /// Appends an input for `tick` and returns its number. Before the first snapshot on this
    /// connection it returns `None`, and nothing is appended.
    ///
    /// # Panics
    /// When `values` does not have one value for each integer of the schema's `input`, each within
    /// its range. So a program that is built with its game's rules should compare the schema with
    /// that game's after each welcome: the server may have another version.
    pub fn write_input(
        &mut self,
        tick: Tick,
        values: &[i32],
        out: &mut Vec<u8>,
    ) -> Option<InputSeq> {
        let game = self.game.as_mut().filter(|game| game.stage == Stage::Playing)?;
        let applied = game.snapshots.applied()?;
        let seq = game.seq.next();
        let newest = Moment::from(applied);
        let seen = game.seen.unwrap_or(newest);
        let seen = game.seen_sent.filter(|sent| sent.since(seen) > 0).unwrap_or(seen);
        let behind = newest.since(seen).clamp(0, u16::MAX.into()) as u16;
        InputHead { seq, tick, applied, behind }.write(out);
        integers::pack(&game.schema.input, values, out)
            .unwrap_or_else(|error| panic!("the input does not fit the schema: {error}"));
        game.seen_sent = Some(Moment::before(applied, behind));
        game.seq = seq;
        game.pace.record_input(seq);
        Some(seq)
    }

    /// Appends an acknowledgement of the newest snapshot, for a client that sends no inputs: call
    /// this after each snapshot, as the server sends few without. Before the first snapshot on this
    /// connection, nothing is appended.
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

    /// Queues a line of chat to everyone in the match, unless it is longer than
    /// [`CHAT_CHARS_MAX`](crate::social::CHAT_CHARS_MAX) characters or too many wait already. The
    /// server may reject it for other reasons, with [`Social::ChatRefused`]. Before the first
    /// welcome there is no seat to speak from.
    pub fn chat(&mut self, text: &str) -> Result<(), ChatRefused> {
        self.game.as_mut().ok_or(ChatRefused::NotSeated)?.chat.push(text)
    }

    /// Appends the next queued line of chat, or one that was lost with the previous connection. Call
    /// this after [`Self::chat`] and after a welcome, until it returns `false`.
    pub fn poll_chat(&mut self, out: &mut Vec<u8>) -> bool {
        let Ok(game) = self.welcomed() else { return false };
        let Some(line) = game.chat.poll() else { return false };
        write_message(&ClientMessage::Chat(line.to_owned()), out);
        true
    }

    /// The estimate of the server's clock.
    #[must_use]
    pub fn clock(&self) -> Option<&Clock> {
        self.game.as_ref().map(|game| &game.clock)
    }

    /// The pace at which inputs are made.
    #[must_use]
    pub fn pace(&self) -> Option<&InputPace> {
        self.game.as_ref().map(|game| &game.pace)
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
            chat: ChatQueue::new(welcome.lines),
            seq: welcome.seq,
            seen: None,
            seen_sent: None,
            clock: Clock::new(welcome.tick_rate),
            pace: InputPace::default(),
            pings: 0,
            ping_due: Micros(0),
            schema,
            welcome,
        })
    }

    /// Handles the end of a connection. Returns the schema's hash and what the next hello must say
    /// to resume the session.
    fn disconnect(&mut self) -> (u32, Resume) {
        self.stage = Stage::AwaitingWelcome;
        self.pace.reconnect();
        (self.seen, self.seen_sent) = (None, None);
        let kept = Kept {
            applied: self.snapshots.applied(),
            events: self.events,
            model_hash: self.snapshots.model_hash(),
        };
        (self.welcome.schema_hash, Resume { token: self.welcome.resume, kept: Some(kept) })
    }

    /// Handles the welcome of the same session on a new connection.
    fn resume(&mut self, mut welcome: Welcome) -> Result<(), ServerFault> {
        let is_same = self.stage == Stage::AwaitingWelcome
            && welcome.session == self.welcome.session
            && welcome.schema_hash == self.welcome.schema_hash
            && welcome.schema.is_none();
        if !is_same || !self.chat.resume(welcome.lines) {
            return Err(ServerFault::OutOfOrder);
        }
        if let Some(model) = welcome.model.take() {
            self.snapshots.set_model(&model)?;
        }
        self.snapshots.reconnect(welcome.seq);
        self.stage = Stage::AwaitingSnapshot;
        (self.seq, self.events) = (welcome.seq, welcome.events);
        self.clock.reconnect();
        self.pings = 0;
        self.ping_due = Micros(0);
        self.welcome = welcome;
        Ok(())
    }

    fn apply(&mut self, frame: &[u8]) -> Result<ClientEvent<'_>, ServerFault> {
        let applied = self.snapshots.apply(frame, &self.schema.owner)?;
        self.stage = Stage::Playing;
        if let Some(lead) = applied.lead {
            self.pace.handle_lead(lead, applied.processed, self.clock.interval());
        }
        Ok(ClientEvent::Snapshot { tick: applied.tick, digest: applied.digest })
    }
}

fn write_message(message: &ClientMessage, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    wire::write_client(message, out);
}
