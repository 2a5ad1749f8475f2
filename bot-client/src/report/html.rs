//! The report as an HTML page: one file, without scripts or external resources.

use std::fmt::{Result, Write};

use super::{
    Distribution, Report,
    plot::{Axis, Plot, Scale, Series, Shape},
    table::{COLUMNS, facts, milliseconds, timings},
};

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = fill(report, &mut out);
    out
}

fn fill(report: &Report, out: &mut String) -> Result {
    let Report { scenario, bots_joined, window_s, seed, .. } = report;
    let rate = report.tick_rate_hz.map_or_else(String::new, |hz| format!(", {hz} Hz"));
    open_page(&format!("Tickwire: {scenario}, {bots_joined} bots"), out)?;
    write!(out, "<header><h1>{bots_joined} bots{rate}</h1>")?;
    write!(out, "<p>Scenario <b>{scenario}</b>, seed {seed}, measured over {window_s:.1} s</p>")?;
    match &report.failure {
        None => write!(out, "<p class=\"verdict good\">All checks passed</p>")?,
        Some(why) => write!(out, "<p class=\"verdict bad\">Failed: {}</p>", Escaped(why))?,
    }
    write!(out, "</header>")?;
    fill_tiles(report, out)?;
    for (title, text, plot) in plots(report) {
        write!(out, "<section><h2>{title}</h2><p>{text}</p>")?;
        plot.write(out)?;
        write!(out, "</section>")?;
    }
    fill_tables(report, out)?;
    write!(out, "</main></html>")
}

/// Appends everything of a page before its content. The page must end with `</main></html>`.
pub fn open_page(title: &str, out: &mut String) -> Result {
    write!(out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">")?;
    write!(out, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    write!(out, "<title>{title}</title><style>{STYLE}</style><main>")
}

/// The most important numbers.
fn fill_tiles(report: &Report, out: &mut String) -> Result {
    let latency = report.input_to_snapshot_us.as_ref();
    let ms = |us: Option<f64>| us.map(|us| format!("{:.1} ms", us / 1_000.0));
    let expected = report.snapshots_expected.max(1);
    let arrived = report.snapshots_received as f64 * 100.0 / expected as f64;
    let tiles = [
        ("input to snapshot, p50", ms(latency.map(|all| all.p50 as f64))),
        ("input to snapshot, p99", ms(latency.map(|all| all.p99 as f64))),
        ("excess over half a tick", ms(report.input_to_snapshot_excess_us)),
        ("snapshots that arrived", Some(format!("{arrived:.2} %"))),
        ("per snapshot", report.snapshot_bytes_mean.map(|bytes| format!("{bytes:.1} B"))),
        (
            "server CPU per snapshot",
            report.server_cpu_us_per_snapshot.map(|us| format!("{us:.1} µs")),
        ),
    ];
    write!(out, "<div class=\"tiles\">")?;
    for (name, value) in tiles {
        if let Some(value) = value {
            write!(out, "<div><b>{value}</b>{name}</div>")?;
        }
    }
    write!(out, "</div>")
}

fn plots(report: &Report) -> Vec<(&'static str, &'static str, Plot)> {
    let mut plots = Vec::new();
    if let (Some(latency), Some(hz)) = (&report.input_to_snapshot_us, report.tick_rate_hz) {
        plots.push((
            "From input to snapshot",
            "From writing an input to having applied the first snapshot that includes it. \
             A server that answers at once takes up to one tick, half a tick on average.",
            latency_plot(latency, hz),
        ));
    }
    plots.push((
        "Everything timed",
        "The part of all values that are at most so large; each further nine has as much room as \
         the one before.",
        timings_plot(report),
    ));
    if let Some(error) = &report.snapshot_interval_error_us {
        plots.push((
            "Steadiness",
            "How far the time between a bot's snapshots is from the tick interval.",
            steadiness_plot(error),
        ));
    }
    if !report.timeline.is_empty() {
        plots.push((
            "Latency by the second",
            "Of the inputs that were answered in each second.",
            latency_timeline(report),
        ));
        plots.push((
            "Snapshots by the second",
            "Applied by all bots together.",
            snapshot_timeline(report),
        ));
    }
    plots
}

fn latency_plot(latency: &Distribution, tick_rate_hz: u16) -> Plot {
    let tick_ms = 1_000.0 / f64::from(tick_rate_hz);
    let points = curve(latency);
    let highest = points.iter().fold(tick_ms, |high, point| high.max(point.1));
    Plot {
        x: percentiles(&points),
        y: Axis::linear("milliseconds", highest),
        series: vec![
            Series { name: "input to snapshot", shape: Shape::Line(points) },
            Series { name: "one tick", shape: Shape::Level(tick_ms) },
        ],
    }
}

fn timings_plot(report: &Report) -> Plot {
    let timings = timings(report).into_iter();
    let curves = timings.filter_map(|(name, all)| Some((name, curve(all.as_ref()?))));
    let curves: Vec<_> = curves.collect();
    let values = curves.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    let (low, high) = values
        .fold((1.0_f64, 1.0_f64), |(low, high), value| (low.min(value.max(0.01)), high.max(value)));
    let all: Vec<_> = curves.iter().flat_map(|(_, points)| points).copied().collect();
    let series = |(name, points)| Series { name, shape: Shape::Line(points) };
    Plot {
        x: percentiles(&all),
        y: Axis::log("milliseconds", low, high),
        series: curves.into_iter().map(series).collect(),
    }
}

fn steadiness_plot(error: &Distribution) -> Plot {
    let bars: Vec<_> = (error.bars.iter())
        .map(|bar| ((bar.low as f64 / 1_000.0, bar.high as f64 / 1_000.0), bar.part * 100.0))
        .collect();
    let last = bars.last().map_or(1.0, |bar| bar.0.1);
    let tallest = bars.iter().fold(0.0_f64, |tallest, bar| tallest.max(bar.1));
    Plot {
        x: Axis::log("milliseconds", 0.001, last),
        y: Axis::linear("% of intervals", tallest),
        series: vec![Series { name: "off the tick interval by", shape: Shape::Bars(bars) }],
    }
}

fn latency_timeline(report: &Report) -> Plot {
    let seconds = || (1..).map(f64::from).zip(&report.timeline);
    let ms = |us: tickwire_shared::time::Micros| us.0 as f64 / 1_000.0;
    let p50 = seconds().map(|(at, second)| (at, ms(second.p50))).collect();
    let p99: Vec<_> = seconds().map(|(at, second)| (at, ms(second.p99))).collect();
    let highest = p99.iter().fold(0.0_f64, |high, point| high.max(point.1));
    Plot {
        x: Axis::linear("seconds", report.timeline.len() as f64),
        y: Axis::linear("milliseconds", highest),
        series: vec![
            Series { name: "p50", shape: Shape::Line(p50) },
            Series { name: "p99", shape: Shape::Line(p99) },
        ],
    }
}

fn snapshot_timeline(report: &Report) -> Plot {
    let second = |(at, count): (usize, u64)| ((at as f64 + 0.05, at as f64 + 0.95), count as f64);
    let counts = report.timeline.iter().map(|second| second.snapshots).enumerate();
    let bars: Vec<_> = counts.map(second).collect();
    let tallest = bars.iter().fold(0.0_f64, |tallest, bar| tallest.max(bar.1));
    Plot {
        x: Axis::linear("seconds", report.timeline.len() as f64),
        y: Axis::linear("snapshots", tallest),
        series: vec![Series { name: "snapshots in this second", shape: Shape::Bars(bars) }],
    }
}

/// Points of the curve: nines and milliseconds.
fn curve(all: &Distribution) -> Vec<(f64, f64)> {
    all.curve.iter().map(|point| (point.nines, point.value as f64 / 1_000.0)).collect()
}

fn percentiles(points: &[(f64, f64)]) -> Axis {
    const LABELS: [(f64, &str); 7] = [
        (0.0, "0 %"),
        (0.301, "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
    ];
    let max = points.iter().fold(1.0_f64, |max, point| max.max(point.0));
    let ticks = LABELS.into_iter().filter(|&(nines, _)| nines <= max);
    Axis {
        title: "percentile",
        scale: Scale::Linear { min: 0.0, max },
        ticks: ticks.map(|(nines, label)| (nines, label.into())).collect(),
    }
}

fn fill_tables(report: &Report, out: &mut String) -> Result {
    write!(out, "<section><h2>Numbers</h2><table><tr><th>milliseconds</th>")?;
    COLUMNS.iter().try_for_each(|column| write!(out, "<th>{column}</th>"))?;
    for (name, all) in timings(report) {
        write!(out, "</tr><tr><td>{name}</td>")?;
        if let Some(all) = all {
            milliseconds(all).iter().try_for_each(|ms| write!(out, "<td>{ms:.2}</td>"))?;
        }
    }
    write!(out, "</tr></table><table class=\"facts\">")?;
    for (name, value) in facts(report) {
        write!(out, "<tr><td>{name}</td><td>{value}</td></tr>")?;
    }
    write!(out, "</table></section>")
}

/// Text, escaped for HTML.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '&' => f.write_str("&amp;"),
            c => f.write_char(c),
        })
    }
}

/// The style of pages and plots, for light and dark mode.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5c6670;\
--grid:#e3e6ea;--s0:#2468c8;--s1:#d9622b;--s2:#16876a;--s3:#8450c9;--s4:#b8324f}\
@media(prefers-color-scheme:dark){:root{--page:#111418;--card:#1a1f25;--text:#e6e9ec;\
--soft:#98a2ad;--grid:#2c333b;--s0:#6aa5f5;--s1:#f0935f;--s2:#4fc3a1;--s3:#b68cf0;--s4:#ef7c94}}\
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--text);\
font:15px/1.5 system-ui,sans-serif}main{max-width:860px;margin:0 auto;padding:32px 20px 64px}\
h1{margin:0;font-size:30px;letter-spacing:-.02em}h2{margin:0 0 4px;font-size:18px;color:var(--text)}\
p{margin:4px 0;color:var(--soft)}p b{color:var(--text)}\
.verdict{display:inline-block;margin:10px 0 0;padding:3px 12px;border-radius:99px;color:#fff}\
.good{background:#16734f}.bad{background:#a8233c}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px;\
margin:22px 0}.tiles div,section{background:var(--card);border:1px solid var(--grid);\
border-radius:10px;padding:14px 16px;color:var(--soft)}.tiles b{display:block;font-size:24px;\
color:var(--text);font-variant-numeric:tabular-nums}section{margin:14px 0;padding:18px 20px}\
svg{display:block;width:100%;height:auto;margin-top:6px}\
text{fill:var(--soft);font:12px system-ui,sans-serif}.mid{text-anchor:middle}\
.end{text-anchor:end}.title{font-size:12.5px}.grid{stroke:var(--grid);fill:none}.paper{fill:var(--card)}\
.line{fill:none;stroke-width:2;stroke-linejoin:round}\
.level{fill:none;stroke-width:1.5;stroke-dasharray:5 4}\
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}\
path.line,path.level{stroke:var(--c)}rect{fill:var(--c)}\
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:8px;font-size:13px}\
.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 7px 3px 0;\
background:var(--c);vertical-align:middle}\
table{width:100%;border-collapse:collapse;margin-top:12px;font-variant-numeric:tabular-nums;\
color:var(--text)}th{font-weight:500;color:var(--soft)}th,td{text-align:right;padding:5px 6px;\
border-bottom:1px solid var(--grid)}th:first-child,td:first-child{text-align:left}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped() {
        assert_eq!(Escaped("<b>&").to_string(), "&lt;b>&amp;");
    }
}
