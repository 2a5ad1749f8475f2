//! Time as an argument: microseconds on a clock that the caller owns, the tick rate, and points
//! between ticks.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::ids::Tick;

/// A point in time or a duration, in microseconds. The caller chooses the clock, which must not go
/// back: the server counts from its own start, a client from its own.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Micros(#[serde(deserialize_with = "exact")] pub u64);

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

    /// Microseconds from `earlier` to `self`; negative when `earlier` is the later one.
    #[must_use]
    pub const fn signed_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The point `micros` later, or earlier when they are negative.
    #[must_use]
    pub const fn shifted(self, micros: i64) -> Self {
        Self(self.0.saturating_add_signed(micros))
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
pub struct UnixMillis(#[serde(deserialize_with = "exact")] pub u64);

/// Largest time on the wire: a double, JavaScript's number, holds integers up to here exactly.
const TIME_MAX: u64 = (1 << 53) - 1;

fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let time = u64::deserialize(from)?;
    if time <= TIME_MAX { Ok(time) } else { Err(D::Error::custom("a time is too large")) }
}

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
        let (seconds, steps) = (n / self.0 as u64, n % self.0 as u64);
        seconds * 1_000_000_000 + steps * 1_000_000_000 / self.0 as u64
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

/// A point between two ticks: `part` 256ths of the way from `tick` to the one after it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// The tick at or before it.
    pub tick: Tick,
    /// 256ths of a tick after that.
    pub part: u8,
}

impl Moment {
    /// The moment `behind` 256ths of a tick before `tick`.
    #[must_use]
    pub const fn before(tick: Tick, behind: u16) -> Self {
        let ticks = (behind as u32).div_ceil(256);
        Self { tick: Tick(tick.0.wrapping_sub(ticks)), part: (ticks * 256 - behind as u32) as u8 }
    }

    /// The moment `parts` 256ths of a tick later.
    #[must_use]
    pub const fn plus(self, parts: u32) -> Self {
        let parts = parts + self.part as u32;
        Self { tick: self.tick.plus(parts / 256), part: (parts % 256) as u8 }
    }

    /// 256ths of a tick from `earlier` to `self`; negative when `self` is the older one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.tick.since(earlier.tick) as i64 * 256 + self.part as i64 - earlier.part as i64
    }
}

impl From<Tick> for Moment {
    fn from(tick: Tick) -> Self {
        Self { tick, part: 0 }
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

    #[test]
    fn a_moment_is_given_by_its_distance_before_a_tick() {
        check_before(7, 0, 7, 0);
        check_before(7, 1, 6, 255);
        check_before(7, 256, 6, 0);
        check_before(0, 257, u32::MAX - 1, 255);
    }

    #[track_caller]
    fn check_before(tick: u32, behind: u16, expected: u32, part: u8) {
        let moment = Moment::before(Tick(tick), behind);
        assert_eq!(moment, Moment { tick: Tick(expected), part });
        assert_eq!(Moment::from(Tick(tick)).since(moment), i64::from(behind));
    }
}
