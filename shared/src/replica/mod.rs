//! The client's half of the netcode: what a player is shown.
//!
//! Others are shown a little in the past, between two snapshots ([`view`], [`interpolation`]); the
//! player's own entity is shown ahead of the server, where its inputs will have brought it
//! ([`prediction`]). The server sees the past as a player saw it ([`rewind`]), and judges their
//! shots by that.

pub mod interpolation;
pub mod prediction;
pub mod rewind;
pub mod view;

pub use interpolation::Interpolation;
pub use prediction::{Predict, Prediction, Verdict};
pub use rewind::Rewind;
pub use view::View;
