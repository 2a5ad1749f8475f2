//! The server's clock: microseconds since it started, and a timer on the same clock that is finer
//! than a millisecond.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tickwire_shared::time::{Micros, UnixMillis};

/// Monotonic; copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start_nanos: u64,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { start_nanos: monotonic_nanos() }
    }

    /// Time since the start.
    pub(crate) fn now(self) -> Micros {
        Micros((monotonic_nanos() - self.start_nanos) / 1_000)
    }

    /// The date, as this machine has it.
    pub(crate) fn date(self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(since.as_millis() as u64)
    }
}

/// Becomes readable at a deadline on a [`Clock`].
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
    clock: Clock,
    armed: Option<Micros>,
}

impl Timer {
    /// A timer that is not set.
    pub(crate) fn new(clock: Clock) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { fd, clock, armed: None })
    }

    /// To register with a poll, edge-triggered: it is never read, setting it anew resets it.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sets the next deadline. One that is past fires at once; `None` never does.
    pub(crate) fn arm(&mut self, deadline: Option<Micros>) -> io::Result<()> {
        if deadline == self.armed {
            return Ok(());
        }
        let nanos = deadline.map_or(0, |deadline| self.clock.start_nanos + deadline.0 * 1_000);
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: (nanos / 1_000_000_000).cast_signed(),
                tv_nsec: (nanos % 1_000_000_000).cast_signed(),
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &value)?;
        self.armed = deadline;
        Ok(())
    }
}

fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
