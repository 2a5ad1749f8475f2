//! Facts about the couriers on a map that the README shows.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../examples/couriers.rs"]
#[expect(dead_code, reason = "an example has a main")]
mod couriers;

use couriers::{Couriers, Report};
use tickwire_shared::{
    game::{Events, Game, MatchOptions, Step},
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    testing,
    time::TickRate,
};

#[test]
fn couriers_pass_the_check_for_any_game() {
    testing::check::<Couriers>();
}

#[test]
fn a_courier_appears_where_it_first_is_and_then_drives() {
    let mut map = Map::new();
    assert_eq!(map.report(None, false), None);
    assert_eq!(map.report(Some([3_000, -4_000]), false), Some([3_000, -4_000, 0]));
    // At 4 Hz, 12.5 m are as far as anybody gets in a tick.
    assert_eq!(map.report(Some([3_010, -4_000]), false), Some([3_010, -4_000, 0]));
    assert_eq!(map.report(Some([-9_000, -4_000]), false), Some([2_998, -4_000, 0]));
    assert_eq!(map.report(Some([-9_000, -4_000]), false), Some([2_985, -4_000, 0]));
    assert_eq!(map.report(None, false), Some([2_985, -4_000, 0]), "its phone does not know");
}

#[test]
fn a_courier_gets_anywhere_at_any_rate() {
    for hz in [1, 30, 128] {
        let mut map = Map::at(hz);
        map.report(Some([0, 0]), false);
        let ways = (0..u32::from(hz) * 5).map(|_| map.report(Some([40, 200]), false));
        assert_eq!(ways.last().flatten(), Some([40, 200, 0]), "204 metres within 5 s at {hz} Hz");
    }
}

#[test]
fn a_delivery_is_announced_and_counted() {
    let mut map = Map::new();
    map.report(Some([0, 0]), true);
    assert_eq!((map.events.iter().count(), map.deliveries()), (0, 0));
    map.report(Some([0, 0]), false);
    assert_eq!((map.events.iter().count(), map.deliveries()), (1, 1));
    map.report(Some([0, 0]), false);
    assert_eq!((map.events.iter().count(), map.deliveries()), (0, 1));
}

/// A map with one courier.
struct Map {
    couriers: Couriers,
    tick: Tick,
    events: Events,
}

impl Map {
    fn new() -> Self {
        Self::at(4)
    }

    fn at(hz: u16) -> Self {
        let tick_rate = TickRate::new(hz).unwrap();
        let options = MatchOptions { seed: 1, seats: 1, npcs: 0, tick_rate, mode: "" };
        let mut couriers = Couriers::new(&options);
        couriers.join(Seat(0));
        Self { couriers, tick: Tick(0), events: Events::default() }
    }

    /// Runs a tick with a report. Returns the courier's row.
    fn report(&mut self, place: Option<[i32; 2]>, is_loaded: bool) -> Option<[i32; 3]> {
        self.tick = self.tick.plus(1);
        self.events.clear();
        let inputs = [Report { place, is_loaded }];
        let (past, events) = (Rewind::none(), &mut self.events);
        self.couriers.step(&mut Step { tick: self.tick, inputs: &inputs, past, events });
        let mut rows = Rows::default();
        self.couriers.write_rows(&mut rows);
        rows.iter().next().map(|row| row.values.try_into().unwrap())
    }

    fn deliveries(&self) -> i32 {
        let mut values = [0];
        self.couriers.write_score(Seat(0), &mut values);
        values[0]
    }
}
