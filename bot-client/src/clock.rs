//! The monotonic clock, in microseconds, which timerfd uses, too.

use std::{io, os::fd::OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tickwire_shared::time::Micros;
use tokio::io::unix::AsyncFd;

/// The time since the machine's start.
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

/// Wakes a task at a point in time, precise to tens of microseconds; tokio's own timers are precise
/// to a millisecond.
#[derive(Debug)]
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(deprecated, reason = "its unsafe successor demands what an OwnedFd always is")]
        Ok(Self(AsyncFd::new(fd)?))
    }

    /// Waits until `at`; returns at once if that has passed.
    pub(crate) async fn wait_until(&self, at: Micros) -> io::Result<()> {
        let once_at = Itimerspec { it_interval: timespec(Micros(0)), it_value: timespec(at) };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &once_at)?;
        // Setting the timer clears an earlier expiration, so it need not be read here.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

const MICROS_PER_SEC: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_never_rings_early() {
        let alarm = Alarm::new().unwrap();
        let start = now();
        for millis in [3, 4, 4, 9] {
            let at = start.plus(Micros::from_millis(millis));
            alarm.wait_until(at).await.unwrap();
            assert!(now() >= at, "{:?} is before {at:?}", now());
        }
    }
}
