//! Clients outside of matches: readers of event feeds, the monitor page, and the lobby chat.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use hyper::body::Bytes;
use tickwire_shared::ids::MatchId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    clock::{Clock, date},
    feeds::{FeedEvent, Feeds, Item},
    lobby::{Lobby, LobbyLine},
    locks::lock,
};

/// Feed readers at once: each has a task and a socket. More are answered 503.
const FOLLOWERS_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Followers {
    pub(crate) feeds: Arc<Feeds>,
    lobby: Mutex<Lobby>,
    places: Arc<Semaphore>,
    rejected: AtomicU64,
    slow: AtomicU64,
    /// The monitor's sample, once a second.
    pub(crate) samples: watch::Sender<Bytes>,
    clock: Clock,
}

impl Followers {
    pub(crate) fn new(feeds: Arc<Feeds>, clock: Clock) -> Self {
        Self {
            feeds,
            lobby: Mutex::new(Lobby::new()),
            places: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
            rejected: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            samples: watch::Sender::default(),
            clock,
        }
    }

    /// Takes a place for a feed reader, if there is one left.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.rejected.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// How many feed readers are connected.
    pub(crate) fn count(&self) -> usize {
        FOLLOWERS_MAX - self.places.available_permits()
    }

    /// How many feed readers were rejected for want of a place.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Counts a feed reader that was dropped because it read nothing for too long.
    pub(crate) fn count_slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    /// How many feed readers were dropped for being too slow.
    pub(crate) fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// Publishes an event of one match, or of the whole server.
    pub(crate) fn publish(&self, match_id: Option<MatchId>, what: FeedEvent) {
        self.feeds.publish(&Item { match_id, at: date(), tick: None, what });
    }

    /// Publishes a line of lobby chat, cleaned already. `None`: the address is past its rate limit.
    /// Without an address it is not limited.
    pub(crate) fn chat(&self, ip: Option<IpAddr>, name: &str, text: &str) -> Option<LobbyLine> {
        let (now, at) = (self.clock.now(), date());
        let mut lobby = lock(&self.lobby);
        let line = lobby.push(ip, now, at, name.to_owned(), text.to_owned())?;
        // Still locked, so that the feed has the lines in the same order.
        let what = FeedEvent::Chat(None, name.into(), text.into());
        self.feeds.publish(&Item { match_id: None, at, tick: None, what });
        Some(line)
    }

    /// The last lines said outside of matches.
    pub(crate) fn chat_lines(&self) -> Vec<LobbyLine> {
        lock(&self.lobby).lines()
    }
}
