//! CPU affinity: the measured side runs on one core, and the side that loads it on another.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps the two sides of a measurement apart. With one core, both share it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cores {
    measured: usize,
    loading: usize,
}

/// A side of a measurement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The program that is measured.
    Measured,
    /// The program that loads it.
    Loading,
}

impl Cores {
    /// The first two cores that this process may use.
    pub fn of_this_process() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let measured = cores.next().ok_or_else(|| io::Error::other("no core is allowed"))?;
        Ok(Self { measured, loading: cores.next().unwrap_or(measured) })
    }

    /// Moves the calling thread to a side's core, with all processes and threads that it starts
    /// later.
    pub fn move_to(self, side: Side) -> io::Result<()> {
        let mut only = CpuSet::new();
        only.set(match side {
            Side::Measured => self.measured,
            Side::Loading => self.loading,
        });
        Ok(sched_setaffinity(None, &only)?)
    }
}
