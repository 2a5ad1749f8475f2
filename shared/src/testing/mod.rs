//! Simulates a match and its clients over a bad network, in simulated time from a seed.
//!
//! [`profile`] has the properties of networks; [`pipe`] is one direction of a network; [`world`] is
//! the server's half of a match without sockets; [`player`] is a client that predicts and
//! interpolates like one with a screen; [`simulation`] runs them together and reports the outcome.
//! [`check()`] tests a game without a network, and [`frames`] are for tests with real sockets.

mod check;
pub mod frames;
pub mod pipe;
pub mod player;
pub mod profile;
pub mod simulation;
pub mod world;

pub use check::check;
pub use pipe::Pipe;
pub use player::Played;
pub use profile::Profile;
pub use simulation::{Host, Outcome, Simulation};
pub use world::World;

use crate::{
    ids::{InputSeq, MatchId, Seat, SessionId},
    schema::Schema,
    time::TickRate,
    wire::{ResumeToken, Welcome, schema_hash},
};

/// The welcome for the first player of a new match.
#[must_use]
pub fn welcome(schema: Schema, tick_rate: TickRate) -> Welcome {
    Welcome {
        session: SessionId(1),
        resume: ResumeToken([7; 16]),
        match_id: MatchId(1),
        seat: Some(Seat(0)),
        seq: InputSeq(0),
        events: 0,
        lines: 0,
        tick_rate,
        schema_hash: schema_hash(&schema),
        schema: Some(schema),
        model: Some(Vec::new()),
    }
}
