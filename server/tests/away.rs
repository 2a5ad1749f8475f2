//! A game knows who of its players is away.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;

use serde::{Deserialize, Serialize};
use support::{Client, End, Nothing, TestServer, scratch};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
    time::TickRate,
};

#[test]
fn a_game_is_told_who_is_away_and_who_is_back() {
    let file = scratch("away.handover");
    let _ = fs::remove_file(&file);
    let start = || TestServer::start::<Roll>(|config| config.handover_file = Some(file.clone()));
    let server = start();
    let (mut ada, mut bob) = (server.join(), server.join());
    ada.wait("Bob", |ada| line(ada, 1) == Some([0, 0]));
    for absences in 1..=2 {
        let link = bob.link;
        drop(bob.stream);
        ada.wait("Bob's absence", |ada| line(ada, 1) == Some([1, absences]));
        bob = server.take_up(link);
        ada.wait("Bob's return", |ada| line(ada, 1) == Some([0, absences]));
    }
    // One who is replaced by another connection is here again at once.
    let (older, mut newer) = (bob, Client::open(server.addr, "match=1&resume=1", "tickwire.v1"));
    newer.say_hello(Some(older.link.welcome().unwrap().resume));
    newer.wait_welcome();
    ada.wait("Bob's new connection", |ada| line(ada, 1) == Some([0, 3]));
    let bob = newer.link;
    drop(newer.stream);
    ada.wait("Bob's absence", |ada| line(ada, 1) == Some([1, 4]));

    // In the next server all are away at first: Bob still, and Ada too.
    server.drain();
    let server = start();
    let mut ada = server.take_up(ada.link);
    ada.wait("the match", |ada| line(ada, 0) == Some([0, 1]));
    assert_eq!(line(&ada, 1), Some([1, 4]));
    let mut bob = server.take_up(bob);
    bob.wait("Bob's return", |bob| line(bob, 1) == Some([0, 4]));
    // Who leaves is not away before.
    bob.send_raw(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    ada.wait("Bob's end", |ada| line(ada, 1).is_none());
}

#[test]
fn what_a_match_had_received_when_it_failed_reaches_no_other() {
    let server = TestServer::start::<Fragile>(|config| {
        (config.seats, config.shards, config.tick_rate) = (2, 1, TickRate::new(2).unwrap());
    });
    let [mut ada, mut bob, mut neighbour] = [(); 3].map(|()| server.join());
    for client in [&mut ada, &mut bob, &mut neighbour] {
        client.wait_snapshots(1);
    }
    for _ in 0..3 {
        neighbour.input(&[]);
    }
    neighbour.wait("its inputs", |client| client.link.processed().0 == 3);
    // Read in the same round.
    ada.input(&[]);
    drop(bob.stream);
    assert_eq!(ada.wait_end(), End::Close(4016));
    neighbour.wait_snapshots(neighbour.snapshots + 3);
    neighbour.input(&[]);
    neighbour.wait("its next input", |client| client.link.processed().0 == 4);
}

/// Whether a player is away, and how often that was so.
fn line(client: &Client, seat: u32) -> Option<[i32; 2]> {
    client.link.rows()?.find(EntityId(seat))?.values.try_into().ok()
}

/// A game that fails when somebody is away.
#[derive(Serialize, Deserialize)]
struct Fragile;

impl Game for Fragile {
    type Input = Nothing;

    fn schema() -> Schema {
        Schema::new("fragile")
    }

    fn new(_: &MatchOptions) -> Self {
        Self
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn away(&mut self, _: Seat) {
        panic!("somebody is away");
    }

    fn step(&mut self, _: &mut Step<'_, Nothing>) {}

    fn write_rows(&self, _: &mut Rows) {}
}

/// A roll of players.
#[derive(Serialize, Deserialize)]
struct Roll(Vec<Option<Line>>);

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Line {
    is_away: bool,
    absences: i32,
}

impl Roll {
    fn line(&mut self, seat: Seat) -> &mut Line {
        self.0[seat.index()].as_mut().expect("there is a player")
    }
}

impl Game for Roll {
    type Input = Nothing;

    fn schema() -> Schema {
        let fields = [Field::new("is_away", 1.0, 0, 1), Field::new("absences", 1.0, 0, 99)];
        Schema::new("roll").kind("line", fields)
    }

    fn new(options: &MatchOptions) -> Self {
        Self(vec![None; options.seats.into()])
    }

    fn join(&mut self, seat: Seat) {
        self.0[seat.index()] = Some(Line::default());
    }

    fn leave(&mut self, seat: Seat) {
        assert!(self.0[seat.index()].take().is_some_and(|line| !line.is_away));
    }

    fn away(&mut self, seat: Seat) {
        let line = self.line(seat);
        assert!(!std::mem::replace(&mut line.is_away, true));
        line.absences += 1;
    }

    fn back(&mut self, seat: Seat) {
        assert!(std::mem::take(&mut self.line(seat).is_away));
    }

    fn step(&mut self, _: &mut Step<'_, Nothing>) {}

    fn write_rows(&self, rows: &mut Rows) {
        for (seat, line) in (0..).zip(&self.0) {
            if let Some(Line { is_away, absences }) = *line {
                rows.push(EntityId(seat), 0, &[i32::from(is_away), absences]);
            }
        }
    }
}
