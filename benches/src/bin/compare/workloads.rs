//! The workloads, and how long they are measured.

use anyhow::{Context, Result};

/// A number of matches with players, at a tick rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The number of matches; the first one, if the load grows.
    pub(crate) matches: usize,
    pub(crate) players: usize,
    pub(crate) rate_hz: u16,
    pub(crate) grows: bool,
}

/// The main workload.
pub(crate) const MAIN: &str = "10x16@30";
pub(crate) const CAPACITY: &str = "capacity";

pub(crate) const ALL: [Workload; 5] = [
    steady(MAIN, 10, 16, 30),
    steady("1x64@30", 1, 64, 30),
    steady("1x200@30", 1, 200, 30),
    steady("10x16@60", 10, 16, 60),
    Workload { name: CAPACITY, matches: 20, players: 16, rate_hz: 30, grows: true },
];

const fn steady(name: &'static str, matches: usize, players: usize, rate_hz: u16) -> Workload {
    Workload { name, matches, players, rate_hz, grows: false }
}

impl Workload {
    /// The workloads with these names; without names, all of them, or if `quick`, the main one and
    /// the capacity.
    pub(crate) fn named(names: &[String], quick: bool) -> Result<Vec<Self>> {
        if names.is_empty() {
            let wanted = |workload: &Self| !quick || [MAIN, CAPACITY].contains(&workload.name);
            return Ok(ALL.into_iter().filter(wanted).collect());
        }
        let named = |name: &String| {
            let found = ALL.into_iter().find(|workload| workload.name == name);
            found.with_context(|| format!("there is no workload {name}"))
        };
        names.iter().map(named).collect()
    }
}

/// Durations and numbers of runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) rounds: usize,
    pub(crate) warm_up_s: f64,
    pub(crate) window_s: f64,
    pub(crate) floor_s: f64,
    /// How long each level of a growing load settles before it is measured.
    pub(crate) level_settle_s: f64,
    /// How long each level of a growing load is measured.
    pub(crate) level_window_s: f64,
    /// By which factor a growing load grows at each level.
    pub(crate) level_factor: f64,
    pub(crate) matches_max: usize,
}

impl Lengths {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        warm_up_s: 4.0,
        window_s: 15.0,
        floor_s: 4.0,
        level_settle_s: 2.0,
        level_window_s: 6.0,
        level_factor: 1.15,
        matches_max: 150,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        warm_up_s: 2.0,
        window_s: 4.0,
        floor_s: 1.0,
        level_settle_s: 1.0,
        level_window_s: 2.0,
        level_factor: 1.5,
        matches_max: 150,
    };
}
