//! Everything that both ends of a Tickwire connection must agree on.
//!
//! The crate is *sans-IO*: bytes and time go in; bytes, events and deadlines come out. There is
//! no socket, clock, thread or global randomness here, so a match and its clients can run in
//! simulated time from a seed. `PROTOCOL.md` beside this crate describes the bytes.
//!
//! Reading order: [`game`] is the trait that a game developer implements; [`schema`] and [`rows`]
//! describe and hold its state as integers; [`codec`] encodes rows into snapshots; [`link`] carries
//! snapshots and inputs between server and client; [`replica`] makes it feel local; [`session`]
//! combines both for a client, and says how one is written; [`arena`] is a complete game. With the
//! feature `testing`, the module `testing` finds a game's faults, and plays it over bad networks.

#![forbid(unsafe_code)]

pub mod arena;
pub mod close;
pub mod codec;
pub mod declaration;
pub mod dice;
pub mod game;
pub mod history;
pub mod ids;
pub mod link;
pub mod misfit;
pub mod replica;
pub mod rows;
pub mod schema;
pub mod session;
pub mod social;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod wire;
pub mod ws;
