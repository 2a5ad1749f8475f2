//! Scenarios: how the bots of a run behave.

use std::time::Duration;

use crate::bot::Part;

/// How long a storm of joins takes.
const STORM: Duration = Duration::from_secs(1);

/// How the bots behave over a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scenario {
    /// All bots join, play and stay.
    #[default]
    Steady,
    /// All bots join within a second.
    JoinStorm,
    /// All bots attack the server, in every known way, instead of playing.
    Hostile,
    /// All bots join and never read.
    SlowReader,
    /// All connections are cut at once, and all bots resume.
    Reconnect,
    /// All bots leave after some seconds and join anew, over and over.
    Churn,
    /// One bot of eight stops reading for a while.
    Stall,
    /// All bots watch as spectators.
    Spectate,
}

impl Scenario {
    /// All scenarios.
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

    /// Its name on the command line and in reports.
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

    /// A one-line description.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Steady => "every bot joins during the ramp, plays, and stays to the end",
            Self::JoinStorm => "every bot joins within one second, whatever the ramp, and plays on",
            Self::Hostile => "every bot attacks the server, in one way after the other",
            Self::SlowReader => "every bot joins, keeps its session alive, and never reads",
            Self::Reconnect => {
                "all connections are cut mid-window, and every bot resumes by itself"
            }
            Self::Churn => "every bot leaves after 2 to 8 s and joins anew, over and over",
            Self::Stall => "one bot of eight stops reading for half of the window",
            Self::Spectate => "every bot watches a match and has no seat",
        }
    }

    /// The time over which bots join, given the `--ramp` option.
    pub(crate) fn ramp(self, ramp: Duration) -> Duration {
        if self == Self::JoinStorm { STORM } else { ramp }
    }

    /// The bots' part in a match.
    pub(crate) fn part(self) -> Part {
        if self == Self::Spectate { Part::Watches } else { Part::Plays }
    }

    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}
