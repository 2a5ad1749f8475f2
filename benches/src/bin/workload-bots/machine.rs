//! CPU time of processes and the machine.

use std::{fs, io};

use rustix::param::clock_ticks_per_second;
use tickwire_bot_client::process::Process;

/// CPU time since the start of each process and the machine, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) server: Option<f64>,
    pub(crate) bots: f64,
    /// CPU time of all processes.
    busy: f64,
    /// CPU time that the host took from this virtual machine.
    pub(crate) stolen: f64,
}

impl Spent {
    pub(crate) fn now(server: Option<u32>) -> io::Result<Self> {
        let server = server.map(|pid| Process::with_id(pid).cpu_time()).transpose()?;
        let stat = fs::read_to_string("/proc/stat")?;
        let (busy, stolen) = busy_and_stolen(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            server: server.map(|time| time.as_secs_f64()),
            bots: Process::this().cpu_time()?.as_secs_f64(),
            busy: busy / clock_ticks_per_second() as f64,
            stolen: stolen / clock_ticks_per_second() as f64,
        })
    }

    /// CPU time since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            server: self.server.zip(earlier.server).map(|(now, then)| now - then),
            bots: self.bots - earlier.bots,
            busy: self.busy - earlier.busy,
            stolen: self.stolen - earlier.stolen,
        }
    }

    /// CPU time of other processes.
    pub(crate) fn foreign(self) -> f64 {
        // Rounding may make the difference negative.
        (self.busy - self.bots - self.server.unwrap_or(0.0)).max(0.0)
    }
}

/// Busy time (user, nice, system and both kinds of interrupts) and stolen time, in clock ticks.
fn busy_and_stolen(stat: &str) -> Option<(f64, f64)> {
    let first = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<f64> =
        first.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[user, nice, system, _idle, _wait, hard, soft, stolen, ..] = times.as_slice() else {
        return None;
    };
    Some((user + nice + system + hard + soft, stolen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  10 1 5 1000 50 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0";
        assert_eq!(busy_and_stolen(stat), Some((21.0, 7.0)));
    }
}
