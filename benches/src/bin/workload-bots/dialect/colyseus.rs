//! The protocol of Colyseus 0.18 for the rooms in `benches/peers/node/colyseus.mjs`: only the
//! messages and operations that they send; anything else is an error.
//!
//! The state is a map of players at reference 1. A patch is a sequence of operations, each on the
//! reference of the last switch; see `@colyseus/schema`, `encoder/EncodeOperation.ts`.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tickwire_benches::workload::Command;
use tickwire_shared::time::Micros;

use super::{Dialect, Reader, State, Upgrade};

/// The rooms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Room {
    /// 32-bit floats, inputs as messages, the last processed input in the player's state.
    Tutorial,
    /// Quantised fields, input buffers, the last processed input before each patch.
    Quantised,
}

/// See the module.
pub(super) struct Colyseus {
    room: Room,
    session: String,
    is_joined: bool,
    sent: u32,
    processed: u32,
    /// By reference, the values of each player's fields.
    players: BTreeMap<u32, Vec<u32>>,
    own: Option<u32>,
}

/// The matchmaker's response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    session_id: String,
    room_id: String,
    process_id: String,
}

// Message codes, and the flag for a clock and the last processed input, which then follow.
const JOIN_ROOM: u8 = 10;
const ROOM_DATA: u8 = 13;
const ROOM_STATE: u8 = 14;
const ROOM_STATE_PATCH: u8 = 15;
const ROOM_INPUT_RELIABLE: u8 = 19;
const CODE: u8 = 0x1F;
const TIMED: u8 = 0x80;

// Operations; in those on a schema, the low bits are the field.
const SWITCH_TO_STRUCTURE: u8 = 255;
const OPERATION: u8 = 0xC0;
const REPLACE: u8 = 0;
const ADD: u8 = 128;
const DELETE: u8 = 64;

// References: the state is 0, and its only field, the map of players, is 1.
const STATE: u32 = 0;
const PLAYERS: u32 = 1;
const LAST_INPUT_SEQ: usize = 8;

impl Room {
    /// Width of each field of a player, in bytes.
    const fn widths(self) -> &'static [usize] {
        match self {
            Self::Tutorial => &[4, 4, 4, 4, 4, 1, 2, 1, 4],
            Self::Quantised => &[2, 2, 2, 2, 2, 1, 2, 1],
        }
    }
}

impl Colyseus {
    pub(super) const fn new(room: Room) -> Self {
        Self {
            room,
            session: String::new(),
            is_joined: false,
            sent: 0,
            processed: 0,
            players: BTreeMap::new(),
            own: None,
        }
    }

    fn apply(&mut self, mut patch: Reader<'_>) -> Result<()> {
        let mut reference = STATE;
        while !patch.0.is_empty() {
            let operation = patch.u8()?;
            if operation == SWITCH_TO_STRUCTURE {
                reference = number(&mut patch)?;
                continue;
            }
            match reference {
                STATE => {
                    ensure!(operation == ADD, "an operation {operation} on the state");
                    ensure!(number(&mut patch)? == PLAYERS, "the map is not reference 1");
                }
                PLAYERS => self.apply_to_map(operation, &mut patch)?,
                player => {
                    let values = self.players.get_mut(&player).context("an unknown reference")?;
                    let field = usize::from(operation & !OPERATION);
                    let width = *self.room.widths().get(field).context("an unknown field")?;
                    ensure!(operation & OPERATION != DELETE, "a field is deleted");
                    values[field] = patch.uint(width)?;
                }
            }
        }
        if self.room == Room::Tutorial
            && let Some(own) = self.own.and_then(|own| self.players.get(&own))
        {
            self.processed = own[LAST_INPUT_SEQ];
        }
        Ok(())
    }

    fn apply_to_map(&mut self, operation: u8, patch: &mut Reader<'_>) -> Result<()> {
        ensure!(operation == ADD, "an operation {operation} on the map: players only join here");
        let _index = number(patch)?;
        let key = string(patch)?;
        let reference = number(patch)?;
        if key == self.session.as_bytes() {
            self.own = Some(reference);
        }
        // A full state may follow a patch that already had the player.
        self.players.entry(reference).or_insert_with(|| vec![0; self.room.widths().len()]);
        Ok(())
    }
}

impl Dialect for Colyseus {
    fn reserve(&mut self, address: SocketAddr) -> Result<Upgrade> {
        let mut socket = TcpStream::connect(address)?;
        write!(
            socket,
            "POST /matchmake/joinOrCreate/arena HTTP/1.1\r\nHost: {address}\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").context("no answer to the reservation")?.1;
        let Reservation { session_id, room_id, process_id } =
            serde_json::from_str(body).with_context(|| format!("no reservation: {answer}"))?;
        let path = format!("/{process_id}/{room_id}?sessionId={session_id}");
        self.session = session_id;
        Ok(Upgrade::to(path))
    }

    fn write_hello(&self, _: &mut Vec<u8>) {}

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        if !self.is_joined {
            return None;
        }
        self.sent += 1;
        let Command { movement: [mx, my], aim, buttons } = command;
        match self.room {
            Room::Tutorial => {
                // The message's type, 0, and a map of five as MessagePack.
                out.extend([ROOM_DATA, 0, 0x85]);
                let fields: [(&str, i64); 5] = [
                    ("seq", self.sent.into()),
                    ("mx", mx.into()),
                    ("my", my.into()),
                    ("aim", aim.into()),
                    ("btn", buttons.into()),
                ];
                for (name, value) in fields {
                    out.push(0xA0 | name.len() as u8);
                    out.extend(name.as_bytes());
                    write_number(value, out);
                }
            }
            Room::Quantised => {
                let [low, high] = aim.to_le_bytes();
                out.extend([ROOM_INPUT_RELIABLE, REPLACE, mx.cast_unsigned()]);
                out.extend([REPLACE | 1, my.cast_unsigned(), REPLACE | 2, low, high]);
                out.extend([REPLACE | 3, buttons]);
            }
        }
        Some(self.sent)
    }

    fn handle(&mut self, message: &[u8], _: Micros, answer: &mut Vec<u8>) -> Result<Option<State>> {
        let mut message = Reader(message);
        let first = message.u8()?;
        match first & CODE {
            JOIN_ROOM => {
                answer.push(JOIN_ROOM);
                Ok(None)
            }
            ROOM_STATE | ROOM_STATE_PATCH => {
                if first & TIMED != 0 {
                    let _clock = message.uint(4)?;
                    self.processed = message.uint(4)?;
                }
                self.is_joined = true;
                self.apply(message)?;
                Ok(Some(State { entities: Some(self.players.len()), processed: self.processed }))
            }
            code => bail!("an unknown message ({code})"),
        }
    }
}

/// An unsigned number as in MessagePack: one byte, or a type byte and the number's bytes.
fn number(message: &mut Reader<'_>) -> Result<u32> {
    match message.u8()? {
        0xCC => message.uint(1),
        0xCD => message.uint(2),
        0xCE => message.uint(4),
        small @ 0..0x80 => Ok(small.into()),
        other => bail!("a number that starts with {other}"),
    }
}

fn string<'a>(message: &mut Reader<'a>) -> Result<&'a [u8]> {
    let length = match message.u8()? {
        short @ 0xA0..0xC0 => u32::from(short & 0x1F),
        0xD9 => message.uint(1)?,
        other => bail!("a string that starts with {other}"),
    };
    message.take(length as usize)
}

fn write_number(value: i64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x100 => out.extend([0xCC, value as u8]),
        0x100..0x1_0000 => {
            out.push(0xCD);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000.. => {
            out.push(0xCE);
            out.extend((value as u32).to_be_bytes());
        }
        -0x20..0 => out.push(value as i8 as u8),
        _ => out.extend([0xD0, value as i8 as u8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With messages as the rooms were observed to send them.
    #[test]
    fn a_full_state_and_a_patch_are_read() {
        let mut client = Colyseus::new(Room::Quantised);
        client.session = "ab".into();
        let mut answer = Vec::new();
        client.handle(&[JOIN_ROOM, 0], Micros(0), &mut answer).unwrap();
        assert_eq!(answer, [JOIN_ROOM]);
        let full = [
            &[ROOM_STATE | TIMED, 0, 0, 0, 0, 0, 0, 0, 0, ADD, 1][..],
            &[SWITCH_TO_STRUCTURE, 1, ADD, 0, 0xA2, b'a', b'b', 2],
            &[SWITCH_TO_STRUCTURE, 2, ADD, 1, 2, ADD | 5, 100, ADD | 6, 3, 4],
        ];
        let known = client.handle(&full.concat(), Micros(0), &mut answer).unwrap();
        assert_eq!(known, Some(State { entities: Some(1), processed: 0 }));
        let patch =
            [ROOM_STATE_PATCH | TIMED, 9, 0, 0, 0, 7, 0, 0, 0, SWITCH_TO_STRUCTURE, 2, 5, 99];
        let known = client.handle(&patch, Micros(0), &mut answer).unwrap();
        assert_eq!(known, Some(State { entities: Some(1), processed: 7 }));
        assert_eq!(client.players[&2], [0x0201, 0, 0, 0, 0, 99, 0x0403, 0]);
        assert!(client.handle(&patch[..12], Micros(0), &mut answer).is_err(), "cut off");
    }

    #[test]
    fn numbers_are_encoded_as_in_messagepack() {
        check(5, &[5]);
        check(200, &[0xCC, 200]);
        check(0x1234, &[0xCD, 0x12, 0x34]);
        check(0x1_0000, &[0xCE, 0, 1, 0, 0]);
        check(-1, &[0xFF]);
        check(-127, &[0xD0, 0x81]);
    }

    #[track_caller]
    fn check(value: i64, expected: &[u8]) {
        let mut out = Vec::new();
        write_number(value, &mut out);
        assert_eq!(out, expected);
    }
}
