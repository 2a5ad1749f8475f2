//! The floor: see the program of that name.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::contestant::{Load, program};

/// CPU time of writing that many bytes to each client, raw.
pub(crate) fn cpu_us_per_frame(load: &Load, bytes: usize) -> Result<f64> {
    let output = Command::new(program("floor")?)
        .args(["--clients", &load.clients.to_string(), "--bytes", &bytes.to_string()])
        .args(["--rate", &load.rate_hz.to_string()])
        .args(["--duration", &format!("{}s", load.window.as_secs_f64()), "--json", "-"])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    results["cpu_us_per_frame"].as_f64().context("floor printed no cpu_us_per_frame")
}
