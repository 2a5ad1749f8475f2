//! Network profiles, used by both simulations and bots.
//!
//! Sources
//! - Lighthouse, `docs/throttling.md`: "Slow 4G" is 150 ms there and back, 1.6 Mbit/s down and
//!   750 kbit/s up, "roughly the bottom 25% of 4G connections and top 25% of 3G connections".
//! - Loadero, "Network Conditions": 3G is 1.2 Mbit/s, 250 ms with 50 ms of jitter and 0.5 % loss;
//!   4G is 45 ms with 5 to 15 ms of jitter and 0.2 % loss.
//! - WebPageTest, `connectivity.ini`: "3G" is 1.6 Mbit/s down, 768 kbit/s up, 300 ms.
//!
//! None of them says how often a network stalls: those figures are our own estimates, for
//! handovers between cells and for Wi-Fi on a shared channel. Over TCP, a lost packet appears as a
//! stall of one round trip, so loss is modelled as stalls too.

use crate::time::Micros;

/// A network between a client and a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Its name on command lines.
    pub name: &'static str,
    /// One-way delay.
    pub delay: Micros,
    /// Largest deviation from `delay`, in both directions; at most `delay`.
    pub jitter: Micros,
    /// Bits per second from the server.
    pub down_bps: u64,
    /// Bits per second to the server.
    pub up_bps: u64,
    /// Mean time between two stalls of one direction; zero for no stalls.
    pub stall_every: Micros,
    /// Shortest and longest duration of a stall.
    pub stall_for: [Micros; 2],
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] = [Self::LAN, Self::WIFI, Self::G4, Self::G3, Self::BAD];

    /// A cable.
    pub const LAN: Self = Self {
        name: "lan",
        delay: Micros(250),
        jitter: Micros(100),
        down_bps: 1_000_000_000,
        up_bps: 1_000_000_000,
        stall_every: Micros(0),
        stall_for: [Micros(0); 2],
    };

    /// Wi-Fi at home, and a server in the same country.
    pub const WIFI: Self = Self {
        name: "wifi",
        delay: Micros::from_millis(12),
        jitter: Micros::from_millis(4),
        down_bps: 30_000_000,
        up_bps: 10_000_000,
        stall_every: Micros::from_secs(45),
        stall_for: [Micros::from_millis(40), Micros::from_millis(120)],
    };

    /// A phone, not at its best: Lighthouse's "Slow 4G", with a little less delay and much jitter.
    pub const G4: Self = Self {
        name: "4g",
        delay: Micros::from_millis(60),
        jitter: Micros::from_millis(20),
        down_bps: 1_600_000,
        up_bps: 750_000,
        stall_every: Micros::from_secs(60),
        stall_for: [Micros::from_millis(100), Micros::from_millis(300)],
    };

    /// An older phone or a crowded cell: Loadero's and WebPageTest's "3G". 0.5 % of 30 packets a
    /// second is one in 7 s; half of these are retransmitted before it matters.
    pub const G3: Self = Self {
        name: "3g",
        delay: Micros::from_millis(125),
        jitter: Micros::from_millis(50),
        down_bps: 1_200_000,
        up_bps: 768_000,
        stall_every: Micros::from_secs(15),
        stall_for: [Micros::from_millis(150), Micros::from_millis(400)],
    };

    /// A train in the countryside.
    pub const BAD: Self = Self {
        name: "bad",
        delay: Micros::from_millis(150),
        jitter: Micros::from_millis(100),
        down_bps: 200_000,
        up_bps: 100_000,
        stall_every: Micros::from_secs(20),
        stall_for: [Micros::from_millis(300), Micros::from_millis(1_500)],
    };

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}
