//! Positions on a map: couriers report where they are, and everybody sees all of them move.
//! Dispatchers watch as spectators; a delivery is an event, which feeds publish too.

use serde::{Deserialize, Serialize};
use tickwire_shared::game::{Game, Input, MatchOptions, Step};
use tickwire_shared::ids::{EntityId, Seat};
use tickwire_shared::rows::Rows;
use tickwire_shared::schema::{Field, Predict, Schema};

/// Half the side of the map, whose middle is the depot. Positions are in metres.
const MAP: i32 = 10_000;
/// Nobody drives faster, whatever they report.
const METRES_PER_SECOND: f32 = 50.0;

/// What a courier's phone reports.
#[derive(Clone, Default)]
pub(crate) struct Report {
    /// Metres to the east and south of the depot; `None` as long as the phone does not know.
    pub(crate) place: Option<[i32; 2]>,
    /// Whether the courier carries a parcel.
    pub(crate) is_loaded: bool,
}

impl Input for Report {
    fn from_values(values: &[i32]) -> Self {
        let place = (values[2] == 1).then_some([values[0], values[1]]);
        Self { place, is_loaded: values[3] == 1 }
    }
    fn write_values(&self, values: &mut [i32]) {
        let [x, y] = self.place.unwrap_or_default();
        values.copy_from_slice(&[x, y, self.place.is_some().into(), self.is_loaded.into()]);
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Courier {
    place: Option<[f32; 2]>,
    is_loaded: bool,
    deliveries: i32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Couriers {
    metres_per_tick: f32,
    couriers: Vec<Courier>,
}

impl Game for Couriers {
    type Input = Report;
    const SCORES: &'static [&'static str] = &["deliveries"];
    fn schema() -> Schema {
        let place = |name| Field::new(name, 1.0, -MAP, MAP).predict(Predict::Linear);
        let courier = [place("x"), place("y"), Field::new("is_loaded", 1.0, 0, 1)];
        let couriers = Schema::new("couriers").players("courier", EntityId(0), courier);
        let report = couriers.input("x", -MAP, MAP).input("y", -MAP, MAP);
        report.input("is_known", 0, 1).input("is_loaded", 0, 1).event("delivered", ["seat"])
    }
    fn new(options: &MatchOptions) -> Self {
        let metres_per_tick = METRES_PER_SECOND * options.tick_rate.seconds();
        Self { metres_per_tick, couriers: vec![Courier::default(); options.seats.into()] }
    }
    fn join(&mut self, seat: Seat) {
        self.couriers[seat.index()] = Courier::default();
    }
    fn leave(&mut self, seat: Seat) {
        self.couriers[seat.index()] = Courier::default();
    }
    fn step(&mut self, step: &mut Step<'_, Report>) {
        for (seat, (courier, report)) in self.couriers.iter_mut().zip(step.inputs).enumerate() {
            let Some(to) = report.place.map(|place| place.map(|axis| axis as f32)) else {
                continue;
            };
            courier.place = Some(courier.place.map_or(to, |from| {
                let way = [0, 1].map(|axis| to[axis] - from[axis]);
                let part = (self.metres_per_tick / way[0].hypot(way[1])).min(1.0);
                [0, 1].map(|axis| from[axis] + way[axis] * part)
            }));
            if courier.is_loaded && !report.is_loaded {
                courier.deliveries += 1;
                step.events.all(0, &[seat as i32]);
            }
            courier.is_loaded = report.is_loaded;
        }
    }
    fn write_rows(&self, rows: &mut Rows) {
        for (seat, courier) in self.couriers.iter().enumerate() {
            let Some(place) = courier.place else { continue };
            let [x, y] = place.map(|axis| axis.round() as i32);
            rows.push(EntityId(seat as u32), 0, &[x, y, courier.is_loaded.into()]);
        }
    }
    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        values[0] = self.couriers[seat.index()].deliveries;
    }
}

fn main() -> std::process::ExitCode {
    tickwire_server::main::<Couriers>()
}
