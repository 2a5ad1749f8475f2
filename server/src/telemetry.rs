//! What a shard counts, and how it is written down.
//!
//! Each shard owns its counters and histograms, so that counting costs no lock and no shared cache
//! line; they are copied when somebody asks.

use std::{collections::BTreeMap, fmt::Write};

use hdrhistogram::Histogram;
use tickwire_shared::{close::CloseReason, codec::Costs, schema::Schema, time::Micros};

use crate::{ladder::Step, shards::Counted};

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
    /// Time by which games were put off because catching up would have been too much.
    pub(crate) slipped: Micros,
    /// Snapshots that were written.
    pub(crate) snapshots: u64,
    /// Bytes of those, frame heads included.
    pub(crate) snapshot_bytes: u64,
    /// Encodings that were made for them.
    pub(crate) encodings: u64,
    /// Time that they took.
    pub(crate) encoding: Micros,
    /// Snapshots left out because earlier bytes still wait.
    pub(crate) skipped_unflushed: u64,
    /// Snapshots left out because too many are on their way.
    pub(crate) skipped_credit: u64,
    /// Snapshots left out because the shard does not keep up.
    pub(crate) skipped_relief: u64,
    /// Full snapshots left out because many join at once.
    pub(crate) skipped_storm: u64,
    /// Time for which the shard did something.
    pub(crate) busy: Micros,
    /// How often each step of the overload ladder was taken, by its name.
    pub(crate) steps: BTreeMap<&'static str, u64>,
    /// The step that the shard is on; 0 is none.
    pub(crate) step: u64,
    /// Inputs that were accepted.
    pub(crate) inputs: u64,
    /// Inputs that never counted, because newer ones had come or they were for too far ahead.
    pub(crate) inputs_dropped: u64,
    /// Ticks of seats that had to repeat an input, or to use one for an earlier tick.
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
    /// Bits that encodings were made of, in the order of [`Counted::field_names`]; each counts
    /// once, however many it was sent to. None before a match has run.
    pub(crate) field_bits: Vec<f64>,
    /// Spectators now, by match.
    pub(crate) spectators: BTreeMap<u32, u32>,
}

/// A histogram of time spans in microseconds, up to ten seconds.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Histogram<u64>);

impl Spans {
    /// Counts one span.
    pub(crate) fn record(&mut self, span: Micros) {
        self.0.saturating_record(span.0);
    }

    /// The median, the 99th percentile and the most of what was counted since `before`, in
    /// microseconds.
    pub(crate) fn since(&self, before: &Self) -> [u64; 3] {
        let mut new = self.0.clone();
        new.subtract(&before.0).expect("it has counted all that the earlier one has");
        [0.5, 0.99, 1.0].map(|quantile| new.value_at_quantile(quantile))
    }

    /// All of them together, as exactly as they are kept. It never goes back, as a mean times their
    /// count would by rounding: that would be read as a restart.
    fn sum(&self) -> Micros {
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

/// What the end of a connection is called that had no close frame.
const LOST: &str = "lost";

impl Stats {
    /// Counts a connection that was lost, without a close frame.
    pub(crate) fn count_lost(&mut self) {
        *self.closed.entry(LOST).or_default() += 1;
    }

    /// Counts a connection's end.
    pub(crate) fn count_closed(&mut self, reason: CloseReason) {
        *self.closed.entry(reason.name()).or_default() += 1;
    }

    /// Adds what a match's encodings were made of, in the order of [`field_names`].
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

/// What [`Stats::field_bits`] are called: `kind.field`.
pub(crate) fn field_names(schema: &Schema) -> impl Iterator<Item = String> {
    schema.kinds.iter().flat_map(|kind| {
        let fields = kind.fields.iter().map(|field| field.name.as_str());
        let all = fields.chain(["(moment)", "(changes)"]);
        all.map(|name| format!("{}.{name}", kind.name))
    })
}

/// Whom the front door has refused, by reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(pub(crate) BTreeMap<&'static str, u64>);

/// All shards' stats and the front door's in Prometheus' text format.
pub(crate) fn prometheus(counted: &Counted, refusals: &Refusals) -> String {
    let shards = &*counted.shards;
    let mut page = Page(String::new());
    let sum = |of: fn(&Stats) -> u64| shards.iter().map(of).sum::<u64>() as f64;
    page.spans("tick_lateness", "start of a tick after its deadline", shards, |s| &s.tick_lateness);
    page.spans("tick_time", "start of a tick to its last write", shards, |s| &s.tick_time);
    page.spans("tick_to_wire", "deadline of a tick to its last write", shards, |s| &s.tick_to_wire);
    page.counter("ticks_total", "ticks that ran", sum(|s| s.ticks));
    page.counter("tick_overruns_total", "ticks an interval late or later", sum(|s| s.overruns));
    let slipped = sum(|s| s.slipped.0) / 1e6;
    page.counter("tick_slipped_seconds_total", "time by which games were put off", slipped);
    page.counter("snapshots_written_total", "snapshots written", sum(|s| s.snapshots));
    page.counter("snapshot_bytes_total", "their bytes with heads", sum(|s| s.snapshot_bytes));
    page.counter("snapshot_encodings_total", "encodings made", sum(|s| s.encodings));
    let encoding = sum(|s| s.encoding.0) / 1e6;
    page.counter("snapshot_encoding_seconds_total", "time that those took", encoding);
    page.head("snapshots_skipped_total", "counter", "snapshots left out");
    page.line("snapshots_skipped_total{reason=\"unflushed\"}", sum(|s| s.skipped_unflushed));
    page.line("snapshots_skipped_total{reason=\"credit\"}", sum(|s| s.skipped_credit));
    page.line("snapshots_skipped_total{reason=\"overload\"}", sum(|s| s.skipped_relief));
    page.line("snapshots_skipped_total{reason=\"storm\"}", sum(|s| s.skipped_storm));
    let step = shards.iter().map(|shard| shard.step).max().unwrap_or(0);
    page.gauge("overload_step", "step of the overload ladder, of the worst shard", step as f64);
    page.head("overload_steps_total", "counter", "steps of the ladder, how often each was taken");
    let steps = Step::ALL.map(Step::name);
    page.each("overload_steps_total", "step", steps, &total(shards, |shard| &shard.steps));
    page.counter("busy_seconds_total", "time that shards were busy", sum(|s| s.busy.0) / 1e6);
    page.counter("inputs_total", "inputs accepted", sum(|s| s.inputs));
    page.counter("inputs_dropped_total", "inputs passed over", sum(|s| s.inputs_dropped));
    let starved = sum(|s| s.inputs_starved);
    page.counter("inputs_starved_total", "ticks of a seat without its input", starved);
    page.head("snapshot_bits_total", "counter", "bits of encodings, by what they tell");
    // Also those that nothing was spent on yet, since what begins above 0 is no increase.
    let mut fields: BTreeMap<_, _> = counted.field_names.iter().map(|name| (name, 0.0)).collect();
    let bits = shards.iter().flat_map(|shard| counted.field_names.iter().zip(&shard.field_bits));
    for (name, bits) in bits {
        *fields.entry(name).or_default() += bits;
    }
    for (name, bits) in fields {
        page.line(&format!("snapshot_bits_total{{field=\"{}\"}}", escape(name)), bits.round());
    }
    page.counter("resyncs_total", "full snapshots asked for", sum(|s| s.resyncs));
    let reasons = || CloseReason::ALL.into_iter();
    page.head("connections_closed_total", "counter", "connections closed or lost, by reason");
    let closed = total(shards, |shard| &shard.closed);
    let ends = reasons().map(CloseReason::name).chain([LOST]);
    page.each("connections_closed_total", "reason", ends, &closed);
    page.head("frames_refused_total", "counter", "frames that ended a connection, by reason");
    // Each has ended its connection.
    for reason in reasons().filter(|reason| reason.refuses_frame()).map(CloseReason::name) {
        let count = closed.get(reason).copied().unwrap_or(0);
        page.line(&format!("frames_refused_total{{reason=\"{reason}\"}}"), count as f64);
    }
    page.head("connections_refused_total", "counter", "connections the front door refused");
    page.each("connections_refused_total", "reason", [], &refusals.0);
    page.gauge("shards_silent", "shards that do not answer", counted.silent as f64);
    page.gauge("matches", "matches that run", sum(|s| s.matches));
    page.gauge("connections", "open connections in matches", sum(|s| s.connections));
    let spectators = sum(|s| s.spectators.values().map(|&n| u64::from(n)).sum());
    page.gauge("spectators", "connections that watch", spectators);
    page.counter("matches_failed_total", "matches whose game failed", sum(|s| s.matches_failed));
    page.0
}

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Connections that may come.
    pub(crate) connections_free: usize,
    /// Seats of the matches that run.
    pub(crate) seats: u32,
    /// Those that are taken.
    pub(crate) players: u32,
    /// Whether nobody is let in, since the server is going away.
    pub(crate) is_draining: bool,
}

/// How much room there is, in the same format.
pub(crate) fn room(room: &Room) -> String {
    let mut page = Page(String::new());
    let free = room.connections_free as f64;
    page.gauge("connections_free", "connections that there is still room for", free);
    page.gauge("seats", "seats of the matches that run", room.seats.into());
    page.gauge("players", "seats that are taken", room.players.into());
    page.gauge("draining", "1 while the server is going away", f64::from(room.is_draining));
    page.0
}

/// Who follows feeds, and what those have lost, in the same format.
pub(crate) fn feeds(readers: usize, slow_readers: u64, lost: u64) -> String {
    let mut page = Page(String::new());
    page.gauge("feed_readers", "readers that follow feeds or the monitor", readers as f64);
    page.counter("feed_readers_slow_total", "readers dropped as too slow", slow_readers as f64);
    page.counter("feed_items_lost_total", "items that no feed has told", lost as f64);
    page.0
}

/// What the log has lost, in the same format.
pub(crate) fn log(lost: usize) -> String {
    let mut page = Page(String::new());
    page.counter("log_lines_lost_total", "lines of the log that nobody took in time", lost as f64);
    page.0
}

/// When the certificate ends, in seconds since 1970, in the same format.
pub(crate) fn certificate(ends_at: i64) -> String {
    let mut page = Page(String::new());
    let help = "when the certificate ends, since 1970";
    page.gauge("certificate_end_timestamp_seconds", help, ends_at as f64);
    page.0
}

/// What all shards have counted by name.
fn total(
    shards: &[Stats],
    of: fn(&Stats) -> &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let mut total = BTreeMap::new();
    for (name, count) in shards.iter().flat_map(of) {
        *total.entry(*name).or_default() += count;
    }
    total
}

/// A label's value, as the format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP tickwire_{name} {help}\n# TYPE tickwire_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, value: f64) {
        let _ = writeln!(self.0, "tickwire_{name} {value}");
    }

    /// A line for each label that there may be, since what begins above 0 is no increase, and for
    /// those that are counted beside them.
    fn each(
        &mut self,
        name: &str,
        label: &str,
        known: impl IntoIterator<Item = &'static str>,
        counts: &BTreeMap<&'static str, u64>,
    ) {
        let mut all: BTreeMap<_, _> = known.into_iter().map(|known| (known, 0)).collect();
        all.extend(counts);
        for (value, count) in all {
            self.line(&format!("{name}{{{label}=\"{value}\"}}"), count as f64);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "counter", help);
        self.line(name, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.line(name, value);
    }

    /// A histogram in seconds, over all shards.
    fn spans(&mut self, name: &str, help: &str, shards: &[Stats], of: fn(&Stats) -> &Spans) {
        let mut all = Spans::default();
        for shard in shards {
            all.0.add(&of(shard).0).expect("all have the same bounds");
        }
        let name = format!("{name}_seconds");
        self.head(&name, "histogram", help);
        for most in BUCKETS_US {
            let count = all.0.count_between(0, most) as f64;
            self.line(&format!("{name}_bucket{{le=\"{}\"}}", most as f64 / 1e6), count);
        }
        let count = all.0.len() as f64;
        self.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), count);
        self.line(&format!("{name}_count"), count);
        self.line(&format!("{name}_sum"), all.sum().0 as f64 / 1e6);
    }
}

/// Upper ends of the buckets of histograms, in microseconds: from what is usual to what everybody
/// notices.
const BUCKETS_US: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

#[cfg(test)]
mod tests {
    use tickwire_shared::{codec::Encoder, schema::Field, time::TickRate};

    use super::*;

    #[test]
    fn what_may_be_counted_is_there_from_the_start() {
        let mut one = Stats::default();
        one.count_closed(CloseReason::Malformed);
        let shards = vec![Stats::default(), one];
        let page = prometheus(&Counted { shards, ..Counted::default() }, &Refusals::default());
        for line in [
            "connections_closed_total{reason=\"malformed\"} 1",
            "connections_closed_total{reason=\"match_failed\"} 0",
            "frames_refused_total{reason=\"malformed\"} 1",
            "frames_refused_total{reason=\"text\"} 0",
            "overload_steps_total{step=\"ticks\"} 0",
        ] {
            assert!(page.contains(&format!("\ntickwire_{line}\n")), "{line} is missing");
        }
        assert!(!page.contains("frames_refused_total{reason=\"idle\"}"));
    }

    #[test]
    fn sums_never_go_back() {
        let mut stats = Stats::default();
        let sum = |stats: &Stats| {
            let shards = vec![stats.clone()];
            let page = prometheus(&Counted { shards, ..Counted::default() }, &Refusals::default());
            let line = page.lines().find_map(|l| l.strip_prefix("tickwire_tick_time_seconds_sum "));
            line.and_then(|sum| sum.parse::<f64>().ok()).expect("there is a sum")
        };
        let mut before = 0.0;
        for span in (0..300).map(|n| n * n % 97 * (n % 3)) {
            stats.tick_time.record(Micros(span));
            let now = sum(&stats);
            assert!(now >= before, "{before} was {now} after {span} µs");
            before = now;
        }
    }

    #[test]
    fn labels_are_escaped_as_prometheus_wants_them_and_no_more() {
        assert_eq!(escape("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
        assert_eq!(escape("\u{1f}é\t'\u{200b}"), "\u{1f}é\t'\u{200b}");
    }

    #[test]
    fn bits_are_told_by_field_of_all_shards() {
        let field = |name| Field::new(name, 1.0, 0, 9);
        let schema =
            Schema::new("game").kind("a", [field("x"), field("y")]).kind("b", [field("x")]);
        let encoder = Encoder::new(&schema, TickRate::new(30).unwrap());
        let mut one = Stats::default();
        one.add_costs(&schema, encoder.costs());
        assert_eq!(one.field_bits, [0.0; 7]);
        for (bits, spent) in one.field_bits.iter_mut().zip([0.0, 1.0, 2.0, 3.0, 4.0]) {
            *bits = spent;
        }
        let shards = vec![one.clone(), Stats::default(), one];
        let field_names = field_names(&schema).collect();
        let page = prometheus(&Counted { shards, silent: 0, field_names }, &Refusals::default());
        let told: Vec<_> = page.lines().filter(|line| line.contains("{field=")).collect();
        let line = |name, bits| format!("tickwire_snapshot_bits_total{{field=\"{name}\"}} {bits}");
        let all = [("a.(changes)", 6), ("a.(moment)", 4), ("a.x", 0), ("a.y", 2)];
        let more = [("b.(changes)", 0), ("b.(moment)", 0), ("b.x", 8)];
        let all = all.into_iter().chain(more);
        assert_eq!(told, all.map(|(name, bits)| line(name, bits)).collect::<Vec<_>>());
    }
}
