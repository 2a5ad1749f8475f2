//! The monotonic clock, in microseconds, and sleeping by it without drift.

use std::io;

use rustix::{
    io::Errno,
    thread::clock_nanosleep_absolute,
    time::{ClockId, Timespec, clock_gettime},
};
use tickwire_shared::time::Micros;

/// The time since the machine's start, on the clock that timerfd uses.
#[must_use]
pub fn now() -> Micros {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    Micros(tv_sec.cast_unsigned() * MICROS_PER_SEC + tv_nsec.cast_unsigned() / 1_000)
}

/// A point in time as system calls take it.
#[must_use]
pub fn timespec(at: Micros) -> Timespec {
    Timespec {
        tv_sec: (at.0 / MICROS_PER_SEC).cast_signed(),
        tv_nsec: (at.0 % MICROS_PER_SEC * 1_000).cast_signed(),
    }
}

/// Sleeps until `at`.
pub fn sleep_until(at: Micros) -> io::Result<()> {
    loop {
        match clock_nanosleep_absolute(ClockId::Monotonic, &timespec(at)) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

const MICROS_PER_SEC: u64 = 1_000_000;
