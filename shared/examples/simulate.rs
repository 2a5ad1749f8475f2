//! Plays arena matches over every network profile in simulated time, and prints how they went.
//!
//! `cargo run --release -p tickwire-shared --features testing --example simulate -- [SECONDS] [SEEDS] [CUT_EVERY_S] [PROFILE…]`
//!
//! 600 20 is the long run; a cut interval other than 0 has players lose their connections.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::env;

use tickwire_shared::{
    testing::{Outcome, Profile, Simulation},
    time::{Micros, TickRate},
};

const PLAYERS: u16 = 8;

fn main() {
    let mut words = env::args().skip(1);
    let mut number = |default| words.next().and_then(|word| word.parse().ok()).unwrap_or(default);
    let (seconds, seeds, cut_s) = (number(60_u64), number(2_u64), number(0_u64));
    let named: Vec<_> = words.filter_map(|name| Profile::named(&name)).collect();
    let profiles = if named.is_empty() { Profile::ALL.to_vec() } else { named };
    println!(
        "| network | snapshots | wrong rows | events | wrong | keys late | corrections | visible/min | largest m | \
         starved frames % | starved ticks % | skipped % | delay ms | ahead ms | bytes/snapshot | reconnects |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for profile in profiles {
        let outcomes = (1..=seeds).map(|seed| {
            let rate = TickRate::new(30).expect("a rate");
            let (lasts, cut_every) = (Micros::from_secs(seconds), Micros::from_secs(cut_s));
            Simulation { seed, profile, players: PLAYERS, rate, lasts, cut_every }.run()
        });
        let all: Vec<Outcome> = outcomes.collect();
        print_row(profile.name, &all, seconds);
    }
}

fn print_row(name: &str, all: &[Outcome], seconds: u64) {
    let sum = |of: &dyn Fn(&Outcome) -> u64| all.iter().map(of).sum::<u64>() as f64;
    let snapshots = sum(&|o| o.counts.snapshots);
    let frames = sum(&|o| o.counts.frames);
    let minutes = f64::from(PLAYERS) * all.len() as f64 * seconds as f64 / 60.0;
    let largest = all.iter().map(|o| o.counts.largest_m).fold(0.0, f32::max);
    println!(
        "| {name} | {snapshots} | {} | {} | {} | {} of {} | {} | {:.2} | {largest:.2} | {:.3} | {:.3} | {:.2} | {:.0} | {:.0} | {:.1} | {} |",
        sum(&|o| o.counts.wrong),
        sum(&|o| o.events),
        sum(&|o| o.wrong_events),
        sum(&|o| o.counts.unshown),
        sum(&|o| o.counts.keys),
        sum(&|o| o.counts.corrections),
        sum(&|o| o.counts.visible) / minutes,
        100.0 * sum(&|o| o.counts.starved) / frames,
        100.0 * sum(&|o| o.queue_starved) / sum(&|o| o.player_ticks),
        100.0 * sum(&|o| o.skipped) / sum(&|o| o.player_ticks),
        sum(&|o| o.counts.delay) / frames / 1_000.0,
        sum(&|o| o.counts.ahead) / frames / 1_000.0,
        sum(&|o| o.counts.bytes) / snapshots,
        sum(&|o| o.reconnects),
    );
}
