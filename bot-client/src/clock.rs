//! The swarm's clock: microseconds since its start, on the clock that timerfd uses.

use std::{io, os::fd::OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tickwire_shared::time::Micros;
use tokio::io::unix::AsyncFd;

/// A monotonic clock; copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start_nanos: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start_nanos: monotonic_nanos() }
    }

    pub(crate) fn now(self) -> Micros {
        Micros((monotonic_nanos() - self.start_nanos) / 1_000)
    }
}

/// Wakes a task at a point in time, precise to tens of microseconds; tokio's own timers are precise
/// to a millisecond.
#[derive(Debug)]
pub(crate) struct Alarm {
    clock: Clock,
    fd: AsyncFd<OwnedFd>,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(deprecated, reason = "its unsafe successor demands what an OwnedFd always is")]
        Ok(Self { clock, fd: AsyncFd::new(fd)? })
    }

    /// Waits until `at`; returns at once if that has passed.
    pub(crate) async fn wait_until(&self, at: Micros) -> io::Result<()> {
        let nanos = self.clock.start_nanos + at.0 * 1_000;
        let once_at = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: (nanos / NANOS_PER_SEC).cast_signed(),
                tv_nsec: (nanos % NANOS_PER_SEC).cast_signed(),
            },
        };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &once_at)?;
        // Setting the timer clears an earlier expiration, so it need not be read here.
        self.fd.readable().await?.clear_ready();
        Ok(())
    }
}

const NANOS_PER_SEC: u64 = 1_000_000_000;

fn monotonic_nanos() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    tv_sec.cast_unsigned() * NANOS_PER_SEC + tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_never_rings_early() {
        let clock = Clock::start();
        let alarm = Alarm::new(clock).unwrap();
        for millis in [3, 4, 4, 9] {
            let at = Micros::from_millis(millis);
            alarm.wait_until(at).await.unwrap();
            assert!(clock.now() >= at, "{:?} is before {at:?}", clock.now());
        }
    }
}
