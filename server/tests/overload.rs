//! A shard that can't keep up with its load, and its recovery.

mod support;

use std::{
    cell::Cell,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{
    Client, TestServer,
    hooked::{Hook, Hooked},
};
use tickwire_shared::time::TickRate;

/// Milliseconds that each step takes.
static STEP_MS: AtomicU64 = AtomicU64::new(0);

#[test]
fn an_overloaded_shard_sheds_load_closes_nobody_and_recovers() {
    let server = TestServer::start::<Hooked<Slow>>(|config| config.seats = 2);
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
    // Also a client that joins only now.
    let mut late = Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    late.say_hello(None);
    late.wait("slow motion", |late| late.slowdown == 3);
    let skipped = server.metric("tickwire_snapshots_skipped_total{reason=\"overload\"}");
    assert!(skipped > 0.0, "every other snapshot is left out");
    for step in ["spectators", "snapshots", "ticks", "matches"] {
        let counter = format!("tickwire_overload_steps_total{{step=\"{step}\"}}");
        assert!(server.metric(&counter) >= 1.0, "{step} was not counted");
    }

    // The flight recorder shows the slow phase.
    let (status, trace) = server.get("/v1/overruns");
    assert_eq!(status, 200);
    let slow = slow_phases(&trace);
    assert!(slow.iter().any(|(phase, _)| phase == "step"), "{slow:?}");
    let (status, trace) = server.get("/v1/matches/2/trace");
    assert_eq!(status, 200);
    let slow = slow_phases(&trace);
    assert!(!slow.is_empty() && slow.iter().all(|&(_, id)| id == 2), "{slow:?}");

    STEP_MS.store(0, Ordering::Relaxed);
    while server.metric(STEP) > 0.0 || server.get("/readyz").0 != 200 {
        players.iter_mut().for_each(|player| player.wait_snapshots(1));
    }
    for player in players.iter_mut().chain([&mut watching, &mut late]) {
        player.wait("the usual pace", |player| player.slowdown == 1);
        player.wait_snapshots(5);
        assert_eq!(player.end, None);
    }
    assert_eq!(server.metric("tickwire_connections"), 6.0, "nobody was closed");
    assert_eq!(server.metric("tickwire_matches"), 2.0);
}

#[test]
fn players_are_notified_of_a_stall() {
    let server = TestServer::start::<Hooked<Stops>>(|config| config.seats = 2);
    let mut player = server.join();
    player.wait_snapshots(5);
    let before = player.paces;
    STOP_MS.store(400, Ordering::Relaxed);
    player.wait("what has become of the match's time", |player| player.paces > before);
    assert_eq!(player.end, None);
}

#[test]
fn a_stuck_shard_is_avoided_and_the_others_go_on() {
    let server = TestServer::start::<Hooked<Stuck>>(|config| {
        (config.seats, config.shards) = (2, 2);
    });
    let mut stuck = server.join();
    // More ticks than the other shard will have run.
    stuck.wait_snapshots(90);
    let steps = server.metric("tickwire_ticks_total");
    let held = HOLD.lock().unwrap();
    IS_STUCK.store(true, Ordering::Relaxed);
    while server.post("/v1/join", r#"{"match":1}"#).0 == 200 {
        thread::sleep(Duration::from_millis(50));
    }
    let (status, body) = server.post("/v1/join", r#"{"match":1}"#);
    assert!(status == 503 && body.contains("the match does not answer"), "{status} {body}");

    // A seat is free in the first match, and a ticket for it would lead nowhere.
    let mut playing = server.join();
    playing.wait_snapshots(10);
    // There is a shard that takes matches, whenever a busy machine lets it keep up.
    while server.get("/readyz").0 != 200 {
        playing.wait_snapshots(1);
    }
    assert_eq!(server.get("/livez").0, 503);
    assert_eq!(server.metric("tickwire_shards_silent"), 1.0);
    assert!(server.metric("tickwire_ticks_total") > steps, "what was counted is not forgotten");
    assert_eq!(server.get("/v1/matches/1/trace").0, 503);
    assert_eq!(server.get("/v1/matches/2/trace").0, 200);
    let notice =
        |only| server.post("/v1/notices", &format!(r#"{{"text":"soon","match":{only}}}"#)).0;
    assert_eq!(["null", "1", "2"].map(notice), [503, 503, 201]);

    drop(held);
    stuck.wait_snapshots(5);
    assert_eq!(stuck.end, None);
    while server.post("/v1/join", r#"{"match":1}"#).0 != 200 {
        stuck.wait_snapshots(1);
    }
    assert_eq!(server.get("/livez").0, 200);
}

#[test]
fn a_new_match_goes_to_a_shard_that_keeps_up() {
    let server = TestServer::start::<Hooked<OneIsSlow>>(|config| {
        (config.seats, config.shards) = (1, 2);
        // At five ticks a second a shard on a busy machine keeps up.
        config.tick_rate = TickRate::new(5).unwrap();
    });
    let mut first = server.join();
    first.wait_snapshots(1);
    ONE_IS_SLOW.store(true, Ordering::Relaxed);
    while server.metric(STEP) < 4.0 {
        first.wait_snapshots(1);
    }
    // Two more: the second would be the slow shard's turn.
    let mut others = [server.join(), server.join()];
    others.iter_mut().for_each(|other| other.wait_snapshots(3));
    while server.get("/readyz").0 != 200 {
        others[0].wait_snapshots(1);
    }
    for id in [2, 3] {
        let (_, trace) = server.get(&format!("/v1/matches/{id}/trace"));
        assert!(steps(&trace).any(|ms| ms < SLOW_STEP_MS), "match {id} is on the slow shard");
    }
    let (_, trace) = server.get("/v1/matches/1/trace");
    assert!(steps(&trace).any(|ms| ms >= SLOW_STEP_MS), "{trace}");
}

/// How many milliseconds the newest steps of a match took.
fn steps(trace: &str) -> impl Iterator<Item = u64> {
    let mut trace: Value = serde_json::from_str(trace).expect("a trace is JSON");
    let events = trace["traceEvents"].take();
    let Value::Array(events) = events else { panic!("a trace has events") };
    let steps = events.into_iter().filter(|event| event["name"] == "step");
    steps.filter_map(|event| Some(event["dur"].as_u64()? / 1_000))
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

/// Makes one step take `STOP_MS`.
struct Stops;

impl Hook for Stops {
    fn before_step() {
        thread::sleep(Duration::from_millis(STOP_MS.swap(0, Ordering::Relaxed)));
    }
}

/// Makes each step take `STEP_MS`.
struct Slow;

impl Hook for Slow {
    fn before_step() {
        thread::sleep(Duration::from_millis(STEP_MS.load(Ordering::Relaxed)));
    }
}

static IS_STUCK: AtomicBool = AtomicBool::new(false);
static HOLD: Mutex<()> = Mutex::new(());

/// Makes one step wait until `HOLD` is unlocked.
struct Stuck;

impl Hook for Stuck {
    fn before_step() {
        if IS_STUCK.swap(false, Ordering::Relaxed) {
            drop(HOLD.lock());
        }
    }
}

/// More than an interval of the test that uses it.
const SLOW_STEP_MS: u64 = 250;

static ONE_IS_SLOW: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// Once `ONE_IS_SLOW` is set, makes all steps slow on the shard that steps next.
struct OneIsSlow;

impl Hook for OneIsSlow {
    fn before_step() {
        if ONE_IS_SLOW.swap(false, Ordering::Relaxed) {
            IS_SLOW.set(true);
        }
        if IS_SLOW.get() {
            thread::sleep(Duration::from_millis(SLOW_STEP_MS));
        }
    }
}
