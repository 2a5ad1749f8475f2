//! CPU time, memory and file limits of processes.

use std::{fs, io, time::Duration};

use nix::{time::ClockId, unistd::Pid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One process, by its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The current process.
    #[must_use]
    pub fn this() -> Self {
        Self { pid: std::process::id() }
    }

    /// Another process.
    #[must_use]
    pub const fn with_id(pid: u32) -> Self {
        Self { pid }
    }

    /// User and system time of all its threads since it started, including threads that have ended.
    ///
    /// From the process's CPU clock, which is much more precise than the 10 ms of `/proc/PID/stat`.
    pub fn cpu_time(self) -> io::Result<Duration> {
        // A negative id would mean the caller's own process to the kernel.
        let pid = i32::try_from(self.pid).map_err(|_| io::ErrorKind::NotFound)?;
        let pid = Pid::from_raw(pid);
        Ok(ClockId::pid_cpu_clock_id(pid)?.now()?.into())
    }

    /// Resident memory, in bytes.
    pub fn rss_bytes(self) -> io::Result<u64> {
        self.memory_bytes("VmRSS:")
    }

    /// The most resident memory that it has had so far, in bytes.
    pub fn rss_peak_bytes(self) -> io::Result<u64> {
        self.memory_bytes("VmHWM:")
    }

    fn memory_bytes(self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kib = status.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.trim().strip_suffix(" kB")?;
            value.parse::<u64>().ok()
        });
        Ok(kib.ok_or(io::ErrorKind::InvalidData)? * 1024)
    }
}

/// Raises the file limit, so that this process and its children may each have `count` sockets open.
pub fn allow_sockets(count: usize) -> io::Result<()> {
    let needed = (count as u64).saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).map_err(|_| {
        io::Error::other(format!("it takes {needed} open files: raise the limit, `ulimit -Hn`"))
    })
}

/// Files that are open beside sockets: a generous estimate.
const OTHER_FILES: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_time_and_memory() {
        let this = Process::this();
        assert!(this.cpu_time().is_ok());
        for bytes in [this.rss_bytes(), this.rss_peak_bytes()] {
            assert!(bytes.unwrap() > 100_000);
        }
    }

    #[test]
    fn too_many_sockets_are_a_matter_of_the_limit() {
        let error = allow_sockets(usize::MAX).unwrap_err();
        assert!(error.to_string().contains("ulimit -Hn"), "{error}");
        assert!(allow_sockets(1).is_ok());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Process::with_id(u32::MAX).cpu_time().is_err());
    }
}
