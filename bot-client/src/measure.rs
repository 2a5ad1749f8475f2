//! Counters and timings of a run. All times are in microseconds.
//!
//! Distributions, snapshots and bytes are those of the *window*: of snapshots that are applied,
//! inputs that are written and pongs that arrive while it is open. Errors, and the digests that
//! reveal them, count over the whole run.

use hdrhistogram::Histogram;
use tickwire_shared::{link::Digest, time::Micros};

/// Longer times count as this.
const TIME_MAX: Micros = Micros::from_secs(60);
/// Significant decimal digits of every recorded time.
const DIGITS: u8 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Measures {
    window: Window,
    pub(crate) snapshots: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) entities: u64,
    pub(crate) input_to_snapshot: Histogram<u64>,
    pub(crate) interval_error: Histogram<u64>,
    pub(crate) snapshot_age: Histogram<u64>,
    pub(crate) rtt: Histogram<u64>,
    pub(crate) send_lateness: Histogram<u64>,
    /// The greatest age of a snapshot that ended a gap of a second or more.
    pub(crate) age_after_gap: Option<Micros>,
    pub(crate) timeline: Timeline,
    /// Snapshots over the whole run.
    pub(crate) snapshots_ever: u64,
    pub(crate) decode_errors: u64,
    pub(crate) digests_checked: u64,
    pub(crate) digest_mismatches: u64,
}

/// The measured window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Window {
    Ahead,
    Open { start: Micros },
    Closed { start: Micros, end: Micros },
}

/// A snapshot that was just applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(crate) at: Micros,
    /// Payload and frame head.
    pub(crate) bytes: usize,
    pub(crate) entities: usize,
    pub(crate) digest: Digest,
    /// Time since its tick was due, on the bot's clock.
    pub(crate) age: Option<Micros>,
    /// Whether there was no snapshot in the second before it.
    pub(crate) ends_gap: bool,
    /// Difference between the time since the previous snapshot and the ticks between the two.
    pub(crate) interval_error: Option<Micros>,
}

impl Measures {
    pub(crate) fn new() -> Self {
        Self {
            window: Window::Ahead,
            snapshots: 0,
            snapshot_bytes: 0,
            entities: 0,
            input_to_snapshot: histogram(),
            interval_error: histogram(),
            snapshot_age: histogram(),
            rtt: histogram(),
            send_lateness: histogram(),
            age_after_gap: None,
            timeline: Timeline::new(),
            snapshots_ever: 0,
            decode_errors: 0,
            digests_checked: 0,
            digest_mismatches: 0,
        }
    }

    pub(crate) fn open(&mut self, now: Micros) {
        self.window = Window::Open { start: now };
        self.timeline.second_end = now.plus(SECOND);
    }

    pub(crate) fn close(&mut self, now: Micros) {
        if let Window::Open { start } = self.window {
            self.timeline.roll(now);
            self.window = Window::Closed { start, end: now };
        }
    }

    /// Whether this time is within the window.
    pub(crate) fn counts(&self, at: Micros) -> bool {
        match self.window {
            Window::Ahead => false,
            Window::Open { start } => at >= start,
            Window::Closed { start, end } => (start..end).contains(&at),
        }
    }

    /// How much of the time between the two is within the window.
    pub(crate) fn overlap(&self, from: Micros, to: Micros) -> Micros {
        match self.window {
            Window::Ahead => Micros(0),
            Window::Open { start } => to.since(from.max(start)),
            Window::Closed { start, end } => to.min(end).since(from.max(start)),
        }
    }

    pub(crate) fn sent(&mut self, at: Micros, lateness: Micros) {
        if self.counts(at) {
            record(&mut self.send_lateness, lateness);
        }
    }

    /// Counts an input of `sent_at` that was answered, or given up, at `now`.
    pub(crate) fn answered(&mut self, sent_at: Micros, now: Micros) {
        if self.counts(sent_at) {
            let took = now.since(sent_at);
            record(&mut self.input_to_snapshot, took);
            if self.counts(now) {
                self.timeline.answered(now, took);
            }
        }
    }

    pub(crate) fn applied(&mut self, snapshot: &Applied) {
        self.snapshots_ever += 1;
        self.digests_checked += u64::from(snapshot.digest != Digest::Absent);
        self.digest_mismatches += u64::from(snapshot.digest == Digest::Differs);
        if !self.counts(snapshot.at) {
            return;
        }
        self.snapshots += 1;
        self.snapshot_bytes += snapshot.bytes as u64;
        self.entities += snapshot.entities as u64;
        self.timeline.applied(snapshot.at);
        if let Some(age) = snapshot.age {
            record(&mut self.snapshot_age, age);
            if snapshot.ends_gap {
                self.age_after_gap = self.age_after_gap.max(Some(age));
            }
        }
        if let Some(error) = snapshot.interval_error {
            record(&mut self.interval_error, error);
        }
    }

    pub(crate) fn pong(&mut self, at: Micros, rtt: Micros) {
        if self.counts(at) {
            record(&mut self.rtt, rtt);
        }
    }
}

/// The window, second by second.
#[derive(Debug)]
pub(crate) struct Timeline {
    seconds: Vec<Second>,
    second_end: Micros,
    snapshots: u64,
    latencies: Histogram<u64>,
}

/// One second of the window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Second {
    /// Snapshots that were applied in it.
    pub(crate) snapshots: u64,
    /// Input-to-snapshot latency of the inputs that were answered in it: p50 and p99.
    pub(crate) p50: Micros,
    pub(crate) p99: Micros,
}

const SECOND: Micros = Micros::from_secs(1);

impl Timeline {
    fn new() -> Self {
        Self { seconds: Vec::new(), second_end: SECOND, snapshots: 0, latencies: histogram() }
    }

    /// All seconds that are over.
    pub(crate) fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    fn applied(&mut self, at: Micros) {
        self.roll(at);
        self.snapshots += 1;
    }

    fn answered(&mut self, at: Micros, took: Micros) {
        self.roll(at);
        record(&mut self.latencies, took);
    }

    /// Ends the seconds that are over by `now`.
    fn roll(&mut self, now: Micros) {
        while now >= self.second_end {
            let quantile = |q| Micros(self.latencies.value_at_quantile(q));
            let (p50, p99) = (quantile(0.5), quantile(0.99));
            self.seconds.push(Second { snapshots: self.snapshots, p50, p99 });
            self.snapshots = 0;
            self.latencies.reset();
            self.second_end = self.second_end.plus(SECOND);
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(TIME_MAX.0, DIGITS).expect("the bounds are valid")
}

fn record(histogram: &mut Histogram<u64>, time: Micros) {
    histogram.saturating_record(time.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let mut measures = Measures::new();
        for at in [5, 10, 15, 20, 25] {
            match at {
                10 => measures.open(Micros(10)),
                20 => measures.close(Micros(20)),
                _ => {}
            }
            measures.sent(Micros(at), Micros(1));
        }
        assert_eq!(measures.send_lateness.len(), 2);
        measures.answered(Micros(19), Micros(40));
        measures.answered(Micros(20), Micros(40));
        assert_eq!(measures.input_to_snapshot.len(), 1, "written within, answered after");
        assert_eq!(measures.overlap(Micros(0), Micros(12)), Micros(2));
        assert_eq!(measures.overlap(Micros(15), Micros(90)), Micros(5));
        assert_eq!(measures.overlap(Micros(30), Micros(90)), Micros(0));
    }

    #[test]
    fn seconds_without_a_snapshot_are_in_the_timeline() {
        let mut measures = Measures::new();
        measures.open(Micros(500_000));
        for at in [600_000, 700_000, 3_600_000] {
            measures.timeline.applied(Micros(at));
        }
        measures.close(Micros::from_millis(4_500));
        let snapshots: Vec<_> = measures.timeline.seconds().iter().map(|s| s.snapshots).collect();
        assert_eq!(snapshots, [2, 0, 0, 1]);
    }
}
