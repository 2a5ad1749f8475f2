//! All bots on one thread: they join during the ramp, warm up, are measured over the window, and
//! leave.
//!
//! One task per bot owns its reading end; one task writes for all, on the [`Schedule`].

mod life;

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use tickwire_shared::{
    close::CloseReason,
    testing::Profile,
    time::{Micros, TickRate},
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::Notify,
    task::{JoinHandle, spawn_local},
    time::{Instant, interval, sleep, timeout_at},
};

use crate::{
    attack,
    bot::BrainMaker,
    brain::{Brain, Newcomer},
    clock::{Alarm, now},
    connection::ConnectError,
    dial::{Dialer, Fingerprint},
    measure::Measures,
    process::{Process, allow_sockets},
    progress::{Line, ProgressLine, erase},
    report::{Attendance, Costs, Report},
    scenario::Scenario,
    schedule::Schedule,
    target::Target,
};
use life::{Place, Trouble};

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// The server's certificate, for a `wss://` URL.
    pub certificate: Option<Fingerprint>,
    /// An operator's token, with which bots request tickets.
    pub operator_token: Option<String>,
    /// How many bots; at least one.
    pub bots: usize,
    /// The measured window.
    pub duration: Duration,
    /// Time from the last join to the window.
    pub warm_up: Duration,
    /// The time over which bots join.
    pub ramp: Duration,
    /// Seed of all the bots' decisions.
    pub seed: u64,
    /// How bots behave.
    pub scenario: Scenario,
    /// The simulated network between each bot and the server, if any.
    pub net: Option<Profile>,
    /// The server's process, to report its CPU time and memory.
    pub server_pid: Option<u32>,
    /// What is shown during the run.
    pub progress: Progress,
}

/// What is shown during a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Nothing.
    Silent,
    /// A line on stderr.
    Line,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::default(),
            certificate: None,
            operator_token: None,
            bots: 16,
            duration: Duration::from_secs(10),
            warm_up: Duration::from_secs(2),
            ramp: Duration::from_secs(1),
            seed: 1,
            scenario: Scenario::Steady,
            net: None,
            server_pid: None,
            progress: Progress::Silent,
        }
    }
}

/// Why a run gave no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing answers at the address.
    #[error(
        "no server at {target} ({source}); start one with `cargo run --release`, \
         or give its URL with --url"
    )]
    NoServer {
        /// The server's URL.
        target: Target,
        /// The system's error.
        source: io::Error,
    },
    /// The URL is `wss://`, but there is no fingerprint of the server's certificate.
    #[error("wss:// needs --tls-sha256: the certificate's SHA-256, which the server logs at start")]
    NoCertificate,
    /// The server requires tickets, and there is no operator's token to request them with.
    #[error("the server requires tickets: give it an operator's token by --operator-token-file")]
    NoOperatorToken,
    /// The first bot could not join, so there is nothing to measure.
    #[error("the first bot could not join: {0}")]
    FirstBot(String),
    /// The process to measure can't be read.
    #[error("cannot read CPU time and memory of process {pid}: {source}")]
    Process {
        /// Its id.
        pid: u32,
        /// The system's error.
        source: io::Error,
    },
    /// This process can't run a swarm.
    #[error("cannot run a swarm: {0}")]
    System(#[from] io::Error),
}

/// Runs a swarm from the first join to the last leave. It blocks the calling thread; `make_brain`
/// is called for each bot when the server has welcomed it.
pub fn run(
    options: &Options,
    make_brain: impl Fn(&Newcomer<'_>) -> Box<dyn Brain> + 'static,
) -> Result<Report, RunError> {
    let no_server = |source| RunError::NoServer { target: options.target.clone(), source };
    let address = options.target.resolve().map_err(no_server)?;
    let certificate = options.certificate.filter(|_| options.target.is_secure());
    if options.target.is_secure() && certificate.is_none() {
        return Err(RunError::NoCertificate);
    }
    let Options { target, net, seed, .. } = options;
    let dialer = Dialer::new(target, address, certificate, *net, *seed)?;
    // What can't be measured is reported before anything is done.
    server_cost(options)?;
    if matches!(options.scenario, Scenario::Hostile | Scenario::SlowReader) {
        return Ok(Report::of_attack(options, &attack::run(options, dialer)?));
    }
    allow_sockets(options.bots)?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let swarm = Rc::new(Swarm::new(options.clone(), dialer, Box::new(make_brain)));
    runtime.block_on(swarm.run())
}

/// CPU time and memory of the server's process, if it is to be measured.
fn server_cost(options: &Options) -> Result<Option<(Duration, u64)>, RunError> {
    let Some(pid) = options.server_pid else { return Ok(None) };
    let process = Process::with_id(pid);
    let cost = || Ok((process.cpu_time()?, process.rss_bytes()?));
    cost().map(Some).map_err(|source| RunError::Process { pid, source })
}

/// How long a bot may take to be welcomed.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last inputs of the window may wait for their snapshots.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the server may take to answer a close frame.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

struct Swarm {
    options: Options,
    dialer: Dialer,
    make_brain: Box<BrainMaker>,
    places: Vec<RefCell<Place>>,
    measures: RefCell<Measures>,
    phase: Cell<Phase>,
    /// The server's tick rate, from the first welcome.
    rate: Cell<Option<TickRate>>,
    /// Bots that were welcomed, including those that were lost since.
    joined: Cell<usize>,
    /// Bots that ended without a welcome.
    rejected: Cell<usize>,
    lost: Cell<usize>,
    first_trouble: RefCell<Option<Trouble>>,
    /// Notified when the scenario cuts all connections.
    cut: Notify,
    /// Until when some bots do not read.
    stalled_until: Cell<Option<Instant>>,
    /// How often bots came back, and the longest time that one was away.
    resumed: Cell<usize>,
    away_max: Cell<Micros>,
    /// Time within the window that the scenario kept bots away, summed over all bots.
    excused: Cell<Micros>,
    /// One of the numbers above has changed.
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Joining,
    WarmUp,
    Window,
    Leaving,
}

impl Swarm {
    fn new(mut options: Options, dialer: Dialer, make_brain: Box<BrainMaker>) -> Self {
        options.ramp = options.scenario.ramp(options.ramp);
        Self {
            places: (0..options.bots).map(|_| RefCell::new(Place::Coming)).collect(),
            options,
            dialer,
            make_brain,
            measures: RefCell::new(Measures::new()),
            phase: Cell::new(Phase::Joining),
            rate: Cell::new(None),
            joined: Cell::new(0),
            rejected: Cell::new(0),
            lost: Cell::new(0),
            first_trouble: RefCell::new(None),
            cut: Notify::new(),
            stalled_until: Cell::new(None),
            resumed: Cell::new(0),
            away_max: Cell::default(),
            excused: Cell::default(),
            changed: Notify::new(),
        }
    }

    async fn run(self: Rc<Self>) -> Result<Report, RunError> {
        if self.options.progress == Progress::Line {
            spawn_local(Rc::clone(&self).show_progress());
        }
        let mut tasks = vec![spawn_local(Rc::clone(&self).live(0))];
        let rate = self.first_welcome().await?;
        let schedule = Schedule::new(now(), rate, self.options.bots);
        let writer = spawn_local(Rc::clone(&self).write_on(schedule, Alarm::new()?));
        tasks.extend((1..self.options.bots).map(|bot| spawn_local(Rc::clone(&self).live(bot))));
        self.everyone_joins().await;
        self.phase.set(Phase::WarmUp);
        sleep(self.options.warm_up).await;
        let costs = self.measure().await?;
        self.last_answers().await;
        writer.abort();
        self.leave(tasks).await;
        if self.options.progress == Progress::Line {
            erase();
        }
        Ok(self.report(rate, &costs))
    }

    /// The tick rate, once the first bot is welcome. Nothing can be scheduled without it.
    async fn first_welcome(&self) -> Result<TickRate, RunError> {
        self.wait_until(JOIN_TIMEOUT, || self.joined.get() + self.rejected.get() > 0).await;
        if let Some(rate) = self.rate.get() {
            return Ok(rate);
        }
        Err(match self.first_trouble.take() {
            Some(Trouble::Connect(ConnectError::Network(source))) => {
                RunError::NoServer { target: self.options.target.clone(), source }
            }
            Some(trouble) if trouble.code() == Some(CloseReason::NoTicket.code()) => {
                RunError::NoOperatorToken
            }
            Some(trouble) => RunError::FirstBot(trouble.to_string()),
            None => RunError::FirstBot(Trouble::NoWelcome.to_string()),
        })
    }

    async fn everyone_joins(&self) {
        let all = || self.joined.get() + self.rejected.get() == self.options.bots;
        self.wait_until(self.options.ramp + JOIN_TIMEOUT, all).await;
        for bot in 0..self.options.bots {
            if !self.places[bot].borrow().has_joined() {
                self.gone(bot, Trouble::NoWelcome);
            }
        }
    }

    async fn wait_until(&self, timeout: Duration, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + timeout;
        while !is_so() && timeout_at(deadline, self.changed.notified()).await.is_ok() {}
    }

    /// Runs the measured window.
    async fn measure(&self) -> Result<Costs, RunError> {
        let own = Process::this();
        let (own_before, server_before) = (own.cpu_time()?, server_cost(&self.options)?);
        let start = now();
        self.measures.borrow_mut().open(start);
        self.phase.set(Phase::Window);
        let half = self.options.duration / 2;
        if self.options.scenario == Scenario::Reconnect {
            sleep(half).await;
            self.cut.notify_waiters();
        } else if self.options.scenario == Scenario::Stall {
            sleep(half / 2).await;
            self.stalled_until.set(Some(Instant::now() + half));
        }
        sleep(self.options.duration.saturating_sub(now().since(start).into())).await;
        let end = now();
        self.measures.borrow_mut().close(end);
        // If the server is gone, all bots are lost, which the report shows.
        let server = server_cost(&self.options).unwrap_or(None);
        Ok(Costs {
            window: end.since(start).into(),
            bot_cpu: own.cpu_time()? - own_before,
            server_cpu: server.zip(server_before).map(|(after, before)| after.0 - before.0),
            server_rss_bytes: server.map(|(_, rss_bytes)| rss_bytes),
        })
    }

    /// Plays on until the window's inputs are answered and no bot is missing, or until a timeout.
    async fn last_answers(&self) {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while Instant::now() < deadline && self.awaits_answers() {
            sleep(Duration::from_millis(10)).await;
        }
        for (number, place) in self.places.iter().enumerate() {
            if let Place::Here { bot, .. } = &mut *place.borrow_mut() {
                bot.give_up(now(), &mut self.measures.borrow_mut());
            }
            if place.borrow().is_missing() {
                self.gone(number, Trouble::Away);
            }
        }
    }

    fn awaits_answers(&self) -> bool {
        let measures = self.measures.borrow();
        let is_awaited = |place: &Place| place.awaits_answer(&measures) || place.is_missing();
        self.places.iter().any(|place| is_awaited(&place.borrow()))
    }

    async fn leave(&self, tasks: Vec<JoinHandle<()>>) {
        self.phase.set(Phase::Leaving);
        for place in &self.places {
            place.borrow_mut().leave(now());
        }
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        for task in tasks {
            // A timeout or a failure makes no difference now: the bot has left.
            let _ = timeout_at(deadline, task).await;
        }
    }

    fn report(&self, rate: TickRate, costs: &Costs) -> Report {
        let now = now();
        let measures = self.measures.borrow();
        let played = self.places.iter().map(|place| {
            let (from, to) = place.borrow().attendance(now);
            measures.overlap(from, to).0
        });
        let attendance = Attendance {
            joined: self.joined.get(),
            lost: self.lost.get(),
            played: Duration::from_micros(played.sum::<u64>().saturating_sub(self.excused.get().0)),
            back: (self.options.scenario == Scenario::Reconnect || self.resumed.get() > 0)
                .then(|| (self.resumed.get(), self.away_max.get())),
            first_trouble: self.first_trouble.borrow().as_ref().map(ToString::to_string),
        };
        Report::new(&self.options, rate, &measures, &attendance, costs)
    }

    async fn show_progress(self: Rc<Self>) {
        let mut line = ProgressLine::new();
        let mut second = interval(Duration::from_secs(1));
        second.tick().await;
        while self.phase.get() != Phase::Leaving {
            second.tick().await;
            let phase = match self.phase.get() {
                Phase::Joining => "joining",
                Phase::WarmUp => "warming up",
                Phase::Window => "measuring",
                Phase::Leaving => "leaving",
            };
            let (joined, lost) = (self.joined.get(), self.lost.get());
            let seen = Line { phase, joined, bots: self.options.bots, lost };
            line.show(&seen, &self.measures.borrow());
        }
    }
}

#[cfg(test)]
mod tests;
