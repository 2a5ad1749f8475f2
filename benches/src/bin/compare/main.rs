//! Compares servers under the same workload, and each of them with the floor.
//!
//! One command installs the peers, runs all servers interleaved, the server on one core and the
//! load on another, each time with a new server process, and reports medians and ranges. Results of
//! earlier runs in the output folder are included, so that a comparison can be made in parts. A run
//! that was disturbed by other work on the machine is repeated, and marked if that did not help.

mod machine;
mod page;
mod peers;
mod results;
mod run;
mod table;
mod workloads;

use std::{
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tickwire_benches::{cores::Cores, output::write_json, server::Server};
use tickwire_bot_client::process::allow_sockets;

use machine::Machine;
use results::Results;
use workloads::{Lengths, Workload};

/// Servers side by side on the same load: a Markdown table, and plots
#[derive(Debug, Parser)]
struct Compare {
    /// Take three minutes, not over half an hour: one workload, and the capacity in large steps
    #[arg(long)]
    quick: bool,
    /// Write `results.json` and the page `index.html` into this folder; results that are already
    /// there are included
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only this server; may be repeated
    #[arg(long, value_name = "SERVER", value_enum)]
    server: Vec<Server>,
    /// Run only this workload, such as 10x16@30 or capacity; may be repeated
    #[arg(long, value_name = "WORKLOAD")]
    workload: Vec<String>,
    /// Runs of each server on each workload
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// Write all runs as JSON; `-` for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sockets of the largest load, per side.
const SOCKETS_MAX: usize = 4_096;

fn main() -> Result<()> {
    let args = Compare::parse();
    let lengths = if args.quick { Lengths::QUICK } else { Lengths::FULL };
    let workloads = Workload::named(&args.workload, args.quick)?;
    let chosen = if args.server.is_empty() { Server::ALL.to_vec() } else { args.server };
    let mut results = match &args.out {
        Some(folder) => Results::load(&folder.join(RESULTS))?,
        None => Results::default(),
    };
    allow_sockets(SOCKETS_MAX).context("can't open that many sockets")?;
    let servers = peers::install(&chosen);
    ensure!(!servers.is_empty(), "no server to run");
    results.machine = Some(Machine::here()?);
    let cores = Cores::of_this_process()?;
    for round in 1..=args.rounds.map_or(lengths.rounds, NonZeroUsize::get) {
        for workload in &workloads {
            // A ramp runs only once, since each of its levels has a window.
            if round > 1 && workload.grows {
                continue;
            }
            for &server in &servers {
                writeln!(io::stderr(), "{} {round}: {}", workload.name, server.title())?;
                results.runs.push(run::run(server, workload, &lengths, cores)?);
                if let Some(folder) = &args.out {
                    write(folder, &results)?;
                }
            }
        }
    }
    if let Some(file) = &args.json {
        write_json(file, &results).with_context(|| format!("{}", file.display()))?;
    }
    if args.json.is_none_or(|file| file != Path::new("-")) {
        io::stdout().write_all(table::markdown(&results).as_bytes())?;
    }
    Ok(())
}

const RESULTS: &str = "results.json";

fn write(folder: &Path, results: &Results) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    write_json(&folder.join(RESULTS), results)?;
    fs::write(folder.join("index.html"), page::html(results))?;
    for (name, svg) in page::pictures(results) {
        fs::write(folder.join(name), svg)?;
    }
    Ok(())
}
