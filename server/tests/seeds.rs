//! What chance makes of a match is not to be known before.

mod support;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use support::{Nothing, TestServer};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
};

#[test]
fn no_two_matches_have_the_same_seed() {
    let seed = |server: &TestServer| {
        let mut client = server.join();
        client.wait_snapshots(1);
        client.link.rows().unwrap().row(0).values.to_vec()
    };
    // The first of each server as well.
    let servers = [(); 3].map(|()| TestServer::start::<Lot>(|config| config.seats = 1));
    let seeds: HashSet<_> =
        servers.iter().flat_map(|server| [seed(server), seed(server)]).collect();
    assert_eq!(seeds.len(), 6);
}

/// A game that shows its seed.
#[derive(Serialize, Deserialize)]
struct Lot(u64);

impl Game for Lot {
    type Input = Nothing;

    fn schema() -> Schema {
        let half = |name| Field::new(name, 1.0, i32::MIN, i32::MAX);
        Schema::new("lot").kind("seed", [half("low"), half("high")])
    }

    fn new(options: &MatchOptions) -> Self {
        Self(options.seed)
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, _: &mut Step<'_, Nothing>) {}

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[self.0 as i32, (self.0 >> 32) as i32]);
    }
}
