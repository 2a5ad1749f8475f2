//! The servers of the comparison, and their names in programs and tables.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server of the comparison.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// Ours
    Tickwire,
    /// The Rust server of an afternoon: tokio-tungstenite, bincode, channels
    Afternoon,
    /// The Node server by hand, on `ws`
    Ws,
    /// Colyseus as in its tutorials
    Colyseus,
    /// Colyseus with quantised fields and input buffers
    ColyseusQuantised,
}

impl Server {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 5] =
        [Self::Tickwire, Self::Afternoon, Self::Ws, Self::Colyseus, Self::ColyseusQuantised];

    /// The name on command lines and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tickwire => "tickwire",
            Self::Afternoon => "afternoon",
            Self::Ws => "ws",
            Self::Colyseus => "colyseus",
            Self::ColyseusQuantised => "colyseus-quantised",
        }
    }

    /// The name in tables and plots.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tickwire => "Tickwire",
            Self::Afternoon => "Rust, an afternoon",
            Self::Ws => "Node, ws by hand",
            Self::Colyseus => "Colyseus",
            Self::ColyseusQuantised => "Colyseus, quantised",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_everywhere() {
        for server in Server::ALL {
            let name = server.name();
            assert_eq!(Server::from_str(name, false), Ok(server));
            assert_eq!(serde_json::to_value(server).unwrap(), name);
        }
    }
}
