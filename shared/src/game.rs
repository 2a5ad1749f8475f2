//! The trait that a game is written behind.
//!
//! A [`Game`] is a deterministic simulation: the same options, joins, leaves and inputs give the
//! same rows, on every machine. It has no clock, does no I/O, draws its randomness from the seed
//! it is given, and does not iterate over hash maps. Once running, a step should not allocate.
//!
//! Its whole state can be written out and read back (`Serialize` and `DeserializeOwned`), so that
//! a match can be journaled, replayed and moved to another machine.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    schema::Schema,
    time::TickRate,
};

/// What a match is made with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MatchOptions {
    /// All randomness of the match follows from it.
    pub seed: u64,
    /// Number of seats.
    pub seats: u16,
    /// Seats without a player that a computer player fills, at most. A game may have none.
    pub npcs: u16,
    /// Steps per second.
    pub tick_rate: TickRate,
    /// Which of [`Game::MODES`] it is; empty if the game has none.
    pub mode: &'static str,
}

/// A game's rules.
pub trait Game: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// What one player commands for one tick.
    type Input: Input;

    /// Names of the numbers that a player's score consists of, such as `kills`, at most 32.
    const SCORES: &'static [&'static str] = &[];

    /// Kinds of match, such as `duel`, or `teams` on some map, among which whoever wants one
    /// chooses: the first, unless they say. A name has 1 to 64 letters, digits, `-` and `_`.
    const MODES: &'static [&'static str] = &[];

    /// What the integers in rows, inputs and events mean. The same at every call and in every mode.
    fn schema() -> Schema;

    /// A match before its first tick.
    fn new(options: &MatchOptions) -> Self;

    /// A player takes a free seat.
    fn join(&mut self, seat: Seat);

    /// A player's seat becomes free.
    fn leave(&mut self, seat: Seat);

    /// Advances the match by one tick.
    fn step(&mut self, step: &mut Step<'_, Self::Input>);

    /// Writes the state that everybody may see into `rows`, which are empty, in order of entity id.
    /// Kinds, numbers of values and their ranges are those of the schema, and there are at most
    /// [`ENTITIES_MAX`](crate::codec::ENTITIES_MAX) entities, which a client that joins can be told
    /// in [`SERVER_FRAME_BYTES_MAX`](crate::wire::SERVER_FRAME_BYTES_MAX); or the match ends.
    fn write_rows(&self, rows: &mut Rows);

    /// Whether the match is over. It ends after the tick from which on this is so, whoever is in it,
    /// and they are told. A match of which this is never so goes on until nobody is left.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether the match may end now without taking a round from its players. A server that is told
    /// to end waits for this, for a while.
    fn may_end(&self) -> bool {
        true
    }

    /// Writes what only the owner of `seat` is told: `values` has a place for each of the schema's
    /// `owner` integers.
    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        let (_, _) = (seat, values);
    }

    /// Writes the score of `seat`, for those who follow the match from outside: `values` has a
    /// place, with a 0, for each of [`Game::SCORES`].
    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        let (_, _) = (seat, values);
    }
}

/// One player's command for one tick, as the integers that the schema's `input` lists.
pub trait Input: Clone + Default + Send + 'static {
    /// Reads an input from integers that are within the schema's ranges.
    fn from_values(values: &[i32]) -> Self;

    /// Writes the input as integers within the schema's ranges.
    fn write_values(&self, values: &mut [i32]);
}

/// What a game is given for one tick.
#[derive(Debug)]
pub struct Step<'a, I> {
    /// The tick that this step makes.
    pub tick: Tick,
    /// One input for each seat, by [`Seat::index`]. A seat whose input is late repeats its last;
    /// a seat without a player has the default.
    pub inputs: &'a [I],
    /// What each player saw of the others when they made their input, to judge their shots by.
    pub past: Rewind<'a>,
    /// Where the game tells what happened.
    pub events: &'a mut Events,
}

/// Who is told about an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Everyone in the match, spectators included.
    All,
    /// The player in this seat alone.
    Seat(Seat),
}

impl Audience {
    /// Whether the session in this seat, or a spectator, is told.
    #[must_use]
    pub fn includes(self, seat: Option<Seat>) -> bool {
        match self {
            Self::All => true,
            Self::Seat(only) => seat == Some(only),
        }
    }
}

/// One thing that happened. Delivered reliably and in order, each exactly once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// Who is told.
    pub audience: Audience,
    /// Index in the schema's `events`.
    pub kind: u8,
    /// One integer for each value that the schema names.
    pub values: &'a [i32],
}

/// The events of one tick, in the order in which they happened.
#[derive(Debug, Default)]
pub struct Events {
    heads: Vec<(Audience, u8, u32)>,
    values: Vec<i32>,
}

impl Events {
    /// Tells everyone.
    pub fn all(&mut self, kind: u8, values: &[i32]) {
        self.push(Audience::All, kind, values);
    }

    /// Tells the player in one seat.
    pub fn seat(&mut self, seat: Seat, kind: u8, values: &[i32]) {
        self.push(Audience::Seat(seat), kind, values);
    }

    /// All events of the tick, in order.
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        let mut start = 0;
        self.heads.iter().map(move |&(audience, kind, end)| {
            let values = &self.values[start..end as usize];
            start = end as usize;
            Event { audience, kind, values }
        })
    }

    /// Forgets all events, keeping their memory.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.values.clear();
    }

    fn push(&mut self, audience: Audience, kind: u8, values: &[i32]) {
        self.values.extend_from_slice(values);
        self.heads.push((audience, kind, self.values.len() as u32));
    }
}
