//! Servers side by side on the same load, and the floor under all of them.
//!
//! Rounds are interleaved: in each, every contestant runs once, then the floor with as many bytes
//! as the first one sent. What is told is the median over the rounds. The measured side has one
//! core and the loading side another, where there are two.

mod contestant;
mod floor;
mod tickwire;

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;
use tickwire_benches::{
    cores::Cores,
    output::{median, write_json},
};

use contestant::{Contestant, Load, Outcome};
use tickwire::Tickwire;

/// Servers side by side on the same load, as a Markdown table
#[derive(Debug, Parser)]
struct Compare {
    /// Two short rounds instead of five long ones
    #[arg(long)]
    quick: bool,
    /// Players, in matches of 16
    #[arg(long, default_value_t = 160, value_name = "N")]
    clients: usize,
    /// Ticks per second
    #[arg(long, default_value_t = 30, value_name = "HZ")]
    rate: u16,
    /// Write `results.json` into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One contestant in one round.
#[derive(Clone, Debug, Serialize)]
struct Run {
    contestant: &'static str,
    round: usize,
    outcome: Outcome,
    /// The floor of the same round.
    floor_cpu_us_per_update: f64,
}

fn main() -> Result<()> {
    let args = Compare::parse();
    let (rounds, window) = if args.quick { (2, 4) } else { (5, 15) };
    let load =
        Load { clients: args.clients, rate_hz: args.rate, window: Duration::from_secs(window) };
    let cores = Cores::of_this_process()?;
    let contestants: Vec<Box<dyn Contestant>> = vec![Box::new(Tickwire::new(cores))];
    let mut runs = Vec::new();
    for round in 1..=rounds {
        runs.extend(play(round, &contestants, &load)?);
    }
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)?;
        write_json(&folder.join("results.json"), &runs)?;
    }
    write_table(&contestants, &runs).context("cannot write the table")
}

fn play(round: usize, contestants: &[Box<dyn Contestant>], load: &Load) -> Result<Vec<Run>> {
    let mut outcomes = Vec::new();
    for contestant in contestants {
        let name = contestant.name();
        writeln!(io::stderr(), "round {round}: {name}")?;
        outcomes.push((name, contestant.run(load).with_context(|| format!("{name} failed"))?));
    }
    let bytes = outcomes.first().map_or(0.0, |(_, outcome)| outcome.bytes_per_update);
    writeln!(io::stderr(), "round {round}: floor, {bytes:.0} bytes")?;
    let floor =
        floor::cpu_us_per_frame(load, bytes.round() as usize).context("the floor failed")?;
    let run =
        |(contestant, outcome)| Run { contestant, round, outcome, floor_cpu_us_per_update: floor };
    Ok(outcomes.into_iter().map(run).collect())
}

fn write_table(contestants: &[Box<dyn Contestant>], runs: &[Run]) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "| server | CPU per update, µs | × floor | bytes per update | p50, ms | p99, ms |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for name in contestants.iter().map(|contestant| contestant.name()) {
        let of = |value: fn(&Run) -> f64| {
            let own = runs.iter().filter(|run| run.contestant == name);
            median(own.map(value)).unwrap_or(f64::NAN)
        };
        let cpu = of(|run| run.outcome.cpu_us_per_update);
        let ratio = of(|run| run.outcome.cpu_us_per_update / run.floor_cpu_us_per_update);
        let bytes = of(|run| run.outcome.bytes_per_update);
        let (p50, p99) =
            (of(|run| run.outcome.latency_p50_ms), of(|run| run.outcome.latency_p99_ms));
        writeln!(out, "| {name} | {cpu:.2} | {ratio:.2} | {bytes:.1} | {p50:.1} | {p99:.1} |")?;
    }
    let floor = median(runs.iter().map(|run| run.floor_cpu_us_per_update)).unwrap_or(f64::NAN);
    writeln!(out, "| floor | {floor:.2} | 1.00 | | | |")
}
