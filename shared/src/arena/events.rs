//! The arena's events. Shots, explosions and respawns are not events: clients see them in the rows.

use serde::{Deserialize, Serialize};

use super::{
    map::Stock,
    rows::{HEALTH_MAX, ROUNDS_MAX},
};
use crate::{game::Events, ids::Seat, schema::Schema};

/// To everyone: `killer` killed `victim` with `weapon`. Both may be the same player.
pub const KILL: u8 = 0;
/// To the shooter: their shot or blast took `damage` from `victim`.
pub const HIT: u8 = 1;
/// To the player who took a pickup that held `stock`.
pub const PICKED_UP: u8 = 2;
/// To everyone: round `number` is over, and `winner` won it; -1 for nobody.
pub const ROUND_OVER: u8 = 3;
/// To everyone: round `number` begins.
pub const ROUND_START: u8 = 4;

/// A player's weapons.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Weapon {
    /// The first weapon: hits at once.
    Gun,
    /// The second weapon: slow, and hurts around it.
    Rocket,
}

impl Weapon {
    /// Its value in events.
    #[must_use]
    pub const fn value(self) -> i32 {
        match self {
            Self::Gun => 0,
            Self::Rocket => 1,
        }
    }
}

/// Adds the events to the schema, in the order of the constants above.
pub(super) fn describe(schema: Schema) -> Schema {
    schema
        .event("kill", ["victim", "killer", "weapon"])
        .event("hit", ["victim", "damage"])
        .event("picked_up", ["stock"])
        .event("round_over", ["number", "winner"])
        .event("round_start", ["number"])
}

pub(super) fn kill(events: &mut Events, victim: Seat, killer: Seat, weapon: Weapon) {
    events.all(KILL, &[victim.0.into(), killer.0.into(), weapon.value()]);
}

pub(super) fn hit(events: &mut Events, shooter: Seat, victim: Seat, damage: i32) {
    events.seat(shooter, HIT, &[victim.0.into(), damage.min(HEALTH_MAX)]);
}

pub(super) fn picked_up(events: &mut Events, seat: Seat, stock: Stock) {
    events.seat(seat, PICKED_UP, &[stock.value()]);
}

pub(super) fn round_over(events: &mut Events, number: u32, winner: Option<Seat>) {
    let winner = winner.map_or(-1, |seat| i32::from(seat.0));
    events.all(ROUND_OVER, &[round_number(number), winner]);
}

pub(super) fn round_start(events: &mut Events, number: u32) {
    events.all(ROUND_START, &[round_number(number)]);
}

/// A round's number as in rows and events.
pub(super) fn round_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(ROUNDS_MAX).min(ROUNDS_MAX)
}
