//! Between the front door and a shard: commands in one direction, the shard's status in the other.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use tickwire_shared::{
    game::MatchOptions,
    ids::{MatchId, Seat},
    time::Micros,
};
use tokio::sync::oneshot;

use crate::{
    directory::Entry,
    handover::{MatchState, Trial},
    matches::{Claim, Newcomer, Recording, SavedMatch},
    socket::Upgraded,
    telemetry::Stats,
};

/// Commands that may wait for a shard. More are rejected: the shard does not keep up.
const MAILBOX_MAX: usize = 4096;

/// What the front door asks of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run a new match.
    Open(Arc<Entry>, MatchOptions),
    /// Run the matches of an earlier server on; those of all shards one at a time, while there is a
    /// trial.
    Restore(Vec<Restored>, Weak<Trial>),
    /// Take over a connection whose WebSocket handshake is done.
    Connect(Box<Arrival>),
    /// Send an operator's notice to the clients of one match, or of all.
    Notice(Option<MatchId>, Arc<str>),
    /// Return the recorded phases of ticks.
    Trace(Recorded, oneshot::Sender<Vec<Recording>>),
    /// Return the counters.
    Report(oneshot::Sender<Stats>),
    /// Reject new sessions, end each match when it may end or by the deadline, then end the thread.
    Drain { deadline: Micros },
    /// End sessions, and return how many there were.
    Remove(Removal, oneshot::Sender<usize>),
    /// Pass a signal to a match's game, and return whether the match was there.
    Signal(MatchId, Box<[i32]>, oneshot::Sender<bool>),
    /// Return the states of the matches as they were last saved.
    Save(oneshot::Sender<Vec<MatchState>>),
    /// Reject new sessions, return the states of the matches, to be restored by the next server, and
    /// end the thread.
    HandOver(oneshot::Sender<Vec<MatchState>>),
}

/// Whom an operator removes.
#[derive(Clone, Debug)]
pub(crate) enum Removal {
    /// The player in a seat of a match.
    Seat(MatchId, Seat),
    /// Everybody whose ticket has this subject.
    Subject(Arc<str>),
}

/// A match of an earlier server.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) saved: SavedMatch,
    pub(crate) entry: Arc<Entry>,
    /// What its sessions have reserved, in their order.
    pub(crate) claims: Vec<Claim>,
}

/// Which recording of a shard is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recorded {
    /// The last ticks of one match.
    Match(MatchId),
    /// The second before the last overrun, in all matches: another match may have caused it.
    Overrun,
}

/// A connection on its way to its match.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) match_id: MatchId,
    pub(crate) newcomer: Newcomer,
    pub(crate) upgraded: Upgraded,
    /// Bytes that the client sent right after its handshake request.
    pub(crate) leftover: Vec<u8>,
}

/// The front door's end of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    status: Arc<ShardStatus>,
    mailbox: SyncSender<Command>,
}

/// What a shard publishes of its state.
#[derive(Debug, Default)]
pub(crate) struct ShardStatus {
    is_overloaded: AtomicBool,
    /// When it began its current piece of work; 0 while it sleeps.
    busy_since: AtomicU64,
    has_drained: AtomicBool,
}

/// Whether a shard can take more work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Availability {
    /// It takes matches and connections.
    Available,
    /// It takes connections, but no further match: it is on the last step of the overload ladder.
    Overloaded,
    /// It takes nothing: its current piece of work does not return.
    Stuck,
}

/// A shard that has been at one piece of work for this long counts as stuck.
pub(crate) const STUCK_AFTER: Micros = Micros::from_secs(2);

impl ShardHandle {
    /// The front door's end of a new shard, and the shard's own two.
    pub(crate) fn new() -> (Self, Receiver<Command>, Arc<ShardStatus>) {
        let (mailbox, commands) = sync_channel(MAILBOX_MAX);
        let status = Arc::<ShardStatus>::default();
        (Self { status: Arc::clone(&status), mailbox }, commands, status)
    }

    /// Whether the shard can take more work now.
    pub(crate) fn availability(&self, now: Micros) -> Availability {
        let busy_since = self.status.busy_since.load(Ordering::Relaxed);
        if busy_since > 0 && now.since(Micros(busy_since)) >= STUCK_AFTER {
            return Availability::Stuck;
        }
        let is_overloaded = self.status.is_overloaded.load(Ordering::Relaxed);
        if is_overloaded { Availability::Overloaded } else { Availability::Available }
    }

    /// Whether the shard has ended after a drain.
    pub(crate) fn has_drained(&self) -> bool {
        self.status.has_drained.load(Ordering::Relaxed)
    }

    /// Sends a command. Returns it if the mailbox is full or the shard has ended.
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        self.mailbox.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })
    }
}

impl ShardStatus {
    /// A piece of work begins.
    pub(crate) fn set_busy(&self, now: Micros) {
        self.busy_since.store(now.0, Ordering::Relaxed);
    }

    /// All due work is done.
    pub(crate) fn set_idle(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    /// The shard ends after a drain, and reads no further commands.
    pub(crate) fn set_drained(&self) {
        self.has_drained.store(true, Ordering::Relaxed);
    }

    /// Sets whether further matches are rejected.
    pub(crate) fn set_overloaded(&self, is_overloaded: bool) {
        self.is_overloaded.store(is_overloaded, Ordering::Relaxed);
    }
}
