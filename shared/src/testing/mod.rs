//! A match and its clients over a bad network, in simulated time from a seed.
//!
//! [`profile`] says what networks are like; [`pipe`] is one direction of one; [`world`] is the
//! server's half of a match without sockets, [`player`] a client that predicts and interpolates
//! like one with a screen; [`simulation`] runs them together and says how it went.

pub mod pipe;
pub mod player;
pub mod profile;
pub mod simulation;
pub mod world;

pub use pipe::Pipe;
pub use profile::Profile;
pub use simulation::{Outcome, Simulation};
