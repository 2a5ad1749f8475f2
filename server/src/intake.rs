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

/// Most bytes of one read; more than a well-behaved client ever has in flight.
pub(crate) const BYTES: usize = 64 * 1024;

/// The buffer that all sockets of a shard are read into.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) bytes: Box<[u8]>,
    control: Vec<u8>,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BYTES].into(), control: nix::cmsg_space!(TimeSpec) }
    }

    /// The buffer, and a reader that remembers when the bytes arrived.
    pub(crate) fn of<'a>(&'a mut self, stream: &'a TcpStream) -> (&'a mut [u8], Stamped<'a>) {
        let control = &mut self.control;
        (&mut self.bytes, Stamped { stream, control, arrived: None, taken: 0, is_drained: false })
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
