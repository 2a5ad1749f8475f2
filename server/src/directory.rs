//! Which matches there are, which shard runs each, and how many of its seats are taken.
//!
//! Part of the control plane: joins and match lists use it, ticks never do. A seat is taken while
//! its [`Reservation`] exists, and free once that is dropped, on whichever thread.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{MatchOptions, SEATS_MAX},
    ids::MatchId,
    time::TickRate,
};

use crate::locks::lock;

/// Value of a match's count of taken seats once it is closed: no reservation succeeds any more.
const CLOSED: u16 = u16::MAX;
const _: () = assert!(SEATS_MAX < CLOSED);
/// Most matches that were played to their end and are remembered.
const OVER_MAX: usize = 1_024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    matches: DashMap<MatchId, Arc<Entry>>,
    /// Locked while a match is added, so that two threads can't both add the last one.
    next_id: Mutex<u32>,
    /// The last matches that were played to their end, for those who come too late.
    over: Mutex<VecDeque<MatchId>>,
    shards: usize,
    matches_max: usize,
}

/// One match, as the control plane sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The match.
    pub(crate) id: MatchId,
    /// Index of the shard that runs it.
    pub(crate) shard: usize,
    /// Seats in all.
    pub(crate) seats: u16,
    pub(crate) tick_rate: TickRate,
    /// One of the game's modes; empty if it has none.
    pub(crate) mode: &'static str,
    /// Who may take part.
    pub(crate) access: Access,
    taken: AtomicU16,
    /// Whether the game admits new players.
    admits: AtomicBool,
}

/// Who may take part in a match.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) enum Access {
    /// Anybody; the matchmaker fills it.
    Public,
    /// Those who ask for it by id and, on a server that requires tickets, whose ticket names it.
    Private,
}

/// A seat in a match, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    entry: Arc<Entry>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum JoinRefused {
    /// There is no match of that id.
    #[error("there is no such match")]
    NoMatch,
    /// The match was played to its end.
    #[error("the match is over")]
    MatchOver,
    /// All its seats are taken, or its game admits nobody now.
    #[error("no seat of the match is free")]
    MatchFull,
    /// The server can't keep up with the matches that it runs.
    #[error("the server is overloaded")]
    Overloaded,
    /// The match's shard is stuck: a step of it, or of another match there, does not return.
    #[error("the match does not answer")]
    Stuck,
    /// The server is at its limit of matches, or opens them faster than its rate limit.
    #[error("the server runs, or opens at once, as many matches as it may")]
    TooManyMatches,
}

impl Directory {
    /// An empty directory for so many shards, which lets `matches_max` matches run at once.
    pub(crate) fn new(shards: usize, matches_max: usize) -> Self {
        let (next_id, over) = (Mutex::new(1), Mutex::default());
        Self { matches: DashMap::new(), next_id, over, shards, matches_max }
    }

    /// Adds a match on the available shard with the fewest matches. The caller then has the shard
    /// open it.
    pub(crate) fn add(
        &self,
        options: &MatchOptions,
        access: Access,
        is_available: impl Fn(usize) -> bool,
    ) -> Result<Arc<Entry>, JoinRefused> {
        let mut next_id = lock(&self.next_id);
        if self.matches.len() >= self.matches_max {
            return Err(JoinRefused::TooManyMatches);
        }
        let entry = self.insert(MatchId(*next_id), options, access, is_available)?;
        *next_id = next_id.wrapping_add(1);
        Ok(entry)
    }

    /// Adds a match that had this id in an earlier server.
    pub(crate) fn add_again(
        &self,
        id: MatchId,
        options: &MatchOptions,
        access: Access,
    ) -> Arc<Entry> {
        self.insert(id, options, access, |_| true).expect("there is a shard")
    }

    /// The id of the next match.
    pub(crate) fn next_id(&self) -> u32 {
        *lock(&self.next_id)
    }

    /// Sets the id of the next match.
    pub(crate) fn continue_from(&self, next_id: u32) {
        *lock(&self.next_id) = next_id;
    }

    fn insert(
        &self,
        id: MatchId,
        options: &MatchOptions,
        access: Access,
        is_available: impl Fn(usize) -> bool,
    ) -> Result<Arc<Entry>, JoinRefused> {
        let mut load = vec![0; self.shards];
        self.matches.iter().for_each(|entry| load[entry.shard] += 1);
        let available = (0..self.shards).filter(|&shard| is_available(shard));
        let shard = available.min_by_key(|&shard| load[shard]).ok_or(JoinRefused::Overloaded)?;
        let &MatchOptions { seats, tick_rate, mode, .. } = options;
        let entry = Arc::new(Entry {
            id,
            shard,
            seats,
            tick_rate,
            mode,
            access,
            taken: AtomicU16::new(0),
            admits: AtomicBool::new(true),
        });
        self.matches.insert(id, Arc::clone(&entry));
        Ok(entry)
    }

    /// The match of this id.
    pub(crate) fn find(&self, id: MatchId) -> Result<Arc<Entry>, JoinRefused> {
        let refused = || match lock(&self.over).contains(&id) {
            true => JoinRefused::MatchOver,
            false => JoinRefused::NoMatch,
        };
        self.matches.get(&id).map(|entry| Arc::clone(&entry)).ok_or_else(refused)
    }

    /// Reserves a seat in the oldest public match of a mode with a free one, on an available shard.
    pub(crate) fn reserve_any(
        &self,
        mode: &str,
        is_available: impl Fn(usize) -> bool,
    ) -> Option<Reservation> {
        let mut entries = self.list();
        entries.retain(|entry| entry.is_open_to_all(mode) && is_available(entry.shard));
        entries.iter().find_map(|entry| Reservation::new(entry).ok())
    }

    /// Whether a match has a free seat, or another match may be added.
    pub(crate) fn has_room(&self) -> bool {
        let has_seat = |entry: &Arc<Entry>| {
            entry.access == Access::Public && entry.admits() && entry.taken() < entry.seats
        };
        self.matches.len() < self.matches_max || self.matches.iter().any(|entry| has_seat(&entry))
    }

    /// All matches, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.matches.iter().map(|entry| Arc::clone(&entry)).collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        entries
    }

    /// Removes a match if none of its seats is taken. From then on no reservation succeeds.
    pub(crate) fn remove_if_empty(&self, id: MatchId) -> bool {
        let is_empty = |_: &MatchId, entry: &Arc<Entry>| {
            entry.taken.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        self.matches.remove_if(&id, is_empty).is_some()
    }

    /// Removes a match that was played to its end, and remembers that it was.
    pub(crate) fn end(&self, id: MatchId) {
        let mut over = lock(&self.over);
        over.truncate(OVER_MAX - 1);
        over.push_front(id);
        drop(over);
        self.remove(id);
    }

    /// Removes a match, taken seats or not.
    pub(crate) fn remove(&self, id: MatchId) {
        self.matches.remove(&id);
    }
}

impl Entry {
    /// Whether the matchmaker may pick it for anybody who asks for this mode.
    pub(crate) fn is_open_to_all(&self, mode: &str) -> bool {
        self.mode == mode && self.access == Access::Public
    }

    /// Whether its game admits new players.
    pub(crate) fn admits(&self) -> bool {
        self.admits.load(Ordering::Acquire)
    }

    /// Sets whether the match's game admits new players.
    pub(crate) fn set_admits(&self, admits: bool) {
        self.admits.store(admits, Ordering::Release);
    }

    /// How many seats are taken.
    pub(crate) fn taken(&self) -> u16 {
        match self.taken.load(Ordering::Acquire) {
            CLOSED => 0,
            taken => taken,
        }
    }
}

impl Reservation {
    /// Takes a seat, if one is free, and the game admits new players.
    pub(crate) fn new(entry: &Arc<Entry>) -> Result<Self, JoinRefused> {
        if !entry.admits() {
            return Err(JoinRefused::MatchFull);
        }
        let one_more = |taken: u16| (taken < entry.seats).then(|| taken + 1);
        match entry.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Self { entry: Arc::clone(entry) }),
            Err(CLOSED) => Err(JoinRefused::NoMatch),
            Err(_) => Err(JoinRefused::MatchFull),
        }
    }

    /// The match that the seat is in.
    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.entry.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn options(seats: u16) -> MatchOptions {
        MatchOptions { seed: 0, seats, npcs: 0, tick_rate: TickRate::new(30).unwrap(), mode: "" }
    }

    #[test]
    fn matches_fill_in_order() {
        let any = |_| true;
        let directory = Directory::new(2, 10);
        let first = directory.add(&options(2), Access::Public, any).unwrap();
        let second = directory.add(&options(2), Access::Public, any).unwrap();
        assert_ne!(first.shard, second.shard);
        let held: Vec<_> = (0..4).map(|_| directory.reserve_any("", any).unwrap()).collect();
        let ids: Vec<_> = held.iter().map(|held| held.entry().id).collect();
        assert_eq!(ids, [first.id, first.id, second.id, second.id]);
        assert!(directory.reserve_any("", any).is_none());
        assert!(matches!(Reservation::new(&first), Err(JoinRefused::MatchFull)));
        drop(held);
        assert_eq!(first.taken(), 0);
    }

    #[test]
    fn threads_add_no_more_than_may_be_and_spread_them() {
        for _ in 0..100 {
            let directory = Directory::new(2, 4);
            let start = Barrier::new(8);
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        start.wait();
                        let _ = directory.add(&options(1), Access::Public, |_| true);
                    });
                }
            });
            let mut shards: Vec<_> = directory.list().iter().map(|entry| entry.shard).collect();
            shards.sort_unstable();
            assert_eq!(shards, [0, 0, 1, 1]);
        }
    }

    #[test]
    fn only_an_empty_match_is_removed() {
        let any = |_| true;
        let directory = Directory::new(1, 1);
        let entry = directory.add(&options(2), Access::Public, any).unwrap();
        let held = Reservation::new(&entry).unwrap();
        assert!(!directory.remove_if_empty(entry.id));
        assert!(matches!(
            directory.add(&options(2), Access::Public, any),
            Err(JoinRefused::TooManyMatches)
        ));
        drop(held);
        assert!(directory.remove_if_empty(entry.id));
        assert!(matches!(Reservation::new(&entry), Err(JoinRefused::NoMatch)));
        assert_eq!(directory.find(entry.id).unwrap_err(), JoinRefused::NoMatch);
    }

    #[test]
    fn unavailable_shards_are_skipped() {
        let directory = Directory::new(2, 10);
        let first = directory.add(&options(1), Access::Public, |_| true).unwrap();
        let others = |shard| shard != first.shard;
        let [second, third] =
            [(); 2].map(|()| directory.add(&options(1), Access::Public, others).unwrap());
        assert!(second.shard == third.shard && second.shard != first.shard);
        assert_eq!(directory.reserve_any("", others).unwrap().entry().id, second.id);
        assert!(matches!(
            directory.add(&options(1), Access::Public, |_| false),
            Err(JoinRefused::Overloaded)
        ));
        assert!(directory.reserve_any("", |_| false).is_none());
    }
}
