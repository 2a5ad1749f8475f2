//! What a load of the workload has shown in one window of time.

use serde::{Deserialize, Serialize};

/// A window that other processes and the host took more than this of, in cores, says little.
pub const DISTURBED_CORE: f64 = 0.15;

/// See the module. Keys with `lat` are of all inputs, those with `jit` of all updates, of all clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// User and system time of the server.
    pub cpu_s: Option<f64>,
    /// That in cores.
    pub cpu_core: Option<f64>,
    /// That in seconds per 1,000 updates received.
    pub cpu_s_per_1k: Option<f64>,
    /// Payload and frame head, mean.
    pub bytes_per_update: f64,
    /// That by players of a match.
    pub bytes_per_entity: f64,
    /// From writing an input to having the first update that includes it.
    pub lat_p50_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_p99_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_p999_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_mean_ms: f64,
    /// The mean minus half a tick, the mean wait for a tick that no server avoids.
    pub lat_excess_ms: f64,
    /// How far the time between two updates of one client is from a tick interval.
    pub jit_p50_ms: f64,
    /// See `jit_p50_ms`.
    pub jit_p99_ms: f64,
    /// Updates by client and second.
    pub rate_hz: f64,
    /// That by the tick rate.
    pub delivered: f64,
    /// The server's memory at the window's end.
    pub rss_mib: Option<f64>,
    /// Its most so far.
    pub rss_peak_mib: Option<f64>,
    /// That were meant to play.
    pub clients: usize,
    /// Received.
    pub updates: u64,
    /// Players that a client knows after an update, mean.
    pub entities_per_update: f64,
    /// Inputs answered by inputs sent.
    pub acked_ratio: f64,
    /// How long it was.
    pub window_s: f64,
    /// Cores that the clients used.
    pub bots_core: f64,
    /// Cores that all other processes used.
    pub foreign_core: f64,
    /// Cores that the host took.
    pub steal_core: f64,
    /// Messages that could not be decoded, and connections closed by the server.
    pub errors: u64,
    /// Inputs that a socket did not take.
    pub blocked: u64,
    /// Connections lost.
    pub dead: u64,
    /// Whether clients could play: nearly all updates came, in time, and nobody was lost.
    pub healthy: bool,
}

impl Window {
    /// Cores that nobody of the measurement used.
    #[must_use]
    pub fn disturbance(&self) -> f64 {
        self.foreign_core + self.steal_core
    }

    /// Server's CPU time by updates received, in microseconds.
    #[must_use]
    pub fn cpu_us_per_update(&self) -> Option<f64> {
        self.cpu_s_per_1k.map(|seconds| seconds * 1e3)
    }
}
