//! Sockets that were sent their close frame and wait for the client to end too.
//!
//! Closing a socket while the client's bytes are unread makes the kernel reset it, and a reset
//! may overtake the close frame. So these are read, for [`LINGER_TIMEOUT`] at most and
//! [`LINGER_BYTES_MAX`] a wake-up, and what comes is thrown away.

use slab::Slab;
use tickwire_shared::time::Micros;

use crate::socket::{Arrived, Socket};

/// How long a client may take to answer a close.
const LINGER_TIMEOUT: Micros = Micros::from_secs(2);
/// A client that sends more than this at once, after its connection was closed, is cut off.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    sockets: Slab<(Socket, Micros)>,
}

impl Lingering {
    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The key that the next socket will have.
    pub(crate) fn next_key(&self) -> usize {
        self.sockets.vacant_key()
    }

    pub(crate) fn insert(&mut self, socket: Socket, now: Micros) {
        self.sockets.insert((socket, now.plus(LINGER_TIMEOUT)));
    }

    /// The socket can be read or written.
    pub(crate) fn handle_ready(&mut self, key: usize, buffer: &mut [u8]) {
        let Some((socket, _)) = self.sockets.get_mut(key) else { return };
        let mut is_over = socket.finish().is_err();
        let mut bytes = 0;
        while !is_over && bytes < LINGER_BYTES_MAX {
            match socket.read(buffer) {
                Arrived::Bytes(count) => bytes += count,
                Arrived::Nothing => return,
                Arrived::End => is_over = true,
            }
        }
        self.sockets.remove(key);
    }

    /// Drops the sockets whose time is up.
    pub(crate) fn sweep(&mut self, now: Micros) {
        self.sockets.retain(|_, (_, until)| now < *until);
    }
}
