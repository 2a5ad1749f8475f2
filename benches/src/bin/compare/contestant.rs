//! What takes part in a comparison, and what comes out of it.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

/// A server with its own clients.
pub(crate) trait Contestant {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// Starts it, loads it, measures it over the window, and stops it.
    fn run(&self, load: &Load) -> Result<Outcome>;
}

/// What each contestant has to bear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Players, in matches of 16.
    pub(crate) clients: usize,
    /// Ticks, and updates to each client, per second.
    pub(crate) rate_hz: u16,
    /// The measured time.
    pub(crate) window: Duration,
}

/// What was measured of one contestant in one window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// User and system time of the server by updates that clients received.
    pub(crate) cpu_us_per_update: f64,
    /// Payload and frame header.
    pub(crate) bytes_per_update: f64,
    /// From writing an input to having the first update that includes it.
    pub(crate) latency_p50_ms: f64,
    /// See `latency_p50_ms`.
    pub(crate) latency_p99_ms: f64,
    /// Updates received, of those that should have come.
    pub(crate) delivered: f64,
}

/// A program of this workspace, built with the same profile as this one.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(name);
    ensure!(
        program.exists(),
        "{} is missing: `cargo build --release --workspace`",
        program.display()
    );
    Ok(program)
}
