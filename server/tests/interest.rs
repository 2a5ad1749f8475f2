//! Games that hide entities: a client gets the rows of what its viewer sees, and nothing else,
//! whatever happens to its connection, and when it changes to another viewer.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

#[path = "../examples/fog.rs"]
#[expect(dead_code, reason = "an example has a main")]
mod fog;

use fog::Fog;
use serde::{Deserialize, Serialize};
use support::{Client, End, Nothing, TestServer};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat, Tick, Viewer},
    rows::{Row, Rows},
    schema::{Field, Predict, Schema},
    testing,
};

#[test]
fn the_example_passes_the_check_for_any_game() {
    testing::check::<Fog>();
}

#[test]
fn a_player_gets_what_its_viewer_sees_and_a_spectator_gets_all() {
    let server = TestServer::start::<Dusk>(|_| {});
    let mut players: Vec<_> = (0..4).map(|_| server.join()).collect();
    let mut watching = Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    watching.say_hello(None);
    for _ in 0..100 {
        for (seat, player) in players.iter_mut().enumerate() {
            let before = player.snapshots;
            player.wait("a snapshot", |client| client.snapshots > before);
            let tick = player.link.applied().unwrap();
            assert_eq!(ids(player), seen_by(team(Seat(seat as u16), tick), tick));
        }
    }
    watching.wait("all entities", |client| ids(client).len() == ENTITIES as usize);
    assert!(players.iter().all(|player| player.digests >= 2));
}

#[test]
fn a_player_who_changes_to_another_viewer_sees_what_that_one_sees() {
    let server = TestServer::start::<Dusk>(|_| {});
    let (_others, mut player) = join_with_others(&server);
    while player.link.applied().is_none_or(|tick| tick.0 < 4 * TURNS) {
        let before = player.snapshots;
        player.wait("a snapshot", |client| client.snapshots > before);
        check_turncoat(&player);
    }
}

#[test]
fn a_player_who_resumes_gets_a_delta_unless_its_viewer_has_changed() {
    let server = TestServer::start::<Dusk>(|_| {});
    let (mut others, mut player) = join_with_others(&server);
    let is_last = |tick: Tick| tick.0 % TURNS == TURNS - 1;
    for _ in 0..3 {
        // The change is sent, but never read. The others are in the new team, whose rows of the
        // player's newest tick the server has, too.
        player.wait("the last tick before", |client| client.link.applied().is_some_and(is_last));
        let last = player.link.applied().unwrap();
        others[0].wait("the change", |client| {
            client.link.applied().is_some_and(|tick| tick.since(last) > 1)
        });
        player = server.take_up(player.link);
        player.wait_snapshots(1);
        check_turncoat(&player);
    }
    let has_time = |tick: Tick| (TURNS / 4..TURNS / 2).contains(&(tick.0 % TURNS));
    // On a busy machine it may take too long.
    let begins_with_delta = (0..20).any(|_| {
        player.wait("a tick amid a turn", |client| client.link.applied().is_some_and(has_time));
        let mut resumed = server.take_up(std::mem::take(&mut player.link));
        resumed.wait_snapshots(1);
        check_turncoat(&resumed);
        player = resumed;
        player.digests == 0
    });
    assert!(begins_with_delta, "every resume was answered with a full snapshot");
}

/// Joins as the player who changes sides, after others.
fn join_with_others(server: &TestServer) -> (Vec<Client>, Client) {
    let others = (0..TURNCOAT.0).map(|_| server.join()).collect();
    let player = server.join();
    assert_eq!(player.link.welcome().unwrap().seat, Some(TURNCOAT));
    (others, player)
}

#[track_caller]
fn check_turncoat(player: &Client) {
    let tick = player.link.applied().unwrap();
    assert_eq!(ids(player), seen_by(team(TURNCOAT, tick), tick), "at {tick:?}");
}

#[test]
fn a_viewer_that_does_not_exist_ends_the_match() {
    let server = TestServer::start::<Dusk<99>>(|_| {});
    let mut player = server.connect();
    player.say_hello(None);
    assert_eq!(player.wait_end(), End::Close(4016));
}

const ENTITIES: u32 = 60;
/// This seat's player changes sides, every so many ticks.
const TURNCOAT: Seat = Seat(3);
const TURNS: u32 = 16;

/// Entities that come into sight and go out of it. The teams see different ones.
#[derive(Default, Serialize, Deserialize)]
struct Dusk<const FIRST: u16 = 0>(u32);

impl<const FIRST: u16> Game for Dusk<FIRST> {
    type Input = Nothing;

    fn schema() -> Schema {
        let x = Field::new("x", 1.0, 0, i32::MAX).predict(Predict::Linear);
        Schema::new("dusk").kind("thing", [x, Field::new("y", 1.0, 0, 99)])
    }

    fn new(_: &MatchOptions) -> Self {
        Self(0)
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Nothing>) {
        self.0 = step.tick.0;
    }

    fn write_rows(&self, rows: &mut Rows) {
        for id in 0..ENTITIES {
            let (x, y) = (self.0 * id, (self.0 / 9 + id) % 100);
            rows.push(EntityId(id), 0, &[x as i32, y as i32]);
        }
    }

    fn viewer(&self, seat: Seat) -> Option<Viewer> {
        Some(Viewer(FIRST + team(seat, Tick(self.0))))
    }

    fn sees(&self, viewer: Viewer, row: Row<'_>) -> bool {
        is_seen(viewer.0, row.id.0, Tick(self.0))
    }
}

fn team(seat: Seat, tick: Tick) -> u16 {
    if seat == TURNCOAT { (tick.0 / TURNS % 2) as u16 } else { seat.0 % 2 }
}

fn is_seen(team: u16, id: u32, tick: Tick) -> bool {
    (tick.0 / 4 + id) % 6 / 3 == u32::from(team)
}

fn seen_by(team: u16, tick: Tick) -> Vec<u32> {
    (0..ENTITIES).filter(|&id| is_seen(team, id, tick)).collect()
}

fn ids(client: &Client) -> Vec<u32> {
    client.link.rows().into_iter().flat_map(|rows| rows.iter().map(|row| row.id.0)).collect()
}
