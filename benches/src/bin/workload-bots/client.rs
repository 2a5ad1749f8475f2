//! One client: a socket, its WebSocket frames, the real client link, and its steering.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tickwire_benches::workload::Command;
use tickwire_shared::{
    dice::Dice,
    game::Input,
    ids::InputSeq,
    link::{ClientEvent, ClientLink, Digest},
    time::Micros,
    wire::{SERVER_FRAME_BYTES_MAX, SUBPROTOCOL},
};

/// Longest answer to an upgrade, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Any mask will do: it protects proxies, and there are none.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x3C, 0xA5];

/// See the module.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    link: ClientLink,
    steering: Steering,
    unanswered: VecDeque<(InputSeq, Micros)>,
    pub(crate) newest: Option<Micros>,
    /// The beginning of a frame whose end is still to come.
    partial: Vec<u8>,
    payload: Vec<u8>,
    frame: Vec<u8>,
}

/// A state update that was decoded.
pub(crate) struct Update {
    /// Payload and frame head.
    pub(crate) bytes: usize,
    pub(crate) entities: usize,
}

impl Client {
    /// Connects, upgrades and says hello.
    pub(crate) fn join(address: SocketAddr, index: usize, rate: u16) -> Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(JOIN_TIMEOUT))?;
        write!(
            socket,
            "GET /v1/play?match=auto HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        )?;
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            ensure!(answer.len() < ANSWER_BYTES_MAX, "the answer to the upgrade has no end");
            socket.read_exact(&mut byte).context("no answer to the upgrade")?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"HTTP/1.1 101") {
            bail!("refused: {}", String::from_utf8_lossy(&answer).lines().next().unwrap_or(""));
        }
        socket.set_nonblocking(true)?;
        let mut client = Self {
            socket,
            link: ClientLink::default(),
            steering: Steering::new(index, rate),
            unanswered: VecDeque::new(),
            newest: None,
            partial: Vec::new(),
            payload: Vec::new(),
            frame: Vec::new(),
        };
        ClientLink::write_hello("", None, &mut client.payload);
        client.send(BINARY)?;
        Ok(client)
    }

    /// Sends the next input. `Ok(false)`: the socket did not take it.
    pub(crate) fn play(&mut self, now: Micros) -> Result<bool> {
        let Some(applied) = self.link.applied() else { return Ok(true) };
        let mut values = [0; 4];
        self.steering.next().write_values(&mut values);
        self.payload.clear();
        // A tick that is past means "as soon as possible".
        let Some(seq) = self.link.write_input(applied, &values, &mut self.payload) else {
            return Ok(true);
        };
        self.unanswered.push_back((seq, now));
        match self.send(BINARY) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what has come into `buffer` and hands each update and each answered input over. The
    /// error is the end of the connection.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        now: impl FnOnce() -> Micros,
        mut on_update: impl FnMut(Update, Option<Micros>, Micros),
        mut on_answer: impl FnMut(Micros, Micros),
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
            match opcode {
                BINARY => {
                    if let ClientEvent::Snapshot { digest, .. } =
                        self.link.handle_frame(payload, now)?
                    {
                        ensure!(digest != Digest::Differs, "a digest differs");
                        let entities = self.link.rows().map_or(0, |rows| rows.len());
                        on_update(Update { bytes: end, entities }, self.newest.replace(now), now);
                        self.answer(now, &mut on_answer);
                    }
                }
                PING => {
                    self.payload.clear();
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

    fn answer(&mut self, now: Micros, on_answer: &mut impl FnMut(Micros, Micros)) {
        let processed = self.link.processed();
        while let Some(&(seq, sent_at)) = self.unanswered.front()
            && processed.0.wrapping_sub(seq.0).cast_signed() >= 0
        {
            self.unanswered.pop_front();
            on_answer(sent_at, now);
        }
    }

    /// Sends the payload as one frame. All of a client's frames are short.
    fn send(&mut self, opcode: u8) -> io::Result<()> {
        debug_assert!(self.payload.len() < 126, "a longer frame has a longer head");
        self.frame.clear();
        self.frame.extend([0x80 | opcode, 0x80 | self.payload.len() as u8]);
        self.frame.extend(MASK);
        let masked = self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        self.frame.extend(masked);
        self.socket.write_all(&self.frame)
    }
}

/// Opcode, length of the head and length of the whole first frame, if all of it is there.
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
    ensure!(payload_bytes <= SERVER_FRAME_BYTES_MAX, "a frame of {payload_bytes} bytes");
    let end = head_bytes + payload_bytes;
    Ok((bytes.len() >= end).then_some((first & 0x0F, head_bytes, end)))
}

/// What a client commands: a new direction, turn and fire button every 0.5 to 2 s.
struct Steering {
    dice: Dice,
    rate: i32,
    command: Command,
    turn: i16,
    inputs_left: i32,
}

impl Steering {
    /// It turns by up to this in a second: half a turn.
    const TURN_MAX: i32 = 32_768;

    fn new(index: usize, rate: u16) -> Self {
        let dice = Dice::new(index as u64);
        Self { dice, rate: rate.into(), command: Command::default(), turn: 0, inputs_left: 0 }
    }

    fn next(&mut self) -> Command {
        if self.inputs_left == 0 {
            self.inputs_left = self.dice.within(self.rate / 2, self.rate * 2).max(1);
            self.command.movement = [(); 2].map(|()| self.dice.within(-127, 127) as i8);
            self.command.buttons = (self.dice.within(1, 10) <= 3).into();
            let turn_max = Self::TURN_MAX / self.rate;
            self.turn = self.dice.within(-turn_max, turn_max) as i16;
            if self.turn == 0 {
                self.turn = 1;
            }
        }
        self.inputs_left -= 1;
        self.command.aim = self.command.aim.wrapping_add_signed(self.turn);
        self.command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_when_they_are_whole() {
        let mut bytes = vec![0x82, 126, 0, 200];
        bytes.resize(204, 7);
        assert_eq!(frame_at(&bytes).unwrap(), Some((BINARY, 4, 204)));
        assert_eq!(frame_at(&bytes[..203]).unwrap(), None);
        assert_eq!(frame_at(&[0x82, 1, 9, 0x82]).unwrap(), Some((BINARY, 2, 3)));
        assert!(frame_at(&[0x82, 0x81, 0, 0]).is_err(), "masked");
        assert!(frame_at(&[0x82, 127, 0, 0, 0, 0, 255, 255, 255, 255]).is_err(), "too long");
    }

    #[test]
    fn the_aim_moves_with_every_input() {
        let mut steering = Steering::new(3, 30);
        let mut before = steering.next();
        for _ in 0..1_000 {
            let command = steering.next();
            assert_ne!(command.aim, before.aim);
            before = command;
        }
    }
}
