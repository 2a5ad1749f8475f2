//! Who is let in, and to which match: the control plane of all shards.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use tickwire_shared::{
    close::CloseReason,
    ids::{MatchId, SessionId},
    time::UnixMillis,
};

use crate::{
    audience::Audience,
    clock::Clock,
    config::{Config, ConfigError},
    directory::{Directory, Entry, JoinRefused},
    feeds::{Feeds, Happening},
    handshakes::HandshakePlace,
    mailbox::{Arrival, Command},
    matches::{Claim, Newcomer, Role},
    matchmaker::{Matchmaker, Wish},
    places::{AddressPlace, ConnectionLimiter, ConnectionPlace, Tally, TurnedAway},
    shards::Shards,
    socket::Handed,
    telemetry::Refusals,
    tickets::{Ticket, TicketRole, Tickets, unix_now},
    tls::Tls,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Admission {
    config: Config,
    matchmaker: Matchmaker,
    audience: Audience,
    clock: Clock,
    limiter: ConnectionLimiter,
    tls: Option<Tls>,
    tickets: Option<Tickets>,
    /// Sessions by ticket subject.
    subjects: Arc<Tally<Arc<str>>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    next_session: AtomicU32,
    draining: AtomicBool,
}

/// What [`Admission::count_refused`] counts.
const REFUSALS: [CloseReason; 10] = [
    CloseReason::WrongSubprotocol,
    CloseReason::Drain,
    CloseReason::NoTicket,
    CloseReason::BadTicket,
    CloseReason::TicketExpired,
    CloseReason::TicketUsed,
    CloseReason::TooManySessions,
    CloseReason::NoMatch,
    CloseReason::MatchFull,
    CloseReason::Overloaded,
];
const UNACCEPTED: &str = "unaccepted";
const UNHEARD: &str = "unheard";
const UNPLACED: &str = "too_many_readers";

/// Somebody who may hand over a connection.
#[derive(Debug)]
pub(crate) struct Admitted {
    entry: Arc<Entry>,
    newcomer: Newcomer,
}

impl Admission {
    /// Reads keys and certificates.
    pub(crate) fn new(
        config: Config,
        modes: &'static [&'static str],
        clock: Clock,
        directory: Arc<Directory>,
        shards: Shards,
        feeds: Arc<Feeds>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            limiter: ConnectionLimiter::new(&config.limits),
            tls: config.tls.as_ref().map(Tls::open).transpose()?,
            tickets: Tickets::open(&config.tickets)?,
            subjects: Tally::new(),
            refusals: Mutex::default(),
            next_session: AtomicU32::new(1),
            draining: AtomicBool::new(false),
            matchmaker: Matchmaker::new(&config, modes, clock, directory, shards),
            config,
            audience: Audience::new(feeds, clock),
            clock,
        })
    }

    /// Takes up renewed certificates and keys, for ever.
    pub(crate) async fn follow_files(&self) {
        let certificate = async {
            if let Some(tls) = &self.tls {
                tls.follow_files().await;
            }
        };
        let key = async {
            if let Some(tickets) = &self.tickets {
                tickets.follow_file(&self.config.tickets).await;
            }
        };
        tokio::join!(certificate, key);
    }

    /// The server's settings.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// What finds and opens matches.
    pub(crate) const fn matchmaker(&self) -> &Matchmaker {
        &self.matchmaker
    }

    /// The matches.
    pub(crate) fn directory(&self) -> &Directory {
        self.matchmaker.directory()
    }

    /// Whether the server is about to end and takes nobody in.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The shards.
    pub(crate) const fn shards(&self) -> &Shards {
        self.matchmaker.shards()
    }

    /// Those who follow what happens.
    pub(crate) const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Certificates, if TLS is spoken.
    pub(crate) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What checks tickets, if they are wanted.
    pub(crate) const fn tickets(&self) -> Option<&Tickets> {
        self.tickets.as_ref()
    }

    /// A place for a connection that was just accepted, and one among those that are yet to send
    /// a request. A proxy's counts for no address yet.
    pub(crate) fn enter(
        &self,
        ip: IpAddr,
    ) -> Result<(ConnectionPlace, HandshakePlace), TurnedAway> {
        let ip = (!self.config.proxies.believes(ip)).then_some(ip);
        self.limiter.enter(ip, self.clock.now()).inspect_err(|reason| self.count(reason.name()))
    }

    /// One of the places of an address for which a proxy speaks, unless that is not limited.
    pub(crate) fn enter_by_proxy(&self, ip: IpAddr) -> Result<Option<AddressPlace>, TurnedAway> {
        self.limiter.place_of(ip, self.clock.now()).inspect_err(|reason| self.count(reason.name()))
    }

    /// Whether an address may send one more request. Operators always may: a backend asks for all
    /// of its players.
    pub(crate) fn allow_request(
        &self,
        ip: IpAddr,
        is_operator: impl FnOnce() -> bool,
    ) -> Result<(), TurnedAway> {
        let heard = self.limiter.allow_request(ip, self.clock.now());
        if heard.is_ok() || is_operator() {
            return Ok(());
        }
        heard.inspect_err(|reason| self.count(reason.name()))
    }

    /// How many connections there is still room for.
    pub(crate) fn places_free(&self) -> usize {
        self.limiter.places_free()
    }

    /// Counts somebody who was refused after the handshake, before a shard saw them.
    pub(crate) fn count_refused(&self, reason: CloseReason) {
        debug_assert!(REFUSALS.contains(&reason), "{reason} is to be among REFUSALS");
        self.count(reason.name());
    }

    /// Counts a try to accept that failed, most likely for want of files.
    pub(crate) fn count_unaccepted(&self) {
        self.count(UNACCEPTED);
    }

    fn count(&self, reason: &'static str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(reason).or_default() += 1;
    }

    /// How many the front door has refused, by reason; 0 of most.
    pub(crate) fn refusals(&self) -> Refusals {
        let away = TurnedAway::ALL.map(TurnedAway::name);
        let known = away.into_iter().chain([UNACCEPTED]).chain(REFUSALS.map(CloseReason::name));
        let mut all: BTreeMap<_, _> = known.map(|reason| (reason, 0)).collect();
        all.extend(&*self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        all.insert(UNHEARD, self.limiter.handshakes_evicted());
        all.insert(UNPLACED, self.audience.turned_away());
        Refusals(all)
    }

    /// Lets somebody in, with a seat held for a player.
    pub(crate) fn admit(
        &self,
        wish: Wish,
        role: Role,
        token: Option<&str>,
    ) -> Result<Admitted, CloseReason> {
        // Whose connection was lost is not new, as long as the round goes on.
        let goes_on = || matches!(wish, Wish::Match(id) if self.directory().find(id).is_some());
        if self.is_draining() && !(role == Role::Resumer && goes_on()) {
            return Err(CloseReason::Drain);
        }
        let now = unix_now();
        // Who resumes shows the session's own token in the hello.
        let ticket = match &self.tickets {
            Some(tickets) if role != Role::Resumer => {
                let ticket = tickets.check(token.ok_or(CloseReason::NoTicket)?, now)?;
                may_use(&ticket, wish, role)?;
                Some((tickets, ticket))
            }
            Some(_) | None => None,
        };
        let wish = match ticket.as_ref().and_then(|(_, ticket)| ticket.match_id) {
            Some(id) => Wish::Match(id),
            None => wish,
        };
        let mut claim = Claim::default();
        let entry = match role {
            Role::Player => {
                let reservation = self.matchmaker.reserve(wish).map_err(close_reason)?;
                let entry = Arc::clone(reservation.entry());
                claim.seat = Some(reservation);
                entry
            }
            Role::Spectator => self.matchmaker.find_or_open(wish).map_err(close_reason)?,
            // Has no ticket, and no session in a match that is not there yet.
            Role::Resumer => self.matchmaker.find(wish).map_err(close_reason)?,
        };
        if let Some((tickets, ticket)) = ticket {
            let max = self.config.limits.sessions_per_subject_max;
            let place = self.subjects.take(&ticket.subject, max);
            claim.subject = Some(place.ok_or(CloseReason::TooManySessions)?);
            // Last, so that who finds no seat may try again with the same ticket.
            if ticket.role != TicketRole::Operator {
                tickets.redeem(&ticket, now)?;
            }
            claim.name = ticket.name;
        }
        let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
        Ok(Admitted { entry, newcomer: Newcomer { id, role, claim } })
    }

    /// Hands a connection to the shard that runs its match. It comes back, with what the client is
    /// to be told, when the shard does not keep up or has ended.
    pub(crate) fn hand_over(
        &self,
        admitted: Admitted,
        handed: Handed,
        leftover: Vec<u8>,
    ) -> Result<(), (Handed, CloseReason)> {
        let Admitted { entry, newcomer } = admitted;
        let arrival = Arrival { match_id: entry.id, newcomer, handed, leftover };
        let sent = self.shards().send(entry.shard, Command::Connect(Box::new(arrival)));
        let Err(Command::Connect(arrival)) = sent else { return Ok(()) };
        if self.is_draining() {
            return Err((arrival.handed, CloseReason::Drain));
        }
        let shard = entry.shard;
        tracing::warn!(shard, "a shard does not keep up or has failed; connection refused");
        Err((arrival.handed, CloseReason::Overloaded))
    }

    /// The date, as this machine has it.
    pub(crate) fn date(&self) -> UnixMillis {
        self.clock.date()
    }

    /// Has players and spectators of one match, or of all, told something. Says how many shards
    /// could not be told.
    pub(crate) fn notice(&self, only: Option<MatchId>, text: &str) -> Result<usize, JoinRefused> {
        let entry = only.map(|id| self.matchmaker.find(Wish::Match(id))).transpose()?;
        let text = Arc::<str>::from(text);
        self.audience.tell(only, Happening::Notice(Arc::clone(&text)));
        let shard = entry.map(|entry| entry.shard);
        Ok(self.shards().tell(shard, || Command::Notice(only, Arc::clone(&text))))
    }

    /// Takes nobody in any more, and has all shards end when their matches may, or after the drain
    /// timeout.
    pub(crate) fn drain(&self) {
        let deadline = self.clock.now().plus(self.config.drain_timeout.into());
        self.draining.store(true, Ordering::Release);
        self.shards().tell(None, || Command::Drain { deadline });
    }
}

#[cfg(test)]
impl Admission {
    /// With one match, whose shard has failed.
    pub(crate) fn with_failed_shard() -> (Arc<Self>, Arc<Entry>) {
        let (directory, clock) = (Arc::new(Directory::new(1, 1)), Clock::start());
        let entry = directory.add("", 1, |_| true).expect("there is room for one");
        let known = Arc::clone(&directory);
        let schema = tickwire_shared::schema::Schema::default();
        let (handle, _, _) = crate::mailbox::ShardHandle::new();
        let shards = Shards::new(vec![handle], clock, &schema);
        let (feeds, _) = Feeds::start(schema, &[], true, clock, known);
        let new = Self::new(Config::default(), &[], clock, directory, shards, feeds);
        (Arc::new(new.expect("the defaults are valid")), entry)
    }
}

/// Whether a ticket is one for this.
fn may_use(ticket: &Ticket, wish: Wish, role: Role) -> Result<(), CloseReason> {
    let is_for_role = match ticket.role {
        TicketRole::Player => true,
        TicketRole::Spectator | TicketRole::Operator => role == Role::Spectator,
    };
    let is_for_match = match (ticket.match_id, wish) {
        (Some(only), Wish::Match(wished)) => only == wished,
        (Some(_), Wish::Any(_)) | (None, _) => true,
    };
    if is_for_role && is_for_match {
        return Ok(());
    }
    let error = if is_for_role { "it is for another match" } else { "it is for another role" };
    tracing::debug!(error, "a ticket is not valid");
    Err(CloseReason::BadTicket)
}

const fn close_reason(refused: JoinRefused) -> CloseReason {
    match refused {
        JoinRefused::NoMatch => CloseReason::NoMatch,
        // A moment later there may be one more.
        JoinRefused::Overloaded | JoinRefused::Stuck | JoinRefused::TooManyMatches => {
            CloseReason::Overloaded
        }
        JoinRefused::MatchFull => CloseReason::MatchFull,
    }
}
