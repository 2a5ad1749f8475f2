//! Load generator of the workload: clients that send one input per tick interval on a fixed
//! schedule, and measure the updates that they receive. It uses one thread and one epoll, and
//! prints one JSON object per window.
//!
//! With `--ramp`, matches are added until a level fails twice.

mod client;
mod dialect;
mod machine;
mod steering;
mod swarm;

use std::{
    io::{self, Write},
    net::{SocketAddr, ToSocketAddrs},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use tickwire_benches::{output::write_json, server::Server, window::Window};
use tickwire_bot_client::{duration, process::allow_sockets};
use tickwire_shared::time::TickRate;

use swarm::Swarm;

/// Loads a server with the workload's clients
#[derive(Debug, Parser)]
struct Bots {
    /// The server's URL
    #[arg(long, default_value = "ws://127.0.0.1:8080")]
    url: String,
    /// Which server it is, which determines the protocol
    #[arg(long, value_enum, default_value_t = Server::Tickwire)]
    server: Server,
    /// Matches to fill
    #[arg(long, default_value = "10", value_name = "M")]
    matches: NonZeroUsize,
    /// Players in each match
    #[arg(long, default_value = "16", value_name = "P")]
    players: NonZeroUsize,
    /// The server's tick rate
    #[arg(long, default_value = "30", value_name = "HZ", value_parser = rate)]
    tick_rate: TickRate,
    /// Time from the last join to the window
    #[arg(long, default_value = "4s", value_name = "TIME", value_parser = duration::parse)]
    warm_up: Duration,
    /// The measured time
    #[arg(long, default_value = "15s", value_name = "TIME", value_parser = duration::parse)]
    window: Duration,
    /// Also report CPU time and memory of this process, the server's
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Measure with START matches, then with FACTOR times as many, and so on, up to MAX or until
    /// a level fails twice
    #[arg(long, value_name = "START,FACTOR,MAX")]
    ramp: Option<Ramp>,
    /// Also write the last window into a file; `-` is stdout, where all windows are written anyway
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How the number of matches grows.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    start: usize,
    factor: f64,
    max: usize,
}

impl FromStr for Ramp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const BAD: &str = "expected START,FACTOR,MAX such as 20,1.15,150";
        let parts: Vec<_> = text.split(',').collect();
        let &[start, factor, max] = parts.as_slice() else { return Err(BAD) };
        let (Ok(start), Ok(factor), Ok(max)) = (start.parse(), factor.parse(), max.parse()) else {
            return Err(BAD);
        };
        let ramp = Self { start, factor, max };
        if start == 0 || max < start || !(factor > 1.0 && factor <= 10.0) {
            Err(BAD)
        } else {
            Ok(ramp)
        }
    }
}

fn rate(text: &str) -> Result<TickRate, String> {
    let hz: u16 = text.parse().map_err(|_| String::from("not a number"))?;
    TickRate::try_from(hz)
}

fn main() -> Result<()> {
    let args = Bots::parse();
    let authority = args.url.strip_prefix("ws://").context("the URL must start with ws://")?;
    let address: Option<SocketAddr> = authority.trim_end_matches('/').to_socket_addrs()?.next();
    let address = address.context("the URL's host has no address")?;
    let levels = match args.ramp {
        None => vec![args.matches.get()],
        Some(ramp) => levels(ramp),
    };
    let players = args.players.get();
    let most = levels.last().copied().unwrap_or_default();
    allow_sockets(most * players).context("can't open that many sockets")?;
    let mut swarm = Swarm::new(address, args.server, players, args.tick_rate, args.server_pid)?;
    for matches in levels {
        swarm.grow(matches * players)?;
        let mut measure = || -> Result<Window> {
            swarm.run(args.warm_up, None)?;
            let window = swarm.measure(args.window)?;
            writeln!(io::stdout(), "{}", serde_json::to_string(&window)?)?;
            if let Some(file) = args.json.as_deref().filter(|file| *file != Path::new("-")) {
                write_json(file, &window).with_context(|| format!("{}", file.display()))?;
            }
            Ok(window)
        };
        if !measure()?.healthy && args.ramp.is_some() && !measure()?.healthy {
            break;
        }
    }
    Ok(())
}

fn levels(ramp: Ramp) -> Vec<usize> {
    let next = |&matches: &usize| Some(((matches as f64 * ramp.factor) as usize).max(matches + 1));
    std::iter::successors(Some(ramp.start), next).take_while(|&level| level <= ramp.max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow_up_to_the_greatest() {
        let ramp: Ramp = "10,1.15,20".parse().unwrap();
        assert_eq!(levels(ramp), [10, 11, 12, 13, 14, 16, 18, 20]);
        assert!("0,1.15,20".parse::<Ramp>().is_err());
        assert!("10,1,20".parse::<Ramp>().is_err());
        assert!("10,1.15,9".parse::<Ramp>().is_err());
    }

    #[test]
    fn a_load_of_nothing_is_refused() {
        for flag in ["--matches", "--players", "--tick-rate"] {
            assert!(Bots::try_parse_from(["bots", flag, "0"]).is_err(), "{flag} 0");
            assert!(Bots::try_parse_from(["bots", flag, "1"]).is_ok(), "{flag} 1");
        }
    }
}
