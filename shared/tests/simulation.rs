//! Whole matches of the arena over every kind of network, in simulated time.
//!
//! The long version, ten minutes for each of twenty seeds, is the example `simulate`.

use tickwire_shared::{
    arena::Arena,
    testing::{Outcome, Profile, Simulation},
    time::{Micros, TickRate},
};

#[test]
fn a_cable_causes_no_corrections() {
    let outcome = check(Profile::LAN, 0);
    let [starved, corrections] = [outcome.counts.starved, outcome.counts.corrections];
    assert_eq!((starved, corrections, outcome.queue_starved, outcome.skipped), (0, 0, 0, 0));
}

#[test]
fn on_a_phone_the_network_is_hardly_visible() {
    for (profile, visible_max) in [(Profile::WIFI, 0.5), (Profile::G4, 1.0)] {
        let outcome = check(profile, 0);
        let visible = outcome.visible_per_minute(RATE);
        assert!(visible <= visible_max, "{visible} corrections a minute on {}", profile.name);
        let [frames, ticks] = [outcome.frames_starved(), outcome.ticks_starved()];
        assert!(frames < 0.005 && ticks < 0.01, "{} starves: {frames} {ticks}", profile.name);
        let seen = outcome.counts.delay + outcome.counts.ahead;
        let seen_ms = seen / outcome.counts.frames / 1_000;
        // Lag compensation is limited to 250 ms. Over ten minutes the mean is below that; so soon
        // after the first stalls it may be a little more.
        assert!(seen_ms < 275, "others are seen {seen_ms} ms late");
    }
}

#[test]
fn jitter_is_not_mistaken_for_congestion() {
    let outcome = check(Profile::G3, 0);
    let skipped = outcome.skipped as f64 / outcome.player_ticks as f64;
    assert!(skipped < 0.01, "{skipped} of the snapshots skipped");
    check(Profile::BAD, 0);
}

#[test]
fn a_player_who_loses_the_connection_misses_nothing() {
    for profile in Profile::ALL {
        let outcome = check(profile, 15);
        assert!(outcome.reconnects > 50, "{} reconnects", outcome.reconnects);
        let visible = outcome.visible_per_minute(RATE);
        assert!(
            visible < 1.5,
            "{visible} wrong predictions a minute are visible: {}",
            profile.name
        );
        let delay_ms = outcome.counts.delay / outcome.counts.frames / 1_000;
        let stalls = profile == Profile::G3 || profile == Profile::BAD;
        assert!(stalls || delay_ms < 200, "{} is shown {delay_ms} ms late", profile.name);
    }
}

const RATE: TickRate = TickRate::new(30).unwrap();

/// Simulates 8 players for two and a half minutes, with two seeds; connections are lost every
/// `cut_every_s` seconds.
#[track_caller]
fn check(profile: Profile, cut_every_s: u64) -> Outcome {
    let run = |seed| {
        let (lasts, cut_every) = (Micros::from_secs(150), Micros::from_secs(cut_every_s));
        let outcome =
            Simulation { seed, profile, players: 8, rate: RATE, lasts, cut_every }.run::<Arena>();
        assert!(outcome.faults().is_empty(), "{:?}, seed {seed}", outcome.faults());
        if cut_every_s == 0 {
            let (keys, unshown) = (outcome.counts.keys, outcome.counts.unshown);
            assert_eq!(unshown, 0, "of {keys} key presses were not visible at once, seed {seed}");
            assert!(keys > 500, "only {keys} keys made a difference, seed {seed}");
        }
        outcome
    };
    run(1).plus(run(2))
}
