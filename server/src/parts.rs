//! Handovers and journals are sequences of parts, each after its length in four bytes, little
//! endian.

use std::io::{self, BufRead, ErrorKind, Read, Write};

pub(crate) const LENGTH_BYTES: usize = 4;

/// Appends a part.
pub(crate) fn write(part: &[u8], to: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(part.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(part)
}

/// Reads the next part; `None` at the end.
///
/// # Errors
///
/// [`ErrorKind::UnexpectedEof`] if it is cut off, [`ErrorKind::InvalidData`] if it has more bytes
/// than `bytes_max`, and those of `from`.
pub(crate) fn read(from: &mut impl BufRead, bytes_max: u32) -> io::Result<Option<Vec<u8>>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; LENGTH_BYTES];
    length.copy_from_slice(&exactly(from, LENGTH_BYTES as u32)?);
    let length = u32::from_le_bytes(length);
    if length > bytes_max {
        return Err(io::Error::new(ErrorKind::InvalidData, "a part is too long"));
    }
    exactly(from, length).map(Some)
}

/// It takes no more memory than there are bytes.
fn exactly(from: &mut impl BufRead, count: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(count.into()).read_to_end(&mut bytes)?;
    if bytes.len() < count as usize {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it is cut off"));
    }
    Ok(bytes)
}
