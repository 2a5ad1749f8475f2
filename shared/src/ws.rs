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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    is_final: bool,
    opcode: Opcode,
    mask: [u8; 4],
    head_bytes: usize,
    payload_bytes: usize,
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
        let &[first, second, ref rest @ ..] = bytes else { return Ok(Err(2 - bytes.len())) };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        if second & 0x80 == 0 {
            return Err(FrameError::Unmasked);
        }
        let is_final = first & 0x80 != 0;
        let opcode = Opcode::new(first & 0x0F)?;
        let short_length = second & 0x7F;
        let length_bytes = match short_length {
            126 => 2,
            127 => 8,
            0..126 => 0,
            128.. => unreachable!("seven bits"),
        };
        if opcode.is_control() && (!is_final || length_bytes > 0) {
            return Err(FrameError::BadControl);
        }
        if rest.len() < length_bytes + 4 {
            // The length is judged as soon as it is here, but asking for the mask too is simpler.
            return Ok(Err(length_bytes + 4 - rest.len()));
        }
        let (length, rest) = rest.split_at(length_bytes);
        let length = match length_bytes {
            0 => u64::from(short_length),
            _ => length.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)),
        };
        match length_bytes {
            2 if length < 126 => return Err(FrameError::LongLength),
            8 if length <= 0xFFFF => return Err(FrameError::LongLength),
            _ => {}
        }
        let head = Head {
            is_final,
            opcode,
            mask: [rest[0], rest[1], rest[2], rest[3]],
            head_bytes: 2 + length_bytes + 4,
            payload_bytes: usize::try_from(length).unwrap_or(usize::MAX),
        };
        self.check(head).map(Ok)
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

impl Opcode {
    const fn new(code: u8) -> Result<Self, FrameError> {
        match code {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            _ => Err(FrameError::UnknownOpcode),
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
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

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    #[test]
    fn whole_messages_come_out() {
        check(&frame(0x82, b"abc"), &[Ok("binary abc")]);
        check(&frame(0x81, b"abc"), &[Ok("text abc")]);
        check(&frame(0x89, b"hi"), &[Ok("ping hi")]);
        check(&frame(0x8A, b""), &[Ok("pong ")]);
        check(&frame(0x88, b""), &[Ok("close None")]);
        check(&frame(0x88, b"\x03\xe8bye"), &[Ok("close Some(1000)")]);
        check(&[frame(0x82, b"a"), frame(0x82, b"b")].concat(), &[Ok("binary a"), Ok("binary b")]);
    }

    #[test]
    fn fragments_are_joined_around_control_frames() {
        let bytes = [frame(0x02, b"ab"), frame(0x89, b"x"), frame(0x00, b""), frame(0x80, b"c")];
        check(&bytes.concat(), &[Ok("ping x"), Ok("binary abc")]);
    }

    #[test]
    fn what_clients_may_not_send_is_refused() {
        check(&[0x82, 3, 1, 2, 3], &[Err(FrameError::Unmasked)]);
        check(&frame(0xC2, b""), &[Err(FrameError::ReservedBits)]);
        check(&frame(0x83, b""), &[Err(FrameError::UnknownOpcode)]);
        check(&frame(0x09, b""), &[Err(FrameError::BadControl)]);
        check(&[0x89, 0xFE, 0, 126], &[Err(FrameError::BadControl)]);
        check(&frame(0x80, b"a"), &[Err(FrameError::BadFragment)]);
        check(&[frame(0x02, b"a"), frame(0x82, b"b")].concat(), &[Err(FrameError::BadFragment)]);
        check(&[0x82, 0xFE, 0, 125, 0, 0, 0, 0], &[Err(FrameError::LongLength)]);
        check(&frame(0x81, b"\xff"), &[Err(FrameError::NotUtf8)]);
        check(&frame(0x88, b"\x03"), &[Err(FrameError::BadCloseCode)]);
        check(&frame(0x88, b"\x03\xee"), &[Err(FrameError::BadCloseCode)]);
    }

    #[test]
    fn the_limit_counts_all_fragments() {
        check(&frame(0x82, &[b'a'; LIMIT]), &[Ok(&format!("binary {}", "a".repeat(LIMIT)))]);
        check(&frame(0x82, &[0; LIMIT + 1]), &[Err(FrameError::TooLong)]);
        let bytes = [frame(0x02, &[0; LIMIT]), frame(0x80, &[0; 1])].concat();
        check(&bytes, &[Err(FrameError::TooLong)]);
        // A giant length is refused by its head alone.
        let head = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        check(&head, &[Err(FrameError::TooLong)]);
    }

    #[test]
    fn an_idle_connection_holds_nothing() {
        let mut decoder = Decoder::new(LIMIT);
        let bytes = [frame(0x02, b"abc"), frame(0x80, b"d")].concat();
        for mut byte in bytes {
            let mut feed = decoder.feed(std::slice::from_mut(&mut byte));
            while feed.next().unwrap().is_some() {}
        }
        assert_eq!(decoder.bytes_held(), 0);
    }

    proptest! {
        /// However the bytes are cut, the same comes out.
        #[test]
        fn cuts_do_not_matter(frames in prop::collection::vec(any_frame(), 0..6), cut in 1_usize..20) {
            let bytes = frames.concat();
            prop_assert_eq!(decode(&bytes, cut), decode(&bytes, bytes.len().max(1)));
        }

        #[test]
        fn hostile_bytes_are_bounded(bytes: Vec<u8>, cut in 1_usize..9) {
            let mut decoder = Decoder::new(LIMIT);
            for piece in bytes.clone().chunks_mut(cut) {
                let mut feed = decoder.feed(piece);
                while let Ok(Some(_)) = feed.next() {}
                prop_assert!(decoder.bytes_held() <= 4 * (LIMIT + 14));
            }
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Result<&str, FrameError>]) {
        let expected: Vec<_> = expected.iter().map(|r| r.map(String::from)).collect();
        for cut in [bytes.len(), 1, 3] {
            assert_eq!(decode(bytes, cut), expected, "cut into pieces of {cut}");
        }
    }

    fn decode(bytes: &[u8], cut: usize) -> Vec<Result<String, FrameError>> {
        let mut decoder = Decoder::new(LIMIT);
        let mut said = Vec::new();
        for piece in bytes.to_vec().chunks_mut(cut) {
            let mut feed = decoder.feed(piece);
            loop {
                match feed.next() {
                    Ok(Some(message)) => said.push(Ok(describe(&message))),
                    Ok(None) => break,
                    Err(error) => {
                        said.push(Err(error));
                        return said;
                    }
                }
            }
        }
        said
    }

    fn describe(message: &Message<'_>) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match message {
            Message::Text(payload) => format!("text {payload}"),
            Message::Binary(payload) => format!("binary {}", text(payload)),
            Message::Ping(payload) => format!("ping {}", text(payload)),
            Message::Pong(payload) => format!("pong {}", text(payload)),
            Message::Close(code) => format!("close {code:?}"),
        }
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let first = prop::sample::select(vec![0x82_u8, 0x81, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88]);
        (first, prop::collection::vec(0x20_u8..0x7F, 0..40)).prop_map(|(first, p)| frame(first, &p))
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x11, 0x22, 0x33, 0x44];
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126);
        let mut bytes = vec![first, 0x80 | length];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }
}
