//! Bytes off a socket, and when they arrived.
//!
//! A shard reads its sockets when a tick is due and not when they become readable, since a wake-up
//! costs more than what it is for. So that nobody's clock or input pace suffers from it, the kernel
//! notes when bytes arrive (`SO_TIMESTAMPNS`) and tells with each read.

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

/// Bytes that one read takes in at most; more than all that a client may have on its way.
pub(crate) const BYTES: usize = 64 * 1024;

/// What the sockets of a shard are read through.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) bytes: Box<[u8]>,
    control: Vec<u8>,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BYTES].into(), control: nix::cmsg_space!(TimeSpec) }
    }

    /// The bytes to read into, and a stream that reads and remembers when they arrived.
    pub(crate) fn of<'a>(&'a mut self, stream: &'a TcpStream) -> (&'a mut [u8], Stamped<'a>) {
        let control = &mut self.control;
        (&mut self.bytes, Stamped { stream, control, arrived: None, taken: 0, is_drained: false })
    }
}

/// Has the kernel note when this socket's bytes arrive.
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
    /// Whether the last read took all that there was.
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
