//! The control plane of all shards, shared by the listener and the routes: settings, admission,
//! limits, matchmaking, and the shards' mailboxes.

mod admission;
mod handover;

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use tickwire_shared::{close::CloseReason, ids::MatchId, time::Micros};
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    config::{Config, ConfigError},
    directory::{Directory, JoinRefused},
    feeds::{FeedEvent, Feeds},
    followers::Followers,
    handover::{HandoverFile, MatchState},
    handshakes::HandshakePlace,
    locks::lock,
    mailbox::Command,
    matchmaker::{MatchSelector, Matchmaker, Modes},
    places::{AddressPlace, ConnectionLimiter, ConnectionPlace, Rejection, Tally},
    shards::Shards,
    tickets::{Tickets, unix_now},
    tls::Tls,
};
pub(crate) use admission::Admitted;

/// See the module.
#[derive(Debug)]
pub(crate) struct FrontDoor {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) matchmaker: Matchmaker,
    pub(crate) followers: Followers,
    /// Certificates, if TLS is enabled.
    pub(crate) tls: Option<Tls>,
    /// Checks tickets, if the server has a key.
    pub(crate) tickets: Option<Tickets>,
    clock: Clock,
    limiter: ConnectionLimiter,
    /// Sessions by ticket subject.
    subjects: Arc<Tally<Arc<str>>>,
    /// What an earlier server has left, and this one leaves.
    handover: Option<HandoverFile>,
    /// The matches of each shard as they were last saved, or taken over.
    saved: Mutex<Vec<Vec<MatchState>>>,
    /// How many matches of an earlier server could not be given to a shard.
    unrestored: AtomicU64,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// When the log last had a line about each of these.
    logged: Mutex<BTreeMap<&'static str, Micros>>,
    /// When the server started, in seconds since 1970.
    pub(crate) started_at: u64,
    /// Whether the certificate, and the ticket key, could not be reloaded when their files changed.
    is_certificate_stale: AtomicBool,
    is_key_stale: AtomicBool,
    /// Whether the matches could not be saved when this was last tried.
    is_save_failing: AtomicBool,
    next_session: AtomicU32,
    draining: AtomicBool,
    cordoned: AtomicBool,
}

/// The reasons that [`FrontDoor::count_refused`] counts.
const REFUSALS: [CloseReason; 11] = [
    CloseReason::WrongSubprotocol,
    CloseReason::Drain,
    CloseReason::NoTicket,
    CloseReason::BadTicket,
    CloseReason::TicketExpired,
    CloseReason::TicketUsed,
    CloseReason::TooManySessions,
    CloseReason::NoMatch,
    CloseReason::MatchOver,
    CloseReason::MatchFull,
    CloseReason::Overloaded,
];
/// Further reasons, which no client is told.
const OWN_REASONS: [&str; 3] = [UNACCEPTED, MALFORMED, NO_TLS];
const UNACCEPTED: &str = "unaccepted";
const MALFORMED: &str = "malformed_request";
const NO_TLS: &str = "tls_failed";
const UNHEARD: &str = "unheard";
const UNPLACED: &str = "too_many_readers";
/// Least time between two log lines about failed accepts.
const UNACCEPTED_LOG_INTERVAL: Micros = Micros::from_secs(1);
/// Least time between two log lines about refusals for the same reason.
const REFUSAL_LOG_INTERVAL: Micros = Micros::from_secs(60);
/// Least time between two log lines about proxies that are not listed.
const PROXY_LOG_INTERVAL: Micros = Micros::from_secs(3_600);

impl FrontDoor {
    /// Reads keys and certificates, and locks the handover's file.
    pub(crate) fn new(
        config: Config,
        modes: Modes,
        schema_hash: u32,
        clock: Clock,
        directory: Arc<Directory>,
        shards: Shards,
        feeds: Arc<Feeds>,
    ) -> Result<Self, ConfigError> {
        let (shards, file) = (Arc::new(shards), config.handover_file.as_deref());
        let (known, given) = (Arc::clone(&directory), Arc::clone(&shards));
        Ok(Self {
            limiter: ConnectionLimiter::new(&config.limits),
            tls: config.tls.as_ref().map(Tls::open).transpose()?,
            tickets: Tickets::open(&config.tickets)?,
            subjects: Tally::new(),
            refusals: Mutex::default(),
            logged: Mutex::default(),
            started_at: unix_now(),
            handover: file.map(|file| HandoverFile::open(file, schema_hash)).transpose()?,
            saved: Mutex::default(),
            unrestored: AtomicU64::new(0),
            is_certificate_stale: AtomicBool::new(false),
            is_key_stale: AtomicBool::new(false),
            is_save_failing: AtomicBool::new(false),
            next_session: AtomicU32::new(1),
            draining: AtomicBool::new(false),
            cordoned: AtomicBool::new(false),
            matchmaker: Matchmaker::new(&config, modes, clock, known, given),
            config,
            directory,
            shards,
            followers: Followers::new(feeds, clock),
            clock,
        })
    }

    /// Reloads certificates and keys whenever their files change. Never returns.
    pub(crate) async fn reload_files(&self) {
        let certificate = async {
            if let Some(tls) = &self.tls {
                tls.reload_files(&self.is_certificate_stale).await;
            }
        };
        let key = async {
            if let Some(tickets) = &self.tickets {
                tickets.reload_file(&self.config.tickets, &self.is_key_stale).await;
            }
        };
        tokio::join!(certificate, key);
    }

    /// Of certificate and ticket key, how many are older than their files, which can't be loaded.
    pub(crate) fn reloads_failing(&self) -> usize {
        let each = [&self.is_certificate_stale, &self.is_key_stale];
        each.into_iter().filter(|is_stale| is_stale.load(Ordering::Relaxed)).count()
    }

    /// Whether the matches could not be saved when this was last tried.
    pub(crate) fn is_save_failing(&self) -> bool {
        self.is_save_failing.load(Ordering::Relaxed)
    }

    /// How many matches of an earlier server could not be given to a shard.
    pub(crate) fn unrestored(&self) -> u64 {
        self.unrestored.load(Ordering::Relaxed)
    }

    /// Whether the server drains, and so rejects new sessions.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether an operator wants no more players sent here. All else goes on.
    pub(crate) fn is_cordoned(&self) -> bool {
        self.cordoned.load(Ordering::Acquire)
    }

    /// Cordons the server, or ends that.
    pub(crate) fn cordon(&self, cordoned: bool) {
        self.cordoned.store(cordoned, Ordering::Release);
        tracing::info!(cordoned, "cordon");
    }

    /// Takes a place for a connection that was just accepted, and one among the connections without
    /// a request yet. A trusted proxy's connection counts for no address until a request names one.
    pub(crate) fn enter(&self, ip: IpAddr) -> Result<(ConnectionPlace, HandshakePlace), Rejection> {
        let limited = (!self.config.proxies.believes(ip)).then_some(ip);
        self.limiter.enter(limited, self.clock.now()).inspect_err(|reason| self.reject(*reason, ip))
    }

    /// Takes a place of a client address that a proxy has named. `None`: the address is not
    /// limited.
    pub(crate) fn enter_by_proxy(&self, ip: IpAddr) -> Result<Option<AddressPlace>, Rejection> {
        self.limiter.place_of(ip, self.clock.now()).inspect_err(|reason| self.reject(*reason, ip))
    }

    /// Takes a place of a client address that a proxy has named, for a request whose body is still
    /// to come. `None`: the address is not limited.
    pub(crate) fn await_body(&self, ip: IpAddr) -> Result<Option<AddressPlace>, Rejection> {
        self.limiter.place_of_body(ip).inspect_err(|reason| self.reject(*reason, ip))
    }

    /// Whether most connections are taken.
    pub(crate) fn is_crowded(&self) -> bool {
        self.places_free() < self.config.limits.connections_max.div_ceil(2)
    }

    /// Whether an address may send another request. Operators are not limited: a backend sends the
    /// requests of all its players.
    pub(crate) fn allow_request(
        &self,
        ip: IpAddr,
        is_operator: impl FnOnce() -> bool,
    ) -> Result<(), Rejection> {
        let allowed = self.limiter.allow_request(ip, self.clock.now());
        if allowed.is_ok() || is_operator() {
            return Ok(());
        }
        allowed.inspect_err(|reason| self.reject(*reason, ip))
    }

    /// Counts a rejection, and logs one in a while: who is rejected tells an attack from a limit
    /// that is too low, and from a proxy that is not listed.
    fn reject(&self, reason: Rejection, ip: IpAddr) {
        self.count(reason.name());
        if self.may_log(reason.name(), REFUSAL_LOG_INTERVAL) {
            let (address, reason) = (ip.to_canonical(), reason.name());
            tracing::warn!(reason, %address, "a client is refused; more are only counted for a minute");
        }
    }

    /// Logs once in a while that a peer passes on clients' requests, but is no trusted proxy.
    pub(crate) fn note_unlisted_proxy(&self, ip: IpAddr) {
        if self.may_log("proxy", PROXY_LOG_INTERVAL) {
            let address = ip.to_canonical();
            tracing::warn!(
                %address,
                "a peer sends X-Forwarded-For, but is no trusted proxy: limits by address do not \
                 tell its clients apart; if it is your proxy, list it with --proxy"
            );
        }
    }

    /// Whether the log may have another line about this.
    fn may_log(&self, what: &'static str, interval: Micros) -> bool {
        let (now, mut logged) = (self.clock.now(), lock(&self.logged));
        let is_due = logged.get(what).is_none_or(|at| now.since(*at) >= interval);
        if is_due {
            logged.insert(what, now);
        }
        is_due
    }

    /// How many more connections the server can accept.
    pub(crate) fn places_free(&self) -> usize {
        self.limiter.places_free()
    }

    /// Counts a connection that was refused after its handshake, before it reached a shard.
    pub(crate) fn count_refused(&self, reason: CloseReason) {
        debug_assert!(REFUSALS.contains(&reason), "{reason} is missing from REFUSALS");
        self.count(reason.name());
    }

    /// Counts a failed accept: most likely the process is out of file descriptors.
    pub(crate) fn count_unaccepted(&self, error: &io::Error) {
        self.count(UNACCEPTED);
        if self.may_log(UNACCEPTED, UNACCEPTED_LOG_INTERVAL) {
            tracing::warn!(%error, "can't accept connections");
        }
    }

    /// Counts a connection whose request is not HTTP/1.1, or has too long a head.
    pub(crate) fn count_malformed(&self) {
        self.count(MALFORMED);
    }

    /// Counts a TLS handshake that failed or took too long.
    pub(crate) fn count_failed_handshake(&self) {
        self.count(NO_TLS);
    }

    fn count(&self, reason: &'static str) {
        let mut refusals = lock(&self.refusals);
        *refusals.entry(reason).or_default() += 1;
    }

    /// Refusals of the front door by reason, reasons with a count of 0 included.
    pub(crate) fn refusals(&self) -> BTreeMap<&'static str, u64> {
        let away = Rejection::ALL.map(Rejection::name);
        let known = away.into_iter().chain(OWN_REASONS).chain(REFUSALS.map(CloseReason::name));
        let mut all: BTreeMap<_, _> = known.map(|reason| (reason, 0)).collect();
        all.extend(&*lock(&self.refusals));
        all.insert(UNHEARD, self.limiter.handshakes_evicted());
        all.insert(UNPLACED, self.followers.rejected());
        all
    }

    /// Sends an operator's notice to one match, or to all. Returns whether all of these get it now.
    pub(crate) fn notice(&self, only: Option<MatchId>, text: &str) -> Result<bool, JoinRefused> {
        let entry = only.map(|id| self.matchmaker.find(MatchSelector::Match(id))).transpose()?;
        let text = Arc::<str>::from(text);
        self.followers.publish(only, FeedEvent::Notice(Arc::clone(&text)));
        let shard = entry.map(|entry| entry.shard);
        let rejected = self.shards.broadcast(shard, || Command::Notice(only, Arc::clone(&text)));
        // A match of a stuck shard is not found above.
        Ok(rejected == 0 && (only.is_some() || !self.shards.is_any_stuck()))
    }

    /// Starts the drain: rejects new sessions, and tells all shards to hand their matches over, or,
    /// if there is no file for that, to end each when it may end, or by the drain timeout. Returns
    /// where each shard answers with what it hands over.
    pub(crate) fn drain(&self) -> Vec<oneshot::Receiver<Vec<MatchState>>> {
        let matches = self.directory.list();
        let players = matches.iter().map(|entry| u32::from(entry.taken())).sum::<u32>();
        let (matches, timeout) = (matches.len(), self.config.drain_timeout);
        self.draining.store(true, Ordering::Release);
        if self.handover.is_some() {
            tracing::info!(matches, players, "handing over");
            return self.shards.hand_over();
        }
        tracing::info!(matches, players, timeout_s = timeout.as_secs(), "draining");
        let deadline = self.clock.now().plus(timeout.into());
        self.shards.broadcast(None, || Command::Drain { deadline });
        Vec::new()
    }
}

#[cfg(test)]
impl FrontDoor {
    /// A front door with one match, whose shard has failed.
    pub(crate) fn with_failed_shard() -> (Arc<Self>, Arc<crate::directory::Entry>) {
        use crate::directory::Access;
        use tickwire_shared::game::MatchOptions;

        let (directory, clock) = (Arc::new(Directory::new(1, 1)), Clock::start());
        let tick_rate = Config::default().tick_rate;
        let options = MatchOptions { seed: 0, seats: 1, npcs: 0, tick_rate, mode: "" };
        let entry = directory.add(&options, Access::Public, |_| true);
        let entry = entry.expect("there is room for one");
        let known = Arc::clone(&directory);
        let schema = tickwire_shared::schema::Schema::default();
        let (handle, _, _) = crate::mailbox::ShardHandle::new();
        let shards = Shards::new(vec![handle], clock, &schema);
        let (feeds, _) = Feeds::start(schema, &[], true, known);
        let modes = Modes::of::<tickwire_shared::arena::Arena>();
        let new = Self::new(Config::default(), modes, 0, clock, directory, shards, feeds);
        (Arc::new(new.expect("the defaults are valid")), entry)
    }
}
