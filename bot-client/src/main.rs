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

/// An error is the one line that says why the run is not a success.
fn play(args: &Args, options: &Options) -> Result<(), String> {
    let report = run(options, brain::for_game).map_err(|error| error.to_string())?;
    deliver(args, &report).map_err(|error| format!("cannot write the report: {error}"))?;
    report.failure.map_or(Ok(()), Err)
}

fn deliver(args: &Args, report: &Report) -> io::Result<()> {
    if let Some(file) = &args.html {
        fs::write(file, report.to_html())?;
    }
    let json = report.to_json()? + "\n";
    match args.json.as_deref() {
        Some(file) if file == Path::new("-") => io::stdout().write_all(json.as_bytes()),
        Some(file) => {
            fs::write(file, json)?;
            io::stdout().write_all(report.to_table().as_bytes())
        }
        None => io::stdout().write_all(report.to_table().as_bytes()),
    }
}

fn list_scenarios() -> io::Result<()> {
    Scenario::ALL.iter().try_for_each(|scenario| {
        writeln!(io::stdout(), "{:<12}{}", scenario.name(), scenario.description())
    })
}
