//! The low-rate messages, as serde types in bincode's standard configuration.
//!
//! This is the only file that names bincode. It sets the two limits that bincode does not keep by
//! itself: nothing longer than the type's bound is reserved for, and bytes after the last field
//! are refused. It reads integers that are written longer than need be.

use std::borrow::Cow;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ids::{InputSeq, MatchId, Seat, SessionId, Tick},
    schema::Schema,
    social::Social,
    time::{Micros, TickRate},
};

/// The version that a hello must name.
pub const PROTOCOL_VERSION: u16 = 1;
/// The WebSocket subprotocol that both ends must agree on.
pub const SUBPROTOCOL: &str = "tickwire.v1";
/// Longest frame that a client may send, in bytes, over all its fragments.
pub const CLIENT_FRAME_BYTES_MAX: usize = 1024;
/// Longest frame that a server may send, in bytes.
pub const SERVER_FRAME_BYTES_MAX: usize = 256 * 1024;

/// What a client says, inputs and acknowledgements aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first frame on every connection.
    Hello(Hello),
    /// Asks for a [`ServerMessage::Pong`].
    Ping {
        /// When it was sent, on the client's clock; comes back unchanged.
        client_time: Micros,
    },
    /// Asks for a full snapshot, because a digest did not agree.
    Resync,
    /// Says something to everyone in the match.
    Chat(String),
}

/// How a client introduces itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub version: u16,
    /// [`schema_hash`] of the schema that the client was built for or still has; the server
    /// refuses another one. `None` asks for the schema.
    pub schema_hash: Option<u32>,
    /// Set when the connection takes up an earlier session.
    pub resume: Option<Resume>,
    /// How others are to call a player; the server cleans it, and finds one when it is empty. A
    /// session that is taken up keeps its own.
    pub name: String,
}

/// How a client takes up an earlier session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// From the session's welcome.
    pub token: ResumeToken,
    /// What the client still has; `None` when it has nothing but the token (a page that was
    /// loaded again). Then it is sent a full snapshot, and no events of the past.
    pub kept: Option<Kept>,
}

/// What a client has kept of the session that it takes up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The newest snapshot that it has applied, from which the next one may be a delta.
    pub applied: Option<Tick>,
    /// How many events the session was told. Those after them are told now.
    pub events: u32,
    /// [`model_hash`] of the codec's statistics that it uses.
    pub model_hash: u32,
}

/// A secret that takes up a session whose connection was lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct ResumeToken(pub [u8; 16]);

/// What a server says, snapshots aside.
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
    /// Statistics that the codec uses for every snapshot that follows.
    Model(Cow<'a, [u8]>),
    /// How far apart ticks are from now on.
    Pace(Pace),
    /// The server is going away, and closes the connection after this time at the latest.
    Leaving {
        /// From the sending of this message.
        within: Micros,
    },
    /// About those who take part, and what they say.
    Social(Social),
}

/// A server that is overloaded stretches its matches' ticks rather than leave some out: the match
/// runs in slow motion, and clients follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// By how much the ticks after `tick` are farther apart than the welcome's rate says. 1 at
    /// first, and in all good times; never 0.
    pub slowdown: u8,
    /// The match's newest tick.
    pub tick: Tick,
    /// When that tick was due, on the server's clock.
    pub tick_time: Micros,
}

/// What a client must know to take part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// This session.
    pub session: SessionId,
    /// Takes the session up again on a new connection.
    pub resume: ResumeToken,
    /// The match.
    pub match_id: MatchId,
    /// The client's seat; `None` for a spectator.
    pub seat: Option<Seat>,
    /// The newest input that the session's earlier connections brought; the next one follows it.
    pub seq: InputSeq,
    /// How many events the session was told before those that follow.
    pub events: u32,
    /// Ticks, and at best snapshots, per second.
    pub tick_rate: TickRate,
    /// [`schema_hash`] of the match's schema.
    pub schema_hash: u32,
    /// The schema, unless the hello named the same hash.
    pub schema: Option<Schema>,
    /// The codec's current statistics (empty when they are the built-in ones), unless the hello
    /// named the same hash.
    pub model: Option<Vec<u8>>,
}

/// The server's clock, seen from a client.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pong {
    /// The ping's `client_time`.
    pub client_time: Micros,
    /// When the ping arrived, on the server's clock.
    pub server_time: Micros,
    /// How long it then waited to be read and answered: servers read when a tick is due.
    pub held: Micros,
    /// The match's newest tick.
    pub tick: Tick,
    /// When that tick was due, on the server's clock.
    pub tick_time: Micros,
}

impl Pong {
    /// How long ping and pong travelled, when the pong arrives `now` on the client's clock.
    #[must_use]
    pub const fn rtt(&self, now: Micros) -> Micros {
        now.since(self.client_time.plus(self.held))
    }
}

/// Why bytes are not the message that they should be.
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

/// A hash of the codec's statistics: 32-bit FNV-1a over the bytes that a model message has.
#[must_use]
pub fn model_hash(model: &[u8]) -> u32 {
    fnv(model)
}

/// Appends a client's message.
pub fn write_client(message: &ClientMessage, out: &mut Vec<u8>) {
    write(message, out);
}

/// Reads a client's message from exactly these bytes.
pub fn read_client(bytes: &[u8]) -> Result<ClientMessage, Malformed> {
    read(bytes, STANDARD.with_limit::<CLIENT_FRAME_BYTES_MAX>())
}

/// The version that a client's hello names, whatever else it says.
pub fn hello_version(bytes: &[u8]) -> Option<u16> {
    /// Its place among [`ClientMessage`]s.
    const HELLO: u32 = 0;
    let (head, _) = bincode::serde::decode_from_slice::<(u32, u16), _>(bytes, STANDARD).ok()?;
    (head.0 == HELLO).then_some(head.1)
}

/// Appends a server's message.
pub fn write_server(message: &ServerMessage<'_>, out: &mut Vec<u8>) {
    write(message, out);
}

/// Reads a server's message from exactly these bytes.
pub fn read_server(bytes: &[u8]) -> Result<ServerMessage<'static>, Malformed> {
    read(bytes, STANDARD.with_limit::<SERVER_FRAME_BYTES_MAX>())
}

/// Writes a game's whole state.
pub fn write_state(state: &impl Serialize, out: &mut Vec<u8>) {
    write(state, out);
}

/// Reads a game's whole state from exactly these bytes, which must come from a trusted place.
pub fn read_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    read(bytes, STANDARD.with_limit::<STATE_BYTES_MAX>())
}

/// Longest written state of a game, in bytes.
const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;
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
    fn times_are_what_a_double_has_exactly() {
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
