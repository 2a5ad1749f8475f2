//! Tickwire's protocol. One client of each match uses the real client link, which decodes every
//! snapshot and checks every digest. The others read only the heads: they receive the same bodies,
//! and decoding these for every client would saturate the clients' core before the server's.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tickwire_benches::workload::{Command, Workload};
use tickwire_shared::{
    game::{Game, Input},
    ids::InputSeq,
    link::{
        ClientEvent, ClientLink, Digest,
        frames::{Before, InputHead, SNAPSHOT, SnapshotHead},
        integers,
    },
    schema::Integer,
    time::Micros,
    wire::SUBPROTOCOL,
};

use super::{Dialect, State, Upgrade};

/// Decodes every snapshot.
#[derive(Default)]
pub(super) struct Decoding(ClientLink);

/// Reads only snapshot heads, and sends inputs.
pub(super) struct Reading {
    before: Before,
    seq: InputSeq,
    input: Vec<Integer>,
}

impl Default for Reading {
    fn default() -> Self {
        let input = Workload::schema().input;
        Self { before: Before::default(), seq: InputSeq::default(), input }
    }
}

impl Dialect for Decoding {
    fn reserve(&mut self, _: SocketAddr) -> Result<Upgrade> {
        Ok(upgrade())
    }

    fn write_hello(&self, out: &mut Vec<u8>) {
        ClientLink::default().write_hello("", None, out);
    }

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        // A tick in the past means "as soon as possible".
        let applied = self.0.applied()?;
        self.0.write_input(applied, &values(command), out).map(|seq| seq.0)
    }

    fn handle(&mut self, message: &[u8], now: Micros, _: &mut Vec<u8>) -> Result<Option<State>> {
        let ClientEvent::Snapshot { digest, .. } = self.0.handle_frame(message, now)? else {
            return Ok(None);
        };
        ensure!(digest != Digest::Differs, "a digest differs");
        let entities = self.0.rows().map(|rows| rows.len());
        Ok(Some(State { entities, processed: self.0.processed().0 }))
    }
}

impl Dialect for Reading {
    fn reserve(&mut self, _: SocketAddr) -> Result<Upgrade> {
        Ok(upgrade())
    }

    fn write_hello(&self, out: &mut Vec<u8>) {
        ClientLink::default().write_hello("", None, out);
    }

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        let applied = self.before.tick?;
        self.seq = self.seq.next();
        InputHead { seq: self.seq, tick: applied, applied, behind: 0 }.write(out);
        integers::pack(&self.input, &values(command), out).expect("commands fit the schema");
        Some(self.seq.0)
    }

    fn handle(&mut self, message: &[u8], _: Micros, _: &mut Vec<u8>) -> Result<Option<State>> {
        if message.first().is_none_or(|kind| kind & SNAPSHOT == 0) {
            return Ok(None);
        }
        let (head, _) = SnapshotHead::read(message, self.before).context("a bad head")?;
        self.before = Before { tick: Some(head.tick), processed: head.processed };
        Ok(Some(State { entities: None, processed: head.processed.0 }))
    }
}

fn upgrade() -> Upgrade {
    Upgrade { path: "/v1/play?match=auto".into(), subprotocol: Some(SUBPROTOCOL) }
}

fn values(command: Command) -> [i32; 4] {
    let mut values = [0; 4];
    command.write_values(&mut values);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_client_write_inputs_alike() {
        let command = Command { movement: [-3, 127], aim: 60_000, buttons: 1 };
        let mut reading = Reading::default();
        let mut out = Vec::new();
        assert_eq!(reading.write_input(command, &mut out), None, "no snapshot yet");
        let head = SnapshotHead {
            tick: tickwire_shared::ids::Tick(9),
            full: true,
            digest: None,
            processed: InputSeq(0),
            lead: None,
            owner: false,
        };
        head.write(Before::default(), &mut out);
        let known = reading.handle(&out, Micros(0), &mut Vec::new()).unwrap();
        assert_eq!(known, Some(State { entities: None, processed: 0 }));
        out.clear();
        assert_eq!(reading.write_input(command, &mut out), Some(1));
        let (head, rest) = InputHead::read(&out[1..]).unwrap();
        assert_eq!((head.seq.0, head.applied.0), (1, 9));
        let mut unpacked = [0; 4];
        integers::unpack(&reading.input, rest, &mut unpacked).unwrap();
        assert_eq!(unpacked, values(command));
    }
}
