//! Recordings of moving entities as rows: each snapshot has the rows of one tick of a match.

mod arena;
mod pedestrians;
mod rocket_league;

use std::{fs, path::Path};

use tickwire_shared::{ids::Tick, rows::Rows, schema::Schema, time::TickRate};

/// A recording, sampled at a tick rate.
#[derive(Debug)]
pub struct Recording {
    /// What the rows mean.
    pub schema: Schema,
    /// Ticks per second.
    pub rate: TickRate,
    /// In order of tick.
    pub snapshots: Vec<Snapshot>,
}

/// The rows of one tick.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The tick; a recording may have gaps.
    pub tick: Tick,
    /// The rows of all entities.
    pub rows: Rows,
    /// Number of entities that the recording has updated since the previous snapshot.
    pub updates: u32,
}

/// How a recording is quantised and sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Step of a position, in centimetres.
    pub position_cm: f64,
    /// Bits of each of a quaternion's three components.
    pub rotation_bits: u8,
    /// Step of a velocity, in centimetres per second; `None` omits velocities.
    pub velocity_cms: Option<f64>,
    /// Ticks per second; `None` for the recording's own rate.
    pub rate: Option<TickRate>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { position_cm: 1.0, rotation_bits: 9, velocity_cms: Some(1.0), rate: None }
    }
}

/// Why a recording can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file can't be read.
    #[error("can't read {path}: {error}")]
    Unreadable {
        /// The path as it was given.
        path: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// The file's format is not known.
    #[error("{path} is not a recording: {reason}")]
    Malformed {
        /// The path as it was given.
        path: String,
        /// What is wrong with the file.
        reason: String,
    },
}

impl Recording {
    /// Reads a file: Rocket League bodies (`.rltr`) or pedestrians (text). The name `arena` stands
    /// for a generated match of sixteen computer players.
    pub fn open(path: &str, sampling: &Sampling) -> Result<Self, RecordingError> {
        if path == "arena" && !Path::new(path).exists() {
            return Ok(arena::play(sampling));
        }
        let bytes = fs::read(path)
            .map_err(|error| RecordingError::Unreadable { path: path.into(), error })?;
        let read = if bytes.starts_with(rocket_league::MAGIC) {
            rocket_league::read(&bytes, sampling)
        } else {
            pedestrians::read(&bytes, sampling)
        };
        read.map_err(|reason| RecordingError::Malformed { path: path.into(), reason })
    }
}
