//! All measurements, and the results computed from them.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tickwire_benches::{output::median, server::Server, window::Window};

use crate::{machine::Machine, workloads};

/// The content of `results.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Option<Machine>,
    pub(crate) runs: Vec<Run>,
}

/// One server process under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) server: Server,
    pub(crate) workload: String,
    pub(crate) rss_empty_mib: f64,
    /// One window, or one for each level of a growing load.
    pub(crate) windows: Vec<Window>,
    pub(crate) floor_cpu_us: Option<f64>,
    /// Why the load ended early.
    pub(crate) failure: Option<String>,
}

/// The median, the least and the greatest value of some runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The largest load under which a server was still healthy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) clients: usize,
    /// The same, if 99.5 % of the updates must be delivered instead of 95 %.
    pub(crate) clients_strict: usize,
    /// Whether this is only a lower bound: the server did not fail, or only when the clients' core
    /// was full.
    pub(crate) is_bound: bool,
}

/// CPU use of the clients from which on their core counts as full.
const BOTS_CORE_MAX: f64 = 0.9;
const DELIVERED_STRICT: f64 = 0.995;

impl Run {
    /// The disturbance of the most disturbed window.
    pub(crate) fn disturbance(&self) -> f64 {
        self.windows.iter().map(Window::disturbance).fold(0.0, f64::max)
    }

    /// The server's memory per client in a window, in KiB.
    pub(crate) fn memory_per_client_kib(&self, window: &Window) -> Option<f64> {
        Some((window.rss_mib? - self.rss_empty_mib) * 1024.0 / window.clients as f64)
    }
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64> + Clone) -> Option<Self> {
        let min = values.clone().into_iter().fold(f64::INFINITY, f64::min);
        let max = values.clone().into_iter().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { median: median(values)?, min, max })
    }
}

impl Results {
    /// Reads the results in a file; there are none if there is no such file.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} has other results", file.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Servers that have results, in the order of tables.
    pub(crate) fn servers(&self) -> impl Iterator<Item = Server> {
        let has_run = |server: &Server| self.runs.iter().any(|run| run.server == *server);
        Server::ALL.into_iter().filter(has_run)
    }

    pub(crate) fn of(&self, server: Server, workload: &str) -> impl Iterator<Item = &Run> + Clone {
        self.runs.iter().filter(move |run| run.server == server && run.workload == workload)
    }

    /// The spread of a value over the runs of a server under a steady load.
    pub(crate) fn spread(
        &self,
        server: Server,
        workload: &str,
        value: impl Fn(&Run, &Window) -> Option<f64> + Clone,
    ) -> Option<Spread> {
        let runs = self.of(server, workload);
        Spread::of(runs.filter_map(move |run| value(run, run.windows.first()?)))
    }

    /// The capacity in the newest ramp.
    pub(crate) fn capacity(&self, server: Server) -> Option<Capacity> {
        let windows = &self.of(server, workloads::CAPACITY).last()?.windows;
        let most = |is_met: fn(&Window) -> bool| {
            windows.iter().filter(|window| is_met(window)).map(|window| window.clients).max()
        };
        let last = windows.last()?;
        Some(Capacity {
            clients: most(|window| window.healthy).unwrap_or(0),
            clients_strict: most(|window| window.healthy && window.delivered >= DELIVERED_STRICT)
                .unwrap_or(0),
            is_bound: last.healthy || last.bots_core >= BOTS_CORE_MAX,
        })
    }

    /// A value by number of clients, over all windows of matches of 16 at 30 Hz; the median where
    /// there are several.
    pub(crate) fn curve(
        &self,
        server: Server,
        value: impl Fn(&Run, &Window) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let runs = [workloads::MAIN, workloads::CAPACITY];
        let runs = runs.into_iter().flat_map(|workload| self.of(server, workload));
        let windows: Vec<_> =
            runs.flat_map(|run| run.windows.iter().map(move |window| (run, window))).collect();
        let mut clients: Vec<_> = windows.iter().map(|(_, window)| window.clients).collect();
        clients.sort_unstable();
        clients.dedup();
        let at = |clients: usize| {
            let windows = windows.iter().filter(|(_, window)| window.clients == clients);
            Some((clients as f64, median(windows.filter_map(|(run, window)| value(run, window)))?))
        };
        clients.into_iter().filter_map(at).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run whose windows have these numbers of clients, and are healthy up to `healthy_max`.
    pub(crate) fn ramp(server: Server, clients: &[usize], healthy_max: usize) -> Run {
        let window = |&clients: &usize| Window {
            cpu_s: Some(1.0),
            cpu_core: Some(0.5),
            cpu_s_per_1k: Some(0.006),
            bytes_per_update: 30.0,
            bytes_per_entity: 2.0,
            lat_p50_ms: 17.0,
            lat_p99_ms: 33.0,
            lat_p999_ms: 34.0,
            lat_mean_ms: 17.0,
            lat_excess_ms: 0.3,
            jit_p50_ms: 0.1,
            jit_p99_ms: 0.5,
            rate_hz: 30.0,
            delivered: 1.0,
            rss_mib: Some(10.0 + clients as f64 / 64.0),
            rss_peak_mib: Some(40.0),
            clients,
            updates: 4_800,
            entities_per_update: 16.0,
            acked_ratio: 1.0,
            window_s: 6.0,
            bots_core: 0.5,
            foreign_core: 0.01,
            steal_core: 0.0,
            errors: 0,
            blocked: 0,
            dead: 0,
            healthy: clients <= healthy_max,
        };
        Run {
            server,
            workload: workloads::CAPACITY.into(),
            rss_empty_mib: 10.0,
            windows: clients.iter().map(window).collect(),
            floor_cpu_us: None,
            failure: None,
        }
    }

    #[test]
    fn the_capacity_is_the_largest_level_that_passed() {
        let mut run = ramp(Server::Ws, &[320, 640, 960, 960], 640);
        let results = |run: &Run| Results { machine: None, runs: vec![run.clone()] };
        let passed = |clients, is_bound| Capacity { clients, clients_strict: clients, is_bound };
        assert_eq!(results(&run).capacity(Server::Ws), Some(passed(640, false)));
        run.windows[3].healthy = true;
        assert_eq!(results(&run).capacity(Server::Ws), Some(passed(960, true)));
        assert_eq!(results(&run).capacity(Server::Colyseus), None);
    }

    #[test]
    fn a_curve_has_one_point_for_each_number_of_clients() {
        let run = ramp(Server::Ws, &[320, 640, 640], 640);
        let results = Results { machine: None, runs: vec![run] };
        let curve = results.curve(Server::Ws, |run, window| run.memory_per_client_kib(window));
        assert_eq!(curve, [(320.0, 16.0), (640.0, 16.0)]);
    }
}
