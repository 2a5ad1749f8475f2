//! Settings from flags, environment, file and defaults, in this order of precedence; validated
//! once.

mod settings;

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Uri;
use serde::Deserialize;
use tickwire_shared::{game::SEATS_MAX, ids::Tick, time::TickRate};

use crate::{
    http::{Origins, Proxies},
    limits::Limits,
    tickets::TicketConfig,
    tls::TlsConfig,
};
use settings::Settings;

/// Most shards of a process.
const SHARDS_MAX: usize = 256;
/// Longest spectator delay. Each match keeps rows for that long: 2 MB of the arena's at 30 Hz.
const SPECTATOR_DELAY_MAX: Duration = Duration::from_secs(60);

/// The settings of a server, which [`Server::bind`](crate::Server::bind) checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address of HTTP and WebSocket. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Additional address of `/livez`, `/readyz` and `/metrics`, without TLS and with a connection
    /// limit of its own.
    pub health_listen: Option<SocketAddr>,
    /// URL by which clients reach this server, if it differs from that of `POST /v1/join`.
    pub public_url: Option<String>,
    /// Ticks per second of every match.
    pub tick_rate: TickRate,
    /// Seats per match, unless the game has another number.
    pub seats: u16,
    /// Most free seats of a match that computer players fill.
    pub npcs: u16,
    /// Threads that run matches.
    pub shards: usize,
    /// How long the seat of a lost connection is kept.
    pub resume_grace: Duration,
    /// How long an empty match keeps running.
    pub match_idle: Duration,
    /// How much later than players spectators see the match.
    pub spectator_delay: Duration,
    /// How long matches may go on while the server drains.
    pub drain_timeout: Duration,
    /// File through which a server that is ended hands its matches to the next one. Without it,
    /// they end.
    pub handover_file: Option<PathBuf>,
    /// Folder for the journals of matches. Without it, there are none.
    pub journal_folder: Option<PathBuf>,
    /// Whether idle cores of the machine are kept awake.
    pub keep_awake: bool,
    /// Limits of clients, addresses and the whole server.
    pub limits: Limits,
    /// The certificate, if TLS is enabled.
    pub tls: Option<TlsConfig>,
    /// The key that checks tickets, and which tickets the server issues.
    pub tickets: TicketConfig,
    /// Whether anybody may join from anywhere, without tickets.
    pub open: bool,
    /// Whether the public feeds include the players' chat. By default only if the server has no
    /// ticket key.
    pub feed_chat: Option<bool>,
    /// Other origins whose pages may use the server.
    pub origins: Origins,
    /// Proxies that are trusted to name the client address.
    pub proxies: Proxies,
    /// Log filter, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
}

/// What a process is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Task {
    /// To run matches.
    Serve,
    /// To play the match of a journal again, and exit.
    Replay(PathBuf),
    /// To show it to spectators, from its first tick or this one on.
    Watch(PathBuf, Option<Tick>),
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the settings are not valid: one line that says what to change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// An error with the file that a setting names.
    pub(crate) fn of_file(setting: &str, path: &Path, why: &dyn Display) -> Self {
        Self(format!("{setting}: {}: {why}", path.display()))
    }
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            health_listen: None,
            public_url: None,
            tick_rate: TickRate::new(30).expect("30 is a valid rate"),
            seats: 16,
            npcs: 6,
            shards: cores.min(SHARDS_MAX),
            resume_grace: Duration::from_secs(20),
            match_idle: Duration::from_secs(30),
            spectator_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
            handover_file: None,
            journal_folder: None,
            keep_awake: false,
            limits: Limits::default(),
            tls: None,
            tickets: TicketConfig::default(),
            open: false,
            feed_chat: None,
            origins: Origins::default(),
            proxies: Proxies::default(),
            log: String::from("info"),
            log_format: LogFormat::Text,
        }
    }
}

impl Config {
    /// What this process is to do, and its settings. `--help` and `--version` exit it.
    pub(crate) fn from_process() -> Result<(Task, Self), ConfigError> {
        let (task, [file, flags]) = settings::of_process()?;
        Ok((task, Self::default().with(file)?.with(flags)?.checked()?))
    }

    /// The settings of a TOML file, over the defaults.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::default().with(settings::parse(text)?)?.checked()
    }

    /// Rejects settings that are out of range or contradict each other.
    pub(crate) fn checked(self) -> Result<Self, ConfigError> {
        self.limits.check()?;
        let within = |name: &str, value: usize, max: usize| match value {
            0 => Err(ConfigError(format!("{name} must be at least 1"))),
            _ if value > max => Err(ConfigError(format!("{name} must be at most {max}"))),
            _ => Ok(()),
        };
        within("seats", self.seats.into(), SEATS_MAX.into())?;
        within("shards", self.shards, SHARDS_MAX)?;
        let refuse = |why: &str| Err(ConfigError(why.into()));
        if self.open && self.tickets.has_key() {
            return refuse("--open and a ticket key exclude each other");
        }
        if self.public_url.as_ref().is_some_and(|url| !is_server(url)) {
            return refuse(
                "public_url must be like wss://eu-1.play.example, with an optional path",
            );
        }
        // The filter would take a misspelled level for a module's name, and log only that module.
        let is_level = |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok();
        let words = self.log.split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut bare = words.filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()));
        if let Some(word) = bare.find(|word| !is_level(word)) {
            let levels = "error, warn, info, debug, trace or off";
            return refuse(&format!("log: `{word}` is no level: {levels}"));
        }
        if self.tickets.guests && self.tickets.secret_file.is_none() {
            return refuse("guests need a server that signs tickets: set ticket_secret_file");
        }
        if self.spectator_delay > SPECTATOR_DELAY_MAX {
            let most = SPECTATOR_DELAY_MAX.as_secs();
            return refuse(&format!("spectator_delay_s must be at most {most}"));
        }
        self.unless_open_to_all()
    }

    /// Rejects a public listen address without a ticket key, unless `open` permits it.
    fn unless_open_to_all(self) -> Result<Self, ConfigError> {
        let is_public = !self.listen.ip().is_loopback();
        if !is_public || self.open || self.tickets.has_key() {
            return Ok(self);
        }
        let listen = self.listen;
        Err(ConfigError(format!(
            "anybody could join at {listen}: set --ticket-secret-file or --ticket-public-key-file, \
             or allow it with --open"
        )))
    }

    fn with(mut self, settings: Settings) -> Result<Self, ConfigError> {
        if let Some(hz) = settings.tick_rate {
            self.tick_rate = TickRate::try_from(hz).map_err(ConfigError)?;
        }
        let seconds = |s: Option<u32>, before| s.map_or(before, |s| Duration::from_secs(s.into()));
        self.listen = settings.listen.unwrap_or(self.listen);
        self.health_listen = settings.health_listen.or(self.health_listen);
        self.public_url = settings.public_url.or(self.public_url);
        self.npcs = settings.npcs.unwrap_or(self.npcs);
        self.shards = settings.shards.unwrap_or(self.shards);
        self.resume_grace = seconds(settings.resume_grace_s, self.resume_grace);
        self.match_idle = seconds(settings.match_idle_s, self.match_idle);
        self.spectator_delay = seconds(settings.spectator_delay_s, self.spectator_delay);
        self.drain_timeout = seconds(settings.drain_timeout, self.drain_timeout);
        self.handover_file = settings.handover_file.or(self.handover_file);
        self.journal_folder = settings.journal_folder.or(self.journal_folder);
        self.keep_awake = settings.keep_awake.unwrap_or(self.keep_awake);
        settings.limits.apply(&mut self.limits);
        self.tls = settings.tls.over(self.tls)?;
        self.tickets = self.tickets.with(settings.tickets)?;
        self.open = settings.open.unwrap_or(self.open);
        self.feed_chat = settings.feed_chat.or(self.feed_chat);
        self.origins = settings.origins.map_or(Ok(self.origins), Origins::new)?;
        self.proxies = settings.proxies.map_or(Ok(self.proxies), |nets| Proxies::new(&nets))?;
        self.log = settings.log.unwrap_or(self.log);
        self.log_format = settings.log_format.unwrap_or(self.log_format);
        // More than fits is as much too many.
        let seats = settings.seats.map(|seats| u16::try_from(seats).unwrap_or(u16::MAX));
        self.seats = seats.unwrap_or(self.seats);
        Ok(self)
    }
}

/// Whether this is the base URL of a WebSocket server.
fn is_server(url: &str) -> bool {
    // `Uri` drops a fragment silently.
    let uri = url.parse::<Uri>().ok().filter(|_| !url.contains('#'));
    uri.is_some_and(|uri| {
        let is_ws = matches!(uri.scheme_str(), Some("ws" | "wss"));
        is_ws && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_what_flags_do_not() {
        let file = toml::from_str("seats = 4\nnpcs = 0\nlog_format = \"json\"").unwrap();
        let flags = Settings { npcs: Some(2), ..Settings::default() };
        let config = Config::default().with(file).unwrap().with(flags).unwrap();
        assert_eq!((config.seats, config.npcs), (4, 2));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn a_flag_names_another_kind_of_key_than_a_file() {
        let file = toml::from_str("log = 'inof'\n[tickets]\nsecret_file = 'a'").unwrap();
        let flags = toml::from_str("log = 'info'\n[tickets]\npublic_key_file = 'b'").unwrap();
        let config = Config::default().with(file).unwrap().with(flags).unwrap();
        let tickets = config.checked().unwrap().tickets;
        assert_eq!((tickets.secret_file, tickets.public_key_file), (None, Some("b".into())));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check("seats = 0", "seats must be at least 1");
        check("seats = 100000", "seats must be at most 1024");
        check("shards = 1000", "shards must be at most 256");
        check("spectator_delay_s = 61", "spectator_delay_s must be at most 60");
        check("tick_rate = 129", "a tick rate is 1 to 128 Hz, not 129");
        check("[limits]\nmatches_max = 0", "matches_max must be 1 to 1000000, not 0");
        check("[tls]\ncert = 'a'", "tls_cert and tls_key go together");
        check(
            "open = true\n[tickets]\nsecret_file = 'a'",
            "--open and a ticket key exclude each other",
        );
        for url in
            ["https://play.example", "wss://", "wss://play.example/?a=b", "wss://play.example#a"]
        {
            let such = "public_url must be like wss://eu-1.play.example, with an optional path";
            check(&format!("public_url = '{url}'"), such);
        }
        let unsigned = "guests need a server that signs tickets: set ticket_secret_file";
        check("[tickets]\nguests = true", unsigned);
        let long = "ticket_life_s must be at most 300 if guests get tickets";
        check("[tickets]\nsecret_file = 'a'\nguests = true\nlife_s = 301", long);
        check("[tickets]\npublic_key_file = 'a'\nguests = true", unsigned);
        check(
            "origins = ['https://play.example/']",
            "an origin must be `*` or like https://play.example, not https://play.example/",
        );
        check(
            "proxies = ['10.0.0.0/33']",
            "a proxy must be an address or a network such as 10.0.0.0/8, not 10.0.0.0/33",
        );
        check(
            "proxies = ['0.0.0.0/0']",
            "a proxy must be an address or a network such as 10.0.0.0/8, not 0.0.0.0/0",
        );
        check("log = 'inof'", "log: `inof` is no level: error, warn, info, debug, trace or off");
    }

    #[test]
    fn the_readme_has_a_file_that_is_valid() {
        let readme = include_str!("../../README.md");
        let (_, file) = readme.split_once("A file:\n\n```toml\n").unwrap();
        let (file, _) = file.split_once("```").unwrap();
        let config = Config::from_toml(file).unwrap();
        assert!(config.tls.is_some() && config.tickets.has_key());
    }

    #[test]
    fn a_server_that_anybody_can_reach_needs_a_key() {
        let start = |file: &str| {
            let config = Config::default().with(toml::from_str(file).unwrap()).unwrap();
            config.unless_open_to_all()
        };
        assert!(start("listen = '127.0.0.1:80'").is_ok());
        assert!(start("listen = '[::1]:80'").is_ok());
        assert!(start("listen = '0.0.0.0:80'\nopen = true").is_ok());
        assert!(start("listen = '0.0.0.0:80'\n[tickets]\nsecret_file = 'x'").is_ok());
        let error = start("listen = '0.0.0.0:80'").unwrap_err();
        assert!(error.to_string().starts_with("anybody could join at 0.0.0.0:80: set"));
    }

    #[track_caller]
    fn check(file: &str, expected: &str) {
        let error = Config::from_toml(file).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
