//! Between the front door and a shard: commands one way, signs of how it does the other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use tickwire_shared::{game::MatchOptions, ids::MatchId, time::Micros};
use tokio::sync::oneshot;

use crate::{
    matches::{Newcomer, Recording},
    socket::Handed,
    telemetry::Stats,
};

/// Commands that may wait for a shard. More are refused: the shard does not keep up.
const MAILBOX_MAX: usize = 4096;

/// What the front door asks of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run a new match.
    Open(MatchId, MatchOptions),
    /// Take over a connection whose WebSocket handshake is done.
    Connect(Box<Arrival>),
    /// Have one match, or all, tell an operator's notice.
    Notice(Option<MatchId>, Arc<str>),
    /// Tell where the time of ticks went.
    Trace(Recorded, oneshot::Sender<Vec<Recording>>),
    /// Tell what was counted.
    Report(oneshot::Sender<Stats>),
    /// Take nobody in, end each match when it may or by the deadline, and then end.
    Drain { deadline: Micros },
}

/// What a shard has a recording of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recorded {
    /// The last ticks of one match.
    Match(MatchId),
    /// The second before the last overrun, in all matches: it may have been another's fault.
    Overrun,
}

/// A connection on its way to its match.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) match_id: MatchId,
    pub(crate) newcomer: Newcomer,
    pub(crate) handed: Handed,
    /// What the client sent right behind its handshake.
    pub(crate) leftover: Vec<u8>,
}

/// The front door's end of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    signs: Arc<Signs>,
    mailbox: SyncSender<Command>,
}

/// What a shard shows of itself without being asked.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    is_overloaded: AtomicBool,
    /// When it began the one thing that it is at; 0 while it waits.
    busy_since: AtomicU64,
    has_drained: AtomicBool,
}

/// What a shard may be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// Matches and connections.
    Fit,
    /// No match more: it is far behind.
    Overloaded,
    /// Nothing: what it is at does not return.
    Stuck,
}

/// A single match that keeps a shard for so long is taken to be stuck.
pub(crate) const STUCK_AFTER: Micros = Micros::from_secs(2);

impl ShardHandle {
    /// A shard's two ends.
    pub(crate) fn new() -> (Self, Receiver<Command>, Arc<Signs>) {
        let (mailbox, commands) = sync_channel(MAILBOX_MAX);
        let signs = Arc::<Signs>::default();
        (Self { signs: Arc::clone(&signs), mailbox }, commands, signs)
    }

    /// What the shard may be given now.
    pub(crate) fn standing(&self, now: Micros) -> Standing {
        let busy_since = self.signs.busy_since.load(Ordering::Relaxed);
        if busy_since > 0 && now.since(Micros(busy_since)) >= STUCK_AFTER {
            return Standing::Stuck;
        }
        let is_overloaded = self.signs.is_overloaded.load(Ordering::Relaxed);
        if is_overloaded { Standing::Overloaded } else { Standing::Fit }
    }

    /// Whether the shard has ended as it was told to.
    pub(crate) fn has_drained(&self) -> bool {
        self.signs.has_drained.load(Ordering::Relaxed)
    }

    /// Hands over a command. It comes back when the shard does not keep up or has ended.
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        self.mailbox.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })
    }
}

impl Signs {
    /// It begins something.
    pub(crate) fn show_busy(&self, now: Micros) {
        self.busy_since.store(now.0, Ordering::Relaxed);
    }

    /// It has done all that there was.
    pub(crate) fn show_waiting(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    /// It ends as it was told to, and hears nothing any more.
    pub(crate) fn show_drained(&self) {
        self.has_drained.store(true, Ordering::Relaxed);
    }

    /// Whether no match may be added.
    pub(crate) fn show_overloaded(&self, is_overloaded: bool) {
        self.is_overloaded.store(is_overloaded, Ordering::Relaxed);
    }
}
