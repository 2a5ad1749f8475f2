//! The measurements of one window of time under load.

use serde::{Deserialize, Serialize};

/// CPU use by other processes and the host, in cores, above which a window is not reliable.
pub const DISTURBED_CORE: f64 = 0.15;

/// See the module. Fields with `lat` are over all inputs of all clients, those with `jit` over all
/// their updates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// CPU time of the server, user and system.
    pub cpu_s: Option<f64>,
    /// CPU use of the server, in cores.
    pub cpu_core: Option<f64>,
    /// CPU time of the server per 1,000 updates received.
    pub cpu_s_per_1k: Option<f64>,
    /// Mean size of an update, with its frame head.
    pub bytes_per_update: f64,
    /// Mean size of an update divided by the players of a match.
    pub bytes_per_entity: f64,
    /// Time from writing an input until the first update that includes it has been decoded.
    pub lat_p50_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_p99_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_p999_ms: f64,
    /// See `lat_p50_ms`.
    pub lat_mean_ms: f64,
    /// The mean minus half a tick interval, the mean wait for a tick that no server can avoid.
    pub lat_excess_ms: f64,
    /// Difference between the time between two updates of one client and the tick interval.
    pub jit_p50_ms: f64,
    /// See `jit_p50_ms`.
    pub jit_p99_ms: f64,
    /// Updates per client and second.
    pub rate_hz: f64,
    /// `rate_hz` divided by the tick rate.
    pub delivered: f64,
    /// The server's resident memory at the window's end.
    pub rss_mib: Option<f64>,
    /// The server's peak resident memory so far.
    pub rss_peak_mib: Option<f64>,
    /// Number of clients, including those that were lost.
    pub clients: usize,
    /// Updates received.
    pub updates: u64,
    /// Mean number of players in a client's state after an update.
    pub entities_per_update: f64,
    /// Inputs answered, divided by inputs sent.
    pub acked_ratio: f64,
    /// Length of the window.
    pub window_s: f64,
    /// Cores that the clients used.
    pub bots_core: f64,
    /// Cores that all other processes used.
    pub foreign_core: f64,
    /// Cores that the host took from this virtual machine.
    pub steal_core: f64,
    /// Messages that could not be decoded, and connections closed by the server.
    pub errors: u64,
    /// Inputs that a socket did not accept.
    pub blocked: u64,
    /// Connections lost.
    pub dead: u64,
    /// Whether clients could play: nearly all updates arrived, in time, and no connection was lost.
    pub healthy: bool,
}

impl Window {
    /// Cores used by neither server nor clients.
    #[must_use]
    pub fn disturbance(&self) -> f64 {
        self.foreign_core + self.steal_core
    }

    /// The server's CPU time per update received, in microseconds.
    #[must_use]
    pub fn cpu_us_per_update(&self) -> Option<f64> {
        self.cpu_s_per_1k.map(|seconds| seconds * 1e3)
    }
}
