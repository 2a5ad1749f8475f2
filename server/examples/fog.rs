//! A game in which not everybody sees everything: two teams hunt each other in fog. A player sees
//! what is near to anyone of the same team, and snapshots contain nothing else, so no modified
//! client can show more. Running into an opponent scores a point, and moves the opponent home.

use serde::{Deserialize, Serialize};
use tickwire_shared::game::{Game, Input, MatchOptions, Step};
use tickwire_shared::ids::{EntityId, Seat, Viewer};
use tickwire_shared::rows::{Row, Rows};
use tickwire_shared::schema::{Field, Predict, Schema};

/// Side of the square field, and how far a player can see, in centimetres.
const SIDE: i32 = 6_000;
const SIGHT: i32 = 1_200;

/// The direction to run in: -1, 0 or 1 on each axis.
#[derive(Clone, Default)]
pub(crate) struct Keys([i32; 2]);

impl Input for Keys {
    fn from_values(values: &[i32]) -> Self {
        Self([values[0], values[1]])
    }
    fn write_values(&self, values: &mut [i32]) {
        values.copy_from_slice(&self.0);
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Fog {
    per_tick: i32,
    hunters: Vec<Option<[i32; 2]>>,
    scores: [i32; 2],
}

impl Game for Fog {
    type Input = Keys;
    fn schema() -> Schema {
        let place = |name| Field::new(name, 0.01, 0, SIDE).predict(Predict::Linear);
        let hunter = [place("x"), place("y"), Field::new("team", 1.0, 0, 1)];
        let fog = Schema::new("fog").players("hunter", EntityId(0), hunter);
        fog.input("x", -1, 1).input("y", -1, 1).event("point", ["team", "points"])
    }
    fn new(options: &MatchOptions) -> Self {
        let per_tick = 900 / i32::from(options.tick_rate.hz());
        Self { per_tick, hunters: vec![None; options.seats.into()], scores: [0; 2] }
    }
    fn join(&mut self, seat: Seat) {
        self.hunters[seat.index()] = Some(home(seat.index()));
    }
    fn leave(&mut self, seat: Seat) {
        self.hunters[seat.index()] = None;
    }
    fn step(&mut self, step: &mut Step<'_, Keys>) {
        for seat in 0..self.hunters.len() {
            let Some(from) = self.hunters[seat] else { continue };
            let keys = step.inputs[seat].0;
            let to = [0, 1].map(|i| (from[i] + keys[i] * self.per_tick).clamp(0, SIDE));
            self.hunters[seat] = Some(to);
            let touched = (0..self.hunters.len()).find(|&other| {
                let is_near = self.hunters[other].is_some_and(|at| is_within(60, at, to));
                other % 2 != seat % 2 && to != from && is_near
            });
            if let Some(other) = touched {
                self.hunters[other] = Some(home(other));
                self.scores[seat % 2] += 1;
                step.events.all(0, &[seat as i32 % 2, self.scores[seat % 2]]);
            }
        }
    }
    fn write_rows(&self, rows: &mut Rows) {
        for (seat, hunter) in self.hunters.iter().enumerate() {
            let Some([x, y]) = *hunter else { continue };
            rows.push(EntityId(seat as u32), 0, &[x, y, seat as i32 % 2]);
        }
    }
    /// The viewers are the teams.
    fn viewer(&self, seat: Seat) -> Option<Viewer> {
        Some(Viewer(seat.0 % 2))
    }
    fn sees(&self, Viewer(team): Viewer, row: Row<'_>) -> bool {
        let at = [row.values[0], row.values[1]];
        let mut own = self.hunters.iter().skip(team.into()).step_by(2).flatten();
        own.any(|&hunter| is_within(SIGHT, hunter, at))
    }
}

fn home(seat: usize) -> [i32; 2] {
    [seat as i32 % 2 * SIDE, seat as i32 * 300 % SIDE]
}

fn is_within(distance: i32, [x, y]: [i32; 2], [to_x, to_y]: [i32; 2]) -> bool {
    (to_x - x).pow(2) + (to_y - y).pow(2) <= distance.pow(2)
}

fn main() -> std::process::ExitCode {
    tickwire_server::main::<Fog>()
}
