//! Units of the arena's integers.
//!
//! Everything that a client predicts is computed in integers, and the server's own state is bit for
//! bit that of its rows: a client that starts from a row and applies the same inputs gets the same
//! rows. All products stay below 2^31, so that JavaScript's numbers give the same results.
//!
//! x points right, y points down; angles turn from x to y.

use glam::{IVec2, Vec2};

use crate::{
    ids::Tick,
    time::{Micros, TickRate},
};

/// Positions are in steps of 1/128 m.
pub const STEPS_PER_M: i32 = 128;
/// Velocities are in steps of 1/8 m/s: coarse, so that a change takes few bits, but fine enough for
/// directions to one degree at full speed.
pub const VELOCITY_STEPS_PER_MPS: i32 = 8;
/// Steps of an input's angle in a full turn.
pub const ANGLES: i32 = 1 << 16;
/// Steps of a row's angle in a full turn, a third of a degree each: fine enough that a shot across
/// the arena, drawn from its shooter's row, meets the player that it hit.
pub const ROW_ANGLES: i32 = 1 << 10;

/// A length in position steps.
#[must_use]
pub const fn cm(centimetres: i32) -> i32 {
    centimetres * STEPS_PER_M / 100
}

/// How far an object moves in one tick in which its velocity changes evenly from `before` to
/// `after`. The codec forecasts positions in the same way, so they take next to no bandwidth.
#[must_use]
pub fn carried(before: IVec2, after: IVec2, rate: TickRate) -> IVec2 {
    const SCALE: i32 = STEPS_PER_M / VELOCITY_STEPS_PER_MPS;
    let both = before + after;
    let per_tick = 2 * i32::from(rate.hz());
    IVec2::new(round_div(both.x * SCALE, per_tick), round_div(both.y * SCALE, per_tick))
}

/// The unit vector of an angle.
#[must_use]
pub fn direction(angle: i32) -> Vec2 {
    Vec2::from_angle(angle as f32 * (std::f32::consts::TAU / ANGLES as f32))
}

/// The angle of a vector, from 0 to below [`ANGLES`]; 0 for the zero vector.
#[must_use]
pub fn angle_of(vector: Vec2) -> i32 {
    let turns = vector.to_angle() / std::f32::consts::TAU;
    ((turns * ANGLES as f32).round() as i32).rem_euclid(ANGLES)
}

/// The shorter turn from one angle to another, between minus half a turn and half a turn.
#[must_use]
pub fn turn(from: i32, to: i32) -> i32 {
    (to - from + ANGLES / 2).rem_euclid(ANGLES) - ANGLES / 2
}

/// Ticks in a duration, rounded up; at least one.
pub(super) fn ticks(millis: u64, rate: TickRate) -> u32 {
    rate.ticks_in(Micros::from_millis(millis)).max(1)
}

/// A tick as a non-negative row value; it wraps after 2^31 ticks.
pub(super) const fn tick_value(tick: Tick) -> i32 {
    (tick.0 & 0x7fff_ffff).cast_signed()
}

/// `a / b` rounded to the nearest, halves away from zero; `b` is positive.
const fn round_div(a: i32, b: i32) -> i32 {
    let half = if a < 0 { -b } else { b };
    (2 * a + half) / (2 * b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_to_the_nearest() {
        for a in -200..=200 {
            for b in 1..=9 {
                let expected = (f64::from(a) / f64::from(b)).round() as i32;
                assert_eq!(round_div(a, b), expected, "{a} / {b}");
            }
        }
    }

    #[test]
    fn angles_survive_the_way_through_vectors() {
        for angle in (0..ANGLES).step_by(77) {
            assert!(turn(angle, angle_of(direction(angle))).abs() <= 1, "{angle}");
        }
        assert_eq!(turn(10, ANGLES - 10), -20);
        assert_eq!(turn(ANGLES - 10, 10), 20);
    }
}
