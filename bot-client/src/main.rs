//! The swarm as a program.

mod args;

use std::{fs, io, io::Write, path::Path, process::ExitCode};

use args::Args;
use clap::Parser;
use tickwire_bot_client::{Options, Report, Scenario, brain, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.options() {
        Some(options) => play(&args, &options),
        None => list_scenarios().map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the swarm. An error is one line that says why the run is not a success.
fn play(args: &Args, options: &Options) -> Result<(), String> {
    let report = run(options, brain::for_game).map_err(|error| error.to_string())?;
    deliver(args, &report)?;
    report.failure.map_or(Ok(()), Err)
}

/// Prints the report and writes its files. If one file can't be written, the other still is.
fn deliver(args: &Args, report: &Report) -> Result<(), String> {
    let json = report.to_json().map_err(|error| error.to_string())? + "\n";
    let is_piped = args.json.as_deref() == Some(Path::new("-"));
    let shown = if is_piped { json.clone() } else { report.to_table() };
    let shown = io::stdout().write_all(shown.as_bytes());
    shown.map_err(|error| format!("cannot write the report to stdout: {error}"))?;
    let html = args.html.as_deref().map(|file| (file, report.to_html()));
    let json = args.json.as_deref().filter(|_| !is_piped).map(|file| (file, json));
    let failures = html.into_iter().chain(json).filter_map(|(file, text)| {
        let error = fs::write(file, text).err()?;
        Some(format!("cannot write {}: {error}", file.display()))
    });
    let failures: Vec<_> = failures.collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn list_scenarios() -> io::Result<()> {
    Scenario::ALL.iter().try_for_each(|scenario| {
        writeln!(io::stdout(), "{:<12}{}", scenario.name(), scenario.description())
    })
}
