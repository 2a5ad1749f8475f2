//! The server's clock, microseconds since it started, and the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tickwire_shared::time::{Micros, UnixMillis};

/// Monotonic; copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// In simulated time.
    #[cfg(test)]
    stopped_at: Option<Micros>,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(test)]
            stopped_at: None,
        }
    }

    /// A clock that stands still.
    #[cfg(test)]
    pub(crate) fn stopped(at: Micros) -> Self {
        Self { start: Instant::now(), stopped_at: Some(at) }
    }

    /// Time since the start.
    pub(crate) fn now(self) -> Micros {
        #[cfg(test)]
        if let Some(stopped_at) = self.stopped_at {
            return stopped_at;
        }
        self.start.elapsed().into()
    }

    /// The time since the start and the wall-clock time, read at the same moment.
    pub(crate) fn reading(self) -> Reading {
        Reading { now: self.now(), date: since_epoch() }
    }
}

/// One moment by a [`Clock`] and by the wall clock, which the kernel's receive timestamps use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    now: Micros,
    date: Duration,
}

impl Reading {
    /// Converts the kernel's receive timestamp; without one, the time of the reading.
    pub(crate) fn arrival(self, stamp: Option<Duration>) -> Micros {
        let held = stamp.and_then(|stamp| self.date.checked_sub(stamp)).unwrap_or_default();
        let held = Micros(held.as_micros() as u64);
        // The wall clock may have been set in between.
        Micros(self.now.since(if held < HELD_MAX { held } else { Micros(0) }).0)
    }
}

/// Bytes never wait this long while a shard runs: a longer wait is a jump of the wall clock.
const HELD_MAX: Micros = Micros::from_secs(2);

/// The wall-clock time.
pub(crate) fn date() -> UnixMillis {
    UnixMillis(since_epoch().as_millis() as u64)
}

pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
