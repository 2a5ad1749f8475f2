//! The client's half of the netcode, and lag compensation.
//!
//! A client shows other entities a little in the past, interpolated between two snapshots
//! ([`view`], [`interpolation`]), and the player's own entity ahead of the server, where its inputs
//! will have brought it ([`prediction`]). The server looks up the past as a player saw it
//! ([`rewind`]), to judge the player's shots.

pub mod interpolation;
pub mod prediction;
pub mod rewind;
pub mod view;

pub use interpolation::Interpolation;
pub use prediction::{Prediction, Predictor, Verdict};
pub use rewind::Rewind;
pub use view::View;
