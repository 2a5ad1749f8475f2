//! The state of a match, written out and read back: `MessagePack` with the names of fields.
//!
//! So what one version of a program has written, another can read: fields that it no longer has are
//! ignored, and those that are new need `#[serde(default)]`.

use serde::{Serialize, de::DeserializeOwned};

/// Why a state can't be written or read back.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A value has no encoding, such as a sequence of unknown length.
    #[error("the state can't be written out: {0}")]
    Write(#[from] rmp_serde::encode::Error),
    /// The bytes don't fit the type.
    #[error("the state can't be read back: {0} (a field that is new needs #[serde(default)])")]
    Read(#[from] rmp_serde::decode::Error),
}

/// Writes a state.
pub fn write(state: &impl Serialize) -> Result<Vec<u8>, StateError> {
    Ok(rmp_serde::to_vec_named(state)?)
}

/// Reads a state. The source of the bytes must be trusted.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    Ok(rmp_serde::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize)]
    struct Older {
        health: f32,
        keys: u8,
        place: Option<[i64; 2]>,
    }

    #[derive(Debug, Deserialize)]
    struct Newer {
        place: Option<[i64; 2]>,
        #[serde(default)]
        shield: u32,
        health: f32,
    }

    #[test]
    fn a_newer_version_reads_what_an_older_has_written() {
        let written =
            write(&Older { health: f32::NAN, keys: 2, place: Some([-1, i64::MAX]) }).unwrap();
        let Newer { place, shield, health } = read(&written).unwrap();
        assert!((place, shield, health.is_nan()) == (Some([-1, i64::MAX]), 0, true));
        for end in 0..written.len() {
            assert!(read::<Newer>(&written[..end]).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn an_error_says_what_is_missing() {
        #[derive(Debug, Deserialize)]
        struct Strict {
            #[expect(dead_code, reason = "it is what is missing")]
            shield: u32,
        }
        let written = write(&Older { health: 1.0, keys: 0, place: None }).unwrap();
        let error = read::<Strict>(&written).unwrap_err().to_string();
        let expected = "the state can't be read back: missing field `shield` (a field that is new \
                        needs #[serde(default)])";
        assert_eq!(error, expected);
    }
}
