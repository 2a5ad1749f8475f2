//! The process: how many files it may open, and its signals.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    config::ConfigError,
    front_door::FrontDoor,
    listener::{HEALTH_CONNECTIONS_MAX, REJECTING_MAX},
};

/// Raises the limit of open files to the hard limit: each connection is a file. If the limit is too
/// low, reduces `connections_max`, so that connections past it are answered, and so are health
/// checks.
pub(crate) fn allow_files(connections_max: &mut usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // A sandbox may forbid it.
    let limit = if raised.is_ok() { maximum } else { current };
    let room = limit.map_or(usize::MAX, |limit| limit as usize);
    let room = room.saturating_sub(OTHER_FILES).max(1);
    if room < *connections_max {
        let wanted = std::mem::replace(connections_max, room);
        tracing::warn!(
            wanted,
            connections_max,
            "connections_max reduced to the limit of open files: raise `ulimit -Hn`"
        );
    }
}

/// Files that are open beside connections: a generous estimate.
const OTHER_FILES: usize = 64 + REJECTING_MAX + HEALTH_CONNECTIONS_MAX;

/// Keeps idle cores of the machine awake while the returned file is open.
///
/// A core that sleeps takes a while to wake up, with cold caches; a virtual one takes longer, as its
/// host has run others meanwhile.
pub(crate) fn keep_awake() -> Result<File, ConfigError> {
    let device = Path::new("/dev/cpu_dma_latency");
    let opened = OpenOptions::new().write(true).open(device).and_then(|mut file| {
        // The longest time to wake up that is tolerated, in microseconds.
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(file)
    });
    opened.map_err(|error| ConfigError::of_file("keep_awake", device, &error))
}

/// Completes when the process has received `count` signals to end.
pub(crate) fn signals(count: u32) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // `nohup` has SIGHUP ignored, so that the process survives its terminal.
    let mut hangup = if ignores_hangups() { None } else { Some(signal(SignalKind::hangup())?) };
    Ok(async move {
        for _ in 0..count {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hung_up => {}
            }
        }
    })
}

/// Receives SIGUSR1, which cordons the server, and SIGUSR2, which ends that. Never completes.
pub(crate) fn cordons(door: Arc<FrontDoor>) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut begin = signal(SignalKind::user_defined1())?;
    let mut end = signal(SignalKind::user_defined2())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = begin.recv() => door.cordon(true),
                _ = end.recv() => door.cordon(false),
            }
        }
    })
}

/// Whether the process was started to ignore SIGHUP.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // A mask whose lowest bit is signal 1, SIGHUP.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
