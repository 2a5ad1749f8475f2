//! One client's non-blocking socket, plain or TLS.
//!
//! Bytes that the kernel does not take at once wait in the outbox. A first send, to an empty
//! outbox, may wait in full, since a snapshot, which is sent only then, can be as long as a frame
//! may be. Behind it [`OUTBOX_BYTES_MAX`] may wait; if that overflows, the connection is closed. An
//! idle socket holds no buffer.

use std::{
    io::{self, ErrorKind, Read},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use fastwebsockets::{Frame, Payload};
use rustix::net::{SendFlags, send};
use rustls::ServerConnection;
use tickwire_shared::close::CloseReason;

use crate::{intake::Intake, places::ConnectionPlace, tls::TlsSession};

/// Bytes that may wait for a slow client behind the first send: many seconds of events.
pub(crate) const OUTBOX_BYTES_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    transport: Transport,
    /// Released when the socket is dropped.
    place: ConnectionPlace,
}

/// A connection as the front door passes it on.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) stream: TcpStream,
    /// The TLS session, unless the connection is a plain one.
    pub(crate) tls: Option<Box<ServerConnection>>,
    pub(crate) place: ConnectionPlace,
}

#[derive(Debug)]
enum Transport {
    Plain { stream: TcpStream, outbox: Outbox },
    Tls(TlsSession),
}

/// Why a send failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SendError {
    /// The connection is lost.
    Lost,
    /// The client has not read for so long that the outbox is full.
    Full,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadResult {
    /// Bytes were read. If they fill the buffer, there may be more; if not, the rest, or the end of
    /// the stream, is for the next read.
    Bytes {
        count: usize,
        /// Bytes on the wire: more than `count` over TLS, whose records may even carry no
        /// plaintext.
        taken: usize,
        /// When the last of them arrived at this machine, since 1970.
        stamp: Option<Duration>,
    },
    /// Nothing for now.
    Nothing,
    /// The connection is over.
    End,
}

impl Socket {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let Upgraded { stream, tls, place } = upgraded;
        let transport = match tls {
            Some(tls) => Transport::Tls(TlsSession::new(stream, tls)),
            None => Transport::Plain { stream, outbox: Outbox::default() },
        };
        Self { transport, place }
    }

    /// The connection's places in the limits.
    pub(crate) const fn place(&self) -> &ConnectionPlace {
        &self.place
    }

    /// The TCP stream.
    pub(crate) const fn stream(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain { stream, .. } => stream,
            Transport::Tls(session) => &session.stream,
        }
    }

    /// The TCP stream and its places, for a closed socket that only waits for the client to close.
    pub(crate) fn into_stream(self) -> (TcpStream, ConnectionPlace) {
        let stream = match self.transport {
            Transport::Plain { stream, .. } => stream,
            Transport::Tls(session) => session.stream,
        };
        (stream, self.place)
    }

    /// Whether the kernel has taken everything that was sent so far.
    pub(crate) fn is_flushed(&self) -> bool {
        match &self.transport {
            Transport::Plain { outbox, .. } => outbox.rest().is_empty(),
            Transport::Tls(session) => session.is_flushed(),
        }
    }

    /// Sends whole frames: at once, as far as the kernel takes them; the rest waits in the outbox.
    pub(crate) fn send(&mut self, frames: &[u8]) -> Result<(), SendError> {
        match &mut self.transport {
            Transport::Plain { stream, outbox } => {
                let is_flushed = outbox.rest().is_empty();
                let taken = if is_flushed { write(stream, frames)? } else { 0 };
                if taken == frames.len() { Ok(()) } else { outbox.push(&frames[taken..]) }
            }
            Transport::Tls(session) => session.send(frames),
        }
    }

    /// Writes waiting bytes, as far as the kernel takes them.
    pub(crate) fn flush(&mut self) -> Result<(), SendError> {
        match &mut self.transport {
            Transport::Plain { stream, outbox } => outbox.flush(stream),
            Transport::Tls(session) => session.flush(),
        }
    }

    /// Reads available bytes into the intake.
    pub(crate) fn read(&mut self, intake: &mut Intake) -> ReadResult {
        match &mut self.transport {
            Transport::Plain { stream, .. } => read(stream, intake),
            Transport::Tls(session) => session.read(intake),
        }
    }

    /// Reads and discards available bytes, without decrypting them.
    pub(crate) fn skip(&mut self, intake: &mut Intake) -> ReadResult {
        read(self.stream(), intake)
    }

    /// Sends a close frame, after which nothing more is sent. The socket should be read until the
    /// client has closed too: closing it with unread bytes resets it, and may lose the close frame.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.end(&close_frame(reason));
    }

    /// Answers the client's close frame with one of the same code.
    pub(crate) fn answer_close(&mut self, code: Option<u16>) {
        let mut frame = Vec::new();
        let code = code.map_or_else(Vec::new, |code| code.to_be_bytes().into());
        push(Frame::close_raw(Payload::Owned(code)), &mut frame);
        self.end(&frame);
    }

    fn end(&mut self, close_frame: &[u8]) {
        // The close frame is sent even if the outbox is full: the client may still read it.
        match &mut self.transport {
            Transport::Plain { outbox, .. } => outbox.bytes_max += close_frame.len(),
            Transport::Tls(session) => session.unbound(),
        }
        // The connection is lost.
        if self.send(close_frame).is_err() {
            return;
        }
        if let Transport::Tls(session) = &mut self.transport {
            session.send_close_notify();
        }
        let _ = self.finish();
    }

    /// After [`Socket::close`]: flushes, and shuts the sending side down once nothing waits.
    pub(crate) fn finish(&mut self) -> Result<(), SendError> {
        self.flush()?;
        if self.is_flushed() {
            self.stream().shutdown(Shutdown::Write).map_err(|_| SendError::Lost)?;
        }
        Ok(())
    }
}

/// Appends a WebSocket frame from a server: a binary message with this payload.
pub fn push_frame(payload: &[u8], out: &mut Vec<u8>) {
    push(Frame::binary(Payload::Borrowed(payload)), out);
}

/// Appends a pong frame.
pub(crate) fn push_pong(payload: &[u8], out: &mut Vec<u8>) {
    push(Frame::pong(Payload::Borrowed(payload)), out);
}

/// A close frame with code and reason.
pub(crate) fn close_frame(reason: CloseReason) -> Vec<u8> {
    let mut frame = Vec::new();
    push(Frame::close(reason.code(), reason.to_string().as_bytes()), &mut frame);
    frame
}

/// Appends any frame.
pub(crate) fn push(mut frame: Frame<'_>, out: &mut Vec<u8>) {
    let mut head = [0; 16];
    let head_bytes = frame.fmt_head(&mut head);
    out.extend_from_slice(&head[..head_bytes]);
    out.extend_from_slice(&frame.payload);
}

fn read(stream: &TcpStream, intake: &mut Intake) -> ReadResult {
    let (bytes, mut stamped) = intake.of(stream);
    match retry(|| stamped.read(bytes)) {
        Ok(0) => ReadResult::End,
        Ok(count) => ReadResult::Bytes { count, taken: count, stamp: stamped.arrived },
        Err(error) if error.kind() == ErrorKind::WouldBlock => ReadResult::Nothing,
        Err(_) => ReadResult::End,
    }
}

fn write(stream: &TcpStream, bytes: &[u8]) -> Result<usize, SendError> {
    // A raw system call: libc's send also checks for thread cancellation.
    match retry(|| Ok(send(stream, bytes, SendFlags::NOSIGNAL)?)) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(SendError::Lost),
    }
}

pub(crate) fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Bytes that the kernel has not taken yet. Holds no memory when there are none.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    taken: usize,
    /// The bound, set by the first send.
    bytes_max: usize,
}

impl Outbox {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        if self.rest().is_empty() {
            self.bytes_max = bytes.len() + OUTBOX_BYTES_MAX;
        }
        let total = self.rest().len() + bytes.len();
        if total > self.bytes_max {
            return Err(SendError::Full);
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if total > self.bytes.capacity() {
            // Doubled, as a vector grows by itself, but never past the bound.
            let capacity = (2 * self.bytes.capacity()).clamp(total, self.bytes_max);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self, stream: &TcpStream) -> Result<(), SendError> {
        while !self.rest().is_empty() {
            let taken = write(stream, self.rest())?;
            if taken == 0 {
                break;
            }
            self.take(taken);
        }
        Ok(())
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_is_bounded_and_gives_its_memory_back() {
        let mut outbox = Outbox::default();
        for first in [1, 3 * OUTBOX_BYTES_MAX] {
            outbox.push(&vec![1; first]).unwrap();
            outbox.push(&vec![2; OUTBOX_BYTES_MAX]).unwrap();
            assert_eq!(outbox.push(&[3]), Err(SendError::Full));
            outbox.take(1);
            outbox.push(&[3]).unwrap();
            assert_eq!(outbox.rest().len(), first + OUTBOX_BYTES_MAX);
            assert_eq!(outbox.bytes.capacity(), first + OUTBOX_BYTES_MAX);
            outbox.take(outbox.rest().len());
            assert_eq!(outbox.bytes.capacity(), 0);
        }
    }

    #[test]
    fn close_frames_carry_code_and_reason() {
        let frame = close_frame(CloseReason::MatchFull);
        assert_eq!(frame[..4], [0x88, 2 + 17, 0x0F, 0xAA]);
        assert_eq!(&frame[4..], b"the match is full");
    }
}
