//! What a run is about.

/// How the bots behave over a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scenario {
    /// Everybody joins, plays and stays.
    #[default]
    Steady,
}

impl Scenario {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Steady];

    /// What it is called on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
        }
    }

    /// What it does, in a line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Steady => "every bot joins during the ramp, plays, and stays to the end",
        }
    }

    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}
