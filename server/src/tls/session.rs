//! A TLS session on a non-blocking socket, once the handshake is done.
//!
//! The session is sans-IO, so this is what a plain socket is: frames go in and are encrypted at
//! once; ciphertext that the kernel does not take waits in the session, up to
//! [`OUTBOX_BYTES_MAX`].

use std::{
    fmt,
    io::{ErrorKind, Read, Write},
};

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::socket::{Arrived, OUTBOX_BYTES_MAX, SendError, retry};

/// See the module.
pub(crate) struct TlsSession {
    pub(crate) stream: TcpStream,
    tls: Box<ServerConnection>,
}

impl TlsSession {
    pub(crate) fn new(stream: TcpStream, mut tls: Box<ServerConnection>) -> Self {
        tls.set_buffer_limit(Some(OUTBOX_BYTES_MAX));
        Self { stream, tls }
    }

    pub(crate) fn is_flushed(&self) -> bool {
        !self.tls.wants_write()
    }

    pub(crate) fn send(&mut self, mut frames: &[u8]) -> Result<(), SendError> {
        let mut may_take = self.is_flushed();
        loop {
            // It takes as much as its limit allows.
            let taken = self.tls.writer().write(frames).map_err(|_| SendError::Lost)?;
            frames = &frames[taken..];
            if may_take {
                self.flush()?;
                may_take = self.is_flushed();
            }
            match frames {
                [] => return Ok(()),
                _ if may_take => {}
                _ => return Err(SendError::Full),
            }
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), SendError> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(0) => return Err(SendError::Lost),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(SendError::Lost),
            }
        }
        Ok(())
    }

    /// Reads until the buffer is full or the socket is drained.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Arrived {
        let mut filled = 0;
        loop {
            match self.tls.reader().read(&mut buffer[filled..]) {
                // Ended in order, or the buffer is full.
                Ok(0) if filled == 0 => return Arrived::End,
                Ok(0) => return Arrived::Bytes(filled),
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Arrived::End,
            }
            match self.take_in() {
                Arrived::Bytes(_) => {}
                Arrived::Nothing | Arrived::End if filled > 0 => return Arrived::Bytes(filled),
                Arrived::Nothing => return Arrived::Nothing,
                Arrived::End => return Arrived::End,
            }
        }
    }

    /// Moves ciphertext from the socket into the session.
    fn take_in(&mut self) -> Arrived {
        let Self { stream, tls } = self;
        match retry(|| tls.read_tls(stream)) {
            Ok(0) => return Arrived::End,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Arrived::Nothing,
            Err(_) => return Arrived::End,
        }
        let processed = self.tls.process_new_packets();
        // Answers of the protocol itself: a new key, an alert.
        let flushed = self.flush();
        match (processed, flushed) {
            (Ok(_), Ok(())) => Arrived::Bytes(0),
            (Ok(_), Err(_)) | (Err(_), _) => Arrived::End,
        }
    }

    /// Sends the end of the session, as far as that was not done.
    pub(crate) fn say_end(&mut self) {
        self.tls.send_close_notify();
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession").field("stream", &self.stream).finish_non_exhaustive()
    }
}
