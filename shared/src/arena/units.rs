//! What the integers of the arena stand for.
//!
//! Everything that a client predicts is integers, and the server's own state is what its rows
//! say, bit for bit: a client that starts from a row and runs the same inputs comes to the same
//! row. All products stay below 2^31, so that JavaScript's numbers compute the same.
//!
//! x points right, y points down; angles turn from x to y.

use glam::{IVec2, Vec2};

use crate::{
    ids::Tick,
    time::{Micros, TickRate},
};

/// Positions are in steps of 1/128 m.
pub const STEPS_PER_M: i32 = 128;
/// Velocities are in steps of 1/8 m/s: coarse, so that few bits tell a change, and still a
/// direction to one degree at full speed.
pub const VELOCITY_STEPS_PER_MPS: i32 = 8;
/// Angles of an input: steps in a full turn.
pub const ANGLES: i32 = 1 << 16;
/// Angles that others are shown: steps in a full turn. A third of a degree: whoever draws a shot
/// across the arena from its shooter's row sees it meet whom it hit.
pub const ROW_ANGLES: i32 = 1 << 10;

/// A length in position steps.
#[must_use]
pub const fn cm(centimetres: i32) -> i32 {
    centimetres * STEPS_PER_M / 100
}

/// How far something goes in one tick during which its velocity changes steadily from `before` to
/// `after`. This is also how the codec carries a position, so that positions cost it nothing.
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

/// The angle of a vector, from 0 to [`ANGLES`]; of the null vector, 0.
#[must_use]
pub fn angle_of(vector: Vec2) -> i32 {
    let turns = vector.to_angle() / std::f32::consts::TAU;
    ((turns * ANGLES as f32).round() as i32).rem_euclid(ANGLES)
}

/// The shortest way to turn from one angle to another, from -half a turn to half a turn.
#[must_use]
pub fn turn(from: i32, to: i32) -> i32 {
    (to - from + ANGLES / 2).rem_euclid(ANGLES) - ANGLES / 2
}

/// Ticks in a time, at least one.
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
