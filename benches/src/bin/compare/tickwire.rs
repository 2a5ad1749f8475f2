//! Our server with the arena on it, and our swarm.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tickwire_benches::cores::{Cores, Side};
use tickwire_bot_client::{Options, Report, Target, brain, run};

use crate::contestant::{Contestant, Load, Outcome, program};

/// See the module.
#[derive(Debug)]
pub(crate) struct Tickwire {
    cores: Cores,
}

impl Tickwire {
    pub(crate) const fn new(cores: Cores) -> Self {
        Self { cores }
    }
}

impl Contestant for Tickwire {
    fn name(&self) -> &'static str {
        "tickwire"
    }

    fn run(&self, load: &Load) -> Result<Outcome> {
        self.cores.move_to(Side::Measured)?;
        let server = Server::start(load.rate_hz)?;
        self.cores.move_to(Side::Loading)?;
        let options = Options {
            target: server.target.clone(),
            bots: load.clients,
            duration: load.window,
            warm_up: Duration::from_secs(2),
            server_pid: Some(server.process.id()),
            ..Options::default()
        };
        outcome(run(&options, brain::for_game)?)
    }
}

fn outcome(report: Report) -> Result<Outcome> {
    if let Some(failure) = report.failure {
        bail!(failure);
    }
    let latency = report.input_to_snapshot_us.context("no input was answered")?;
    let expected = report.snapshots_expected.max(1);
    Ok(Outcome {
        cpu_us_per_update: report.server_cpu_us_per_snapshot.context("no CPU time")?,
        bytes_per_update: report.snapshot_bytes_mean.context("no snapshots")?,
        latency_p50_ms: latency.p50 as f64 / 1_000.0,
        latency_p99_ms: latency.p99 as f64 / 1_000.0,
        delivered: report.snapshots_received as f64 / expected as f64,
    })
}

/// A server process, which ends with this value.
struct Server {
    process: Child,
    target: Target,
}

impl Server {
    fn start(rate_hz: u16) -> Result<Self> {
        let process = Command::new(program("tickwire-server")?)
            .args(["--listen", "127.0.0.1:0", "--npcs", "0", "--log", "error"])
            .args(["--tick-rate", &rate_hz.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut server = Self { process, target: Target::default() };
        let mut line = String::new();
        if let Some(stdout) = &mut server.process.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.context("the server did not say where it listens")?;
        server.target = format!("ws://{address}").parse()?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
