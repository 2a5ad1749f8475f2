//! The progress line on stderr.

use std::io::{IsTerminal, Write, stderr};

use crate::measure::Measures;

/// The contents of the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) phase: &'a str,
    pub(crate) joined: usize,
    pub(crate) bots: usize,
    pub(crate) lost: usize,
}

/// On a terminal, one line that is overwritten; elsewhere, one line for each phase.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    is_terminal: bool,
    phase: String,
    snapshots_before: u64,
}

impl ProgressLine {
    pub(crate) fn new() -> Self {
        let is_terminal = stderr().is_terminal();
        Self { is_terminal, phase: String::new(), snapshots_before: 0 }
    }

    /// Must be called once a second.
    pub(crate) fn show(&mut self, line: &Line<'_>, measures: &Measures) {
        let per_second = measures.snapshots_ever - self.snapshots_before;
        self.snapshots_before = measures.snapshots_ever;
        let quantile = |q| measures.input_to_snapshot.value_at_quantile(q) as f64 / 1_000.0;
        let Line { phase, joined, bots, lost } = *line;
        let mut text = format!("{phase:<10} {joined}/{bots} bots, {per_second} snapshots/s");
        if lost > 0 {
            text += &format!(", {lost} lost");
        }
        if !measures.input_to_snapshot.is_empty() {
            text += &format!(", latency p50 {:.1} ms, p99 {:.1} ms", quantile(0.5), quantile(0.99));
        }
        // Progress is optional: write errors are ignored.
        let _ = if self.is_terminal {
            write!(stderr(), "\r\x1b[K{text}")
        } else if self.phase != phase {
            self.phase = phase.into();
            writeln!(stderr(), "{text}")
        } else {
            Ok(())
        };
    }
}

/// Erases the line on a terminal, to make room for the next output.
pub(crate) fn erase() {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}
