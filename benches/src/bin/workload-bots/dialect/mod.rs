//! What the servers of the comparison speak: each client's side of it, without socket and clock.

mod colyseus;
mod plain;
mod tickwire;

use std::net::SocketAddr;

use anyhow::Result;
use tickwire_benches::{server::Server, workload::Command};
use tickwire_shared::time::Micros;

/// One client's side of a server's protocol, over WebSocket messages.
pub(crate) trait Dialect {
    /// Asks for a seat, where that is a request of its own, and says how to connect.
    fn reserve(&mut self, address: SocketAddr) -> Result<Upgrade>;

    /// Appends what a client says first, if it does.
    fn write_hello(&self, out: &mut Vec<u8>);

    /// Appends an input and returns its number. `None`: it can't play yet.
    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32>;

    /// Takes a message whole, and appends the answer that it demands, if it does. `Some` if it was
    /// an update.
    fn handle(
        &mut self,
        message: &[u8],
        now: Micros,
        answer: &mut Vec<u8>,
    ) -> Result<Option<State>>;
}

/// What to ask for with the upgrade to WebSocket.
pub(crate) struct Upgrade {
    pub(crate) path: String,
    pub(crate) subprotocol: Option<&'static str>,
}

impl Upgrade {
    fn to(path: impl Into<String>) -> Self {
        Self { path: path.into(), subprotocol: None }
    }
}

/// What a client knows after an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct State {
    /// Players that it knows, if it looks.
    pub(crate) entities: Option<usize>,
    /// Its newest input that this includes; 0 is none.
    pub(crate) processed: u32,
}

/// A client's side of what a server speaks. `is_first` of its match.
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

/// Reads little-endian values off the front of a message.
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
