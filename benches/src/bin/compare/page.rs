//! Results as a self-contained HTML page, and some of its plots as SVG files.

use std::fmt::{Result, Write};

use tickwire_benches::window::Window;
use tickwire_bot_client::report::{
    open_page,
    plot::{Axis, Plot, Series, Shape},
};

use crate::{
    results::{Results, Run},
    table::{self, Table},
};

/// The value of a window that a plot shows.
type Value = fn(&Run, &Window) -> Option<f64>;

pub(crate) fn html(results: &Results) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = fill(results, &mut out);
    out
}

/// File names and their SVG.
pub(crate) fn pictures(results: &Results) -> Vec<(&'static str, String)> {
    let p99 = latency_plot(results, |_, window| Some(window.lat_p99_ms));
    let cpu = cost_plot(results, "µs of server CPU per snapshot", table::cpu_us);
    vec![("latency.svg", p99.picture()), ("cpu.svg", cpu.picture())]
}

fn fill(results: &Results, out: &mut String) -> Result {
    open_page("Tickwire beside the alternatives", out)?;
    write!(out, "<header><h1>Tickwire beside the alternatives</h1>")?;
    if let Some(machine) = &results.machine {
        write!(out, "<p>{}. Server on one core, load on another.</p>", table::about(machine))?;
    }
    write!(out, "</header>")?;
    for Table { title, head, rows } in table::tables(results) {
        write!(out, "<section><h2>{title}</h2><div style=\"overflow-x:auto\"><table><tr>")?;
        head.iter().try_for_each(|cell| write!(out, "<th>{cell}</th>"))?;
        for row in rows {
            write!(out, "</tr><tr>")?;
            row.iter().try_for_each(|cell| write!(out, "<td>{cell}</td>"))?;
        }
        write!(out, "</tr></table></div></section>")?;
    }
    for (title, text, plot) in plots(results) {
        write!(out, "<section><h2>{title}</h2><p>{text}</p>")?;
        plot.write(out)?;
        write!(out, "</section>")?;
    }
    write!(out, "</main></html>")
}

fn plots(results: &Results) -> Vec<(&'static str, &'static str, Plot)> {
    let latency = |value: Value| latency_plot(results, value);
    vec![
        (
            "Input to snapshot over load, p50",
            "From writing an input to having the first snapshot that includes it. Clients send on \
             a fixed schedule, whatever comes back. Matches of 16 at 30 Hz.",
            latency(|_, window| Some(window.lat_p50_ms)),
        ),
        (
            "Input to snapshot over load, p99",
            "One tick is 33.3 ms: a server that answers inputs with the next tick stays below.",
            latency(|_, window| Some(window.lat_p99_ms)),
        ),
        (
            "Input to snapshot over load, p99.9",
            "The worst one in a thousand.",
            latency(|_, window| Some(window.lat_p999_ms)),
        ),
        (
            "Steadiness over load",
            "Difference between the time between a client's snapshots and the tick interval, p99.",
            latency(|_, window| Some(window.jit_p99_ms)),
        ),
        (
            "Cost over load",
            "User and system time of the server per snapshot received, including inputs.",
            cost_plot(results, "µs of server CPU per snapshot", table::cpu_us),
        ),
        (
            "Memory over load",
            "The server's memory, minus what it uses without clients.",
            cost_plot(results, "KiB per client", |run, window| run.memory_per_client_kib(window)),
        ),
    ]
}

fn latency_plot(results: &Results, value: Value) -> Plot {
    let (series, clients, values) = curves(results, value);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min).clamp(0.01, 10.0);
    Plot {
        x: Axis::linear("clients", clients),
        y: Axis::log("milliseconds", least, values.into_iter().fold(1.0, f64::max)),
        series,
    }
}

fn cost_plot(results: &Results, title: &'static str, value: Value) -> Plot {
    let (series, clients, values) = curves(results, value);
    let most = values.into_iter().fold(0.0, f64::max);
    Plot { x: Axis::linear("clients", clients), y: Axis::linear(title, most), series }
}

/// A line for each server, the largest number of clients, and all values.
fn curves(results: &Results, value: Value) -> (Vec<Series>, f64, Vec<f64>) {
    let (mut series, mut clients, mut values) = (Vec::new(), 0.0_f64, Vec::new());
    for server in results.servers() {
        let points = results.curve(server, value);
        clients = points.iter().fold(clients, |most, point| most.max(point.0));
        values.extend(points.iter().map(|point| point.1));
        series.push(Series { name: server.title(), shape: Shape::Line(points) });
    }
    (series, clients, values)
}

#[cfg(test)]
mod tests {
    use tickwire_benches::server::Server;

    use super::*;
    use crate::results::tests::ramp;

    #[test]
    fn a_page_has_all_tables_and_plots() {
        let runs = vec![ramp(Server::Tickwire, &[320, 640], 640), ramp(Server::Ws, &[320], 320)];
        let page = html(&Results { machine: None, runs });
        assert_eq!(page.matches("<svg").count(), 6);
        assert_eq!(page.matches("Node, ws by hand").count(), 7, "a row, and six legends");
    }
}
