//! What a session joins, as the path and query of its connections.

use std::fmt::Write;

use crate::ids::MatchId;

/// What to join.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// The match; `None` lets the server choose one.
    pub match_id: Option<MatchId>,
    /// If the server chooses, one of the game's modes. Empty is its first one.
    pub mode: String,
    /// Whether to watch without a seat.
    pub spectate: bool,
    /// The player's name as others see it. The server chooses one if it is empty.
    pub name: String,
}

impl SessionOptions {
    /// The path and query of a connection to `match_id`, or to one that the server chooses.
    pub(super) fn path(&self, match_id: Option<MatchId>) -> String {
        let mut path = String::from("/v1/play?match=");
        match match_id {
            Some(MatchId(id)) => path += &id.to_string(),
            None => path += "auto",
        }
        if match_id.is_none() && !self.mode.is_empty() {
            path += "&mode=";
            push_encoded(&self.mode, &mut path);
        }
        if self.spectate {
            path += "&role=spectator";
        }
        path
    }
}

/// Appends a value of a query.
pub(super) fn push_encoded(value: &str, path: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(byte.into());
            }
            _ => write!(path, "%{byte:02X}").expect("a string takes everything"),
        }
    }
}
