//! How much of everything one client, one address and all together may have.
//!
//! Each limit is a setting, with a default and the reason for it. What happens past a limit is
//! said with it: *refused* is an answer with a status or a close code, *closed* ends a connection.

use std::time::Duration;

use serde::Deserialize;

use crate::{bucket::Rate, config::ConfigError};

/// Seconds for which a client may send as if all that it left unsaid before were saved up: a phone
/// that was in a tunnel delivers its inputs all at once.
const MESSAGES_BURST_S: u32 = 10;
/// Seconds of connects, and of requests, that one address may make at once: a page that is opened
/// twice, a team that comes in from one house.
const ADDRESS_BURST_S: u32 = 4;
/// Seconds of new matches that may be opened at once: a server that fills after its start.
const MATCHES_BURST_S: u32 = 4;
/// hyper does not read with less.
const HEAD_BYTES_MIN: usize = 8 * 1024;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections at once, those included that have not been upgraded. More are answered 503.
    ///
    /// An idle one costs the process about 10 KiB, so this many fit into any machine; files are
    /// the scarcer thing.
    pub connections_max: usize,
    /// Connections at once of one address (of one /56 in IPv6). More are answered 429. As many seats
    /// are kept for those of its connections that were lost; those beyond are free at once.
    ///
    /// Many players share an address where a carrier or a school translates them; 64 is four full
    /// matches. This machine itself (127.0.0.1 and ::1) is not limited.
    pub connections_per_address_max: u32,
    /// Connects of one address each second, saved up for `ADDRESS_BURST_S`. More are answered
    /// 429.
    ///
    /// A person makes two at most; the rest is for addresses that are shared.
    pub connects_per_address_hz: u32,
    /// Requests of one address each second, on however many connections, saved up for
    /// `ADDRESS_BURST_S`. More are answered 429, unless they show an operator's token.
    ///
    /// The page makes a dozen when it opens; a request costs the server up to a snapshot of every
    /// match in JSON.
    pub requests_per_address_hz: u32,
    /// Connections that have not sent a request yet. When more come, those that have been silent for
    /// longest are closed.
    ///
    /// It is the queue of a join storm: at about 3,000 handshakes a second the last one waits for
    /// a third of a second. Who takes two seconds for a handshake is still heard while strangers who
    /// say nothing connect 500 times a second, which takes 32 addresses.
    pub handshakes_max: usize,
    /// How long a client may take for its TLS handshake and for a request's head, and how long a
    /// connection is kept between two requests. Then it is closed.
    ///
    /// The slowest phone needs two seconds.
    pub head_timeout: Duration,
    /// Longest head of a request. Longer ones are answered 431.
    ///
    /// Browsers send less than 2 KiB without cookies, and we set none.
    pub head_bytes_max: usize,
    /// How long a client may take after its handshake to say hello. Then it is closed.
    pub hello_timeout: Duration,
    /// How long a client may be silent. Then it is closed, and may resume.
    ///
    /// One that plays sends an input every tick, one that watches acknowledges what it gets, so
    /// this is the keep-alive: no ping is needed.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of what it is sent (its buffers are full, or it no longer
    /// acknowledges). Then it is closed, and may resume.
    ///
    /// Whose way down stalls for 20 s and who goes on speaking is not given up. It costs nobody
    /// anything: half a second of snapshots wait, and chat and events up to the outbox's bound.
    pub stall_timeout: Duration,
    /// Messages of a session each second, saved up for `MESSAGES_BURST_S`; every 64 bytes count
    /// as one more, or as many as an input has if those are more. Who sends more is closed.
    ///
    /// Inputs at the highest tick rate, pings and acknowledgements come to 270.
    pub messages_hz: u32,
    /// Sessions at once of one ticket's subject. More are refused.
    ///
    /// A player who changes devices has two until the first one's grace is over.
    pub sessions_per_subject_max: u32,
    /// Matches at once. More are refused.
    pub matches_max: usize,
    /// Matches that may be opened each second, saved up for `MATCHES_BURST_S`. More are refused.
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

    pub(crate) fn with(mut self, settings: &LimitSettings) -> Result<Self, ConfigError> {
        settings.apply(&mut self);
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
            within(name, value.as_secs() as usize, 1, 3_600)?;
        }
        Ok(self)
    }
}

/// Declares the settings of limits: flag, environment variable, and key in the file's `[limits]`.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $env:literal => $set:expr;)+) => {
        #[derive(Debug, Default, clap::Args, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct LimitSettings {
            $($(#[doc = $doc])+
            #[arg(long, value_name = "N", env = $env)]
            $name: Option<$kind>,)+
        }

        impl LimitSettings {
            fn apply(&self, limits: &mut Limits) {
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
    /// Connections at once; more are answered 503 [default: 10000]
    connections_max: usize = "TICKWIRE_CONNECTIONS_MAX" => |l, v| l.connections_max = v;
    /// Connections at once of one address other than this machine; more are answered 429 [default: 64]
    connections_per_address_max: u32 = "TICKWIRE_CONNECTIONS_PER_ADDRESS_MAX"
        => |l, v| l.connections_per_address_max = v;
    /// Connects of one address each second; more are answered 429 [default: 16]
    connects_per_address_hz: u32 = "TICKWIRE_CONNECTS_PER_ADDRESS_HZ"
        => |l, v| l.connects_per_address_hz = v;
    /// Requests of one address each second; more are answered 429 [default: 64]
    requests_per_address_hz: u32 = "TICKWIRE_REQUESTS_PER_ADDRESS_HZ"
        => |l, v| l.requests_per_address_hz = v;
    /// Connections that have not sent a request yet; more close the oldest of them [default: 1024]
    handshakes_max: usize = "TICKWIRE_HANDSHAKES_MAX" => |l, v| l.handshakes_max = v;
    /// Seconds for a TLS handshake or a request's head [default: 5]
    head_timeout_s: u32 = "TICKWIRE_HEAD_TIMEOUT_S" => |l, v| l.head_timeout = seconds(v);
    /// Longest head of a request, in bytes [default: 8192]
    head_bytes_max: usize = "TICKWIRE_HEAD_BYTES_MAX" => |l, v| l.head_bytes_max = v;
    /// Seconds from a WebSocket's handshake to its hello [default: 5]
    hello_timeout_s: u32 = "TICKWIRE_HELLO_TIMEOUT_S" => |l, v| l.hello_timeout = seconds(v);
    /// Seconds for which a client may be silent [default: 10]
    idle_timeout_s: u32 = "TICKWIRE_IDLE_TIMEOUT_S" => |l, v| l.idle_timeout = seconds(v);
    /// Seconds for which a client may take nothing of what it is sent [default: 30]
    stall_timeout_s: u32 = "TICKWIRE_STALL_TIMEOUT_S" => |l, v| l.stall_timeout = seconds(v);
    /// Messages of one session each second [default: 300]
    messages_hz: u32 = "TICKWIRE_MESSAGES_HZ" => |l, v| l.messages_hz = v;
    /// Sessions at once of one ticket's subject [default: 4]
    sessions_per_subject_max: u32 = "TICKWIRE_SESSIONS_PER_SUBJECT_MAX"
        => |l, v| l.sessions_per_subject_max = v;
    /// Matches at once; more are refused [default: 1000]
    matches_max: usize = "TICKWIRE_MATCHES_MAX" => |l, v| l.matches_max = v;
    /// Matches that may be opened each second [default: 64]
    matches_hz: u32 = "TICKWIRE_MATCHES_HZ" => |l, v| l.matches_hz = v;
}
