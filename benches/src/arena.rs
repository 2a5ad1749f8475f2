//! Matches of sixteen in the reference game.

use tickwire_shared::{
    arena::{Arena, ArenaInput, brain::Brain},
    game::{Events, Game, MatchOptions, Step},
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    time::TickRate,
};

/// Seats of each match.
pub const SEATS: u16 = 16;

/// One input for each seat.
pub type Inputs = [ArenaInput; SEATS as usize];

/// A match, from seed 1.
#[derive(Debug)]
pub struct Match {
    /// Its state.
    pub arena: Arena,
    /// The newest tick.
    pub tick: Tick,
    events: Events,
}

impl Match {
    /// A match in which computer players have so many of the seats, and the others are free.
    #[must_use]
    pub fn new(npcs: u16, tick_rate: TickRate) -> Self {
        let options = MatchOptions { seed: 1, seats: SEATS, npcs, tick_rate, mode: "" };
        Self { arena: Arena::new(&options), tick: Tick(0), events: Events::default() }
    }

    /// The same, in all of whose seats are people.
    #[must_use]
    pub fn of_people(tick_rate: TickRate) -> Self {
        let mut new = Self::new(0, tick_rate);
        (0..SEATS).for_each(|seat| new.arena.join(Seat(seat)));
        new
    }

    /// Computes the next tick.
    pub fn step(&mut self, inputs: &[ArenaInput]) {
        self.tick = self.tick.plus(1);
        self.events.clear();
        self.arena.step(&mut Step {
            tick: self.tick,
            inputs,
            past: Rewind::none(),
            events: &mut self.events,
        });
    }
}

/// A match of people who play like computer players.
#[derive(Debug)]
pub struct Played {
    /// The match.
    pub game: Match,
    /// The rows of its newest tick.
    pub rows: Rows,
    brains: Vec<Brain>,
    owner: Vec<i32>,
}

impl Played {
    /// A match before its first tick.
    #[must_use]
    pub fn new(tick_rate: TickRate) -> Self {
        let game = Match::of_people(tick_rate);
        let mut rows = Rows::default();
        game.arena.write_rows(&mut rows);
        let brains = (0..SEATS).map(|seat| Brain::new(seat.into(), tick_rate)).collect();
        Self { game, rows, brains, owner: vec![0; Arena::schema().owner.len()] }
    }

    /// Plays a tick, and returns its inputs.
    pub fn play(&mut self) -> Inputs {
        let mut inputs = Inputs::default();
        for ((seat, brain), input) in (0..).map(Seat).zip(&mut self.brains).zip(&mut inputs) {
            self.game.arena.write_owner(seat, &mut self.owner);
            *input = brain.decide(seat, &self.rows, &self.owner);
        }
        self.game.step(&inputs);
        self.rows.clear();
        self.game.arena.write_rows(&mut self.rows);
        inputs
    }
}
