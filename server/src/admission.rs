//! Who is let in, and to which match: the control plane of all shards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tickwire_shared::{
    close::CloseReason,
    game::MatchOptions,
    ids::{MatchId, SessionId},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    config::Config,
    directory::{Directory, Entry, JoinRefused, Reservation},
    matches::{Newcomer, Role},
    shard::{Arrival, Command, ShardHandle},
    telemetry::Stats,
};

/// See the module.
#[derive(Debug)]
pub struct Admission {
    config: Config,
    directory: Arc<Directory>,
    shards: Vec<ShardHandle>,
    connections: Arc<Semaphore>,
    next_session: AtomicU32,
    draining: AtomicBool,
}

/// Which match somebody wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The oldest with a free seat, or a new one.
    Any,
    /// This one.
    Match(MatchId),
}

/// Somebody who may hand over a connection.
#[derive(Debug)]
pub(crate) struct Admitted {
    entry: Arc<Entry>,
    newcomer: Newcomer,
}

impl Admission {
    pub(crate) fn new(config: Config, directory: Arc<Directory>, shards: Vec<ShardHandle>) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(config.connections_max)),
            config,
            directory,
            shards,
            next_session: AtomicU32::new(1),
            draining: AtomicBool::new(false),
        }
    }

    /// The server's settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The matches.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether the server is about to end and takes nobody in.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A place among the server's connections, if there is one.
    pub(crate) fn connection(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }

    /// Opens a match.
    pub fn open(&self) -> Result<Arc<Entry>, JoinRefused> {
        let Config { seats, npcs, tick_rate, .. } = self.config;
        let entry = self.directory.add(seats)?;
        let seed = u64::from(entry.id.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let options = MatchOptions { seed, seats, npcs, tick_rate };
        if self.shards[entry.shard].send(Command::Open(entry.id, options)).is_err() {
            self.directory.remove(entry.id);
            return Err(JoinRefused::TooManyMatches);
        }
        Ok(entry)
    }

    /// Takes a seat.
    pub fn reserve(&self, wish: Wish) -> Result<Reservation, JoinRefused> {
        match wish {
            Wish::Match(_) => Reservation::new(&self.find(wish)?),
            Wish::Any => match self.directory.reserve_any() {
                Some(reservation) => Ok(reservation),
                None => Reservation::new(&self.open()?),
            },
        }
    }

    /// Lets somebody in, with a seat held for a player.
    pub(crate) fn admit(&self, wish: Wish, role: Role) -> Result<Admitted, CloseReason> {
        let admitted = |entry, reservation| {
            let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
            Admitted { entry, newcomer: Newcomer { id, role, reservation } }
        };
        if self.is_draining() {
            return Err(CloseReason::Drain);
        }
        match role {
            Role::Player => {
                let reservation = self.reserve(wish).map_err(close_reason)?;
                Ok(admitted(Arc::clone(reservation.entry()), Some(reservation)))
            }
            Role::Spectator | Role::Resumer => {
                Ok(admitted(self.find(wish).map_err(close_reason)?, None))
            }
        }
    }

    /// The match that is wished for, without taking a seat.
    fn find(&self, wish: Wish) -> Result<Arc<Entry>, JoinRefused> {
        match wish {
            Wish::Match(id) => self.directory.find(id).ok_or(JoinRefused::NoMatch),
            Wish::Any => match self.directory.list().into_iter().next() {
                Some(oldest) => Ok(oldest),
                None => self.open(),
            },
        }
    }

    /// Hands a connection to the shard that runs its match. When the shard does not keep up, the
    /// connection is dropped.
    pub(crate) fn hand_over(
        &self,
        admitted: Admitted,
        stream: std::net::TcpStream,
        leftover: Vec<u8>,
        permit: OwnedSemaphorePermit,
    ) {
        let Admitted { entry, newcomer } = admitted;
        let arrival = Arrival { match_id: entry.id, newcomer, stream, leftover, permit };
        if self.shards[entry.shard].send(Command::Connect(Box::new(arrival))).is_err() {
            tracing::warn!(shard = entry.shard, "a shard does not keep up; connection dropped");
        }
    }

    /// What each shard has counted. `None` when one does not answer.
    pub async fn stats(&self) -> Option<Vec<Stats>> {
        let mut stats = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Report(reply)).ok()?;
            stats.push(tokio::time::timeout(SHARD_TIMEOUT, answer).await.ok()?.ok()?);
        }
        Some(stats)
    }

    /// Takes nobody in any more, and has all shards close their connections and end.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for (index, shard) in self.shards.iter().enumerate() {
            if shard.send(Command::Drain).is_err() {
                tracing::error!(shard = index, "a shard is stuck or has failed; it can't drain");
            }
        }
    }
}

/// How long a shard may take to answer; a tick or two at most, unless it is stuck.
const SHARD_TIMEOUT: Duration = Duration::from_secs(2);

const fn close_reason(refused: JoinRefused) -> CloseReason {
    match refused {
        JoinRefused::NoMatch => CloseReason::NoMatch,
        JoinRefused::MatchFull | JoinRefused::TooManyMatches => CloseReason::MatchFull,
    }
}
