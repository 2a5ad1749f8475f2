//! Measures one server under one load, and then the floor for as many bytes.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tickwire_benches::{
    cores::Cores,
    server::Server,
    window::{DISTURBED_CORE, Window},
};

use crate::{
    peers::{Running, program},
    results::Run,
    workloads::{Lengths, Workload},
};

/// How often a disturbed run is repeated.
const REPEATS_MAX: usize = 2;

/// Measures a server, repeats a disturbed run, and returns the least disturbed one.
pub(crate) fn run(
    server: Server,
    workload: &Workload,
    lengths: &Lengths,
    cores: Cores,
) -> Result<Run> {
    let mut run = load(server, workload, lengths, cores)?;
    for _ in 0..REPEATS_MAX {
        if workload.grows || run.disturbance() <= DISTURBED_CORE {
            break;
        }
        let again = load(server, workload, lengths, cores)?;
        if again.disturbance() < run.disturbance() {
            run = again;
        }
    }
    if let (false, Some(window)) = (workload.grows, run.windows.first()) {
        let bytes = window.bytes_per_update.round().max(1.0) as usize;
        run.floor_cpu_us = Some(floor_cpu_us(workload, bytes, lengths)?);
    }
    Ok(run)
}

fn load(server: Server, workload: &Workload, lengths: &Lengths, cores: Cores) -> Result<Run> {
    let running = Running::start(server, workload, cores)
        .with_context(|| format!("{} did not start", server.title()))?;
    let Lengths { warm_up_s, window_s, level_settle_s, level_window_s, .. } = *lengths;
    let (warm_up_s, window_s) =
        if workload.grows { (level_settle_s, level_window_s) } else { (warm_up_s, window_s) };
    let mut bots = Command::new(program("workload-bots")?);
    bots.args(["--url", &running.url, "--server", server.name()])
        .args(["--server-pid", &running.pid().to_string()])
        .args(["--matches", &workload.matches.to_string()])
        .args(["--players", &workload.players.to_string()])
        .args(["--tick-rate", &workload.rate_hz.to_string()])
        .args(["--warm-up", &format!("{warm_up_s}s"), "--window", &format!("{window_s}s")]);
    if workload.grows {
        let Lengths { level_factor, matches_max, .. } = lengths;
        bots.args(["--ramp", &format!("{},{level_factor},{matches_max}", workload.matches)]);
    }
    let Output { status, stdout, stderr } = bots.output()?;
    let lines = stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let windows: Vec<Window> = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
    let failure =
        (!status.success()).then(|| String::from_utf8_lossy(&stderr).lines().collect::<String>());
    // A growing load may crash a server; a steady one must not.
    let why = failure.as_deref().unwrap_or("no window");
    ensure!(!windows.is_empty() && (workload.grows || failure.is_none()), "{server}: {why}");
    Ok(Run {
        server,
        workload: workload.name.into(),
        rss_empty_mib: running.rss_empty_mib,
        windows,
        floor_cpu_us: None,
        failure,
    })
}

/// CPU time per write of the floor: raw writes of that many bytes to as many clients, as often.
fn floor_cpu_us(workload: &Workload, bytes: usize, lengths: &Lengths) -> Result<f64> {
    let output = Command::new(program("floor")?)
        .args(["--clients", &(workload.matches * workload.players).to_string()])
        .args(["--bytes", &bytes.to_string(), "--rate", &workload.rate_hz.to_string()])
        .args(["--duration", &format!("{}s", lengths.floor_s), "--json", "-"])
        .output()?;
    ensure!(output.status.success(), "floor: {}", String::from_utf8_lossy(&output.stderr));
    let results: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    results["cpu_us_per_frame"].as_f64().context("floor printed no cpu_us_per_frame")
}
