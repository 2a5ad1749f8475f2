//! The machine and the time of a measurement.

use std::{fs, io, process::Command};

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// In UTC.
    pub(crate) date: String,
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn here() -> io::Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let models = cpus.lines().filter_map(|line| line.strip_prefix("model name"));
        let mut models = models.map(|rest| rest.trim_start_matches(['\t', ' ', ':']));
        Ok(Self {
            cpu: models.next().unwrap_or("unknown").into(),
            cores: models.count() + 1,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().into(),
            date: output_of("date", &["-u", "+%F %R"]),
            commit: output_of("git", &["rev-parse", "--short", "HEAD"]),
        })
    }
}

/// A program's output; empty if there is no such program.
fn output_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().into(),
    )
}
