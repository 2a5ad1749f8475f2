//! The Tickwire server: the shell of sockets, threads and HTTP around matches of one game.
//!
//! A game is a type that implements [`tickwire_shared::game::Game`]; its server is one line:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     tickwire_server::main::<tickwire_shared::arena::Arena>()
//! }
//! ```
//!
//! How a connection travels: `listener` accepts it and reads its request; [`http`] routes it;
//! for a WebSocket, `front_door` reserves a seat and `play` hands the socket to the
//! shard that runs its match; from then on the shard's thread does everything.

#[cfg(not(target_os = "linux"))]
compile_error!("the server runs on Linux: build it in a container, WSL 2 or a virtual machine");

mod bucket;
mod clock;
pub mod config;
mod deadlines;
mod directory;
mod feeds;
mod followers;
mod front_door;
mod handshakes;
pub mod http;
mod intake;
mod ladder;
pub mod limits;
mod lingering;
mod listener;
mod lobby;
mod locks;
mod log;
mod mailbox;
mod matches;
mod matchmaker;
mod places;
mod process;
mod reload;
mod shard;
mod shards;
mod socket;
mod telemetry;
pub mod tickets;
pub mod tls;

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tickwire_shared::{
    game::Game,
    schema::{FIELDS_MAX, Schema, SchemaError},
    wire::schema_hash,
};
use tokio::net::TcpListener;

use clock::Clock;
use config::{Config, ConfigError};
use directory::Directory;
use feeds::Feeds;
use front_door::FrontDoor;
use matches::MatchSettings;
use shards::Shards;
pub use socket::push_frame;

/// Why the server did not start, or ended before it was told to. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is not valid.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The log filter is not valid.
    #[error("log: {0}")]
    Log(String),
    /// The address can't be listened on.
    #[error("can't listen on {0}: {1}; choose another with --listen or --health-listen")]
    Listen(SocketAddr, io::Error),
    /// The game's schema is not one that a match can run on.
    #[error("the game's schema is not valid: {0}")]
    Schema(#[from] SchemaError),
    /// One of the game's events is called what feeds call something else.
    #[error("the game can't call an event {0:?}, since event feeds do: choose another name")]
    EventName(String),
    /// One of [`Game::MODES`] is not a name, or there twice.
    #[error(
        "the game can't call a mode {0:?}: names have 1 to 64 letters, digits, - and _, once each"
    )]
    ModeName(&'static str),
    /// The game has more [`Game::SCORES`] than followers can be told.
    #[error("the game has {0} scores, of {FIELDS_MAX} at most")]
    Scores(usize),
    /// The system refused a thread, a timer or the like.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The whole program: settings from the process, log, server, until SIGTERM, SIGHUP or Ctrl-C.
#[must_use]
pub fn main<G: Game>() -> ExitCode {
    match start::<G>() {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce | Ended::Failed) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tickwire-server: {error}");
            ExitCode::from(2)
        }
    }
}

fn start<G: Game>() -> Result<Ended, StartError> {
    let mut config = Config::from_process()?;
    let _log = log::start(&config)?;
    // One small thing that is left would hold a whole huge page: 86 MB rather than 22 a minute after an attack.
    // A kernel that can't leave them out has none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    process::allow_files(&mut config.limits.connections_max)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let server = Server::bind::<G>(config).await?;
        // Whoever reads the line may send them.
        let (once, twice) = (process::signals(1)?, process::signals(2)?);
        let scheme = if server.door.tls.is_some() { "https" } else { "http" };
        if let Err(error) = writeln!(io::stdout(), "listening on {scheme}://{}", server.addr()) {
            tracing::warn!(%error, addr = %server.addr(), "can't say on stdout where it listens");
        }
        Ok(server.run(once, twice).await)
    });
    // Whoever wants it to end at once does not wait for shards either.
    runtime.shutdown_background();
    ended
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Everybody was told, and matches ended when they might.
    Drained,
    /// The same, but for shards that had failed, or did not end in time.
    Failed,
    /// It was told not to wait for that.
    AtOnce,
}

/// A server that listens, with its shards running.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    health: Option<TcpListener>,
    door: Arc<FrontDoor>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Takes the port and starts the shards. Must be called within a tokio runtime, of a single
    /// thread: on more, somebody could reach a shard before it hears of the match that another has
    /// just opened, and be refused.
    pub async fn bind<G: Game>(config: Config) -> Result<Self, StartError> {
        let schema = G::schema();
        check_game::<G>(&schema)?;
        tracing::info!(game = schema.game, hash = schema_hash(&schema), "game");
        let listener = listen(config.listen).await?;
        let addr = listener.local_addr()?;
        let health = match config.health_listen {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        if let Some(listener) = &health {
            tracing::info!(addr = %listener.local_addr()?, "health and metrics are served as well");
        }
        if !config.tickets.has_key() {
            let reach = if addr.ip().is_loopback() { "this machine" } else { "anywhere" };
            tracing::warn!("runs open: anybody may join from {reach}, without a ticket");
        }
        let clock = Clock::start();
        let directory = Arc::new(Directory::new(config.shards, config.limits.matches_max));
        let settings = MatchSettings::new(&config);
        let tells_chat = config.feed_chat.unwrap_or_else(|| !config.tickets.has_key());
        let known = Arc::clone(&directory);
        let (feeds, teller) = Feeds::start(G::schema(), G::SCORES, tells_chat, clock, known);
        let (mut shards, mut threads) = (Vec::new(), Vec::new());
        for index in 0..config.shards {
            let directory = Arc::clone(&directory);
            let (handle, thread) =
                shard::start::<G>(index, clock, config.tick_rate, settings, directory, &teller)?;
            shards.push(handle);
            threads.push(thread);
        }
        let shards = Shards::new(shards, clock, &schema);
        let door = Arc::new(FrontDoor::new(config, G::MODES, clock, directory, shards, feeds)?);
        Ok(Self { listener, addr, health, door, threads })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it serves health and metrics as well.
    #[must_use]
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown` is done. Then nobody is let in, clients are told to go elsewhere, and
    /// rounds may end within the drain timeout; `at_once` cuts that short.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        at_once: impl Future<Output = ()>,
    ) -> Ended {
        let door = Arc::clone(&self.door);
        let routes = http::routes(Arc::clone(&door));
        let serve = listener::serve(self.listener, routes, Arc::clone(&door));
        let serve_health = async {
            match self.health {
                Some(listener) => {
                    let routes = http::health_routes(Arc::clone(&door));
                    listener::serve_health(listener, routes, Arc::clone(&door)).await;
                }
                None => std::future::pending().await,
            }
        };
        // Goes on while draining, so that who asks is told.
        let drain = async {
            shutdown.await;
            tracing::info!("draining");
            door.drain();
            let timeout = door.config.drain_timeout + END_TIMEOUT;
            let ended = join(self.threads, timeout).await;
            // So that those who follow the feeds hear of the last matches' end.
            tokio::time::sleep(2 * feeds::GATHER_TIME).await;
            ended
        };
        let serving = async { tokio::join!(serve, serve_health, door.reload_files()) };
        tokio::select! {
            _ = serving => unreachable!("it goes on for ever"),
            never = http::sample(&door) => match never {},
            ended = drain => ended,
            () = at_once => {
                tracing::warn!("ended at once");
                Ended::AtOnce
            }
        }
    }
}

/// Whether matches of a game can be run, and followed.
fn check_game<G: Game>(schema: &Schema) -> Result<(), StartError> {
    schema.validate()?;
    if let Some(taken) = schema.events.iter().find(|event| feeds::tells(&event.name)) {
        return Err(StartError::EventName(taken.name.clone()));
    }
    if G::SCORES.len() > FIELDS_MAX {
        return Err(StartError::Scores(G::SCORES.len()));
    }
    bad_mode(G::MODES).map_or(Ok(()), |bad| Err(StartError::ModeName(bad)))
}

/// A mode's name that nobody could ask for.
fn bad_mode(modes: &[&'static str]) -> Option<&'static str> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let is_name = |mode: &str| (1..=64).contains(&mode.len()) && mode.chars().all(is_part);
    let is_bad = |n: usize| !is_name(modes[n]) || modes[..n].contains(&modes[n]);
    (0..modes.len()).find(|&n| is_bad(n)).map(|n| modes[n])
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).await.map_err(|error| StartError::Listen(addr, error))
}

async fn join(threads: Vec<JoinHandle<()>>, timeout: Duration) -> Ended {
    let all_end = async {
        // To wait in a thread of its own would take one, when there may be none left.
        while !threads.iter().all(JoinHandle::is_finished) {
            tokio::time::sleep(JOIN_INTERVAL).await;
        }
    };
    if tokio::time::timeout(timeout, all_end).await.is_err() {
        tracing::error!("a shard did not end in time");
        return Ended::Failed;
    }
    if threads.into_iter().any(|thread| thread.join().is_err()) {
        tracing::error!("a shard has failed");
        return Ended::Failed;
    }
    tracing::info!("drained");
    Ended::Drained
}

/// How often shards are looked at that are to end.
const JOIN_INTERVAL: Duration = Duration::from_millis(10);

/// Longest that the end may take once all matches have ended: clients have two seconds to answer
/// their close frame.
const END_TIMEOUT: Duration = Duration::from_secs(5);
