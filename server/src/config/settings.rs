//! Settings as flags, environment and file give them: each is optional.

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use serde::{Deserialize, Deserializer, de::Error};
use tickwire_shared::ids::Tick;

use super::{ConfigError, LogFormat, Task};
use crate::{limits::LimitSettings, tickets::TicketSettings, tls::TlsSettings};

/// Prefix of environment variables that are settings.
const ENV_PREFIX: &str = "TICKWIRE_";

/// Runs matches at a fixed tick and keeps their clients in step over WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tickwire-server", version)]
struct Flags {
    /// TOML file with the settings below, named as the flags but with underscores: limits are in
    /// the table `[limits]`; `tls-…` is in `[tls]`, `ticket-…` and `guests` in `[tickets]`, without
    /// those prefixes
    #[arg(long, value_name = "FILE", env = "TICKWIRE_CONFIG")]
    config: Option<PathBuf>,
    /// Play the match of a journal again as fast as it goes, say whether it went the same way, and
    /// exit
    #[arg(long, value_name = "JOURNAL", conflicts_with = "watch")]
    replay: Option<PathBuf>,
    /// Play the match of a journal again, over and over, for spectators
    #[arg(long, value_name = "JOURNAL")]
    watch: Option<PathBuf>,
    /// Tick from which to watch it [default: its first]
    #[arg(long, value_name = "TICK", requires = "watch")]
    from_tick: Option<u32>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Address of HTTP and WebSocket; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "TICKWIRE_LISTEN", value_parser = address)]
    #[serde(default, deserialize_with = "address_in_file")]
    pub(super) listen: Option<SocketAddr>,
    /// Additional address of /livez, /readyz and /metrics, without TLS and with a connection limit
    /// of its own: for probes and monitoring
    #[arg(long, value_name = "ADDR", env = "TICKWIRE_HEALTH_LISTEN", value_parser = address)]
    #[serde(default, deserialize_with = "address_in_file")]
    pub(super) health_listen: Option<SocketAddr>,
    /// URL by which clients reach this very server, such as `wss://eu-1.play.example`, with the
    /// path that a proxy adds; `POST /v1/join` returns it [default: from the request's Host]
    #[arg(long, value_name = "URL", env = "TICKWIRE_PUBLIC_URL")]
    pub(super) public_url: Option<String>,
    /// Ticks per second, 1 to 128 [default: 30]
    #[arg(long, value_name = "HZ", env = "TICKWIRE_TICK_RATE")]
    pub(super) tick_rate: Option<u16>,
    /// Seats per match, unless the game's mode has a number of its own [default: 16]
    #[arg(long, value_name = "N", env = "TICKWIRE_SEATS")]
    pub(super) seats: Option<u32>,
    /// Most free seats that computer players fill; they yield to people [default: 6]
    #[arg(long, value_name = "N", env = "TICKWIRE_NPCS")]
    pub(super) npcs: Option<u16>,
    /// Threads that run matches [default: number of cores]
    #[arg(long, value_name = "N", env = "TICKWIRE_SHARDS")]
    pub(super) shards: Option<usize>,
    /// Seconds for which the seat of a lost connection is kept [default: 20]
    #[arg(long, value_name = "S", env = "TICKWIRE_RESUME_GRACE_S")]
    pub(super) resume_grace_s: Option<u32>,
    /// Seconds for which an empty match keeps running [default: 30]
    #[arg(long, value_name = "S", env = "TICKWIRE_MATCH_IDLE_S")]
    pub(super) match_idle_s: Option<u32>,
    /// Seconds by which spectators see the match later than players, up to 60 [default: 0]
    #[arg(long, value_name = "S", env = "TICKWIRE_SPECTATOR_DELAY_S")]
    pub(super) spectator_delay_s: Option<u32>,
    /// Seconds for which matches may go on while the server drains [default: 10]
    #[arg(long, value_name = "S", env = "TICKWIRE_DRAIN_TIMEOUT")]
    pub(super) drain_timeout: Option<u32>,
    /// File through which a server that is ended hands its matches to the next one that is started
    /// with it: they go on, and players resume their sessions [default: none, and they end]
    #[arg(long, value_name = "FILE", env = "TICKWIRE_HANDOVER_FILE")]
    pub(super) handover_file: Option<PathBuf>,
    /// Folder for the journals of matches, from which `--replay` and `--watch` play them again
    /// [default: none, and there are no journals]
    #[arg(long, value_name = "FOLDER", env = "TICKWIRE_JOURNAL_FOLDER")]
    pub(super) journal_folder: Option<PathBuf>,
    /// Keep idle cores of the machine awake, so that ticks begin sooner: takes power, and needs
    /// write access to /dev/cpu_dma_latency
    #[arg(long, num_args = 0..=1, default_missing_value = "true", env = "TICKWIRE_KEEP_AWAKE")]
    pub(super) keep_awake: Option<bool>,
    /// Let anybody join from anywhere, without tickets
    #[arg(long, num_args = 0..=1, default_missing_value = "true", env = "TICKWIRE_OPEN")]
    pub(super) open: Option<bool>,
    /// Include the players' chat in the public feeds [default: unless the server has a ticket key]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", env = "TICKWIRE_FEED_CHAT")]
    pub(super) feed_chat: Option<bool>,
    /// Another origin whose pages may use the server, such as `https://play.example`, or `*` for
    /// any; may be given several times, or separated by commas; in a file, the list `origins`
    #[arg(long = "origin", value_name = "ORIGIN", env = "TICKWIRE_ORIGINS", value_delimiter = ',')]
    pub(super) origins: Option<Vec<String>>,
    /// Address or network of a trusted proxy, such as `10.0.0.0/8`: limits by address then apply to
    /// the clients in its `X-Forwarded-For`, not to the proxy; may be given several times, or
    /// separated by commas; in a file, the list `proxies`
    #[arg(long = "proxy", value_name = "NET", env = "TICKWIRE_PROXIES", value_delimiter = ',')]
    pub(super) proxies: Option<Vec<String>>,
    #[command(flatten)]
    #[serde(default)]
    pub(super) limits: LimitSettings,
    #[command(flatten)]
    #[serde(default)]
    pub(super) tls: TlsSettings,
    #[command(flatten)]
    #[serde(default)]
    pub(super) tickets: TicketSettings,
    /// Filter of the log on stderr, such as `info` or `tickwire_server=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "TICKWIRE_LOG")]
    pub(super) log: Option<String>,
    /// Format of log lines [default: text]
    #[arg(long, value_name = "FORMAT", env = "TICKWIRE_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
}

/// What this process is to do, and its settings: the file's, and those of flags and environment,
/// which override it.
///
/// `--help` and `--version` are answered here, and exit the process.
pub(super) fn of_process() -> Result<(Task, [Settings; 2]), ConfigError> {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return Err(ConfigError(describe(&error, |name| std::env::var(name).ok()))),
    };
    check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let file = flags.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let task = match (flags.replay, flags.watch) {
        (Some(journal), _) => Task::Replay(journal),
        (None, Some(journal)) => Task::Watch(journal, flags.from_tick.map(Tick)),
        (None, None) => Task::Serve,
    };
    Ok((task, [file, flags.settings]))
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let fail = |why: &dyn Display| ConfigError::of_file("config", path, why);
    let text = std::fs::read_to_string(path).map_err(|error| fail(&error))?;
    parse(&text).map_err(|error| fail(&error))
}

/// Parses the text of a file.
pub(super) fn parse(text: &str) -> Result<Settings, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        ConfigError(format!("{place}{}", first_paragraph(error.message())))
    })
}

fn check_environment(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let command = Flags::command();
    let known: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_env).collect();
    for name in names.filter(|name| name.starts_with(ENV_PREFIX)) {
        if !known.contains(&std::ffi::OsStr::new(&name)) && !is_of_a_service(&name) {
            return Err(ConfigError(format!("{name} is not a setting; see --help")));
        }
    }
    Ok(())
}

/// Whether this is a variable that Kubernetes sets in every pod for a service named `tickwire` or
/// `tickwire-something`.
fn is_of_a_service(name: &str) -> bool {
    let is_port = |rest: &str| rest.is_empty() || rest.starts_with("_");
    name.ends_with("_SERVICE_HOST")
        || name.rsplit_once("_PORT").is_some_and(|(_, rest)| is_port(rest))
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080")
}

fn address_in_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    address(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

/// What is wrong with a flag, or with the variable that is set instead of it.
fn describe(error: &clap::Error, variable: impl Fn(&str) -> Option<String>) -> String {
    let said = first_paragraph(&error.to_string());
    if error.kind() == ErrorKind::UnknownArgument {
        return format!("{said}; see --help");
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    };
    let (flag, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let mut command = Flags::command();
    command.build();
    let argument = command.get_arguments().find(|known| Some(&known.to_string()) == flag);
    let name = argument.and_then(|known| known.get_env()?.to_str());
    match name.filter(|name| value.is_some() && variable(name).as_ref() == value) {
        Some(name) => format!("{name}: {said}"),
        None => said,
    }
}

/// clap and toml explain over several lines; the first paragraph says what is wrong.
fn first_paragraph(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_no_setting_is_refused() {
        assert!(toml::from_str::<Settings>("seets = 3").is_err());
        let unknown = ["PATH", "TICKWIRE_SEATS", "TICKWIRE_SEETS"].map(String::from);
        let error = check_environment(unknown.into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "TICKWIRE_SEETS is not a setting; see --help");
        let of_a_service = [
            "TICKWIRE_SERVICE_HOST",
            "TICKWIRE_SERVICE_PORT_HTTP",
            "TICKWIRE_PORT",
            "TICKWIRE_GAME_PORT_8080_TCP_ADDR",
        ];
        check_environment(of_a_service.map(String::from).into_iter()).unwrap();
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_with_its_line() {
        let says = |text: &str| parse(text).unwrap_err().to_string();
        for (before, line) in [("", 1), ("# settings\n", 2), ("seats = 3\n\n", 3)] {
            let said = says(&format!("{before}seets = 3\n"));
            assert!(said.starts_with(&format!("line {line}: unknown field `seets`")), "{said}");
        }
        let said = says("seats = 3\ntick_rate = true\n");
        assert!(said.starts_with("line 2: "), "{said}");
        let said = says("seats = 3\nhealth_listen = '9090'");
        assert_eq!(said, format!("line 2: {}", address("9090").unwrap_err()));
        let said = says("limits = 3");
        assert_eq!(said, "line 1: invalid type: integer `3`, expected a table");
        let said = says("seats = 3\nlog =");
        assert!(said.starts_with("line 2: "), "{said}");
    }

    #[test]
    fn what_is_wrong_with_a_flag_is_said_in_a_line() {
        let says = |flags: &[&str]| {
            let error = Flags::try_parse_from([&["tickwire-server"], flags].concat()).unwrap_err();
            describe(&error, |name| (name == "TICKWIRE_NPCS").then(|| "many".into()))
        };
        assert_eq!(
            says(&["--npcs", "many"]),
            "TICKWIRE_NPCS: invalid value 'many' for '--npcs <N>': invalid digit found in string"
        );
        assert_eq!(
            says(&["--npcs", "x"]),
            "invalid value 'x' for '--npcs <N>': invalid digit found in string"
        );
        assert_eq!(says(&["--seets", "3"]), "unexpected argument '--seets' found; see --help");
        assert_eq!(
            says(&["--log-format", "xml"]),
            "invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]"
        );
        assert_eq!(
            says(&["--listen", "8080"]),
            "invalid value '8080' for '--listen <ADDR>': \
             expected an IP address and a port, such as 127.0.0.1:8080"
        );
    }

    #[test]
    fn the_help_states_the_defaults() {
        let command = Flags::command();
        let mut flags = vec![String::from("tickwire-server")];
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let default = help.rsplit_once("[default: ").and_then(|(_, d)| d.strip_suffix(']'));
            // Defaults that depend on something else are in words.
            if let (Some(flag), Some(default)) = (argument.get_long(), default)
                && !default.contains(' ')
            {
                flags.push(format!("--{flag}={default}"));
            }
        }
        assert!(flags.len() > 20, "{flags:?}");
        let told = Flags::try_parse_from(flags).unwrap().settings;
        assert_eq!(Config::default().with(told), Ok(Config::default()));
    }
}
