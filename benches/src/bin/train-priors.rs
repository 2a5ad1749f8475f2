//! Computes the priors with which every match starts, from recordings.
//!
//! ```sh
//! cargo run --release -p tickwire-benches --bin train-priors -- shared FILE..
//! ```
//!
//! Each file is replayed with and without velocities, and with baselines one and three snapshots
//! old; `arena` is sixteen computer players. All replays have the same weight.
//!
//! The shipped priors were trained on a Rocket League match (`rocketleague-rlcs2.rltr`),
//! pedestrians (`pedestrians-bi_corr_400_b_03.txt`) and an earlier version of `arena`, so that a run
//! gives others now; but the shipped ones are part of the protocol. They matter until a match has
//! found models of its own. With priors trained on `arena` alone, the Rocket League match takes 0.3
//! bits more per moving body, and the pedestrians 0.02; another Rocket League match, of only 18 s,
//! which is in neither training set, takes 8.4 bits more.

use std::{fs, path::PathBuf};

use clap::Parser;
use tickwire_benches::{
    recording::{Recording, Sampling},
    replay::replay,
};
use tickwire_shared::codec::training::Training;

/// Computes the priors with which every match starts, from recordings
#[derive(Debug, Parser)]
struct Args {
    /// The folder `shared`, whose priors are overwritten
    shared: PathBuf,
    /// Recordings, as for `bandwidth`
    #[arg(required = true)]
    files: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let Args { shared: folder, files } = Args::parse();
    let mut training = Training::default();
    for file in files {
        for velocity_cms in [Some(1.0), None] {
            let recording =
                Recording::open(&file, &Sampling { velocity_cms, ..Sampling::default() })?;
            for baseline_age in [1, 3] {
                training.add(&replay(&recording, baseline_age)?.encoder);
            }
        }
    }
    let (tables, odds) = (training.tables(), training.odds());
    fs::write(folder.join("src/codec/prior_tables.json"), &tables)?;
    fs::write(folder.join("src/codec/prior_odds.json"), &odds)?;
    fs::write(folder.join("ts/src/codec/prior.ts"), typescript(&tables, &odds))?;
    Ok(())
}

fn typescript(tables: &str, odds: &str) -> String {
    format!(
        "/**
 * What is expected of any game before anything is known of it. Made by `train-priors`, with the
 * server's `codec/prior_tables.json` and `codec/prior_odds.json`.
 */

/** The index of a table for each sort of numbers and each context. */
export const PRIOR_TABLES: readonly (readonly number[])[] = {};

/** The index of the odds that an entity changes, by context, and at last those of still fields. */
export const PRIOR_ODDS: readonly number[] = {};
",
        tables.trim_end(),
        odds.trim_end(),
    )
}
