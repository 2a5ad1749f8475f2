//! The report as a table for a terminal.

use std::fmt::Write;

use super::{Distribution, Report};

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = fill(report, &mut out);
    out
}

fn fill(report: &Report, out: &mut String) -> std::fmt::Result {
    let Report { scenario, seed, bots_requested, bots_joined, bots_lost, .. } = report;
    let rate = report.tick_rate_hz.map_or_else(String::new, |hz| format!("{hz} Hz, "));
    let window = report.window_s;
    writeln!(out, "{scenario}, seed {seed}: {bots_joined} of {bots_requested} bots joined")?;
    writeln!(out, "{bots_lost} lost; {rate}measured over {window:.1} s\n")?;

    write!(out, "{:<24}", "milliseconds")?;
    COLUMNS.iter().try_for_each(|column| write!(out, "{column:>9}"))?;
    writeln!(out)?;
    for (name, distribution) in timings(report) {
        write!(out, "{name:<24}")?;
        match distribution {
            None => writeln!(out, "{:>9}", "-")?,
            Some(all) => {
                milliseconds(all).iter().try_for_each(|ms| write!(out, "{ms:>9.2}"))?;
                writeln!(out)?;
            }
        }
    }
    writeln!(out)?;
    for (name, value) in facts(report) {
        writeln!(out, "{name:<24}{value}")?;
    }
    if let Some(failure) = &report.failure {
        writeln!(out, "\nFAILED: {failure}")?;
    }
    Ok(())
}

/// All distributions, by name.
pub(super) fn timings(report: &Report) -> [(&'static str, &Option<Distribution>); 5] {
    [
        ("input to snapshot", &report.input_to_snapshot_us),
        ("snapshot interval error", &report.snapshot_interval_error_us),
        ("snapshot age", &report.snapshot_age_us),
        ("round trip", &report.rtt_us),
        ("lateness of the bots", &report.send_lateness_us),
    ]
}

/// Names of the columns that [`milliseconds`] returns.
pub(super) const COLUMNS: [&str; 6] = ["p50", "p90", "p99", "p99.9", "max", "mean"];

pub(super) fn milliseconds(all: &Distribution) -> [f64; 6] {
    let ms = |us: u64| us as f64 / 1_000.0;
    [ms(all.p50), ms(all.p90), ms(all.p99), ms(all.p99_9), ms(all.max), all.mean / 1_000.0]
}

/// Everything except distributions: a name, and a value with its unit.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let (got, expected) = (report.snapshots_received, report.snapshots_expected);
    let percent = if expected == 0 { 0.0 } else { got as f64 * 100.0 / expected as f64 };
    let (checked, wrong) = (report.digests_checked, report.digest_mismatches);
    let mut facts = vec![
        ("snapshots", format!("{got} of {expected} ({percent:.2} %)")),
        ("digests", format!("{checked} checked, {wrong} wrong")),
        ("decode errors", report.decode_errors.to_string()),
    ];
    let mut add = |name, value: Option<f64>, unit: &str, scale: f64| {
        if let Some(value) = value {
            facts.push((name, format!("{:.2} {unit}", value * scale)));
        }
    };
    add("excess over half a tick", report.input_to_snapshot_excess_us, "ms on average", 1e-3);
    add("snapshot", report.snapshot_bytes_mean, "bytes on average", 1.0);
    add("entities", report.entities_mean, "in a snapshot on average", 1.0);
    add("bytes per entity", report.bytes_per_entity_mean, "on average", 1.0);
    let per_second = 1.0 / report.window_s;
    add("swarm CPU", Some(report.bot_cpu_s), "cores", per_second);
    add("server CPU", report.server_cpu_s, "cores", per_second);
    add("server CPU per snapshot", report.server_cpu_us_per_snapshot, "µs", 1.0);
    add("never reading", report.kept_s_max, "s until the last was closed", 1.0);
    add("away at most", report.all_back_ms, "ms", 1.0);
    add("age after a gap", report.age_after_gap_ms, "ms at most", 1.0);
    let rss_bytes = report.server_rss_bytes.map(|bytes| bytes as f64);
    add("server memory", rss_bytes, "MiB", 1.0 / f64::from(1 << 20));
    for (name, count) in
        [("attacks", report.attacks), ("came back", report.resumed.map(|times| times as u64))]
    {
        facts.extend(count.map(|count| (name, format!("{count} times"))));
    }
    facts
}
