//! The receive buffer of a shard, with the arrival times of bytes.
//!
//! A shard reads its sockets when a tick is due, not when they become readable, since a wake-up
//! costs more than handling a message. So that this distorts neither clock synchronisation nor
//! input pacing, the kernel timestamps arriving bytes (`SO_TIMESTAMPNS`) and returns that with each
//! read.

use std::{
    io::{self, IoSliceMut, Read},
    net::TcpStream,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use tickwire_shared::time::Micros;

/// Most bytes of one read; more than a well-behaved client ever has in flight.
pub(crate) const BYTES: usize = 64 * 1024;

/// The buffer that all sockets of a shard are read into, one after the other.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) bytes: Box<[u8]>,
    control: Vec<u8>,
    /// The reads whose bytes wait at the start of the buffer.
    kept: Vec<Kept>,
    kept_bytes: usize,
}

/// A read whose bytes wait to be handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    /// The connection.
    pub(crate) key: usize,
    pub(crate) count: usize,
    /// TLS bytes beyond the free ones.
    pub(crate) idle: usize,
    pub(crate) arrived: Micros,
}

impl Intake {
    pub(crate) fn new() -> Self {
        let control = nix::cmsg_space!(TimeSpec);
        Self { bytes: vec![0; BYTES].into(), control, kept: Vec::new(), kept_bytes: 0 }
    }

    /// The free part of the buffer, and a reader that remembers when the bytes arrived.
    pub(crate) fn of<'a>(&'a mut self, stream: &'a TcpStream) -> (&'a mut [u8], Stamped<'a>) {
        let control = &mut self.control;
        let free = &mut self.bytes[self.kept_bytes..];
        (free, Stamped { stream, control, arrived: None, taken: 0, is_drained: false })
    }

    /// Keeps the bytes of the last read. Returns whether there is room for more: if not, handle them
    /// before the next read.
    pub(crate) fn keep(&mut self, kept: Kept) -> bool {
        self.kept.push(kept);
        self.kept_bytes += kept.count;
        self.kept_bytes < self.bytes.len()
    }

    /// Drops what is kept for a match that has failed.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    /// Has what was kept handled, in order.
    pub(crate) fn handle(&mut self, mut handle: impl FnMut(Kept, &mut [u8])) {
        let mut rest = &mut *self.bytes;
        for kept in self.kept.drain(..) {
            let (bytes, after) = rest.split_at_mut(kept.count);
            handle(kept, bytes);
            rest = after;
        }
        self.kept_bytes = 0;
    }
}

/// Has the kernel timestamp bytes that arrive at this socket.
pub(crate) fn stamp(stream: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(stream, ReceiveTimestampns, &true)?)
}

/// A stream that is being read.
#[derive(Debug)]
pub(crate) struct Stamped<'a> {
    pub(crate) stream: &'a TcpStream,
    control: &'a mut [u8],
    /// When the last of the bytes arrived, since 1970.
    pub(crate) arrived: Option<Duration>,
    /// Bytes that were read.
    pub(crate) taken: usize,
    /// Whether the last read emptied the socket's buffer.
    pub(crate) is_drained: bool,
}

impl Read for Stamped<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len();
        let mut parts = [IoSliceMut::new(bytes)];
        let (fd, flags) = (self.stream.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let message = recvmsg::<()>(fd, &mut parts, Some(&mut *self.control), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmTimestampns(stamp) = control {
                self.arrived = Some(stamp.into());
            }
        }
        self.taken += message.bytes;
        self.is_drained = message.bytes < wanted;
        Ok(message.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    #[test]
    fn what_is_kept_is_handled_in_order_and_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut intake = Intake::new();
        let mut keep = |intake: &mut Intake, key, bytes: &[u8]| {
            client.write_all(bytes).unwrap();
            let mut count = 0;
            let mut has_room = true;
            while count < bytes.len() {
                let (free, mut stamped) = intake.of(&server);
                let Ok(read) = stamped.read(free) else { continue };
                assert!(read > 0, "the buffer is full");
                has_room = intake.keep(Kept { key, count: read, idle: 0, arrived: Micros(0) });
                count += read;
            }
            has_room
        };
        let handled = |intake: &mut Intake| {
            let mut handled = Vec::new();
            intake.handle(|kept, bytes| handled.push((kept.key, bytes.to_vec())));
            handled
        };
        assert!(keep(&mut intake, 3, b"abc"));
        assert!(keep(&mut intake, 1, b"d"));
        assert_eq!(handled(&mut intake), [(3, b"abc".to_vec()), (1, b"d".to_vec())]);
        assert_eq!(handled(&mut intake), []);
        assert!(keep(&mut intake, 1, b"of a match that fails"));
        intake.clear();
        assert!(!keep(&mut intake, 2, &[7; BYTES]), "full");
        let bytes: Vec<_> = handled(&mut intake).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(bytes, [7; BYTES]);
        assert!(keep(&mut intake, 2, b"e"));
    }
}
