//! The client's half of the netcode: what a player is shown.
//!
//! Others are shown a little in the past, between two snapshots ([`view`]). The server sees the past as a player saw it ([`rewind`]), and judges their
//! shots by that.

pub mod rewind;
pub mod view;

pub use rewind::Rewind;
pub use view::View;
