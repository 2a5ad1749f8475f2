//! The log: lines wait in a queue for a thread that writes them to stderr, so that nobody waits for
//! who reads them.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    sync::OnceLock,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::{
    StartError,
    config::{Config, LogFormat},
};

/// Lines that may wait to be written. Those that find no room are counted.
const LINES_MAX: usize = 8_192;
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Begins it. Lines are written for as long as what is returned is held.
pub(crate) fn start(config: &Config) -> Result<WorkerGuard, StartError> {
    let filter =
        EnvFilter::try_new(&config.log).map_err(|error| StartError::Log(error.to_string()))?;
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).finish(io::stderr());
    let _ = LOST.set(writer.error_counter());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    panic::set_hook(Box::new(tell_panic));
    Ok(guard)
}

/// Lines of the log that nobody took in time.
pub(crate) fn lines_lost() -> usize {
    LOST.get().map_or(0, ErrorCounter::dropped_lines)
}

/// Where a panic came from, as a line like any other. What it ends is told by who catches it.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str();
    let at = panic.location().map(ToString::to_string);
    // Wanted by RUST_BACKTRACE.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    tracing::error!(reason, at, backtrace, "panic");
}
