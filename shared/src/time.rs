//! Time as an argument: microseconds on a clock that the caller owns, and the tick rate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, or a span of it, in microseconds. Which clock it is on is for the caller to
/// say: the server counts from its start, a client from its own.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Micros(pub u64);

impl Micros {
    /// Whole milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000)
    }

    /// The point `span` later.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to `self`, or zero when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Micros {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(span: Micros) -> Self {
        Self::from_micros(span.0)
    }
}

/// A date: milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct UnixMillis(pub u64);

/// Simulation steps per second, 1 to 128.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct TickRate(u16);

impl TickRate {
    /// The fastest rate that a match can have.
    pub const MAX_HZ: u16 = 128;

    /// `None` unless `hz` is within 1 to [`TickRate::MAX_HZ`].
    #[must_use]
    pub const fn new(hz: u16) -> Option<Self> {
        if hz >= 1 && hz <= Self::MAX_HZ { Some(Self(hz)) } else { None }
    }

    /// Steps per second.
    #[must_use]
    pub const fn hz(self) -> u16 {
        self.0
    }

    /// Seconds per step, for a game's integration.
    #[must_use]
    pub fn seconds(self) -> f32 {
        1.0 / f32::from(self.0)
    }

    /// Nanoseconds from the start of a match to its step `n`, without accumulated rounding.
    #[must_use]
    pub const fn nanos_to(self, n: u64) -> u64 {
        (n as u128 * 1_000_000_000 / self.0 as u128) as u64
    }

    /// The tick interval, rounded down to a microsecond.
    #[must_use]
    pub const fn interval(self) -> Micros {
        Micros(1_000_000 / self.0 as u64)
    }

    /// Steps in `span`, rounded up.
    #[must_use]
    pub const fn ticks_in(self, span: Micros) -> u32 {
        (span.0 * self.0 as u64).div_ceil(1_000_000) as u32
    }
}

impl TryFrom<u16> for TickRate {
    type Error = String;

    fn try_from(hz: u16) -> Result<Self, Self::Error> {
        Self::new(hz).ok_or_else(|| format!("a tick rate is 1 to {} Hz, not {hz}", Self::MAX_HZ))
    }
}

impl From<TickRate> for u16 {
    fn from(rate: TickRate) -> Self {
        rate.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_do_not_drift() {
        let rate = TickRate::new(30).unwrap();
        assert_eq!(rate.nanos_to(1), 33_333_333);
        assert_eq!(rate.nanos_to(30 * 3600), 3600 * 1_000_000_000);
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        assert_eq!(TickRate::new(0), None);
        assert_eq!(TickRate::new(129), None);
        assert_eq!(TickRate::new(128).map(TickRate::hz), Some(128));
    }
}
