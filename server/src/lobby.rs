//! The lobby chat, outside of matches: the last lines, and a rate limit for each address.

use std::{collections::VecDeque, net::IpAddr};

use serde::Serialize;
use tickwire_shared::{
    social::HISTORY_LINES,
    time::{Micros, UnixMillis},
};

use crate::{limits::CHAT_RATE, places::Buckets};

/// See the module.
#[derive(Debug)]
pub(crate) struct Lobby {
    /// The last [`HISTORY_LINES`], oldest first.
    lines: VecDeque<LobbyLine>,
    buckets: Buckets,
}

/// A line, in the same form as in the feed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LobbyLine {
    /// Always `null`: it belongs to no match.
    #[serde(rename = "match")]
    pub(crate) match_id: Option<u32>,
    /// In milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Lobby {
    pub(crate) fn new() -> Self {
        Self { lines: VecDeque::new(), buckets: Buckets::new(CHAT_RATE) }
    }

    /// Adds a line, cleaned already. `None`: the address is past its rate limit. Without an address
    /// it is not limited.
    pub(crate) fn push(
        &mut self,
        ip: Option<IpAddr>,
        now: Micros,
        at: UnixMillis,
        name: String,
        text: String,
    ) -> Option<LobbyLine> {
        if ip.is_some_and(|ip| !self.buckets.take_ip(ip, now)) {
            return None;
        }
        if self.lines.len() == HISTORY_LINES {
            self.lines.pop_front();
        }
        let line = LobbyLine { match_id: None, at: at.0, name, text };
        self.lines.push_back(line.clone());
        Some(line)
    }

    /// The last lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<LobbyLine> {
        self.lines.iter().cloned().collect()
    }
}
