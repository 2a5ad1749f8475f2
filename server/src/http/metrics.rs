//! `GET /metrics`: all counters in Prometheus' text format.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use axum::{extract::State, http::header, response::IntoResponse};
use tickwire_shared::close::CloseReason;

use crate::{
    directory::Entry,
    front_door::FrontDoor,
    ladder::Step,
    log,
    shards::Counted,
    telemetry::{LOST, Spans, Stats},
};

pub(super) async fn metrics(State(door): State<Arc<FrontDoor>>) -> impl IntoResponse {
    let counted = door.shards.stats().await;
    let mut page = page_of(&counted, &door.refusals());
    let matches = door.directory.list();
    let sum = |of: fn(&Entry) -> u16| matches.iter().map(|entry| u32::from(of(entry))).sum::<u32>();
    let free = door.places_free() as f64;
    page.gauge("connections_free", "connections that can still be accepted", free);
    page.gauge("seats", "seats of the matches that run", sum(|entry| entry.seats).into());
    page.gauge("players", "seats that are taken", sum(Entry::taken).into());
    page.gauge("draining", "1 while the server drains", f64::from(door.is_draining()));
    page.gauge("cordoned", "1 while the server is cordoned", f64::from(door.is_cordoned()));
    page.head("build_info", "gauge", "1, with the version of Tickwire");
    page.line(concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0);
    let help = "when the server started, since 1970";
    page.gauge("start_timestamp_seconds", help, door.started_at as f64);
    let followers = &door.followers;
    let readers = followers.count() as f64;
    page.gauge("feed_readers", "readers that follow feeds or the monitor", readers);
    let slow = followers.slow() as f64;
    page.counter("feed_readers_slow_total", "readers dropped as too slow", slow);
    let lost = followers.feeds.lost() as f64;
    page.counter(
        "feed_items_lost_total",
        "items that were dropped before they reached a feed",
        lost,
    );
    let lost = log::lines_lost() as f64;
    page.counter("log_lines_lost_total", "log lines dropped because the queue was full", lost);
    let help = "certificates and keys whose changed files can't be loaded";
    page.gauge("reloads_failing", help, door.reloads_failing() as f64);
    let help = "1 while the matches can't be saved for the next server";
    page.gauge("save_failing", help, f64::from(door.is_save_failing()));
    let sum = |of: fn(&Stats) -> u64| counted.shards.iter().map(of).sum::<u64>();
    let restored = sum(|shard| shard.restored) as f64;
    page.counter("matches_restored_total", "matches of the last server that go on", restored);
    let unrestored = (sum(|shard| shard.unrestored) + door.unrestored()) as f64;
    let help = "matches of the last server that could not go on; 1 if its file can't be read";
    page.counter("matches_unrestored_total", help, unrestored);
    if let Some(tls) = &door.tls {
        let help = "when the certificate ends, since 1970";
        page.gauge("certificate_end_timestamp_seconds", help, tls.ends_at() as f64);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
}

/// The metrics of all shards and the front door.
fn page_of(counted: &Counted, refusals: &BTreeMap<&'static str, u64>) -> Page {
    let shards = &*counted.shards;
    let mut page = Page(String::new());
    let sum = |of: fn(&Stats) -> u64| shards.iter().map(of).sum::<u64>() as f64;
    page.spans("tick_lateness", "start of a tick after its deadline", shards, |s| &s.tick_lateness);
    page.spans("tick_time", "start of a tick to its last write", shards, |s| &s.tick_time);
    page.spans("tick_to_wire", "deadline of a tick to its last write", shards, |s| &s.tick_to_wire);
    page.counter("ticks_total", "ticks that ran", sum(|s| s.ticks));
    page.counter("tick_overruns_total", "ticks an interval late or later", sum(|s| s.overruns));
    let slipped = sum(|s| s.slipped.0) / 1e6;
    page.counter("tick_slipped_seconds_total", "time by which matches were postponed", slipped);
    page.counter("snapshots_written_total", "snapshots written", sum(|s| s.snapshots));
    page.counter(
        "snapshot_bytes_total",
        "bytes of snapshots, frame heads included",
        sum(|s| s.snapshot_bytes),
    );
    page.counter("snapshot_encodings_total", "encodings made", sum(|s| s.encodings));
    let encoding = sum(|s| s.encoding.0) / 1e6;
    page.counter("snapshot_encoding_seconds_total", "time spent on encoding", encoding);
    page.head("snapshots_skipped_total", "counter", "snapshots skipped, by reason");
    page.line("snapshots_skipped_total{reason=\"unflushed\"}", sum(|s| s.skipped_unflushed));
    page.line("snapshots_skipped_total{reason=\"credit\"}", sum(|s| s.skipped_credit));
    page.line("snapshots_skipped_total{reason=\"overload\"}", sum(|s| s.skipped_overload));
    page.line("snapshots_skipped_total{reason=\"storm\"}", sum(|s| s.skipped_storm));
    let step = shards.iter().map(|shard| shard.step).max().unwrap_or(0);
    page.gauge("overload_step", "step of the overload ladder, of the worst shard", step as f64);
    page.head(
        "overload_steps_total",
        "counter",
        "how often each step of the overload ladder was taken",
    );
    let steps = Step::ALL.map(Step::name);
    page.each("overload_steps_total", "step", steps, &total(shards, |shard| &shard.steps));
    page.counter("busy_seconds_total", "time that shards were busy", sum(|s| s.busy.0) / 1e6);
    page.counter("inputs_total", "inputs accepted", sum(|s| s.inputs));
    page.counter(
        "inputs_dropped_total",
        "inputs that were never applied",
        sum(|s| s.inputs_dropped),
    );
    let starved = sum(|s| s.inputs_starved);
    page.counter("inputs_starved_total", "ticks of a seat without its input", starved);
    page.head("snapshot_bits_total", "counter", "bits of encodings, by field");
    // Fields without bits are listed too, as in `each`.
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
    page.each("connections_refused_total", "reason", [], refusals);
    page.gauge("shards_silent", "shards that do not answer", counted.silent as f64);
    page.gauge("matches", "matches that run", sum(|s| s.matches));
    page.gauge("connections", "open connections in matches", sum(|s| s.connections));
    let spectators = sum(|s| s.spectators.values().map(|&n| u64::from(n)).sum());
    page.gauge("spectators", "connections that watch", spectators);
    let help = "journals that end early, as they could not be written";
    page.counter("journals_lost_total", help, sum(|s| s.journals_lost));
    page.counter("matches_failed_total", "matches whose game failed", sum(|s| s.matches_failed));
    page
}

/// Sums a counter by name over all shards.
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

/// Escapes a label's value for the text format.
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

    /// A line for each known label, also if its count is 0, since Prometheus sees no increase in a
    /// series that starts above 0; and for all others with a count.
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

/// Upper bounds of the histograms' buckets, in microseconds: from usual values to those that every
/// player notices.
const BUCKETS_US: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

#[cfg(test)]
mod tests {
    use tickwire_shared::{
        codec::Encoder,
        schema::{Field, Schema},
        time::{Micros, TickRate},
    };

    use super::*;
    use crate::telemetry::field_names;

    #[test]
    fn what_may_be_counted_is_there_from_the_start() {
        let mut one = Stats::default();
        one.count_closed(CloseReason::Malformed);
        let shards = vec![Stats::default(), one];
        let Page(page) = page_of(&Counted { shards, ..Counted::default() }, &BTreeMap::new());
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
            let Page(page) = page_of(&Counted { shards, ..Counted::default() }, &BTreeMap::new());
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
    fn bits_are_summed_by_field_over_all_shards() {
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
        let Page(page) = page_of(&Counted { shards, silent: 0, field_names }, &BTreeMap::new());
        let lines: Vec<_> = page.lines().filter(|line| line.contains("{field=")).collect();
        let line = |name, bits| format!("tickwire_snapshot_bits_total{{field=\"{name}\"}} {bits}");
        let all = [("a.(changes)", 6), ("a.(moment)", 4), ("a.x", 0), ("a.y", 2)];
        let more = [("b.(changes)", 0), ("b.(moment)", 0), ("b.x", 8)];
        let all = all.into_iter().chain(more);
        assert_eq!(lines, all.map(|(name, bits)| line(name, bits)).collect::<Vec<_>>());
    }
}
