//! The game that servers are compared with, as a [`Game`]: players who run, turn and score.
//!
//! The arena is a square of 1,000 m, both axes of which wrap around. On the wire, positions are in
//! 1/65,536 of the arena (15 mm), velocities in 1/4,096 m/s, and directions in 1/65,536 of a turn;
//! the simulation itself uses doubles.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{Game, Input, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Predict, Schema},
};

/// Side of the arena, in metres.
const SIDE: f64 = 1_000.0;
/// Steps of a position in the arena, and of a direction in a turn.
const STEPS: i32 = 65_536;
/// Steps of a velocity in a metre per second.
const VELOCITY_STEPS: f64 = 4_096.0;
/// In metres per second, along each axis.
const SPEED_MAX: f64 = 6.0;
/// In metres per second squared, along each axis.
const ACCELERATION: f64 = 20.0;
/// An input's movement at full speed.
const MOVE_MAX: i32 = 127;
const HEALTH_MAX: u8 = 100;
const STANDING: u8 = 0;
const RUNNING: u8 = 1;
const FIRING: u8 = 2;

/// One player's input.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Command {
    /// Where to run: 127 is full speed.
    pub movement: [i8; 2],
    /// Where to look, in 1/65,536 of a turn.
    pub aim: u16,
    /// Bit 0: fire.
    pub buttons: u8,
}

impl Input for Command {
    fn from_values(values: &[i32]) -> Self {
        let &[x, y, aim, buttons] = values else { return Self::default() };
        Self { movement: [x as i8, y as i8], aim: aim as u16, buttons: buttons as u8 }
    }

    fn write_values(&self, values: &mut [i32]) {
        let [x, y] = self.movement.map(i32::from);
        values.copy_from_slice(&[x, y, self.aim.into(), self.buttons.into()]);
    }
}

/// A match.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workload {
    seconds_per_tick: f64,
    ticks_per_second: u32,
    players: Vec<Option<Player>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Player {
    position: [f64; 2],
    velocity: [f64; 2],
    aim: u16,
    health: u8,
    score: u16,
    animation: u8,
}

impl Game for Workload {
    type Input = Command;

    fn schema() -> Schema {
        let position = |name, rate| {
            let field = Field::new(name, (SIDE / f64::from(STEPS)) as f32, 0, STEPS - 1);
            // A position wraps around like an angle.
            field.predict(Predict::Turned { rate })
        };
        let velocity = |name| {
            let max = (SPEED_MAX * VELOCITY_STEPS) as i32;
            Field::new(name, (1.0 / VELOCITY_STEPS) as f32, -max, max).predict(Predict::Linear)
        };
        let plain = |name, max| Field::new(name, 1.0, 0, max);
        let yaw = Field::new("yaw", (TAU / f64::from(STEPS)) as f32, 0, STEPS - 1);
        Schema::new("workload 1")
            .kind(
                "player",
                [
                    velocity("velocity_x"),
                    velocity("velocity_y"),
                    position("x", 0),
                    position("y", 1),
                    yaw.predict(Predict::Angle),
                    plain("health", HEALTH_MAX.into()),
                    plain("score", u16::MAX.into()).predict(Predict::Counter),
                    plain("animation", FIRING.into()),
                ],
            )
            .input("x", -MOVE_MAX, MOVE_MAX)
            .input("y", -MOVE_MAX, MOVE_MAX)
            .input("aim", 0, STEPS - 1)
            .input("buttons", 0, 255)
    }

    fn new(options: &MatchOptions) -> Self {
        Self {
            seconds_per_tick: 1.0 / f64::from(options.tick_rate.hz()),
            ticks_per_second: options.tick_rate.hz().into(),
            players: vec![None; options.seats.into()],
        }
    }

    fn join(&mut self, seat: Seat) {
        let index = seat.index() as f64;
        self.players[seat.index()] = Some(Player {
            // Spread out, and not on multiples of a step.
            position: [(index * 61.8 + 7.3) % SIDE, (index * 38.2 + 3.1) % SIDE],
            velocity: [0.0; 2],
            aim: 0,
            health: HEALTH_MAX,
            score: 0,
            animation: STANDING,
        });
    }

    fn leave(&mut self, seat: Seat) {
        self.players[seat.index()] = None;
    }

    fn step(&mut self, step: &mut Step<'_, Command>) {
        for (id, (player, input)) in (0_u32..).zip(self.players.iter_mut().zip(step.inputs)) {
            let Some(player) = player else { continue };
            player.step(input, self.seconds_per_tick);
            if step.tick.0.wrapping_add(id).is_multiple_of(self.ticks_per_second) {
                player.health = player.health.checked_sub(1).unwrap_or(HEALTH_MAX);
            }
        }
    }

    fn write_rows(&self, rows: &mut Rows) {
        for (id, player) in (0_u32..).zip(&self.players) {
            let Some(player) = player else { continue };
            let [x, y] =
                player.position.map(|axis| (axis / SIDE * f64::from(STEPS)).round() as i32 % STEPS);
            let [vx, vy] = player.velocity.map(|axis| (axis * VELOCITY_STEPS).round() as i32);
            let Player { aim, health, score, animation, .. } = *player;
            let values = [vx, vy, x, y, aim.into(), health.into(), score.into(), animation.into()];
            rows.push(EntityId(id), 0, &values);
        }
    }
}

impl Player {
    fn step(&mut self, input: &Command, seconds: f64) {
        for (axis, movement) in input.movement.into_iter().enumerate() {
            let wanted = f64::from(movement) / f64::from(MOVE_MAX) * SPEED_MAX;
            let change = wanted - self.velocity[axis];
            let change_max = ACCELERATION * seconds;
            self.velocity[axis] += change.clamp(-change_max, change_max);
            let moved = self.position[axis] + self.velocity[axis] * seconds;
            self.position[axis] = moved.rem_euclid(SIDE);
        }
        self.aim = input.aim;
        let [vx, vy] = self.velocity;
        if input.buttons & 1 != 0 {
            self.score = self.score.wrapping_add((self.animation != FIRING).into());
            self.animation = FIRING;
        } else {
            self.animation = if vx.abs() + vy.abs() > 0.1 { RUNNING } else { STANDING };
        }
    }
}

#[cfg(test)]
mod tests {
    use tickwire_shared::{game::Events, ids::Tick, replica::Rewind, time::TickRate};

    use super::*;

    #[test]
    fn a_player_speeds_up_wraps_fires_and_ages() {
        let rate = TickRate::new(30).unwrap();
        let mut game =
            Workload::new(&MatchOptions { seed: 1, seats: 2, npcs: 0, tick_rate: rate, mode: "" });
        game.join(Seat(1));
        let input = Command { movement: [-127, 0], aim: 77, buttons: 1 };
        for tick in 1..=300 {
            game.step(&mut Step {
                tick: Tick(tick),
                inputs: &[Command::default(), input],
                past: Rewind::none(),
                events: &mut Events::default(),
            });
        }
        let mut rows = Rows::default();
        game.write_rows(&mut rows);
        assert_eq!(rows.len(), 1);
        let values = rows.row(0).values;
        // It starts at 69.1 m; accelerating to 6 m/s takes 0.3 s, which costs it 0.8 m.
        let metres = f64::from(values[2]) / 65.536;
        assert!((metres - (69.1 - 60.0 + 0.8)).abs() < 0.1, "at {metres} m");
        assert_eq!([values[0], values[1], values[4]], [-24_576, 0, 77]);
        assert_eq!(values[5..], [90, 1, 2]);
    }

    #[test]
    fn the_schema_is_valid() {
        assert_eq!(Workload::schema().validate(), Ok(()));
    }
}
