//! The game that servers are compared with (`benches/src/workload.rs`), in 32-bit floats.

use std::f32::consts::TAU;

use serde::Serialize;

const SIDE: f32 = 1_000.0;
const SPEED_MAX: f32 = 6.0;
const ACCELERATION: f32 = 20.0;
const HEALTH_MAX: u8 = 100;
const STANDING: u8 = 0;
const RUNNING: u8 = 1;
const FIRING: u8 = 2;

/// One client's input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Input {
    pub(crate) seq: u32,
    movement: [i8; 2],
    aim: u16,
    buttons: u8,
}

impl Input {
    /// 9 bytes, little-endian.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d, mx, my, low, high, buttons] = bytes else { return None };
        Some(Self {
            seq: u32::from_le_bytes([a, b, c, d]),
            movement: [mx.cast_signed(), my.cast_signed()],
            aim: u16::from_le_bytes([low, high]),
            buttons,
        })
    }
}

/// A player, as clients see it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Player {
    id: u16,
    position: [f32; 2],
    velocity: [f32; 2],
    yaw: f32,
    health: u8,
    score: u16,
    animation: u8,
}

impl Player {
    pub(crate) fn new(id: usize) -> Self {
        let index = id as f32;
        Self {
            id: id as u16,
            position: [(index * 61.8 + 7.3) % SIDE, (index * 38.2 + 3.1) % SIDE],
            velocity: [0.0; 2],
            yaw: 0.0,
            health: HEALTH_MAX,
            score: 0,
            animation: STANDING,
        }
    }

    pub(crate) fn step(&mut self, input: &Input, seconds: f32, tick: u32, ticks_per_second: u32) {
        for (axis, movement) in input.movement.into_iter().enumerate() {
            let wanted = f32::from(movement) / 127.0 * SPEED_MAX;
            let change_max = ACCELERATION * seconds;
            self.velocity[axis] += (wanted - self.velocity[axis]).clamp(-change_max, change_max);
            let moved = self.position[axis] + self.velocity[axis] * seconds;
            self.position[axis] = moved.rem_euclid(SIDE);
        }
        self.yaw = f32::from(input.aim) * TAU / 65_536.0;
        let [vx, vy] = self.velocity;
        if input.buttons & 1 != 0 {
            self.score = self.score.wrapping_add((self.animation != FIRING).into());
            self.animation = FIRING;
        } else {
            self.animation = if vx.abs() + vy.abs() > 0.1 { RUNNING } else { STANDING };
        }
        if tick.wrapping_add(self.id.into()).is_multiple_of(ticks_per_second) {
            self.health = self.health.checked_sub(1).unwrap_or(HEALTH_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_speeds_up_wraps_fires_and_ages() {
        let mut player = Player::new(1);
        let input = Input::decode(&[1, 0, 0, 0, 129, 0, 77, 0, 1]).unwrap();
        for tick in 1..=300 {
            player.step(&input, 1.0 / 30.0, tick, 30);
        }
        // It starts at 69.1 m; accelerating to 6 m/s takes 0.3 s, which costs it 0.8 m.
        assert!((player.position[0] - (69.1 - 60.0 + 0.8)).abs() < 0.1, "{player:?}");
        assert_eq!(player.velocity, [-6.0, 0.0]);
        assert_eq!((player.health, player.score, player.animation), (90, 1, 2));
    }
}
