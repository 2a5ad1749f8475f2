//! Sockets that have sent their close frame and wait for the client to close its side too.
//!
//! Closing a socket while the client's bytes are unread makes the kernel reset it, and a reset
//! may overtake the close frame. So these sockets are still read, for [`LINGER_TIMEOUT`] at most
//! and [`LINGER_BYTES_MAX`] each time, and the bytes are discarded.

use tickwire_shared::time::Micros;

use crate::{
    intake::Intake,
    socket::{ReadResult, Socket},
};

/// How long a client may take to answer a close.
const LINGER_TIMEOUT: Micros = Micros::from_secs(2);
/// A client that sends more than this at once, after its connection was closed, is cut off.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    sockets: Vec<(Socket, Micros)>,
}

impl Lingering {
    pub(crate) const fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    pub(crate) fn insert(&mut self, socket: Socket, now: Micros) {
        self.sockets.push((socket, now.plus(LINGER_TIMEOUT)));
    }

    /// Reads all sockets, and drops those that have ended or timed out.
    pub(crate) fn poll(&mut self, intake: &mut Intake, now: Micros) {
        self.sockets.retain_mut(|(socket, until)| now < *until && lingers(socket, intake));
    }
}

/// Reads one socket. Returns whether to keep waiting for it.
fn lingers(socket: &mut Socket, intake: &mut Intake) -> bool {
    if socket.finish().is_err() {
        return false;
    }
    let mut bytes = 0;
    while bytes < LINGER_BYTES_MAX {
        match socket.skip(intake) {
            ReadResult::Bytes { count, .. } => bytes += count,
            ReadResult::Nothing => return true,
            ReadResult::End => return false,
        }
    }
    false
}
