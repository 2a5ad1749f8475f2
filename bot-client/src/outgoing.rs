//! A bot's outbox: frames, formatted and masked, that wait for the kernel to take them.
//!
//! Bound: [`UNSENT_BYTES_MAX`]. If that much waits, the server no longer reads, and the bot counts
//! as lost.

use fastwebsockets::{Frame, OpCode, Payload};
use tickwire_shared::dice::Dice;

/// Bytes that may wait: some minutes of inputs, beyond the kernel's own buffer.
pub(crate) const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    payload: Vec<u8>,
    masks: Dice,
}

impl Outgoing {
    pub(crate) fn new(masks: Dice) -> Self {
        Self { bytes: Vec::new(), payload: Vec::new(), masks }
    }

    /// Adds a binary frame whose payload `write` appends to an empty buffer. Adds no frame if it
    /// appends nothing.
    pub(crate) fn binary<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.payload.clear();
        let written = write(&mut self.payload);
        if !self.payload.is_empty() {
            self.frame(OpCode::Binary);
        }
        written
    }

    /// Adds the pong for a WebSocket ping.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.payload.clear();
        self.payload.extend_from_slice(payload);
        self.frame(OpCode::Pong);
    }

    /// Adds a close frame, after which nothing may be added.
    pub(crate) fn close(&mut self, code: u16) {
        self.payload.clear();
        self.payload.extend(code.to_be_bytes());
        self.frame(OpCode::Close);
    }

    /// Bytes that the kernel has not taken yet.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes the first `count` unsent bytes, which the kernel has taken.
    pub(crate) fn taken(&mut self, count: usize) {
        self.bytes.drain(..count);
    }

    fn frame(&mut self, opcode: OpCode) {
        let mask = (self.masks.next() as u32).to_ne_bytes();
        let payload = Payload::BorrowedMut(&mut self.payload);
        let mut frame = Frame::new(true, opcode, Some(mask), payload);
        frame.mask();
        let mut head = [0; HEAD_BYTES_MAX];
        let head_bytes = frame.fmt_head(&mut head);
        self.bytes.extend_from_slice(&head[..head_bytes]);
        self.bytes.extend_from_slice(&frame.payload);
    }
}

const HEAD_BYTES_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use tickwire_shared::ws::{Decoder, Message};

    use super::*;

    #[test]
    fn a_server_reads_what_a_bot_writes() {
        let mut outgoing = Outgoing::new(Dice::new(1));
        outgoing.binary(|payload| payload.extend([7; 300]));
        outgoing.binary(|_| ());
        outgoing.pong(b"hi");
        outgoing.close(1000);
        let mut bytes = outgoing.unsent().to_vec();
        let mut decoder = Decoder::new(1024);
        let mut feed = decoder.feed(&mut bytes);
        assert_eq!(feed.next(), Ok(Some(Message::Binary(&[7; 300]))));
        assert_eq!(feed.next(), Ok(Some(Message::Pong(b"hi"))));
        assert_eq!(feed.next(), Ok(Some(Message::Close(Some(1000)))));
        assert_eq!(feed.next(), Ok(None));
    }

    #[test]
    fn what_the_kernel_took_is_forgotten() {
        let mut outgoing = Outgoing::new(Dice::new(1));
        outgoing.binary(|payload| payload.extend([7; 3]));
        let all = outgoing.unsent().to_vec();
        outgoing.taken(4);
        assert_eq!(outgoing.unsent(), &all[4..]);
    }
}
