//! A TLS session on a non-blocking socket, once the handshake is done.
//!
//! It behaves like a plain socket. The rustls session is sans-IO: frames are encrypted at once, and
//! ciphertext that the kernel does not take waits in the session, within the same bound as a plain
//! socket's outbox ([`OUTBOX_BYTES_MAX`] behind the first send).

use std::{
    fmt,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use rustls::ServerConnection;

use crate::{
    intake::{BYTES, Intake, Stamped},
    socket::{OUTBOX_BYTES_MAX, ReadResult, SendError, retry},
};

/// See the module.
pub(crate) struct TlsSession {
    pub(crate) stream: TcpStream,
    tls: Box<ServerConnection>,
}

impl TlsSession {
    pub(crate) const fn new(stream: TcpStream, tls: Box<ServerConnection>) -> Self {
        Self { stream, tls }
    }

    pub(crate) fn is_flushed(&self) -> bool {
        !self.tls.wants_write()
    }

    pub(crate) fn send(&mut self, frames: &[u8]) -> Result<(), SendError> {
        let is_flushed = self.is_flushed();
        if is_flushed {
            self.tls.set_buffer_limit(Some(frames.len() + OUTBOX_BYTES_MAX));
        }
        // The session accepts as much as its buffer limit allows.
        let taken = self.tls.writer().write(frames).map_err(|_| SendError::Lost)?;
        if taken < frames.len() {
            // The rest of the frame is sent all the same: a close frame may follow, which must not
            // begin within another frame.
            self.unbound();
            self.tls.writer().write_all(&frames[taken..]).map_err(|_| SendError::Lost)?;
            return Err(SendError::Full);
        }
        if is_flushed { self.flush() } else { Ok(()) }
    }

    /// Lifts the buffer limit, so that a close frame fits in.
    pub(crate) fn unbound(&mut self) {
        self.tls.set_buffer_limit(None);
    }

    pub(crate) fn flush(&mut self) -> Result<(), SendError> {
        write_out(&mut self.tls, &self.stream)
    }

    /// Reads until the buffer is full or the socket is drained. Key updates and small records carry
    /// little or no plaintext, so the ciphertext of one call is bounded too.
    pub(crate) fn read(&mut self, intake: &mut Intake) -> ReadResult {
        let Self { stream, tls } = self;
        let (bytes, mut stamped) = intake.of(stream);
        let mut count = 0;
        let so_far = |count, stamped: &Stamped<'_>| match (count, stamped.taken) {
            (0, 0) => ReadResult::Nothing,
            (_, taken) => ReadResult::Bytes { count, taken, stamp: stamped.arrived },
        };
        loop {
            match tls.reader().read(&mut bytes[count..]) {
                // A close_notify, or the buffer is full.
                Ok(0) if count == 0 => return ReadResult::End,
                Ok(0) => return so_far(count, &stamped),
                Ok(more) => {
                    count += more;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return ReadResult::End,
            }
            if stamped.is_drained || stamped.taken >= BYTES {
                return so_far(count, &stamped);
            }
            match read_ciphertext(tls, &mut stamped) {
                Ciphertext::Some => {}
                Ciphertext::Nothing => return so_far(count, &stamped),
                // Bytes before the end are returned first; the next read returns the end.
                Ciphertext::End if count > 0 => return so_far(count, &stamped),
                Ciphertext::End => return ReadResult::End,
            }
        }
    }

    /// Queues a close_notify, unless one was queued before.
    pub(crate) fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
    }
}

/// The result of moving ciphertext from a socket into its session.
enum Ciphertext {
    Some,
    Nothing,
    End,
}

fn read_ciphertext(tls: &mut ServerConnection, stamped: &mut Stamped<'_>) -> Ciphertext {
    match retry(|| tls.read_tls(stamped)) {
        Ok(0) => return Ciphertext::End,
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ciphertext::Nothing,
        Err(_) => return Ciphertext::End,
    }
    let processed = tls.process_new_packets();
    // TLS' own answers, such as a key update or an alert.
    let flushed = write_out(tls, stamped.stream);
    match (processed, flushed) {
        (Ok(_), Ok(())) => Ciphertext::Some,
        (Ok(_), Err(_)) | (Err(_), _) => Ciphertext::End,
    }
}

/// Writes ciphertext as far as the kernel takes it.
fn write_out(tls: &mut ServerConnection, mut stream: &TcpStream) -> Result<(), SendError> {
    while tls.wants_write() {
        match tls.write_tls(&mut stream) {
            Ok(0) => return Err(SendError::Lost),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(SendError::Lost),
        }
    }
    Ok(())
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession").field("stream", &self.stream).finish_non_exhaustive()
    }
}
