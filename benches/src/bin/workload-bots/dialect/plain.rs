//! The protocols of the servers that send full states: rows of 32-bit floats.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use tickwire_benches::workload::Command;
use tickwire_shared::time::Micros;

use super::{Dialect, Reader, State, Upgrade};

/// The Node server: all clients receive the same rows, each with its player's last input.
#[derive(Default)]
pub(super) struct Ws {
    id: Option<u16>,
    sent: u32,
    rows: Vec<Row>,
}

/// The Rust server: bincode, with the client's last input before the rows.
#[derive(Default)]
pub(super) struct Afternoon {
    sent: u32,
    rows: Vec<Row>,
}

/// A client's copy of a player.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    id: u16,
    /// Position, velocity and direction.
    floats: [f32; 5],
    health: u8,
    score: u16,
    animation: u8,
}

const WELCOME: u8 = 0;
const STATE: u8 = 1;

impl Dialect for Ws {
    fn reserve(&mut self, _: SocketAddr) -> Result<Upgrade> {
        Ok(Upgrade::to("/"))
    }

    fn write_hello(&self, _: &mut Vec<u8>) {}

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        self.id?;
        Some(write_input(&mut self.sent, command, out))
    }

    fn handle(&mut self, message: &[u8], _: Micros, _: &mut Vec<u8>) -> Result<Option<State>> {
        let mut message = Reader(message);
        match message.u8()? {
            WELCOME => {
                self.id = Some(message.uint(2)? as u16);
                Ok(None)
            }
            STATE => {
                let _tick = message.uint(4)?;
                let entities = message.uint(2)? as usize;
                let mut processed = 0;
                self.rows.clear();
                for _ in 0..entities {
                    let id = message.uint(2)? as u16;
                    let included = message.uint(4)?;
                    if self.id == Some(id) {
                        processed = included;
                    }
                    self.rows.push(Row {
                        id,
                        floats: floats(&mut message)?,
                        health: message.u8()?,
                        score: message.uint(2)? as u16,
                        animation: message.u8()?,
                    });
                }
                ensure!(message.0.is_empty(), "trailing bytes after the last row");
                Ok(Some(State { entities: Some(entities), processed }))
            }
            other => bail!("an unknown message ({other})"),
        }
    }
}

impl Dialect for Afternoon {
    fn reserve(&mut self, _: SocketAddr) -> Result<Upgrade> {
        Ok(Upgrade::to("/"))
    }

    fn write_hello(&self, _: &mut Vec<u8>) {}

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        Some(write_input(&mut self.sent, command, out))
    }

    fn handle(&mut self, message: &[u8], _: Micros, _: &mut Vec<u8>) -> Result<Option<State>> {
        let mut message = Reader(message);
        let _tick = bincode_uint(&mut message)?;
        let processed = bincode_uint(&mut message)?;
        let entities = bincode_uint(&mut message)? as usize;
        self.rows.clear();
        for _ in 0..entities {
            self.rows.push(Row {
                id: bincode_uint(&mut message)? as u16,
                floats: floats(&mut message)?,
                health: message.u8()?,
                score: bincode_uint(&mut message)? as u16,
                animation: message.u8()?,
            });
        }
        ensure!(message.0.is_empty(), "trailing bytes after the last row");
        Ok(Some(State { entities: Some(entities), processed }))
    }
}

/// Writes an input: 9 bytes, little-endian.
fn write_input(sent: &mut u32, command: Command, out: &mut Vec<u8>) -> u32 {
    *sent += 1;
    let Command { movement, aim, buttons } = command;
    out.extend(sent.to_le_bytes());
    out.extend(movement.map(i8::cast_unsigned));
    out.extend(aim.to_le_bytes());
    out.push(buttons);
    *sent
}

fn floats(message: &mut Reader<'_>) -> Result<[f32; 5]> {
    let mut floats = [0.0; 5];
    for float in &mut floats {
        *float = message.f32()?;
    }
    Ok(floats)
}

/// An integer in bincode's standard configuration: one byte, or a type byte and two or four bytes.
fn bincode_uint(message: &mut Reader<'_>) -> Result<u32> {
    match message.u8()? {
        251 => message.uint(2),
        252 => message.uint(4),
        small @ 0..=250 => Ok(small.into()),
        253.. => bail!("an integer of more than 32 bits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_the_node_server_is_read() {
        let mut client = Ws::default();
        let now = Micros(0);
        assert_eq!(client.handle(&[WELCOME, 7, 0], now, &mut Vec::new()).unwrap(), None);
        let mut state = vec![STATE, 9, 0, 0, 0, 1, 0];
        state.extend([7, 0, 0x39, 0x30, 0, 0]);
        for float in [1.0_f32, 2.0, 3.0, 4.0, 5.0] {
            state.extend(float.to_le_bytes());
        }
        state.extend([100, 2, 1, 3]);
        let known = client.handle(&state, now, &mut Vec::new()).unwrap();
        assert_eq!(known, Some(State { entities: Some(1), processed: 12_345 }));
        assert_eq!(client.rows, [row()]);
        assert!(client.handle(&state[..30], now, &mut Vec::new()).is_err(), "cut off");
    }

    #[test]
    fn a_state_of_the_rust_server_is_read() {
        let mut client = Afternoon::default();
        let mut state = vec![9, 251, 0x39, 0x30, 1, 7];
        for float in [1.0_f32, 2.0, 3.0, 4.0, 5.0] {
            state.extend(float.to_le_bytes());
        }
        state.extend([100, 251, 2, 1, 3]);
        let known = client.handle(&state, Micros(0), &mut Vec::new()).unwrap();
        assert_eq!(known, Some(State { entities: Some(1), processed: 12_345 }));
        assert_eq!(client.rows, [row()]);
    }

    fn row() -> Row {
        let floats = [1.0, 2.0, 3.0, 4.0, 5.0];
        Row { id: 7, floats, health: 100, score: 258, animation: 3 }
    }
}
