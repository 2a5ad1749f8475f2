//! A whole game: tag. The player who is "it" catches another by touching them, and is moved to a
//! corner; the caught player is "it" now.

use serde::{Deserialize, Serialize};
use tickwire_shared::game::{Game, Input, MatchOptions, Step};
use tickwire_shared::ids::{EntityId, Seat};
use tickwire_shared::rows::Rows;
use tickwire_shared::schema::{Field, Predict, Schema};

/// Side of the square playing field, which has a wall around it. Positions are in metres.
const SIDE: f32 = 20.0;

/// The direction to run in: -1, 0 or 1 on each axis.
#[derive(Clone, Default)]
pub(crate) struct Keys(pub(crate) [i32; 2]);

impl Input for Keys {
    fn from_values(values: &[i32]) -> Self {
        Self([values[0], values[1]])
    }
    fn write_values(&self, values: &mut [i32]) {
        values.copy_from_slice(&self.0);
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Tag {
    metres_per_tick: f32,
    places: Vec<Option<[f32; 2]>>,
    it: usize,
}

impl Game for Tag {
    type Input = Keys;
    fn schema() -> Schema {
        let place = |name| Field::new(name, 0.01, 0, 2_000).predict(Predict::Linear);
        let runner = [place("x"), place("y"), Field::new("is_it", 1.0, 0, 1)];
        let tag = Schema::new("tag").players("runner", EntityId(0), runner);
        tag.input("x", -1, 1).input("y", -1, 1).event("caught", ["seat"])
    }
    fn new(options: &MatchOptions) -> Self {
        let metres_per_tick = 6.0 * options.tick_rate.seconds();
        Self { metres_per_tick, places: vec![None; options.seats.into()], it: 0 }
    }
    fn join(&mut self, seat: Seat) {
        self.places[seat.index()] = Some([SIDE / 2.0, f32::from(seat.0) * 3.0 % SIDE]);
    }
    fn leave(&mut self, seat: Seat) {
        self.places[seat.index()] = None;
    }
    fn step(&mut self, step: &mut Step<'_, Keys>) {
        for (place, Keys(keys)) in self.places.iter_mut().zip(step.inputs) {
            let Some(place) = place else { continue };
            let to = [0, 1].map(|axis| place[axis] + keys[axis] as f32 * self.metres_per_tick);
            *place = to.map(|axis| axis.clamp(0.0, SIDE));
        }
        let caught = self.places.iter().enumerate().position(|(seat, place)| {
            let near = |a: [f32; 2], b: [f32; 2]| (0..2).all(|i| (a[i] - b[i]).abs() < 0.8);
            let it = self.places[self.it];
            seat != self.it && place.is_some_and(|place| it.is_none_or(|it| near(it, place)))
        });
        let Some(seat) = caught else { return };
        self.places[self.it] = self.places[self.it].and(Some([0.0, 0.0]));
        self.it = seat;
        step.events.all(0, &[seat as i32]);
    }
    fn write_rows(&self, rows: &mut Rows) {
        for (seat, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let [x, y] = place.map(|axis| (axis * 100.0).round() as i32);
            rows.push(EntityId(seat as u32), 0, &[x, y, i32::from(seat == self.it)]);
        }
    }
}

fn main() -> std::process::ExitCode {
    tickwire_server::main::<Tag>()
}
