//! Plays arena matches over every network profile in simulated time, and prints the outcomes.
//!
//! `cargo run --release -p tickwire-shared --features testing --example simulate -- [SECONDS] [SEEDS] [CUT_EVERY_S] [PROFILE…]`
//!
//! `600 20` is the long run. With a cut interval other than 0, players lose their connections. The
//! exit code is 1 if a client had other rows or events than the server.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::{env, process::ExitCode};

use tickwire_shared::{
    arena::Arena,
    testing::{Outcome, Profile, Simulation},
    time::{Micros, TickRate},
};

const PLAYERS: u16 = 8;
const RATE: TickRate = TickRate::new(30).expect("it is within 1 to 128");

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let mut number = |default| words.next().map_or(Ok(default), |word| word.parse());
    let numbers = (number(60_u64), number(2_u64), number(0_u64));
    let named: Option<Vec<_>> = words.map(|name| Profile::named(&name)).collect();
    let ((Ok(seconds), Ok(seeds), Ok(cut_s)), Some(named)) = (numbers, named) else {
        eprintln!("usage: simulate [SECONDS] [SEEDS] [CUT_EVERY_S] [lan|wifi|4g|3g|bad]...");
        return ExitCode::from(2);
    };
    let profiles = if named.is_empty() { Profile::ALL.to_vec() } else { named };
    println!(
        "| network | snapshots | wrong rows | events | wrong | keys late | corrections | visible/min | largest m | \
         starved frames % | starved ticks % | skipped % | delay ms | ahead ms | bytes/snapshot | reconnects |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let mut code = ExitCode::SUCCESS;
    for profile in profiles {
        let (lasts, cut_every) = (Micros::from_secs(seconds), Micros::from_secs(cut_s));
        let all = (1..=seeds).map(|seed| {
            let run = Simulation { seed, profile, players: PLAYERS, rate: RATE, lasts, cut_every };
            run.run::<Arena>()
        });
        let outcome = all.fold(Outcome::default(), Outcome::plus);
        print_row(profile.name, &outcome);
        for fault in outcome.faults() {
            println!("{}: {fault}", profile.name);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn print_row(name: &str, outcome: &Outcome) {
    let &Outcome { counts, .. } = outcome;
    let frames = counts.frames as f64 * 1_000.0;
    println!(
        "| {name} | {} | {} | {} | {} | {} of {} | {} | {:.2} | {:.2} | {:.3} | {:.3} | {:.2} | {:.0} | {:.0} | {:.1} | {} |",
        counts.snapshots,
        counts.wrong,
        outcome.events,
        outcome.wrong_events,
        counts.unshown,
        counts.keys,
        counts.corrections,
        outcome.visible_per_minute(RATE),
        counts.largest_m,
        100.0 * outcome.frames_starved(),
        100.0 * outcome.ticks_starved(),
        100.0 * outcome.skipped as f64 / outcome.player_ticks as f64,
        counts.delay as f64 / frames,
        counts.ahead as f64 / frames,
        counts.bytes as f64 / counts.snapshots as f64,
        outcome.reconnects,
    );
}
