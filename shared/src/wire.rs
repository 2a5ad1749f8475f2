//! The low-rate messages, as serde types in bincode's standard configuration.
//!
//! This is the only file that names bincode. It enforces two limits that bincode does not enforce
//! by itself: a message can't make a reader reserve more than its kind's size limit, and trailing
//! bytes are rejected. Integers in a longer encoding than necessary are accepted.

use std::borrow::Cow;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ids::{InputSeq, MatchId, Seat, SessionId, Tick},
    schema::Schema,
    social::Social,
    time::{Micros, TickRate},
};

/// The protocol version that a hello must contain.
pub const PROTOCOL_VERSION: u16 = 1;
/// The WebSocket subprotocol that both ends must agree on.
pub const SUBPROTOCOL: &str = "tickwire.v1";
/// Longest frame that a client may send, in bytes, over all its fragments.
pub const CLIENT_FRAME_BYTES_MAX: usize = 1024;
/// Longest frame that a server may send, in bytes.
pub const SERVER_FRAME_BYTES_MAX: usize = 256 * 1024;

/// A message from a client: everything but inputs and acknowledgements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first frame on every connection.
    Hello(Hello),
    /// Asks for a [`ServerMessage::Pong`].
    Ping {
        /// When it was sent, on the client's clock; the pong returns it unchanged.
        client_time: Micros,
    },
    /// Asks for a full snapshot, because a digest did not match.
    Resync,
    /// Sends a line of chat to everyone in the match.
    Chat(String),
}

/// The client's half of the handshake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub version: u16,
    /// [`schema_hash`] of the schema that the client was built for or still has; the server rejects
    /// the hello if the match has a different one. `None` asks for the schema.
    pub schema_hash: Option<u32>,
    /// Set to resume an earlier session.
    pub resume: Option<Resume>,
    /// The player's name as others see it. The server cleans it, and chooses one when it is empty.
    /// A resumed session keeps its name.
    pub name: String,
}

/// A request to resume an earlier session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// The token from the session's welcome.
    pub token: ResumeToken,
    /// What the client still has; `None` when it has nothing but the token (a page that was
    /// reloaded). It then receives a full snapshot, and none of the events that it missed.
    pub kept: Option<Kept>,
}

/// What a client still has of the session that it resumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The newest snapshot that it has applied; the next one may be a delta against it.
    pub applied: Option<Tick>,
    /// How many of the session's events it has received. The server now sends the later ones.
    pub events: u32,
    /// [`model_hash`] of the codec statistics that it uses.
    pub model_hash: u32,
}

/// A secret with which a client resumes its session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct ResumeToken(pub [u8; 16]);

/// A message from a server: everything but snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ServerMessage<'a> {
    /// The answer to a hello.
    Welcome(Box<Welcome>),
    /// The answer to a ping.
    Pong(Pong),
    /// Something happened in the match.
    Event {
        /// The tick that it happened in.
        tick: Tick,
        /// Index in the schema's `events`.
        kind: u8,
        /// One integer for each value that the schema names.
        values: Cow<'a, [i32]>,
    },
    /// New codec statistics, used for every later snapshot.
    Model(Cow<'a, [u8]>),
    /// The tick interval from now on.
    Pace(Pace),
    /// The server is draining, and closes the connection after this time at the latest.
    Leaving {
        /// Counted from when this message was sent.
        within: Micros,
    },
    /// Presence, chat and notices.
    Social(Social),
}

/// The schedule of a match's ticks. An overloaded server lengthens the tick interval of its
/// matches rather than skip ticks: the match runs in slow motion, and clients adapt to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Factor by which the ticks after `tick` are farther apart than the welcome's rate says.
    /// Normally 1, never 0.
    pub slowdown: u8,
    /// The match's newest tick.
    pub tick: Tick,
    /// When that tick was due, on the server's clock.
    pub tick_time: Micros,
}

/// The server's answer to an accepted hello.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// This session's id.
    pub session: SessionId,
    /// The token with which the client can resume the session on a new connection.
    pub resume: ResumeToken,
    /// The match.
    pub match_id: MatchId,
    /// The client's seat; `None` for a spectator.
    pub seat: Option<Seat>,
    /// The newest input received on the session's earlier connections; the client numbers its next
    /// input one higher.
    pub seq: InputSeq,
    /// How many events the session was sent before those that now follow.
    pub events: u32,
    /// How many chat lines the server has received on the session's earlier connections; the client
    /// sends the later ones again.
    pub lines: u32,
    /// Ticks per second, and the highest rate of snapshots.
    pub tick_rate: TickRate,
    /// [`schema_hash`] of the match's schema.
    pub schema_hash: u32,
    /// The schema, unless the hello had its hash.
    pub schema: Option<Schema>,
    /// The codec's current statistics (empty when they are the built-in ones), unless the hello
    /// had their hash.
    pub model: Option<Vec<u8>>,
}

/// The answer to a ping: a sample of the server's clock and tick schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pong {
    /// The ping's `client_time`.
    pub client_time: Micros,
    /// When the ping arrived, on the server's clock.
    pub server_time: Micros,
    /// How long the ping then waited until it was read and answered: servers read when a tick is
    /// due.
    pub held: Micros,
    /// The match's newest tick.
    pub tick: Tick,
    /// When that tick was due, on the server's clock.
    pub tick_time: Micros,
}

impl Pong {
    /// Round trip time of ping and pong, if the pong arrives `now` on the client's clock.
    #[must_use]
    pub const fn rtt(&self, now: Micros) -> Micros {
        now.since(self.client_time.plus(self.held))
    }
}

/// The bytes are not a valid message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid message of this kind")]
pub struct Malformed;

/// A hash of everything in a schema: 32-bit FNV-1a over its bincode bytes.
#[must_use]
pub fn schema_hash(schema: &Schema) -> u32 {
    let mut bytes = Vec::new();
    write(schema, &mut bytes);
    fnv(&bytes)
}

/// A hash of the codec's statistics: 32-bit FNV-1a over the bytes of the model message.
#[must_use]
pub fn model_hash(model: &[u8]) -> u32 {
    fnv(model)
}

/// Appends a client's message.
pub fn write_client(message: &ClientMessage, out: &mut Vec<u8>) {
    write(message, out);
}

/// Reads a client's message, which must fill all of `bytes`.
pub fn read_client(bytes: &[u8]) -> Result<ClientMessage, Malformed> {
    read(bytes, STANDARD.with_limit::<CLIENT_FRAME_BYTES_MAX>())
}

/// The protocol version in a client's hello, even if this version can't read the rest of it.
pub fn hello_version(bytes: &[u8]) -> Option<u16> {
    /// Index of the variant in [`ClientMessage`].
    const HELLO: u32 = 0;
    let (head, _) = bincode::serde::decode_from_slice::<(u32, u16), _>(bytes, STANDARD).ok()?;
    (head.0 == HELLO).then_some(head.1)
}

/// Appends a server's message.
pub fn write_server(message: &ServerMessage<'_>, out: &mut Vec<u8>) {
    write(message, out);
}

/// Reads a server's message, which must fill all of `bytes`.
pub fn read_server(bytes: &[u8]) -> Result<ServerMessage<'static>, Malformed> {
    read(bytes, STANDARD.with_limit::<SERVER_FRAME_BYTES_MAX>())
}

/// Appends any value in bincode, as messages are encoded.
pub fn write_value(value: &impl Serialize, out: &mut Vec<u8>) {
    write(value, out);
}

const STANDARD: Configuration<LittleEndian, Varint> = bincode::config::standard();

fn fnv(bytes: &[u8]) -> u32 {
    let step = |hash: u32, &byte: &u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811C_9DC5, step)
}

fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, STANDARD)
        .expect("writing to a Vec can't fail, and our types have no unserialisable values");
}

fn read<T: DeserializeOwned, const N: usize>(
    bytes: &[u8],
    config: Configuration<LittleEndian, Varint, Limit<N>>,
) -> Result<T, Malformed> {
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, consumed)) if consumed == bytes.len() => Ok(value),
        Ok(_) | Err(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_come_back() {
        for message in [
            ClientMessage::Hello(Hello {
                version: 1,
                schema_hash: Some(7),
                resume: None,
                name: String::from("Ada"),
            }),
            ClientMessage::Hello(Hello {
                version: 1,
                schema_hash: None,
                resume: Some(Resume {
                    token: ResumeToken([7; 16]),
                    kept: Some(Kept { applied: Some(Tick(9)), events: 3, model_hash: 8 }),
                }),
                name: String::new(),
            }),
            ClientMessage::Chat(String::from("hello")),
            ClientMessage::Ping { client_time: Micros(123_456_789) },
            ClientMessage::Resync,
        ] {
            let mut bytes = Vec::new();
            write_client(&message, &mut bytes);
            assert_eq!(read_client(&bytes), Ok(message));
        }
    }

    #[test]
    fn times_that_a_double_can_not_hold_exactly_are_rejected() {
        let read = |time| {
            let mut bytes = Vec::new();
            write_client(&ClientMessage::Ping { client_time: Micros(time) }, &mut bytes);
            read_client(&bytes)
        };
        assert!(read((1 << 53) - 1).is_ok());
        assert_eq!(read(1 << 53), Err(Malformed));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = Vec::new();
        write_client(&ClientMessage::Resync, &mut bytes);
        bytes.push(0);
        assert_eq!(read_client(&bytes), Err(Malformed));
    }

    #[test]
    fn hostile_lengths_reserve_nothing() {
        // An event whose number of values claims to be 2^63.
        let bytes = [2, 0, 0, 253, 0, 0, 0, 0, 0, 0, 0, 128];
        assert_eq!(read_server(&bytes), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = read_client(&bytes);
            let _ = read_server(&bytes);
        }
    }
}
