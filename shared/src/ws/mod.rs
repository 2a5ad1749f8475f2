//! Decoder of the WebSocket frames (RFC 6455) that a client sends, for a server that reads many
//! sockets into one buffer.
//!
//! Bytes go in as they were read from the socket; whole messages come out, unmasked in place. The
//! bytes may be split anywhere. Only an incomplete frame or message is buffered, so an idle
//! connection holds no memory.
//!
//! Checked here: client frames are masked, reserved bits are zero, opcodes are known, control
//! frames are short and not fragmented, a message with all its fragments is not longer than
//! [`Decoder::new`]'s limit (a frame is rejected by its head, before its payload is buffered), text
//! is UTF-8, close codes are legal.
//! Not here: the handshake, and writing.

mod head;

use head::{Head, Opcode, unmask};

/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// One whole message from a client.
#[derive(Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping; answer it with a pong that has the same payload.
    Ping(&'a [u8]),
    /// A pong; it needs no answer.
    Pong(&'a [u8]),
    /// A close, with its code if it has one; answer it with a close, once.
    Close(Option<u16>),
}

/// Why a client's bytes were rejected. Each ends the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// The frame is not masked, as RFC 6455 §5.1 requires of clients.
    #[error("client frames must be masked")]
    Unmasked,
    /// A reserved bit is set, but no extension was negotiated.
    #[error("reserved bits must be zero")]
    ReservedBits,
    /// Not one of the six opcodes.
    #[error("unknown opcode")]
    UnknownOpcode,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("control frames must be whole and short")]
    BadControl,
    /// A continuation of nothing, or a new message within another.
    #[error("fragments out of order")]
    BadFragment,
    /// The message, with all its fragments, is longer than the limit.
    #[error("message is longer than allowed")]
    TooLong,
    /// A length that is not written in its shortest form.
    #[error("length is not in its shortest form")]
    LongLength,
    /// Text, or the reason of a close, that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A close frame with a code that may not be sent.
    #[error("close code may not be sent")]
    BadCloseCode,
}

/// The decoder's state for one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    message_bytes_max: usize,
    /// Usually `None`, since most reads end with a whole message.
    parts: Option<Box<Parts>>,
}

/// The buffered parts of an incomplete message.
#[derive(Debug, Default)]
struct Parts {
    /// The bytes of an incomplete frame.
    partial: Vec<u8>,
    /// The message's opcode and the payloads of its earlier fragments.
    fragments: Option<(Opcode, Vec<u8>)>,
}

impl Decoder {
    /// A decoder for a new connection. Messages longer than `message_bytes_max` are rejected.
    #[must_use]
    pub const fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, parts: None }
    }

    /// Bytes held for this connection.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        let held = |parts: &Parts| {
            let fragments = parts.fragments.as_ref().map_or(0, |(_, bytes)| bytes.capacity());
            parts.partial.capacity() + fragments
        };
        self.parts.as_deref().map_or(0, held)
    }

    /// Decodes bytes that were read from the socket. Call [`Feed::next`] until it returns `None`.
    pub fn feed<'a>(&'a mut self, bytes: &'a mut [u8]) -> Feed<'a> {
        Feed { decoder: self, bytes, at: 0, finished: Vec::new() }
    }

    /// How many bytes of a partial frame are missing: of its head, or else of the whole frame.
    fn missing(&self, partial: &[u8]) -> Result<usize, FrameError> {
        match self.head(partial)? {
            Ok(head) => Ok(head.head_bytes + head.payload_bytes - partial.len()),
            Err(missing) => Ok(missing),
        }
    }

    fn fragments(&self) -> Option<&(Opcode, Vec<u8>)> {
        self.parts.as_ref()?.fragments.as_ref()
    }

    /// Changes the buffered parts, and frees them if they are empty afterwards.
    fn change<T>(&mut self, change: impl FnOnce(&mut Parts) -> T) -> T {
        let mut parts = self.parts.take().unwrap_or_default();
        let changed = change(&mut parts);
        if !parts.partial.is_empty() || parts.fragments.is_some() {
            self.parts = Some(parts);
        }
        changed
    }

    /// Reads and checks the head at the start of `bytes`. The inner error is how many bytes are
    /// missing.
    fn head(&self, bytes: &[u8]) -> Result<Result<Head, usize>, FrameError> {
        match Head::read(bytes)? {
            Ok(head) => self.check(head).map(Ok),
            Err(missing) => Ok(Err(missing)),
        }
    }

    /// Checks a head against the message so far: fragments in order, and the limit.
    fn check(&self, head: Head) -> Result<Head, FrameError> {
        if head.opcode.is_control() {
            debug_assert!(head.payload_bytes <= CONTROL_BYTES_MAX);
            return Ok(head);
        }
        let before = match (self.fragments(), head.opcode) {
            (Some((_, bytes)), Opcode::Continuation) => bytes.len(),
            (None, Opcode::Text | Opcode::Binary) => 0,
            (None, _) | (Some(_), _) => return Err(FrameError::BadFragment),
        };
        if head.payload_bytes > self.message_bytes_max - before {
            return Err(FrameError::TooLong);
        }
        Ok(head)
    }
}

/// Bytes being decoded; see [`Decoder::feed`].
#[derive(Debug)]
pub struct Feed<'a> {
    decoder: &'a mut Decoder,
    bytes: &'a mut [u8],
    at: usize,
    /// A frame or message that was reassembled from parts, borrowed by the returned message.
    finished: Vec<u8>,
}

impl Feed<'_> {
    /// The next whole message, or `None` when more bytes are needed. Don't call it again after an
    /// error.
    #[expect(clippy::should_implement_trait, reason = "it lends, which `Iterator` can't")]
    pub fn next(&mut self) -> Result<Option<Message<'_>>, FrameError> {
        loop {
            let Some((head, in_place)) = self.next_frame()? else { return Ok(None) };
            if head.opcode.is_control() {
                let payload = self.payload(head, in_place);
                return control(head.opcode, payload).map(Some);
            }
            if head.is_final && self.decoder.fragments().is_none() {
                let payload = self.payload(head, in_place);
                return data(head.opcode, payload).map(Some);
            }
            let fragments = self.decoder.change(|parts| parts.fragments.take());
            let (opcode, mut message) = fragments.unwrap_or((head.opcode, Vec::new()));
            message.extend_from_slice(self.payload(head, in_place));
            if head.is_final {
                self.finished = message;
                return data(opcode, &self.finished).map(Some);
            }
            self.decoder.change(|parts| parts.fragments = Some((opcode, message)));
        }
    }

    /// Advances past the next whole frame and unmasks it. Returns its head and where it starts in
    /// the bytes that were fed; `None` if it is in `finished`.
    fn next_frame(&mut self) -> Result<Option<(Head, Option<usize>)>, FrameError> {
        while let Some(Parts { partial, .. }) = self.decoder.parts.as_deref()
            && !partial.is_empty()
        {
            let missing = self.decoder.missing(partial)?;
            if missing == 0 {
                self.finished = self.decoder.change(|parts| std::mem::take(&mut parts.partial));
                let Ok(head) = self.decoder.head(&self.finished)? else { return Ok(None) };
                unmask(&mut self.finished[head.head_bytes..], head.mask);
                return Ok(Some((head, None)));
            }
            let rest = &self.bytes[self.at..];
            if rest.is_empty() {
                return Ok(None);
            }
            let taken = missing.min(rest.len());
            self.decoder.change(|parts| parts.partial.extend_from_slice(&rest[..taken]));
            self.at += taken;
        }
        let rest = &mut self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        if let Ok(head) = self.decoder.head(rest)?
            && let Some(payload) =
                rest.get_mut(head.head_bytes..head.head_bytes + head.payload_bytes)
        {
            unmask(payload, head.mask);
            let start = self.at;
            self.at += head.head_bytes + head.payload_bytes;
            return Ok(Some((head, Some(start))));
        }
        self.decoder.change(|parts| parts.partial = rest.to_vec());
        self.at = self.bytes.len();
        Ok(None)
    }

    fn payload(&self, head: Head, in_place: Option<usize>) -> &[u8] {
        let frame = in_place.map_or(&self.finished[..], |start| &self.bytes[start..]);
        &frame[head.head_bytes..head.head_bytes + head.payload_bytes]
    }
}

fn data(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, FrameError> {
    if opcode == Opcode::Text {
        let text = std::str::from_utf8(payload).map_err(|_| FrameError::NotUtf8)?;
        return Ok(Message::Text(text));
    }
    Ok(Message::Binary(payload))
}

fn control(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, FrameError> {
    match opcode {
        Opcode::Ping => Ok(Message::Ping(payload)),
        Opcode::Pong => Ok(Message::Pong(payload)),
        Opcode::Close | Opcode::Continuation | Opcode::Text | Opcode::Binary => close(payload),
    }
}

fn close(payload: &[u8]) -> Result<Message<'_>, FrameError> {
    let &[high, low, ref reason @ ..] = payload else {
        // One byte is too short for a code.
        return if payload.is_empty() {
            Ok(Message::Close(None))
        } else {
            Err(FrameError::BadCloseCode)
        };
    };
    let code = u16::from_be_bytes([high, low]);
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => {}
        _ => return Err(FrameError::BadCloseCode),
    }
    std::str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
    Ok(Message::Close(Some(code)))
}

#[cfg(test)]
mod tests;
