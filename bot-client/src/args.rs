//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use tickwire_bot_client::{Fingerprint, Options, Profile, Progress, Scenario, Target, duration};

/// A swarm of bots that plays on a Tickwire server, checks every snapshot, and measures latencies.
///
/// Exit code 0: every bot joined and stayed, every snapshot was decoded and every digest matched.
/// 1: one of these failed; the reason is on stderr. 2: the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "tickwire-bot-client", version)]
pub(crate) struct Args {
    /// URL of the server; with a path and query, of one of its matches
    #[arg(long, default_value_t, value_name = "URL")]
    url: Target,
    /// SHA-256 of the server's certificate, for a wss:// URL; the server logs it
    #[arg(long, value_name = "HEX")]
    tls_sha256: Option<Fingerprint>,
    /// File with an operator's token, with which bots request tickets from a server that requires
    /// them
    #[arg(long = "operator-token-file", value_name = "FILE", value_parser = token)]
    operator_token: Option<String>,
    /// Number of bots; they fill matches in order
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = bots)]
    bots: usize,
    /// Length of the measured window, such as 500ms, 10s or 2m
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = window)]
    duration: Duration,
    /// Time from the last join to the start of the window
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration::parse)]
    warm_up: Duration,
    /// Time over which bots join
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = duration::parse)]
    ramp: Duration,
    /// Seed of all the bots' decisions
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How the bots behave; `list` lists all scenarios
    #[arg(long, default_value = "steady", value_name = "NAME", value_parser = scenario)]
    scenario: Wanted,
    /// Simulated network between each bot and the server: lan, wifi, 4g, 3g or bad
    #[arg(long, value_name = "NAME", value_parser = net)]
    net: Option<Profile>,
    /// Also report CPU time and memory of this process, the server's
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Write the report as JSON; `-` for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report with plots, as one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// What `--scenario` asks for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    List,
    Run(Scenario),
}

impl Args {
    /// The options of the run, or `None` to list the scenarios.
    pub(crate) fn options(&self) -> Option<Options> {
        let Wanted::Run(scenario) = self.scenario else { return None };
        Some(Options {
            target: self.url.clone(),
            certificate: self.tls_sha256,
            operator_token: self.operator_token.clone(),
            bots: self.bots,
            duration: self.duration,
            warm_up: self.warm_up,
            ramp: self.ramp,
            seed: self.seed,
            scenario,
            net: self.net,
            server_pid: self.server_pid,
            progress: Progress::Line,
        })
    }
}

fn scenario(name: &str) -> Result<Wanted, String> {
    if name == "list" {
        return Ok(Wanted::List);
    }
    Scenario::named(name).map(Wanted::Run).ok_or_else(|| {
        let names = Scenario::ALL.map(Scenario::name).join(", ");
        format!("there is no such scenario; there are: {names}")
    })
}

fn net(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names = Profile::ALL.map(|profile| profile.name).join(", ");
        format!("there is no such network; there are: {names}")
    })
}

fn token(file: &str) -> Result<String, String> {
    let token = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    Ok(token.trim().to_owned())
}

fn window(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err(String::from("the window must have a length")),
        Ok(window) => Ok(window),
        Err(error) => Err(error.to_string()),
    }
}

fn bots(number: &str) -> Result<usize, String> {
    match number.parse() {
        Ok(0) => Err(String::from("a swarm has at least one bot")),
        Ok(bots) => Ok(bots),
        Err(_) => Err(String::from("not a number of bots")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_agreed_defaults() {
        let options = Args::try_parse_from(["bots"]).unwrap().options().unwrap();
        let expected = Options { progress: Progress::Line, ..Options::default() };
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn scenarios_can_be_listed() {
        assert!(Args::try_parse_from(["bots", "--scenario", "list"]).unwrap().options().is_none());
        assert!(
            Args::try_parse_from(["bots", "--scenario", "steady"]).unwrap().options().is_some()
        );
        assert!(Args::try_parse_from(["bots", "--scenario", "picnic"]).is_err());
    }

    #[test]
    fn a_run_of_nothing_is_refused() {
        for [flag, value] in [["--bots", "0"], ["--duration", "0s"], ["--url", "http://a"]] {
            assert!(Args::try_parse_from(["bots", flag, value]).is_err(), "{flag} {value}");
        }
    }
}
