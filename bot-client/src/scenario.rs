//! What a run is about.

use std::time::Duration;

use crate::bot::Part;

/// How long a storm of joins takes.
const STORM: Duration = Duration::from_secs(1);

/// How the bots behave over a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scenario {
    /// Everybody joins, plays and stays.
    #[default]
    Steady,
    /// Everybody joins within a second.
    JoinStorm,
    /// Nobody plays: all attack, each in every way that there is.
    Hostile,
    /// Everybody joins and never reads.
    SlowReader,
    /// All connections are cut at once, and everybody comes back.
    Reconnect,
    /// Everybody leaves after some seconds and joins anew, over and over.
    Churn,
    /// One of eight stops reading for a while.
    Stall,
    /// Nobody plays: everybody watches.
    Spectate,
}

impl Scenario {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Steady,
        Self::JoinStorm,
        Self::Hostile,
        Self::SlowReader,
        Self::Reconnect,
        Self::Churn,
        Self::Stall,
        Self::Spectate,
    ];

    /// What it is called on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::JoinStorm => "join-storm",
            Self::Hostile => "hostile",
            Self::SlowReader => "slow-reader",
            Self::Reconnect => "reconnect",
            Self::Churn => "churn",
            Self::Stall => "stall",
            Self::Spectate => "spectate",
        }
    }

    /// What it does, in a line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Steady => "every bot joins during the ramp, plays, and stays to the end",
            Self::JoinStorm => "every bot joins within one second, whatever the ramp, and plays on",
            Self::Hostile => "nobody plays: every bot attacks, in one way after the other",
            Self::SlowReader => "every bot joins, says that it is alive, and never reads",
            Self::Reconnect => {
                "all connections are cut mid-window, and every bot resumes by itself"
            }
            Self::Churn => "every bot leaves after 2 to 8 s and joins anew, over and over",
            Self::Stall => "one bot of eight stops reading for half of the window",
            Self::Spectate => "every bot watches a match and has no seat",
        }
    }

    /// The time over which bots join, where `ramp` is what was asked for.
    pub(crate) fn ramp(self, ramp: Duration) -> Duration {
        match self {
            Self::JoinStorm => STORM,
            Self::Steady
            | Self::Hostile
            | Self::SlowReader
            | Self::Reconnect
            | Self::Churn
            | Self::Stall
            | Self::Spectate => ramp,
        }
    }

    /// What bots come for.
    pub(crate) const fn part(self) -> Part {
        match self {
            Self::Spectate => Part::Watches,
            Self::Steady
            | Self::JoinStorm
            | Self::Hostile
            | Self::SlowReader
            | Self::Reconnect
            | Self::Churn
            | Self::Stall => Part::Plays,
        }
    }

    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}
