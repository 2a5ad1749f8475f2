//! Games whose inputs are large.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde::{Deserialize, Serialize};
use support::{End, TestServer};
use tickwire_shared::{
    game::{Game, Input, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
};

#[test]
fn the_largest_inputs_count_no_more_than_twice() {
    let server = TestServer::start::<Wide>(|config| config.limits.messages_hz = 100);
    let mut client = server.join();
    client.wait_snapshots(1);
    // The burst is 1,000 messages: 450 inputs count as 900, since their bytes count as well.
    for n in 0..450 {
        client.input(&[n; WIDE]);
    }
    client.wait("the last of the inputs", |client| {
        client.link.rows().unwrap().row(0).values == [449]
    });
    (0..450).for_each(|_| client.input(&[0; WIDE]));
    assert_eq!(client.wait_end(), End::Close(4025));
}

const WIDE: usize = 32;

/// The first integer of the last input of seat 0.
#[derive(Serialize, Deserialize)]
struct Wide(i32);

#[derive(Clone, Debug, Default)]
struct Values([i32; WIDE]);

impl Input for Values {
    fn from_values(values: &[i32]) -> Self {
        Self(values.try_into().unwrap())
    }

    fn write_values(&self, values: &mut [i32]) {
        values.copy_from_slice(&self.0);
    }
}

impl Game for Wide {
    type Input = Values;

    fn schema() -> Schema {
        let wide = Schema::new("wide").kind("it", [Field::new("first", 1.0, i32::MIN, i32::MAX)]);
        (0..WIDE).fold(wide, |wide, n| wide.input(&format!("i{n}"), i32::MIN, i32::MAX))
    }

    fn new(_: &MatchOptions) -> Self {
        Self(0)
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Values>) {
        self.0 = step.inputs[0].0[0];
    }

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[self.0]);
    }
}
