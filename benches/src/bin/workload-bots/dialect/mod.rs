//! The protocols of the servers in the comparison: the client's side, without socket and clock.

mod colyseus;
mod plain;
mod tickwire;

use std::net::SocketAddr;

use anyhow::Result;
use tickwire_benches::{server::Server, workload::Command};
use tickwire_shared::time::Micros;

/// One client's side of a server's protocol, over WebSocket messages.
pub(crate) trait Dialect {
    /// Reserves a seat, if that is a separate request, and returns how to connect.
    fn reserve(&mut self, address: SocketAddr) -> Result<Upgrade>;

    /// Appends the client's first message, if the protocol has one.
    fn write_hello(&self, out: &mut Vec<u8>);

    /// Appends an input and returns its number; `None` if the client can't play yet.
    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32>;

    /// Handles a complete message, and appends the answer if it needs one. Returns `Some` if it was
    /// an update.
    fn handle(
        &mut self,
        message: &[u8],
        now: Micros,
        answer: &mut Vec<u8>,
    ) -> Result<Option<State>>;
}

/// The parameters of the upgrade to WebSocket.
pub(crate) struct Upgrade {
    pub(crate) path: String,
    pub(crate) subprotocol: Option<&'static str>,
}

impl Upgrade {
    fn to(path: impl Into<String>) -> Self {
        Self { path: path.into(), subprotocol: None }
    }
}

/// A client's state after an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct State {
    /// Number of players, if the client decodes them.
    pub(crate) entities: Option<usize>,
    /// The client's newest input that the state includes; 0 for none.
    pub(crate) processed: u32,
}

/// The client's side of a server's protocol. `is_first`: for the first client of its match.
pub(crate) fn of(server: Server, is_first: bool) -> Box<dyn Dialect> {
    match server {
        Server::Tickwire if is_first => Box::<tickwire::Decoding>::default(),
        Server::Tickwire => Box::<tickwire::Reading>::default(),
        Server::Afternoon => Box::<plain::Afternoon>::default(),
        Server::Ws => Box::<plain::Ws>::default(),
        Server::Colyseus => Box::new(colyseus::Colyseus::new(colyseus::Room::Tutorial)),
        Server::ColyseusQuantised => Box::new(colyseus::Colyseus::new(colyseus::Room::Quantised)),
    }
}

/// Reads little-endian values from the front of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| anyhow::anyhow!("a message is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned integer of up to four bytes.
    fn uint(&mut self, bytes: usize) -> Result<u32> {
        let little_endian = self.take(bytes)?.iter().rev();
        Ok(little_endian.fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_bits(self.uint(4)?))
    }
}
