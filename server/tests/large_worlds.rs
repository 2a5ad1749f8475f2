//! Games of many entities: clients get as many as the protocol allows, however slowly they read; a
//! match with more ends alone, with a reason.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde::{Deserialize, Serialize};
use support::{Client, End, Nothing, TestServer, tls::Certificate};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
};

#[test]
fn a_client_that_joins_a_large_world_gets_all_of_it() {
    let server = TestServer::start::<World<4_096, 8>>(|_| {});
    check(server.join());
    let files = Certificate::new("large");
    let server = TestServer::start::<World<4_096, 8>>(|config| config.tls = Some(files.config()));
    check(files.join(server.addr, &rustls::version::TLS13));
}

fn check(mut client: Client) {
    client.wait_snapshots(1);
    // All fields of all entities are more than the kernel holds: the rest waited in the outbox.
    assert_eq!(client.link.rows().unwrap().len(), 4_096);
    assert_eq!(client.digests, 1);
    client.wait_snapshots(3);
}

#[test]
fn a_world_that_fits_in_no_snapshot_ends() {
    check_ends(&TestServer::start::<World<4_096, 20>>(|_| {}));
    check_ends(&TestServer::start::<World<4_097, 1>>(|_| {}));
}

fn check_ends(server: &TestServer) {
    let mut client = server.connect();
    client.say_hello(None);
    assert_eq!(client.wait_end(), End::Close(4016));
    assert_eq!(server.metric("tickwire_matches"), 0.0);
}

/// This many entities with this many unpredictable fields.
#[derive(Default, Serialize, Deserialize)]
struct World<const ENTITIES: u32, const FIELDS: u32>(u32);

impl<const ENTITIES: u32, const FIELDS: u32> Game for World<ENTITIES, FIELDS> {
    type Input = Nothing;

    fn schema() -> Schema {
        let field = |n| Field::new(&format!("f{n}"), 1.0, i32::MIN, i32::MAX);
        Schema::new("world").kind("thing", (0..FIELDS).map(field).collect::<Vec<_>>())
    }

    fn new(_: &MatchOptions) -> Self {
        Self(0)
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, _: &mut Step<'_, Nothing>) {
        self.0 += 1;
    }

    fn write_rows(&self, rows: &mut Rows) {
        let mut values = [0; 32];
        for id in 0..ENTITIES {
            for (field, value) in (0..FIELDS).zip(&mut values) {
                let mixed = (id * FIELDS + field + self.0).wrapping_mul(0x9E37_79B9);
                *value = (mixed ^ mixed >> 15).wrapping_mul(0x85EB_CA6B).cast_signed();
            }
            rows.push(EntityId(id), 0, &values[..FIELDS as usize]);
        }
    }
}
