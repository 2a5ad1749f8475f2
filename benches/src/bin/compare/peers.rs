//! Installs and starts each server.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use tickwire_benches::{
    cores::{Cores, Side},
    server::Server,
};
use tickwire_bot_client::process::Process;

use crate::workloads::Workload;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// Builds or installs these servers, and returns those that can run.
pub(crate) fn install(servers: &[Server]) -> Vec<Server> {
    let can_run = |&&server: &&Server| {
        let result = if needs_node(server) { install_node() } else { build() };
        if let Err(error) = &result {
            // Writing fails if stderr is closed, which does not matter.
            let _ = writeln!(io::stderr(), "{server} is skipped: {error:#}");
        }
        result.is_ok()
    };
    servers.iter().filter(can_run).copied().collect()
}

const fn needs_node(server: Server) -> bool {
    match server {
        Server::Tickwire | Server::Afternoon => false,
        Server::Ws | Server::Colyseus | Server::ColyseusQuantised => true,
    }
}

/// Builds all Rust programs of the comparison, unless they are up to date.
fn build() -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "-p", "tickwire-benches"]);
    cargo.args(["-p", "tickwire-peer-afternoon", "--bin", "tickwire-peer-afternoon"]);
    cargo.args(["--bin", "workload-server", "--bin", "workload-bots", "--bin", "floor"]);
    succeed(cargo.current_dir(PEERS))
}

/// Installs the locked versions of Node and the packages, unless they are installed.
fn install_node() -> Result<()> {
    let folder = Path::new(PEERS).join("node");
    let time = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified());
    let installed = time("node_modules/.package-lock.json");
    if installed.is_ok_and(|at| time("package-lock.json").is_ok_and(|locked| at >= locked)) {
        return Ok(());
    }
    // Colyseus declares peer dependencies that it does not need; one is not in the registry.
    let options = ["ci", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"];
    succeed(Command::new("npm").args(options).stdout(Stdio::null()).current_dir(folder))
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("can't run {program}"))?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

/// A program of the workspace, built with the same profile as this one.
pub(crate) fn program(name: &str) -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(name))
}

/// A server process, which is killed when this value is dropped.
pub(crate) struct Running {
    process: Child,
    pub(crate) url: String,
    /// Its memory before the first client.
    pub(crate) rss_empty_mib: f64,
}

impl Running {
    /// Starts a new process on the measured side's core.
    pub(crate) fn start(server: Server, workload: &Workload, cores: Cores) -> Result<Self> {
        cores.move_to(Side::Measured)?;
        let process = command(server)?
            .args(["--listen", "127.0.0.1:0", "--tick-rate", &workload.rate_hz.to_string()])
            .args(["--seats", &workload.players.to_string()])
            .stdout(Stdio::piped())
            .spawn();
        cores.move_to(Side::Loading)?;
        let mut running = Self { process: process?, url: String::new(), rss_empty_mib: 0.0 };
        let mut line = String::new();
        if let Some(stdout) = running.process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.context("the server did not print the address that it listens on")?;
        running.url = format!("ws://{address}");
        let bytes = Process::with_id(running.pid()).rss_bytes()?;
        running.rss_empty_mib = bytes as f64 / f64::from(1 << 20);
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // This fails if the process has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(server: Server) -> io::Result<Command> {
    let node = |script: &str| {
        let folder = Path::new(PEERS).join("node");
        let mut node = Command::new(folder.join("node_modules/.bin/node"));
        node.arg(folder.join(script)).env("NODE_ENV", "production");
        node
    };
    Ok(match server {
        Server::Tickwire => {
            let mut tickwire = Command::new(program("workload-server")?);
            tickwire.args(["--log", "error"]);
            tickwire
        }
        Server::Afternoon => Command::new(program("tickwire-peer-afternoon")?),
        Server::Ws => node("ws.mjs"),
        Server::Colyseus => node("colyseus.mjs"),
        Server::ColyseusQuantised => {
            let mut colyseus = node("colyseus.mjs");
            colyseus.arg("--quantised");
            colyseus
        }
    })
}
