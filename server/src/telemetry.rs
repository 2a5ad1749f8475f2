//! A shard's counters and histograms.
//!
//! Each shard owns its own, so that counting costs no lock and no shared cache line; a report
//! copies them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use tickwire_shared::{close::CloseReason, codec::Costs, schema::Schema, time::Micros};

/// Counters and histograms of one shard since its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Start of a tick − its deadline.
    pub(crate) tick_lateness: Spans,
    /// Start of a tick to its last write.
    pub(crate) tick_time: Spans,
    /// Deadline of a tick to its last write.
    pub(crate) tick_to_wire: Spans,
    /// Ticks that ran.
    pub(crate) ticks: u64,
    /// Ticks that began a whole interval late or later.
    pub(crate) overruns: u64,
    /// Ticks that began a quarter of an interval late or later.
    pub(crate) late: u64,
    /// Time by which matches were postponed after overruns that one catch-up tick could not cover.
    pub(crate) slipped: Micros,
    /// Snapshots that were written.
    pub(crate) snapshots: u64,
    /// Bytes of these snapshots, frame heads included.
    pub(crate) snapshot_bytes: u64,
    /// Encodings that were made for these snapshots.
    pub(crate) encodings: u64,
    /// Time spent on encoding.
    pub(crate) encoding: Micros,
    /// Snapshots skipped because earlier bytes still wait in the outbox.
    pub(crate) skipped_unflushed: u64,
    /// Snapshots skipped because too many are in flight.
    pub(crate) skipped_credit: u64,
    /// Snapshots skipped because the shard does not keep up.
    pub(crate) skipped_overload: u64,
    /// Full snapshots postponed because many clients join at once.
    pub(crate) skipped_storm: u64,
    /// Time for which the shard was busy.
    pub(crate) busy: Micros,
    /// How often each step of the overload ladder was taken, by its name.
    pub(crate) steps: BTreeMap<&'static str, u64>,
    /// The step that the shard is on; 0 is none.
    pub(crate) step: u64,
    /// Inputs that were accepted.
    pub(crate) inputs: u64,
    /// Inputs that were never applied: newer ones had come, or they were for a tick too far ahead.
    pub(crate) inputs_dropped: u64,
    /// Ticks for which a seat's input was missing, so that an older one was used.
    pub(crate) inputs_starved: u64,
    /// Full snapshots that clients asked for because a digest differed.
    pub(crate) resyncs: u64,
    /// Connections that have ended, by the reason's name.
    pub(crate) closed: BTreeMap<&'static str, u64>,
    /// Matches that run now.
    pub(crate) matches: u64,
    /// Connections that are open now.
    pub(crate) connections: u64,
    /// Matches that ended because their game failed.
    pub(crate) matches_failed: u64,
    pub(crate) journals_lost: u64,
    /// Matches of an earlier server that were restored, and those that could not be.
    pub(crate) restored: u64,
    pub(crate) unrestored: u64,
    /// Bits of all encodings, in the order of [`field_names`]. An encoding counts once, however
    /// many clients it was sent to. Empty until a match is counted.
    pub(crate) field_bits: Vec<f64>,
    /// Spectators now, by match.
    pub(crate) spectators: BTreeMap<u32, u32>,
}

/// A histogram of time spans in microseconds, up to ten seconds.
#[derive(Clone, Debug)]
pub(crate) struct Spans(pub(crate) Histogram<u64>);

impl Spans {
    /// Counts one span.
    pub(crate) fn record(&mut self, span: Micros) {
        self.0.saturating_record(span.0);
    }

    /// The median, the 99th percentile and the maximum since `before`, in microseconds.
    pub(crate) fn since(&self, before: &Self) -> [u64; 3] {
        let mut new = self.0.clone();
        new.subtract(&before.0).expect("a histogram includes its own earlier state");
        [0.5, 0.99, 1.0].map(|quantile| new.value_at_quantile(quantile))
    }

    /// The sum of all spans, as exact as the histogram's buckets. Unlike mean × count, whose
    /// rounding varies, it never decreases: Prometheus would take that for a restart.
    pub(crate) fn sum(&self) -> Micros {
        let kept = self.0.iter_recorded();
        let sums =
            kept.map(|v| self.0.median_equivalent(v.value_iterated_to()) * v.count_at_value());
        Micros(sums.sum())
    }
}

impl Default for Spans {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, 10_000_000, 2);
        Self(histogram.expect("the bounds are valid"))
    }
}

/// The counter's name for a connection that ended without a close frame.
pub(crate) const LOST: &str = "lost";

impl Stats {
    /// Counts a connection that ended without a close frame.
    pub(crate) fn count_lost(&mut self) {
        *self.closed.entry(LOST).or_default() += 1;
    }

    /// Counts a closed connection.
    pub(crate) fn count_closed(&mut self, reason: CloseReason) {
        *self.closed.entry(reason.name()).or_default() += 1;
    }

    /// Adds the bits of a match's encodings, in the order of [`field_names`].
    pub(crate) fn add_costs(&mut self, schema: &Schema, costs: &Costs) {
        let kinds = schema.kinds.iter().enumerate();
        let bits = kinds.flat_map(|(k, kind)| {
            let fields = (0..=kind.fields.len()).map(move |field| costs.field_bits(k, field));
            fields.chain([costs.change_bits(k)])
        });
        let fields = schema.kinds.iter().map(|kind| kind.fields.len() + 2);
        self.field_bits.resize(fields.sum(), 0.0);
        for (all, bits) in self.field_bits.iter_mut().zip(bits) {
            *all += bits;
        }
    }
}

/// The names of [`Stats::field_bits`]: `kind.field`.
pub(crate) fn field_names(schema: &Schema) -> impl Iterator<Item = String> {
    schema.kinds.iter().flat_map(|kind| {
        let fields = kind.fields.iter().map(|field| field.name.as_str());
        let all = fields.chain(["(moment)", "(changes)"]);
        all.map(|name| format!("{}.{name}", kind.name))
    })
}
