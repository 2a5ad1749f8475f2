//! The head of one frame (RFC 6455 §5.2), with all checks that need no other frame.

use super::FrameError;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A frame's head, which precedes its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) head_bytes: usize,
    pub(super) payload_bytes: usize,
}

impl Head {
    /// Reads the head at the start of `bytes`. The inner error is how many bytes are missing.
    pub(super) fn read(bytes: &[u8]) -> Result<Result<Self, usize>, FrameError> {
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
            // The length could be checked before the mask is here, but this is simpler.
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
        Ok(Ok(Self {
            is_final,
            opcode,
            mask: [rest[0], rest[1], rest[2], rest[3]],
            head_bytes: 2 + length_bytes + 4,
            payload_bytes: usize::try_from(length).unwrap_or(usize::MAX),
        }))
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

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Removes the mask of a payload, or applies it.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
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
