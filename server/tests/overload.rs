//! A shard that can't carry what it has, and one that can again.

mod support;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{
    Client, TestServer,
    hooked::{Hook, Hooked},
};

/// Milliseconds that each step takes.
static STEP_MS: AtomicU64 = AtomicU64::new(0);

#[test]
fn an_overloaded_shard_leaves_things_out_closes_nobody_and_recovers() {
    let server = TestServer::start::<Hooked<Slow>>(|config| {
        config.seats = 2;
        // What takes so long to come must not be taken for silence.
        config.limits.idle_timeout = Duration::from_secs(600);
        config.limits.stall_timeout = Duration::from_secs(600);
    });
    let mut players: Vec<_> = (0..4).map(|_| server.join()).collect();
    let mut watching = Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    watching.say_hello(None);
    watching.wait_snapshots(1);
    assert_eq!(server.metric("tickwire_matches"), 2.0);

    // Two matches at 30 Hz: 2.4 times what fits.
    STEP_MS.store(40, Ordering::Relaxed);
    while server.metric(STEP) < 4.0 {
        players.iter_mut().for_each(|player| player.wait_snapshots(1));
    }
    assert_eq!(server.get("/readyz").0, 503);
    assert_eq!(server.post("/v1/matches", "").0, 503, "no new match is taken in");
    for player in &mut players {
        player.wait("slow motion", |player| player.slowdown == 3);
        player.wait_snapshots(5);
    }
    for step in ["spectators", "snapshots", "ticks", "matches"] {
        let counter = format!("tickwire_overload_steps_total{{step=\"{step}\"}}");
        assert!(server.metric(&counter) >= 1.0, "{step} was not counted");
    }

    // The flight recorder shows what takes so long.
    let (status, trace) = server.get("/v1/overruns");
    assert_eq!(status, 200);
    let slow = slow_phases(&trace);
    assert!(slow.iter().any(|(phase, _)| phase == "step"), "{slow:?}");
    let (status, trace) = server.get("/v1/matches/2/trace");
    assert_eq!(status, 200);
    assert!(slow_phases(&trace).iter().all(|&(_, id)| id == 2));

    STEP_MS.store(0, Ordering::Relaxed);
    while server.metric(STEP) > 0.0 || server.get("/readyz").0 != 200 {
        players.iter_mut().for_each(|player| player.wait_snapshots(1));
    }
    for player in players.iter_mut().chain([&mut watching]) {
        player.wait("the usual pace", |player| player.slowdown == 1);
        player.wait_snapshots(5);
        assert_eq!(player.end, None);
    }
    assert_eq!(server.metric("tickwire_connections"), 5.0, "nobody was closed");
    assert_eq!(server.metric("tickwire_matches"), 2.0);
}

#[test]
fn who_plays_is_told_that_the_match_stood_still() {
    let server = TestServer::start::<Hooked<Stops>>(|config| config.seats = 2);
    let mut player = server.join();
    player.wait_snapshots(5);
    let before = player.paces;
    STOP_MS.store(400, Ordering::Relaxed);
    player.wait("what has become of the match's time", |player| player.paces > before);
    assert_eq!(player.end, None);
}

/// Phases that took at least as long as a slow step, and of which match.
fn slow_phases(trace: &str) -> Vec<(String, u64)> {
    let trace: Value = serde_json::from_str(trace).expect("a trace is JSON");
    let events = trace["traceEvents"].as_array().expect("a trace has events");
    let slow = events.iter().filter(|event| event["dur"].as_u64() >= Some(40_000));
    let name = |event: &Value| event["name"].as_str().expect("spans have names").to_owned();
    slow.map(|event| (name(event), event["tid"].as_u64().expect("spans have a match"))).collect()
}

const STEP: &str = "tickwire_overload_step";

/// Milliseconds that the next step takes.
static STOP_MS: AtomicU64 = AtomicU64::new(0);

/// Makes one step as slow as it is told to be.
struct Stops;

impl Hook for Stops {
    fn before_step() {
        thread::sleep(Duration::from_millis(STOP_MS.swap(0, Ordering::Relaxed)));
    }
}

/// Makes each step as slow as it is told to be.
struct Slow;

impl Hook for Slow {
    fn before_step() {
        thread::sleep(Duration::from_millis(STEP_MS.load(Ordering::Relaxed)));
    }
}
