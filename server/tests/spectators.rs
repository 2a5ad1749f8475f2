//! Spectators that see a match later than its players.

mod support;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use support::{Client, Nothing, TestServer};
use tickwire_shared::{
    arena::Arena,
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
    time::TickRate,
};

/// The last tick that the game runs to.
static LAST: AtomicU32 = AtomicU32::new(u32::MAX);

#[test]
fn spectators_see_what_players_saw_so_many_ticks_ago_and_nothing_newer() {
    const LATE_TICKS: u32 = 100;
    let server = TestServer::start::<Held>(|config| {
        config.tick_rate = TickRate::new(100).unwrap();
        config.spectator_delay = Duration::from_secs(1);
    });
    let _goes_on = GoesOn;
    let mut player = server.join();
    let mut watching = watch(&server);
    player.wait_snapshots(1);
    let last = player.link.applied().unwrap().plus(2 * LATE_TICKS);
    LAST.store(last.0, Ordering::Relaxed);
    let newest = last.minus(LATE_TICKS);
    // The match stands still now, so nothing else can arrive.
    while player.newest_event != Some(last) || watching.newest_event != Some(newest) {
        player.pump();
        watching.pump();
        assert!(watching.newest_event.is_none_or(|tick| tick.since(newest) <= 0), "too new");
    }
    (0..10).for_each(|_| watching.pump());
    assert_eq!(watching.newest_event, Some(newest));
    let seen = watching.link.applied().unwrap();
    assert!(seen.since(newest) <= 0, "{seen:?} is newer than {newest:?}");
    assert!(watching.snapshots > LATE_TICKS / 4, "{} snapshots", watching.snapshots);
    assert_eq!(watching.link.rows().unwrap().row(0).values, [seen.0.cast_signed()]);
    assert!(watching.digests > 0);
}

#[test]
fn late_spectators_follow_a_real_match_and_get_chat_at_once() {
    let server = TestServer::start::<Arena>(|config| {
        (config.npcs, config.tick_rate) = (8, TickRate::new(100).unwrap());
        config.spectator_delay = Duration::from_secs(1);
    });
    let mut player = server.join();
    let mut crowd: Vec<_> = (0..3).map(|_| watch(&server)).collect();
    player.chat("hello");
    for watching in &mut crowd {
        watching.wait("a line", |watching| watching.lines() == ["player 1: hello"]);
        watching.wait_snapshots(60);
        watching.wait("a digest", |watching| watching.digests > 1);
    }
}

/// Lets the game go on when dropped, so that its server can end.
struct GoesOn;

impl Drop for GoesOn {
    fn drop(&mut self) {
        LAST.store(u32::MAX, Ordering::Relaxed);
    }
}

fn watch(server: &TestServer) -> Client {
    let mut client = Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    client.say_hello(None);
    client.wait_welcome();
    client
}

/// A game whose rows and events are its tick, and which stands still after [`LAST`].
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    tick: u32,
}

impl Game for Held {
    type Input = Nothing;

    fn schema() -> Schema {
        let tick = Field::new("tick", 1.0, 0, 1_000_000);
        Schema::new("held").kind("clock", [tick]).event("beat", ["tick"])
    }

    fn new(_: &MatchOptions) -> Self {
        Self { tick: 0 }
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Nothing>) {
        // This blocks the whole shard, like a stuck game.
        while step.tick.0 > LAST.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        self.tick = step.tick.0;
        step.events.all(0, &[self.tick.cast_signed()]);
    }

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[self.tick.cast_signed()]);
    }

    fn write_owner(&self, _: Seat, _: &mut [i32]) {}
}
