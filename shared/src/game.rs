//! The trait that a game is written behind.
//!
//! A [`Game`] is a deterministic simulation: the same calls with the same options and inputs give
//! the same rows, on every machine. It has no clock, does no I/O, draws its randomness from the seed
//! it is given (with [`Dice`](crate::dice::Dice)), and does not iterate over hash maps. Once running,
//! a step should not allocate.
//!
//! Its whole state can be [written out and read back](crate::state), so that a match can go on in
//! another server.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tickwire_shared::{
//!     game::{Game, Input, MatchOptions, Step},
//!     ids::{EntityId, Seat},
//!     rows::Rows,
//!     schema::{Field, Predict, Schema},
//! };
//!
//! /// The direction to run in: -1, 0 or 1.
//! #[derive(Clone, Default)]
//! struct Keys(i32);
//!
//! impl Input for Keys {
//!     fn from_values(values: &[i32]) -> Self {
//!         Self(values[0])
//!     }
//!     fn write_values(&self, values: &mut [i32]) {
//!         values[0] = self.0;
//!     }
//! }
//!
//! /// Each player's place on a track of 20 m, in centimetres, by seat.
//! #[derive(Serialize, Deserialize)]
//! struct Track(Vec<Option<i32>>);
//!
//! impl Game for Track {
//!     type Input = Keys;
//!     fn schema() -> Schema {
//!         let x = Field::new("x", 0.01, 0, 2_000).predict(Predict::Linear);
//!         Schema::new("track").players("runner", EntityId(0), [x]).input("x", -1, 1)
//!     }
//!     fn new(options: &MatchOptions) -> Self {
//!         Self(vec![None; options.seats.into()])
//!     }
//!     fn join(&mut self, seat: Seat) {
//!         self.0[seat.index()] = Some(1_000);
//!     }
//!     fn leave(&mut self, seat: Seat) {
//!         self.0[seat.index()] = None;
//!     }
//!     fn step(&mut self, step: &mut Step<'_, Keys>) {
//!         for (place, keys) in self.0.iter_mut().zip(step.inputs) {
//!             *place = place.map(|x| (x + 20 * keys.0).clamp(0, 2_000));
//!         }
//!     }
//!     fn write_rows(&self, rows: &mut Rows) {
//!         for (seat, place) in (0..).zip(&self.0) {
//!             if let Some(x) = place {
//!                 rows.push(EntityId(seat), 0, &[*x]);
//!             }
//!         }
//!     }
//! }
//!
//! # #[cfg(feature = "testing")]
//! tickwire_shared::testing::check::<Track>(); // With the feature `testing`, in a test.
//! ```
//!
//! `server/examples/tag.rs` is a game with events, `server/examples/cards.rs` one of turns, and
//! [`arena`](crate::arena) has everything.
//!
//! # What happens once
//!
//! An input counts again when the next one is late, and of several that are late only the newest
//! counts. So what is to happen once, such as playing a card, is a *request* with a number, which the
//! game compares with that of the last one it has handled:
//!
//! ```
//! # use tickwire_shared::schema::Schema;
//! /// A player's input. Number 0, as in the default, requests nothing.
//! #[derive(Clone, Default)]
//! struct Request {
//!     number: i32,
//!     card: i32,
//! }
//!
//! struct Player {
//!     handled: i32, // 0 in `join`. `write_owner` tells the client.
//!     hand: Vec<i32>,
//! }
//!
//! # fn schema() -> Schema {
//! # let schema = Schema::new("cards");
//! // In `schema`:
//! schema.input("number", 0, 255).input("card", 0, 51).owner("handled", 0, 255)
//! # }
//!
//! /// In `step`, for each player.
//! fn handle(player: &mut Player, request: &Request) {
//!     if request.number != 0 && request.number != player.handled {
//!         player.handled = request.number;
//!         player.hand.retain(|card| *card != request.card); // Unless the rules forbid it.
//!     }
//! }
//! # let mut player = Player { handled: 0, hand: vec![3, 7, 7] };
//! # let request = |number, card| Request { number, card };
//! # for request in [request(0, 3), request(1, 7), request(1, 7), request(0, 0), request(1, 3)] {
//! #     handle(&mut player, &request);
//! # }
//! # assert_eq!((player.handled, player.hand), (1, vec![3]));
//! ```
//!
//! A client sends zeros until the player does something. Its request then has the number after the
//! newest snapshot's `handled`, or 1 after 255, and is in every input until the next request, which
//! waits until `handled` is the number of this one. So a move is neither lost nor doubled when
//! connections are; after a crash, a match that goes on as it was before the move gets it again; and a
//! reloaded client finds its next number. One that joins anew begins with zeros.
//!
//! Don't ask whether a number is *greater* than the last: `testing::check` and bots send any, and
//! after the greatest nothing would happen any more.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ids::{Seat, Tick, Viewer},
    replica::Rewind,
    rows::{Row, Rows},
    schema::Schema,
    time::TickRate,
};

/// Most seats of a match.
pub const SEATS_MAX: u16 = 1024;
/// Most integers in a signal.
pub const SIGNAL_MAX: usize = 64;
/// Most integers in a ticket's data.
pub const TICKET_DATA_MAX: usize = 16;

/// The options that a match is created with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MatchOptions {
    /// The only source of randomness of the match.
    pub seed: u64,
    /// Number of seats.
    pub seats: u16,
    /// How many free seats computer players fill, at most. A game may have no computer players.
    pub npcs: u16,
    /// Steps per second.
    pub tick_rate: TickRate,
    /// The match's mode, one of [`Game::MODES`]; empty if the game has none.
    pub mode: &'static str,
}

/// A game's rules.
pub trait Game: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// What one player commands for one tick.
    type Input: Input;

    /// Names of the numbers that make up a player's score, such as `kills`; at most 32.
    const SCORES: &'static [&'static str] = &[];

    /// Kinds of match that a client can ask for, such as `duel`, or `teams` on some map. The first
    /// is the default. A name has 1 to 64 letters, digits, `-` and `_`.
    const MODES: &'static [&'static str] = &[];

    /// How many seats a match of this mode has, 1 to [`SEATS_MAX`]; the mode is empty if the game
    /// has none. `None` leaves that to the server's settings.
    #[must_use]
    fn seats(mode: &str) -> Option<u16> {
        let _ = mode;
        None
    }

    /// What the integers in rows, inputs and events mean. Must be the same at every call and in
    /// every mode.
    fn schema() -> Schema;

    /// Creates a match before its first tick.
    fn new(options: &MatchOptions) -> Self;

    /// A player takes a free seat.
    fn join(&mut self, seat: Seat);

    /// The same, and called instead of [`join`](Self::join), with the `data` in the player's ticket:
    /// what the game's backend says of the player, such as a team, a rank or a loadout. What it means
    /// is up to the two; the game must accept anything, as it may be older or newer than the backend.
    /// It has at most [`TICKET_DATA_MAX`] integers, and none without a ticket.
    fn join_with(&mut self, seat: Seat, data: &[i32]) {
        let _ = data;
        self.join(seat);
    }

    /// A player's seat becomes free: the player has left, was removed, or has lost the connection and
    /// did not come back in time.
    fn leave(&mut self, seat: Seat);

    /// A player has lost the connection. The seat is kept, with the default input, until the player
    /// is [back](Self::back) or it becomes [free](Self::leave). A match that goes on in another server
    /// is told this of all its players, except those who were away before.
    fn away(&mut self, seat: Seat) {
        let _ = seat;
    }

    /// A player who was [away](Self::away) is connected again.
    fn back(&mut self, seat: Seat) {
        let _ = seat;
    }

    /// The game's backend, or an operator, sends a signal: up to [`SIGNAL_MAX`] integers, whose
    /// meaning is up to the two, such as to begin or to give a team points. The game must accept any.
    fn signal(&mut self, values: &[i32]) {
        let _ = values;
    }

    /// Advances the match by one tick.
    fn step(&mut self, step: &mut Step<'_, Self::Input>);

    /// Writes the state that clients may see into the empty `rows`, in order of entity id. Every
    /// client sees all of it, unless the game has [viewers](Self::viewer).
    ///
    /// The server ends the match as failed when a row does not fit the schema (kind, number of
    /// values, ranges), when there are more than [`ENTITIES_MAX`](crate::codec::ENTITIES_MAX)
    /// entities, or when a full snapshot of them takes more than
    /// [`SERVER_FRAME_BYTES_MAX`](crate::wire::SERVER_FRAME_BYTES_MAX).
    fn write_rows(&self, rows: &mut Rows);

    /// The viewer to which the player in `seat` belongs: its team, or itself, if it does not see all
    /// entities. A player who changes to another viewer is sent a full snapshot, so this should be
    /// rare; what a viewer [sees](Self::sees) may change in every tick.
    ///
    /// Players of one viewer share encodings of snapshots, so ten teams cost less than a hundred
    /// players who each see something else. By default, all players see everything. Spectators
    /// always do: delay what they see if they might help players. What they must never see, such as
    /// a hand of cards, is for [`write_owner`](Self::write_owner).
    fn viewer(&self, seat: Seat) -> Option<Viewer> {
        let _ = seat;
        None
    }

    /// Whether a viewer sees an entity, of which this is the row. To its clients, an entity that
    /// is hidden does not exist. They may not know of it by other ways either: an event for all is
    /// for those who don't see its place, too.
    fn sees(&self, viewer: Viewer, row: Row<'_>) -> bool {
        let (_, _) = (viewer, row);
        true
    }

    /// Whether the match is over. It ends after the first tick for which this returns `true`, and
    /// its sessions are closed with a reason that says so. By default a match runs until nobody is
    /// left in it.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether the player in `seat` is removed, for example for doing nothing. Asked after every tick
    /// for each seat that is taken, so the events of that tick still reach the player.
    /// [`leave`](Self::leave) is called at once. The session ends with a reason that says so, and
    /// can't be resumed; but nothing keeps the player from joining again.
    fn removes(&self, seat: Seat) -> bool {
        let _ = seat;
        false
    }

    /// Whether new players may join now, for example before a round begins. While they may not, the
    /// match counts as full; players who are on their way still [`join`](Self::join), and those who
    /// have lost the connection come back.
    fn admits(&self) -> bool {
        true
    }

    /// Whether the match can end now without interrupting a round. A server that drains waits for
    /// this, for a limited time.
    fn may_end(&self) -> bool {
        true
    }

    /// Writes the state that only the player in `seat` receives, and no spectator: one value for each
    /// of the schema's `owner` integers, of which there are at most
    /// [`FIELDS_MAX`](crate::schema::FIELDS_MAX). Each is at first the least of its range.
    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        let (_, _) = (seat, values);
    }

    /// Writes the score of `seat`, which the server publishes outside the match: one value for each
    /// of [`Game::SCORES`], initially 0.
    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        let (_, _) = (seat, values);
    }
}

/// One player's command for one tick. On the wire and in journals it is the integers that the
/// schema's `input` lists, so what is written and read back must be the same input. The default, the
/// input of a seat without a connected player, must be within their ranges, too.
pub trait Input: Clone + Default + Send + 'static {
    /// Reads an input from integers that are within the schema's ranges.
    fn from_values(values: &[i32]) -> Self;

    /// Writes the input as integers within the schema's ranges.
    fn write_values(&self, values: &mut [i32]);
}

/// What [`Game::step`] receives for one tick. In a test of your rules, make one with
/// [`Rewind::none`].
#[derive(Debug)]
pub struct Step<'a, I> {
    /// The tick that this step computes: the one after the last. But a match that goes on after a
    /// crash leaves some out, so count a time that matters down by steps.
    pub tick: Tick,
    /// One input for each seat, by [`Seat::index`]. A seat whose input is late repeats its last
    /// one; a seat without a connected player has the default.
    pub inputs: &'a [I],
    /// The rows that each player saw when making the input, for lag compensation. Those of entities
    /// that were hidden from the player are among them.
    pub past: Rewind<'a>,
    /// Receives the events of this tick.
    pub events: &'a mut Events,
}

/// Who receives an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Every session of the match, spectators included.
    All,
    /// Only the player in this seat.
    Seat(Seat),
}

impl Audience {
    /// Whether the session in this seat, or a spectator (`None`), receives the event.
    #[must_use]
    pub fn includes(self, seat: Option<Seat>) -> bool {
        match self {
            Self::All => true,
            Self::Seat(only) => seat == Some(only),
        }
    }
}

/// Something that happened in a match. Events are delivered reliably, in order and exactly once. A
/// player who was away can't come back to the seat if more were missed than the server keeps:
/// [`LOG_EVENTS_MAX`](crate::link::reliable::LOG_EVENTS_MAX), of all players together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// Who receives it.
    pub audience: Audience,
    /// Index in the schema's `events`.
    pub kind: u8,
    /// One integer for each value that the schema names.
    pub values: &'a [i32],
}

/// The events of one tick, in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Events {
    heads: Vec<(Audience, u8, u32)>,
    values: Vec<i32>,
}

impl Events {
    /// Adds an event for every session.
    pub fn all(&mut self, kind: u8, values: &[i32]) {
        self.push(Audience::All, kind, values);
    }

    /// Adds an event for the player in one seat.
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

    /// Removes all events, but keeps the memory allocated for them.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.values.clear();
    }

    fn push(&mut self, audience: Audience, kind: u8, values: &[i32]) {
        self.values.extend_from_slice(values);
        self.heads.push((audience, kind, self.values.len() as u32));
    }
}
