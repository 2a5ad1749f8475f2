//! The log: lines wait in a queue for a thread that writes them to stderr, so that a slow reader of
//! stderr never blocks the server.

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

/// Lines that may wait to be written. More are dropped and counted.
const LINES_MAX: usize = 8_192;
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts the log. Lines are written as long as the returned guard is held.
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

/// Log lines that were dropped because the queue was full.
pub(crate) fn lines_lost() -> usize {
    LOST.get().map_or(0, ErrorCounter::dropped_lines)
}

/// Logs a panic's reason and location. The code that catches it logs what it ends.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str();
    let at = panic.location().map(ToString::to_string);
    // Captured only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    tracing::error!(reason, at, backtrace, "panic");
}
