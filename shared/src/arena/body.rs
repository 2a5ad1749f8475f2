//! How a player moves: the one rule that a client needs to predict its own player.

use glam::IVec2;
use serde::{Deserialize, Serialize};

use super::{
    input::{ArenaInput, MOVE_MAX},
    map::Map,
    units::{STEPS_PER_M, VELOCITY_STEPS_PER_MPS, carried, cm},
};
use crate::time::TickRate;

/// A player's radius, in position steps.
pub const RADIUS: i32 = cm(40);
/// Running speed, in velocity steps: 6.5 m/s.
pub const SPEED: i32 = 65 * VELOCITY_STEPS_PER_MPS / 10;
/// Largest velocity per axis, even after a blast, in velocity steps: 25 m/s.
pub const VELOCITY_MAX: i32 = 25 * VELOCITY_STEPS_PER_MPS;
/// How fast a velocity changes, per axis: 50 m/s each second.
const ACCELERATION: i32 = 50 * VELOCITY_STEPS_PER_MPS;

const _: () = assert!(RADIUS > STEPS_PER_M / 4, "half a radius must be many steps long");

/// A position and a velocity, exactly as in a row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// The centre, in position steps.
    pub position: IVec2,
    /// The velocity, in velocity steps.
    pub velocity: IVec2,
}

/// Moves a living player by one tick.
///
/// Each axis of the velocity approaches the wanted one at a fixed acceleration, so that with held
/// keys the velocity soon stays the same, and takes no bandwidth.
pub fn advance(body: &mut Body, input: &ArenaInput, rate: TickRate, map: &Map) {
    let before = body.velocity;
    let wanted = wanted_velocity(input.movement);
    let change = IVec2::splat((ACCELERATION / i32::from(rate.hz())).max(1));
    body.velocity = before + (wanted - before).clamp(-change, change);
    let travel = carried(before, body.velocity, rate);
    map.slide(body, travel);
}

fn wanted_velocity(movement: IVec2) -> IVec2 {
    let length = movement.length_squared().isqrt().max(MOVE_MAX);
    movement * SPEED / length
}
