//! What a process costs, from `/proc`, and what it may have.

use std::{fs, io, time::Duration};

use rustix::{
    param::clock_ticks_per_second,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// One process, by its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process that this is called in.
    #[must_use]
    pub fn this() -> Self {
        Self { pid: std::process::id() }
    }

    /// Another process.
    #[must_use]
    pub const fn with_id(pid: u32) -> Self {
        Self { pid }
    }

    /// User and system time of all its threads since it started, to a clock tick (usually 10 ms).
    pub fn cpu_time(self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let ticks = cpu_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Duration::from_nanos(ticks * 1_000_000_000 / clock_ticks_per_second()))
    }

    /// Bytes of its memory that are in RAM.
    pub fn rss_bytes(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kib = status.lines().find_map(|line| {
            let value = line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?;
            value.parse::<u64>().ok()
        });
        Ok(kib.ok_or(io::ErrorKind::InvalidData)? * 1024)
    }
}

/// Sees to it that this process, and those that it starts, may have so many sockets open.
pub fn allow_sockets(count: usize) -> io::Result<()> {
    let needed = count as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?;
    }
    Ok(())
}

/// Files that are open beside sockets, generously.
const OTHER_FILES: u64 = 64;

/// `utime` and `stime`, fields 14 and 15, added up.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name, field 2, may hold anything, spaces and parentheses included.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 30 5 6 20 0 1 0";
        assert_eq!(cpu_ticks(stat), Some(280));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let this = Process::this();
        assert!(this.cpu_time().is_ok());
        assert!(this.rss_bytes().unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Process::with_id(u32::MAX).cpu_time().is_err());
    }
}
