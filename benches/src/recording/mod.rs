//! Recordings of moving things, as rows: each snapshot is what one tick of a match would have.

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
    /// Which tick; a recording may have pauses.
    pub tick: Tick,
    /// All entities.
    pub rows: Rows,
    /// Entities that the recording has news of since the snapshot before.
    pub updates: u32,
}

/// How a recording is quantised and sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// What a position step is worth, in centimetres.
    pub position_cm: f64,
    /// Bits of each of a quaternion's three components.
    pub rotation_bits: u8,
    /// What a velocity step is worth, in centimetres per second; `None` leaves velocities out.
    pub velocity_cms: Option<f64>,
    /// Ticks per second; `None` is the recording's own rate.
    pub rate: Option<TickRate>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { position_cm: 1.0, rotation_bits: 9, velocity_cms: Some(1.0), rate: None }
    }
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file can't be read.
    #[error("can't read {path}: {error}")]
    Unreadable {
        /// As it was given.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not in a format that is known.
    #[error("{path} is not a recording: {reason}")]
    Malformed {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Recording {
    /// Reads a file: Rocket League bodies (`.rltr`) or pedestrians (text). The name `arena` is no
    /// file, but sixteen computer players in the reference game.
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
