//! Decoder of the WebSocket frames (RFC 6455) that a client sends, for a server that reads many
//! sockets into one buffer.
//!
//! Bytes go in as they come off the socket; whole messages come out, unmasked in place. It may be
//! called with any split of the bytes and keeps only what is incomplete, so an idle connection
//! holds none.
//!
//! Checked here: client frames are masked, reserved bits and opcodes are zero, control frames are
//! short and whole, a message is at most [`Decoder::new`]'s limit over all its fragments (refused
//! when its head claims more, before anything is kept), text is UTF-8, close codes are legal.
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
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// Needs no answer.
    Pong(&'a [u8]),
    /// The client closes, with its code if it gave one. To be answered by a close, once.
    Close(Option<u16>),
}

/// Why a client's bytes are refused. Each ends the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// RFC 6455 §5.1 demands masks from clients.
    #[error("client frames must be masked")]
    Unmasked,
    /// No extension was negotiated.
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
    /// Longer than the limit, fragments added up.
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

impl FrameError {
    /// The close code that tells the client.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Unmasked
            | Self::ReservedBits
            | Self::UnknownOpcode
            | Self::BadControl
            | Self::BadFragment
            | Self::LongLength
            | Self::BadCloseCode => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLong => 1009,
        }
    }
}

/// What is kept of one connection between reads.
#[derive(Debug, Default)]
pub struct Decoder {
    message_bytes_max: usize,
    /// Nothing, as a rule: frames come whole.
    parts: Option<Box<Parts>>,
}

/// What has come of a message that is not whole.
#[derive(Debug, Default)]
struct Parts {
    /// A frame of which only a part has come.
    partial: Vec<u8>,
    /// Payloads of the message's earlier fragments, and whether it is text.
    fragments: Option<(Opcode, Vec<u8>)>,
}

impl Decoder {
    /// A decoder for a new connection. Longer messages than `message_bytes_max` are refused.
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

    /// Takes bytes as they came off the socket. Call [`Feed::next`] until it gives none.
    pub fn feed<'a>(&'a mut self, bytes: &'a mut [u8]) -> Feed<'a> {
        Feed { decoder: self, bytes, at: 0, finished: Vec::new() }
    }

    /// Bytes of a partial frame that are still missing, as far as can be told from what is here.
    fn missing(&self, partial: &[u8]) -> Result<usize, FrameError> {
        match self.head(partial)? {
            Ok(head) => Ok(head.head_bytes + head.payload_bytes - partial.len()),
            Err(missing) => Ok(missing),
        }
    }

    fn fragments(&self) -> Option<&(Opcode, Vec<u8>)> {
        self.parts.as_ref()?.fragments.as_ref()
    }

    /// Changes what is held, and holds nothing that is empty.
    fn change<T>(&mut self, change: impl FnOnce(&mut Parts) -> T) -> T {
        let mut parts = self.parts.take().unwrap_or_default();
        let changed = change(&mut parts);
        if !parts.partial.is_empty() || parts.fragments.is_some() {
            self.parts = Some(parts);
        }
        changed
    }

    /// The frame head at the start of `bytes`, or how many bytes it lacks.
    fn head(&self, bytes: &[u8]) -> Result<Result<Head, usize>, FrameError> {
        match Head::read(bytes)? {
            Ok(head) => self.check(head).map(Ok),
            Err(missing) => Ok(Err(missing)),
        }
    }

    /// Whether a frame with this head may come now.
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
    /// The frame or message that was put together from parts and is now lent out.
    finished: Vec<u8>,
}

impl Feed<'_> {
    /// The next whole message, or `None` when more bytes are needed. Not to be called again after
    /// an error.
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

    /// Moves past the next whole frame, unmasked, and says where it is: in the bytes that were
    /// fed (at the given start), or in `finished`.
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
        // One byte can't be a code.
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
