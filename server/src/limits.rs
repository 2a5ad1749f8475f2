//! Limits of clients, addresses and the whole server.
//!
//! Each limit is a setting, with a default, its reason, and what happens past it: *refused* is an
//! answer with a status or a close code, *closed* ends a connection.

use std::time::Duration;

use serde::Deserialize;

use crate::{bucket::Rate, config::ConfigError};

/// Burst of a client's messages, in seconds of its rate: a phone that leaves a tunnel sends its
/// delayed inputs all at once.
pub const MESSAGES_BURST_S: u32 = 10;
/// Burst of an address' connects and of its requests, in seconds of their rates: a page that is
/// opened twice, a team in one house.
pub const ADDRESS_BURST_S: u32 = 4;
/// Burst of new matches, in seconds of their rate: a server that fills after its start.
pub const MATCHES_BURST_S: u32 = 4;
/// Lines of chat of a player in a match, and of an address in the lobby: as fast as a reader can
/// follow when all players of a full match write.
pub(crate) const CHAT_RATE: Rate = Rate::per_second(1, 5);
/// hyper accepts no smaller buffer.
const HEAD_BYTES_MIN: usize = 8 * 1024;

/// The limits of a server; see the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Concurrent connections, including those that have not been upgraded. More are answered 503.
    ///
    /// An idle one costs the process about 10 KiB, so this many fit into any machine; file
    /// descriptors run out first.
    pub connections_max: usize,
    /// Concurrent connections of one address (one /56 in IPv6). More are answered 429. After lost
    /// connections the address may keep as many seats; further ones are freed at once.
    ///
    /// Many players share an address behind a carrier's or a school's NAT; 64 is four full matches.
    /// This machine itself (127.0.0.1 and ::1) is not limited.
    pub connections_per_address_max: u32,
    /// Connects of one address per second, with a burst of [`ADDRESS_BURST_S`] seconds. More are
    /// answered 429.
    ///
    /// A person makes two at most; the rest is for shared addresses.
    pub connects_per_address_hz: u32,
    /// Requests of one address per second, over all of its connections, with a burst of
    /// [`ADDRESS_BURST_S`] seconds. More are answered 429, unless they carry an operator's token.
    ///
    /// The page makes a dozen when it opens; the most expensive request lists every match in JSON.
    pub requests_per_address_hz: u32,
    /// Connections that have not sent a request yet. A new connection past this evicts the oldest
    /// of them.
    ///
    /// It is the queue of a join storm: at about 3,000 handshakes a second the last one waits for a
    /// third of a second. A client whose handshake takes two seconds is still served while silent
    /// connections come in 500 times a second, which takes 32 addresses.
    pub handshakes_max: usize,
    /// Timeout of the TLS handshake, of a request's head, and of the pause between two requests.
    /// Then the connection is closed.
    ///
    /// The slowest phone needs two seconds.
    pub head_timeout: Duration,
    /// Longest head of a request. Longer ones are answered 431.
    ///
    /// Browsers send less than 2 KiB without cookies, and we set none.
    pub head_bytes_max: usize,
    /// Time from the WebSocket handshake to the hello. Then the connection is closed.
    pub hello_timeout: Duration,
    /// How long a client may send nothing. Then it is closed, and may resume.
    ///
    /// A player sends an input every tick, and a spectator acknowledges snapshots, so this works as
    /// the keep-alive, without pings.
    pub idle_timeout: Duration,
    /// How long a client may receive nothing (its buffers are full, or it no longer acknowledges).
    /// Then it is closed, and may resume.
    ///
    /// A client whose downlink stalls for 20 s but that keeps sending is not given up. It costs
    /// little: half a second of snapshots wait, and chat and events up to the outbox's bound.
    pub stall_timeout: Duration,
    /// Messages of a session per second, with a burst of [`MESSAGES_BURST_S`] seconds. Every 64
    /// bytes, or the size of an input if that is more, count as another message. A client past this
    /// is closed.
    ///
    /// Inputs at the highest tick rate, pings and acknowledgements come to 270.
    pub messages_hz: u32,
    /// Concurrent sessions of one ticket subject. More are refused.
    ///
    /// A player who changes devices has two until the first one's grace period is over.
    pub sessions_per_subject_max: u32,
    /// Concurrent matches. More are refused.
    pub matches_max: usize,
    /// New matches per second, with a burst of [`MATCHES_BURST_S`] seconds. More are refused.
    ///
    /// A match costs some hundred kilobytes from its first tick on.
    pub matches_hz: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 64,
            connects_per_address_hz: 16,
            requests_per_address_hz: 64,
            handshakes_max: 1_024,
            head_timeout: Duration::from_secs(5),
            head_bytes_max: HEAD_BYTES_MIN,
            hello_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            messages_hz: 300,
            sessions_per_subject_max: 4,
            matches_max: 1_000,
            matches_hz: 64,
        }
    }
}

impl Limits {
    pub(crate) fn connects(&self) -> Rate {
        Rate::per_second(self.connects_per_address_hz, ADDRESS_BURST_S)
    }

    pub(crate) fn requests(&self) -> Rate {
        Rate::per_second(self.requests_per_address_hz, ADDRESS_BURST_S)
    }

    pub(crate) fn messages(&self) -> Rate {
        Rate::per_second(self.messages_hz, MESSAGES_BURST_S)
    }

    pub(crate) fn matches(&self) -> Rate {
        Rate::per_second(self.matches_hz, MATCHES_BURST_S)
    }

    /// Rejects limits that are out of range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |name: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::new(format!("{name} must be {least} to {most}, not {value}")))
        };
        within("connections_max", self.connections_max, 1, 1_000_000)?;
        for (name, value) in [
            ("messages_hz", self.messages_hz),
            ("connections_per_address_max", self.connections_per_address_max),
            ("connects_per_address_hz", self.connects_per_address_hz),
            ("requests_per_address_hz", self.requests_per_address_hz),
            ("sessions_per_subject_max", self.sessions_per_subject_max),
            ("matches_hz", self.matches_hz),
        ] {
            within(name, value as usize, 1, 1_000_000)?;
        }
        within("handshakes_max", self.handshakes_max, 1, 1_000_000)?;
        within("matches_max", self.matches_max, 1, 1_000_000)?;
        within("head_bytes_max", self.head_bytes_max, HEAD_BYTES_MIN, 1024 * 1024)?;
        for (name, value) in [
            ("head_timeout_s", self.head_timeout),
            ("hello_timeout_s", self.hello_timeout),
            ("idle_timeout_s", self.idle_timeout),
            ("stall_timeout_s", self.stall_timeout),
        ] {
            within(name, value.as_secs_f64().ceil() as usize, 1, 3_600)?;
        }
        Ok(())
    }
}

/// Declares the settings of limits: flag, environment variable, and key in the file's `[limits]`.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $env:literal => $set:expr;)+) => {
        #[derive(Debug, Default, clap::Args, Deserialize)]
        #[serde(deny_unknown_fields, expecting = "a table")]
        pub(crate) struct LimitSettings {
            $($(#[doc = $doc])+
            #[arg(long, value_name = "N", env = $env)]
            $name: Option<$kind>,)+
        }

        impl LimitSettings {
            pub(crate) fn apply(&self, limits: &mut Limits) {
                $(if let Some(value) = self.$name {
                    let set: fn(&mut Limits, $kind) = $set;
                    set(limits, value);
                })+
            }
        }
    };
}

const fn seconds(s: u32) -> Duration {
    Duration::from_secs(s as u64)
}

settings! {
    /// Concurrent connections; more are answered 503 [default: 10000]
    connections_max: usize = "TICKWIRE_CONNECTIONS_MAX" => |l, v| l.connections_max = v;
    /// Concurrent connections of one address, unless it is this machine; more are answered 429
    /// [default: 64]
    connections_per_address_max: u32 = "TICKWIRE_CONNECTIONS_PER_ADDRESS_MAX"
        => |l, v| l.connections_per_address_max = v;
    /// Connects of one address per second; more are answered 429 [default: 16]
    connects_per_address_hz: u32 = "TICKWIRE_CONNECTS_PER_ADDRESS_HZ"
        => |l, v| l.connects_per_address_hz = v;
    /// Requests of one address per second; more are answered 429 [default: 64]
    requests_per_address_hz: u32 = "TICKWIRE_REQUESTS_PER_ADDRESS_HZ"
        => |l, v| l.requests_per_address_hz = v;
    /// Connections without a request yet; a new one past this evicts the oldest [default: 1024]
    handshakes_max: usize = "TICKWIRE_HANDSHAKES_MAX" => |l, v| l.handshakes_max = v;
    /// Timeout of a TLS handshake and of a request's head, in seconds [default: 5]
    head_timeout_s: u32 = "TICKWIRE_HEAD_TIMEOUT_S" => |l, v| l.head_timeout = seconds(v);
    /// Longest head of a request, in bytes [default: 8192]
    head_bytes_max: usize = "TICKWIRE_HEAD_BYTES_MAX" => |l, v| l.head_bytes_max = v;
    /// Timeout from a WebSocket's handshake to its hello, in seconds [default: 5]
    hello_timeout_s: u32 = "TICKWIRE_HELLO_TIMEOUT_S" => |l, v| l.hello_timeout = seconds(v);
    /// Seconds for which a client may send nothing [default: 10]
    idle_timeout_s: u32 = "TICKWIRE_IDLE_TIMEOUT_S" => |l, v| l.idle_timeout = seconds(v);
    /// Seconds for which a client may receive nothing of what it is sent [default: 30]
    stall_timeout_s: u32 = "TICKWIRE_STALL_TIMEOUT_S" => |l, v| l.stall_timeout = seconds(v);
    /// Messages of one session per second [default: 300]
    messages_hz: u32 = "TICKWIRE_MESSAGES_HZ" => |l, v| l.messages_hz = v;
    /// Concurrent sessions of one ticket subject [default: 4]
    sessions_per_subject_max: u32 = "TICKWIRE_SESSIONS_PER_SUBJECT_MAX"
        => |l, v| l.sessions_per_subject_max = v;
    /// Concurrent matches; more are refused [default: 1000]
    matches_max: usize = "TICKWIRE_MATCHES_MAX" => |l, v| l.matches_max = v;
    /// New matches per second [default: 64]
    matches_hz: u32 = "TICKWIRE_MATCHES_HZ" => |l, v| l.matches_hz = v;
}
