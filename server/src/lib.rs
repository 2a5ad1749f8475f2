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
//! [`main`] is the whole program; [`Server`] is a server within another one, such as a test or a
//! client that hosts a match. `README.md` beside this crate is for those who run it, and documents
//! the settings of [`config::Config`] and [`limits::Limits`].
//!
//! The path of a connection: `listener` accepts it and reads its request; [`http`] routes it;
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
mod handover;
mod handshakes;
pub mod http;
mod intake;
mod journal;
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
mod parts;
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
    fs::File,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tickwire_shared::{
    declaration::{DeclarationError, schema_of},
    game::Game,
    wire::schema_hash,
};
use tokio::{
    net::TcpListener,
    runtime::{Handle, RuntimeFlavor},
};

use clock::Clock;
use config::{Config, ConfigError, LogFormat, Task};
use directory::Directory;
use feeds::Feeds;
use front_door::FrontDoor;
use journal::{Journals, Replay};
use matches::MatchSettings;
use matchmaker::Modes;
use shards::Shards;
pub use socket::push_frame;

/// Why the server did not start. Each message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is not valid.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The log filter is not valid.
    #[error("log: {0}")]
    Log(String),
    /// Binding the listen address failed.
    #[error("can't listen on {0}: {1}; choose another with --listen or --health-listen")]
    Listen(SocketAddr, io::Error),
    /// The game can't run.
    #[error("{0}")]
    Game(#[from] DeclarationError),
    /// The tokio runtime has more than one thread.
    #[error(
        "the server needs a tokio runtime of one thread: `#[tokio::main(flavor = \"current_thread\")]`"
    )]
    Runtime,
    /// A system call failed.
    #[error("can't {0}: {1}")]
    System(&'static str, io::Error),
}

/// The whole program: reads the settings of the process, starts the log and the server, and runs
/// until SIGTERM, SIGHUP or Ctrl-C. SIGUSR1 cordons the server, and SIGUSR2 ends that.
#[must_use]
pub fn main<G: Game>() -> ExitCode {
    start::<G>().unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "tickwire-server: {error}");
        ExitCode::from(NOT_STARTED)
    })
}

/// The exit code of a server that did not start.
const NOT_STARTED: u8 = 2;

fn start<G: Game>() -> Result<ExitCode, StartError> {
    let (task, mut config) = Config::from_process()?;
    let is_for_programs = config.log_format == LogFormat::Json;
    let _log = log::start(&config)?;
    let ended = match task {
        Task::Serve => run::<G>(config),
        Task::Replay(journal) => return replay::<G>(&journal),
        Task::Watch(journal, from) => {
            Replay::<G>::prepare(&journal, from, &mut config)?;
            run::<Replay<G>>(config)
        }
    };
    match ended {
        Ok(Ended::Drained) => Ok(ExitCode::SUCCESS),
        Ok(Ended::AtOnce | Ended::Failed) => Ok(ExitCode::FAILURE),
        Err(error) if is_for_programs => {
            tracing::error!("{error}");
            Ok(ExitCode::from(NOT_STARTED))
        }
        Err(error) => Err(error),
    }
}

/// Plays the match of a journal again. It succeeds if the match went the same way.
fn replay<G: Game>(file: &Path) -> Result<ExitCode, StartError> {
    let is_same = journal::verify::<G>(file, io::stdout().lock());
    let is_same = is_same.map_err(|error| ConfigError::of_file("replay", file, &error))?;
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run<G: Game>(mut config: Config) -> Result<Ended, StartError> {
    // One small allocation left in a huge page keeps all of it: 86 MB rather than 22 a minute after
    // an attack. The call fails only on kernels without huge pages.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    process::allow_files(&mut config.limits.connections_max);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StartError::System("wait for sockets", error))?;
    let ended = runtime.block_on(async {
        let no_signals = |error| StartError::System("receive signals", error);
        // Before it takes matches over: a signal would end the process, and them.
        let (once, twice) = (process::signals(1), process::signals(2));
        let (once, twice) = (once.map_err(no_signals)?, twice.map_err(no_signals)?);
        let server = Server::bind::<G>(config).await?;
        // Before the line below: a supervisor that reads it may send signals at once.
        tokio::spawn(process::cordons(Arc::clone(&server.door)).map_err(no_signals)?);
        let scheme = if server.door.tls.is_some() { "https" } else { "http" };
        if let Err(error) = writeln!(io::stdout(), "listening on {scheme}://{}", server.addr()) {
            tracing::warn!(%error, addr = %server.addr(), "can't print the listen address");
        }
        Ok(server.run(once, twice).await)
    });
    // Without waiting for tasks: after a second signal shards may still be running.
    runtime.shutdown_background();
    ended
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Clients were notified, and every shard ended its matches in time.
    Drained,
    /// The server drained, but a shard had failed or did not end in time, or the matches could not be
    /// handed over.
    Failed,
    /// The drain was cut short.
    AtOnce,
}

/// A server that listens, with its shards running. [`main`] runs one with the settings of the
/// process; a test, or a client that hosts a match, runs its own, on a thread of its own:
///
/// ```
/// use std::{error::Error, future::pending};
/// use tickwire_server::{Server, config::Config};
/// # use tickwire_shared::arena::Arena as YourGame;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
///     let server = Server::bind::<YourGame>(config).await?;
///     println!("http://{}", server.addr());
///     let shutdown = async {}; // Until the program wants to end it.
///     server.run(shutdown, pending()).await;
///     Ok::<_, Box<dyn Error>>(())
/// })
/// # ?;
/// # Ok::<_, Box<dyn Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    health: Option<TcpListener>,
    door: Arc<FrontDoor>,
    threads: Vec<JoinHandle<()>>,
    /// Keeps the machine's cores awake, if it is to.
    _awake: Option<File>,
    /// Writes the journals, if there are any.
    journal_writer: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds the port and starts the shards. Must be called within a single-threaded tokio runtime:
    /// with more threads, a connection could reach a shard before the command that opens its match,
    /// and be rejected.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn bind<G: Game>(config: Config) -> Result<Self, StartError> {
        if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
            return Err(StartError::Runtime);
        }
        let config = config.checked()?;
        let schema = schema_of::<G>()?;
        let version = env!("CARGO_PKG_VERSION");
        let schema_hash = schema_hash(&schema);
        tracing::info!(version, game = schema.game, hash = schema_hash, "starting");
        let listener = listen(config.listen).await?;
        let addr_of = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))
        };
        let addr = addr_of(&listener)?;
        let health = match config.health_listen {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        if let Some(listener) = &health {
            tracing::info!(addr = %addr_of(listener)?, "health and metrics port");
        }
        if !config.tickets.has_key() {
            tracing::warn!(
                "no ticket key: anybody who reaches {addr}, also through a proxy, may join"
            );
        }
        let awake = config.keep_awake.then(process::keep_awake).transpose()?;
        let clock = Clock::start();
        let directory = Arc::new(Directory::new(config.shards, config.limits.matches_max));
        let settings = MatchSettings::new(&config);
        let publishes_chat = config.feed_chat.unwrap_or_else(|| !config.tickets.has_key());
        let known = Arc::clone(&directory);
        let (feeds, feed) = Feeds::start(G::schema(), G::SCORES, publishes_chat, known);
        let journals = config.journal_folder.as_deref().map(Journals::start).transpose()?;
        let (journals, journal_writer) = journals.unzip();
        let (mut shards, mut threads) = (Vec::new(), Vec::new());
        for index in 0..config.shards {
            let (rate, directory) = (config.tick_rate, Arc::clone(&directory));
            let journals = journals.clone();
            let (handle, thread) =
                shard::start::<G>(index, clock, rate, settings, directory, &feed, journals)
                    .map_err(|error| StartError::System(THREAD, error))?;
            shards.push(handle);
            threads.push(thread);
        }
        let shards = Shards::new(shards, clock, &schema);
        let door = Arc::new(FrontDoor::new(
            config,
            Modes::of::<G>(),
            schema_hash,
            clock,
            directory,
            shards,
            feeds,
        )?);
        door.take_over()?;
        Ok(Self { listener, addr, health, door, threads, _awake: awake, journal_writer })
    }

    /// The address that the server listens on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the health and metrics port, if there is one.
    #[must_use]
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown` completes, then drains: new sessions are rejected, clients are
    /// notified, and matches may finish within the drain timeout. `at_once` cuts the drain short.
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
        // Serving goes on meanwhile, so that rejected clients get a reason.
        let drain = async {
            shutdown.await;
            let answers = door.drain();
            let is_well = join(self.threads, door.config.drain_timeout + END_TIMEOUT).await;
            let ended = if door.hand_over(answers).await && is_well {
                tracing::info!("drained");
                Ended::Drained
            } else {
                Ended::Failed
            };
            if let Some(writer) = self.journal_writer {
                // What the matches have told it last.
                let written = tokio::time::timeout(END_TIMEOUT, ends(&[writer])).await;
                if written.is_err() {
                    tracing::error!("journals end here: the disk is too slow");
                }
            }
            // Until feed readers have received the end of the last matches.
            tokio::time::sleep(2 * feeds::GATHER_TIME).await;
            ended
        };
        let saving = door.keep_saving();
        let serving = async { tokio::join!(serve, serve_health, door.reload_files(), saving) };
        let ended = tokio::select! {
            _ = serving => unreachable!("serving never ends"),
            never = http::sample(&door) => match never {},
            ended = drain => ended,
            () = at_once => {
                tracing::warn!("ended without draining");
                Ended::AtOnce
            }
        };
        door.release_handover();
        ended
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).await.map_err(|error| StartError::Listen(addr, error))
}

/// Waits for the end of all shards. Returns whether all have ended well.
async fn join(threads: Vec<JoinHandle<()>>, timeout: Duration) -> bool {
    // Those that did not end are found below.
    let _ = tokio::time::timeout(timeout, ends(&threads)).await;
    let ended: Vec<_> = threads.into_iter().map(has_ended_well).collect();
    !ended.contains(&false)
}

/// Waits for the end of threads.
async fn ends(threads: &[JoinHandle<()>]) {
    // Polled: a blocking join needs one more thread, and the system may have none left.
    while !threads.iter().all(JoinHandle::is_finished) {
        tokio::time::sleep(JOIN_INTERVAL).await;
    }
}

fn has_ended_well(thread: JoinHandle<()>) -> bool {
    if !thread.is_finished() {
        tracing::error!("a shard did not end in time");
        return false;
    }
    thread.join().inspect_err(|_| tracing::error!("a shard has failed")).is_ok()
}

/// What starting a shard is, in errors.
const THREAD: &str = "start a thread (see `ulimit -u`, or the container's limit of processes)";

/// How often the shards' threads are polled for their end.
const JOIN_INTERVAL: Duration = Duration::from_millis(10);

/// How long shards may run past the drain timeout: clients have two seconds to answer their close
/// frame.
const END_TIMEOUT: Duration = Duration::from_secs(5);
