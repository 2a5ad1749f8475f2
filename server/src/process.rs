//! What a server's process has of the system: files that it may open, and signals that end it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::listener::{HEALTH_CONNECTIONS_MAX, TURNING_AWAY_MAX};

/// Lets the process have as many files open as the system allows it to: each connection is one. If
/// those are too few there may be fewer connections, so that who is one too many hears of it, and
/// health checks are answered.
pub(crate) fn allow_files(connections_max: &mut usize) -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let room = maximum.map_or(usize::MAX, |maximum| maximum as usize);
    let room = room.saturating_sub(OTHER_FILES).max(1);
    if room < *connections_max {
        let wanted = std::mem::replace(connections_max, room);
        tracing::warn!(
            wanted,
            connections_max,
            "fewer connections, since no more files may be open: raise `ulimit -Hn`"
        );
    }
    Ok(())
}

/// Files that are open beside connections, generously.
const OTHER_FILES: usize = 64 + TURNING_AWAY_MAX + HEALTH_CONNECTIONS_MAX;

/// Done when the process was told to end so many times.
pub(crate) fn signals(count: u32) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Who starts it by `nohup` wants it to go on when the terminal closes.
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

/// Whether the process was started to ignore SIGHUP.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // A mask, whose lowest bit is signal 1.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
