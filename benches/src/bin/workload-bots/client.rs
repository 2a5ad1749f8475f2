//! One client: a socket, WebSocket framing, a server's dialect, and the steering.

use std::{
    collections::{VecDeque, vec_deque},
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tickwire_benches::server::Server;
use tickwire_shared::time::{Micros, TickRate};

use crate::{
    dialect::{self, Dialect, State, Upgrade},
    steering::Steering,
};

/// Longest response to an upgrade, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;
/// Longest message in bytes: several full states of a few hundred players.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Any mask will do: it protects proxies, which are not used here.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x3C, 0xA5];

/// See the module.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    dialect: Box<dyn Dialect>,
    steering: Steering,
    unanswered: VecDeque<(u32, Micros)>,
    newest: Option<Micros>,
    /// The beginning of an incomplete frame.
    partial: Vec<u8>,
    payload: Vec<u8>,
    frame: Vec<u8>,
}

/// A state update that was decoded.
pub(crate) struct Update {
    /// Size with the frame head.
    pub(crate) bytes: usize,
    /// See [`State::entities`].
    pub(crate) entities: Option<usize>,
    pub(crate) at: Micros,
    /// When the previous update arrived.
    pub(crate) before: Option<Micros>,
}

/// Inputs that an update includes: their numbers, and when they were sent.
pub(crate) type Answered<'a> = vec_deque::Drain<'a, (u32, Micros)>;

impl Client {
    /// Connects, upgrades and sends the hello.
    pub(crate) fn join(
        address: SocketAddr,
        server: Server,
        index: usize,
        players: usize,
        rate: TickRate,
    ) -> Result<Self> {
        let mut dialect = dialect::of(server, index.is_multiple_of(players));
        let upgrade = dialect.reserve(address)?;
        let mut client = Self {
            socket: connect(address, &upgrade)?,
            dialect,
            steering: Steering::new(index, rate),
            unanswered: VecDeque::new(),
            newest: None,
            partial: Vec::new(),
            payload: Vec::new(),
            frame: Vec::new(),
        };
        client.dialect.write_hello(&mut client.payload);
        if !client.payload.is_empty() {
            client.send(BINARY)?;
        }
        Ok(client)
    }

    /// Sends the next input. Returns `Ok(false)` if the socket did not accept it.
    pub(crate) fn play(&mut self, now: Micros) -> Result<bool> {
        self.payload.clear();
        let Some(seq) = self.dialect.write_input(self.steering.next(), &mut self.payload) else {
            return Ok(true);
        };
        self.unanswered.push_back((seq, now));
        match self.send(BINARY) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads from the socket into `buffer`, and passes each update to `on_update`, with the inputs
    /// that it answers. An error ends the connection.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        now: impl FnOnce() -> Micros,
        mut on_update: impl FnMut(Update, Answered<'_>),
    ) -> Result<()> {
        let count = match self.socket.read(buffer) {
            Ok(0) => bail!("closed by the server"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = now();
        let mut held = std::mem::take(&mut self.partial);
        let bytes = if held.is_empty() {
            &buffer[..count]
        } else {
            held.extend_from_slice(&buffer[..count]);
            &held
        };
        let mut rest = bytes;
        while let Some((opcode, head_bytes, end)) = frame_at(rest)? {
            let payload = &rest[head_bytes..end];
            self.payload.clear();
            match opcode {
                BINARY => {
                    let state = self.dialect.handle(payload, now, &mut self.payload)?;
                    if !self.payload.is_empty() {
                        self.send(BINARY)?;
                    }
                    if let Some(State { entities, processed }) = state {
                        let before = self.newest.replace(now);
                        let answered = self.answered(processed);
                        on_update(Update { bytes: end, entities, at: now, before }, answered);
                    }
                }
                PING => {
                    self.payload.extend_from_slice(payload);
                    self.send(PONG)?;
                }
                _ => bail!("closed by the server, or not binary (opcode {opcode})"),
            }
            rest = &rest[end..];
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    /// Removes and returns the inputs that `processed` answers.
    fn answered(&mut self, processed: u32) -> Answered<'_> {
        let is_answered = |&&(seq, _): &&(u32, _)| processed.wrapping_sub(seq).cast_signed() >= 0;
        let count = self.unanswered.iter().take_while(is_answered).count();
        self.unanswered.drain(..count)
    }

    /// Sends the payload as one frame, which must be short.
    fn send(&mut self, opcode: u8) -> io::Result<()> {
        debug_assert!(self.payload.len() < 126, "a longer payload needs a longer head");
        self.frame.clear();
        self.frame.extend([0x80 | opcode, 0x80 | self.payload.len() as u8]);
        self.frame.extend(MASK);
        let masked = self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        self.frame.extend(masked);
        self.socket.write_all(&self.frame)
    }
}

fn connect(address: SocketAddr, upgrade: &Upgrade) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(JOIN_TIMEOUT))?;
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        upgrade.path
    );
    if let Some(subprotocol) = upgrade.subprotocol {
        request += &format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
    }
    socket.write_all((request + "\r\n").as_bytes())?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        ensure!(answer.len() < ANSWER_BYTES_MAX, "the response to the upgrade is too long");
        socket.read_exact(&mut byte).context("no response to the upgrade")?;
        answer.extend(byte);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        bail!("rejected: {}", String::from_utf8_lossy(&answer).lines().next().unwrap_or(""));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Opcode, head length and total length of the first frame, if it is complete.
fn frame_at(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    ensure!(first & 0xF0 == 0x80 && second & 0x80 == 0, "a fragment or a masked frame");
    let (head_bytes, payload_bytes) = match (second, bytes) {
        (0..=125, _) => (2, usize::from(second)),
        (126, &[_, _, high, low, ..]) => (4, usize::from(u16::from_be_bytes([high, low]))),
        (127, &[_, _, 0, 0, 0, 0, a, b, c, d, ..]) => {
            (10, u32::from_be_bytes([a, b, c, d]) as usize)
        }
        _ => return Ok(None),
    };
    ensure!(payload_bytes <= MESSAGE_BYTES_MAX, "a frame of {payload_bytes} bytes");
    let end = head_bytes + payload_bytes;
    Ok((bytes.len() >= end).then_some((first & 0x0F, head_bytes, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_frames_are_found() {
        let mut bytes = vec![0x82, 126, 0, 200];
        bytes.resize(204, 7);
        assert_eq!(frame_at(&bytes).unwrap(), Some((BINARY, 4, 204)));
        assert_eq!(frame_at(&bytes[..203]).unwrap(), None);
        assert_eq!(frame_at(&[0x82, 1, 9, 0x82]).unwrap(), Some((BINARY, 2, 3)));
        assert!(frame_at(&[0x82, 0x81, 0, 0]).is_err(), "masked");
        assert!(frame_at(&[0x82, 127, 0, 0, 0, 0, 255, 255, 255, 255]).is_err(), "too long");
    }
}
