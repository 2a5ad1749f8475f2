//! Matchmaking: the match that a request names, the oldest of its mode with a free seat, or a new
//! one.

use std::sync::{Arc, Mutex};

use tickwire_shared::{
    game::{Game, MatchOptions},
    ids::MatchId,
};

use crate::{
    bucket::{Bucket, Rate},
    clock::Clock,
    config::Config,
    directory::{Access, Directory, Entry, JoinRefused, Reservation},
    locks::lock,
    mailbox::Command,
    shards::Shards,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Matchmaker {
    pub(crate) modes: Modes,
    directory: Arc<Directory>,
    shards: Arc<Shards>,
    /// The options of every match, except its seed and mode, and seats if the mode has a number.
    usual: MatchOptions,
    /// Rate limit of new matches.
    pace: Rate,
    openings: Mutex<Bucket>,
    clock: Clock,
}

/// The modes of a game.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modes {
    /// The default one first.
    pub(crate) names: &'static [&'static str],
    /// How many seats each has, unless the settings say.
    seats: fn(&str) -> Option<u16>,
}

impl Modes {
    pub(crate) const fn of<G: Game>() -> Self {
        Self { names: G::MODES, seats: G::seats }
    }

    /// The mode of that name.
    pub(crate) fn find(self, name: &str) -> Option<&'static str> {
        self.names.iter().copied().find(|known| *known == name)
    }
}

/// Which match a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MatchSelector {
    /// The oldest public match of this mode with a free seat, or a new one.
    Any(&'static str),
    /// The match with this id.
    Match(MatchId),
}

impl Matchmaker {
    pub(crate) fn new(
        config: &Config,
        modes: Modes,
        clock: Clock,
        directory: Arc<Directory>,
        shards: Arc<Shards>,
    ) -> Self {
        let Config { seats, npcs, tick_rate, .. } = *config;
        Self {
            modes,
            directory,
            shards,
            usual: MatchOptions { seed: 0, seats, npcs, tick_rate, mode: "" },
            pace: config.limits.matches(),
            openings: Mutex::new(Bucket::full(clock.now())),
            clock,
        }
    }

    /// The mode of that name; without a name, the default mode.
    pub(crate) fn mode(&self, name: Option<&str>) -> Result<&'static str, String> {
        let names = self.modes.names;
        let Some(name) = name else { return Ok(names.first().copied().unwrap_or_default()) };
        self.modes.find(name).ok_or_else(|| match names {
            [] => "the game has no modes".into(),
            names => format!("mode must be one of {}", names.join(", ")),
        })
    }

    /// Selects the match with this id, or any match of a mode.
    pub(crate) fn selector(
        &self,
        id: Option<MatchId>,
        mode: Option<&str>,
    ) -> Result<MatchSelector, String> {
        match (id, mode) {
            (None, mode) => self.mode(mode).map(MatchSelector::Any),
            (Some(id), None) => Ok(MatchSelector::Match(id)),
            (Some(_), Some(_)) => Err("mode goes only with match=auto: a match has its own".into()),
        }
    }

    /// Checks that another player would get a seat now, in a running match or a new one.
    pub(crate) fn has_room(&self) -> Result<(), JoinRefused> {
        if !self.shards.any_is_available() {
            return Err(JoinRefused::Overloaded);
        }
        if self.directory.has_room() { Ok(()) } else { Err(JoinRefused::TooManyMatches) }
    }

    /// Opens a match.
    pub(crate) fn open(
        &self,
        mode: &'static str,
        access: Access,
    ) -> Result<Arc<Entry>, JoinRefused> {
        if !self.shards.any_is_available() {
            return Err(JoinRefused::Overloaded);
        }
        let mut openings = lock(&self.openings);
        if !openings.take(1, self.pace, self.clock.now()) {
            return Err(JoinRefused::TooManyMatches);
        }
        drop(openings);
        let is_available = |shard| self.shards.is_available(shard);
        let seats = (self.modes.seats)(mode).unwrap_or(self.usual.seats);
        // Unpredictable: a player who knew the seed would know the game's random events in advance.
        let seed = getrandom::u64().expect("the system has randomness");
        let options = MatchOptions { seed, seats, mode, ..self.usual };
        let entry = self.directory.add(&options, access, is_available)?;
        if self.shards.send(entry.shard, Command::Open(Arc::clone(&entry), options)).is_err() {
            self.directory.remove(entry.id);
            return Err(JoinRefused::Overloaded);
        }
        Ok(entry)
    }

    /// Reserves a seat.
    pub(crate) fn reserve(&self, selector: MatchSelector) -> Result<Reservation, JoinRefused> {
        match selector {
            MatchSelector::Match(_) => Reservation::new(&self.find(selector)?),
            MatchSelector::Any(mode) => {
                let is_available = |shard| self.shards.is_available(shard);
                if let Some(reservation) = self.directory.reserve_any(mode, is_available) {
                    return Ok(reservation);
                }
                let opened =
                    self.open(mode, Access::Public).and_then(|entry| Reservation::new(&entry));
                opened.or_else(|refused| {
                    // A seat on an overloaded shard is better than none.
                    let answers = |shard| !self.shards.is_stuck(shard);
                    self.directory.reserve_any(mode, answers).ok_or(refused)
                })
            }
        }
    }

    /// The selected match, without a seat; for any match of a mode, the oldest.
    pub(crate) fn find(&self, selector: MatchSelector) -> Result<Arc<Entry>, JoinRefused> {
        let answers = |entry: &Arc<Entry>| !self.shards.is_stuck(entry.shard);
        match selector {
            MatchSelector::Match(id) => {
                let entry = self.directory.find(id)?;
                if answers(&entry) { Ok(entry) } else { Err(JoinRefused::Stuck) }
            }
            MatchSelector::Any(mode) => {
                let mut matches = self.directory.list().into_iter();
                let oldest = matches.find(|entry| entry.is_open_to_all(mode) && answers(entry));
                oldest.ok_or(JoinRefused::NoMatch)
            }
        }
    }

    /// Like [`Self::find`], but opens a match if the mode has none.
    pub(crate) fn find_or_open(&self, selector: MatchSelector) -> Result<Arc<Entry>, JoinRefused> {
        self.find(selector).or_else(|refused| match selector {
            MatchSelector::Match(_) => Err(refused),
            MatchSelector::Any(mode) => self.open(mode, Access::Public),
        })
    }
}
