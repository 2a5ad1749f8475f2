//! Results as tables.

use std::fmt::Write;

use tickwire_benches::{
    server::Server,
    window::{DISTURBED_CORE, Window},
};

use crate::{
    machine::Machine,
    results::{Capacity, Results, Run, Spread},
    workloads::{self, Workload},
};

/// One table; the first column is text.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Memory is reported at about this many clients.
const MEMORY_CLIENTS: f64 = 1_000.0;

/// All tables, and the machine that they were measured on.
pub(crate) fn markdown(results: &Results) -> String {
    let mut out =
        results.machine.as_ref().map_or_else(String::new, |machine| about(machine) + "\n");
    for Table { title, head, rows } in tables(results) {
        // Writing to a String can't fail.
        let _ = write!(out, "\n**{title}**\n\n| {} |\n|", head.join(" | "));
        out.extend(head.iter().map(|_| "---|"));
        out.push('\n');
        out.extend(rows.iter().map(|row| format!("| {} |\n", row.join(" | "))));
    }
    out
}

/// The machine, the time and the commit in one line.
pub(crate) fn about(machine: &Machine) -> String {
    let Machine { cpu, cores, kernel, date, commit } = machine;
    format!("{cpu}, {cores} cores, Linux {kernel}, {date} UTC, commit {commit}")
}

/// A table for each workload with results.
pub(crate) fn tables(results: &Results) -> Vec<Table> {
    let steady = workloads::ALL.iter().filter(|workload| !workload.grows);
    let mut tables: Vec<_> = steady.map(|workload| of_workload(results, workload)).collect();
    tables.push(of_capacity(results));
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn of_workload(results: &Results, workload: &Workload) -> Table {
    let Workload { name, matches, players, rate_hz, .. } = *workload;
    let rows = results.servers().filter_map(|server| {
        let spread = |value: fn(&Run, &Window) -> Option<f64>| results.spread(server, name, value);
        let ours = |value: fn(&Run, &Window) -> Option<f64>| {
            Some(results.spread(Server::Tickwire, name, value)?.median)
        };
        let cpu = spread(cpu_us)?;
        let bytes = spread(bytes)?;
        let wait_ms = 1e3 / f64::from(rate_hz);
        // The p99 of a wait for the next tick that is uniformly distributed over a tick interval.
        let beyond = spread(|_, window| Some(window.lat_p99_ms))?.median - 0.99 * wait_ms;
        let disturbed = spread(|run, _| Some(run.disturbance()))?;
        let runs = results.of(server, name).count();
        Some(vec![
            server.title().into(),
            ranged(cpu, 2),
            spread(to_floor).map_or_else(String::new, |ratio| ranged(ratio, 2)),
            times(cpu, ours(cpu_us)),
            fixed(bytes, 1),
            times(bytes, ours(self::bytes)),
            fixed(spread(|_, window| Some(window.bytes_per_entity))?, 1),
            fixed(spread(|_, window| Some(window.lat_p50_ms))?, 1),
            ranged(spread(|_, window| Some(window.lat_p99_ms))?, 1),
            ranged(spread(|_, window| Some(window.lat_p999_ms))?, 1),
            format!("{beyond:.1}"),
            fixed(spread(|_, window| Some(window.lat_excess_ms))?, 2),
            ranged(spread(|_, window| Some(window.jit_p99_ms))?, 2),
            format!("{:.2}", spread(|_, window| Some(window.delivered))?.median),
            if disturbed.max > DISTURBED_CORE {
                format!("{runs}, up to {:.2} core disturbed", disturbed.max)
            } else {
                runs.to_string()
            },
        ])
    });
    Table {
        title: format!("{name}: {matches} × {players} players, {rate_hz} Hz"),
        head: vec![
            "server",
            "CPU per snapshot, µs",
            "÷ floor",
            "÷ ours",
            "bytes per snapshot",
            "÷ ours",
            "per entity",
            "input to snapshot p50, ms",
            "p99",
            "p99.9",
            "p99 − p99 of the wait",
            "mean excess",
            "interval error p99, ms",
            "delivered",
            "runs",
        ],
        rows: rows.collect(),
    }
}

fn of_capacity(results: &Results) -> Table {
    let rows = results.servers().filter_map(|server| {
        let Capacity { clients, clients_strict, is_bound } = results.capacity(server)?;
        let run = results.of(server, workloads::CAPACITY).last()?;
        let healthy = || run.windows.iter().filter(|window| window.healthy);
        let far = |window: &&Window| (window.clients as f64 - MEMORY_CLIENTS).abs();
        let near = healthy().min_by(|a, b| far(a).total_cmp(&far(b)))?;
        let memory = run.memory_per_client_kib(near)?;
        let cost = |window: Option<&Window>| window?.cpu_us_per_update();
        let (first, last) = (cost(healthy().next())?, cost(healthy().next_back())?);
        let from = run.windows.first()?.clients;
        let bots = run.windows.iter().map(|window| window.bots_core).fold(0.0, f64::max);
        let at_least = if is_bound { "≥ " } else { "" };
        Some(vec![
            server.title().into(),
            format!("{at_least}{clients}"),
            clients_strict.to_string(),
            format!("{first:.2} at {from}, {last:.2} at {clients}"),
            format!("{memory:.0} at {}", near.clients),
            format!("{:.0}", run.rss_empty_mib),
            format!("{bots:.2}"),
            format!("{:.2}", run.disturbance()),
        ])
    });
    Table {
        title: "Capacity: matches of 16 at 30 Hz, more and more of them, on one core".into(),
        head: vec![
            "server",
            "clients",
            "with 99.5 % delivered",
            "CPU per snapshot, µs",
            "memory per client, KiB",
            "empty, MiB",
            "most of the load's core",
            "most disturbed, core",
        ],
        rows: rows.collect(),
    }
}

pub(crate) fn cpu_us(_: &Run, window: &Window) -> Option<f64> {
    window.cpu_us_per_update()
}

fn bytes(_: &Run, window: &Window) -> Option<f64> {
    Some(window.bytes_per_update)
}

fn to_floor(run: &Run, window: &Window) -> Option<f64> {
    Some(window.cpu_us_per_update()? / run.floor_cpu_us?)
}

fn fixed(spread: Spread, digits: usize) -> String {
    format!("{:.digits$}", spread.median)
}

/// The median, and the range if it is visible at this precision.
fn ranged(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    let [text, low, high] = [median, min, max].map(|value| format!("{value:.digits$}"));
    if low == high { text } else { format!("{text} ({low}–{high})") }
}

fn times(spread: Spread, ours: Option<f64>) -> String {
    ours.map_or_else(String::new, |ours| format!("{:.1}", spread.median / ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::ramp;

    #[test]
    fn all_rows_of_a_table_have_as_many_cells() {
        let mut steady = ramp(Server::Tickwire, &[160], 160);
        steady.workload = workloads::MAIN.into();
        steady.floor_cpu_us = Some(5.0);
        let runs = vec![steady, ramp(Server::Tickwire, &[320, 960, 1_920], 960)];
        let tables = tables(&Results { machine: None, runs });
        assert_eq!(tables.len(), 2);
        for Table { head, rows, .. } in tables {
            assert!(rows.iter().all(|row| row.len() == head.len()), "{rows:?}");
        }
    }

    #[test]
    fn a_range_is_shown_if_it_is_visible() {
        assert_eq!(ranged(Spread { median: 1.0, min: 1.0, max: 1.001 }, 1), "1.0");
        assert_eq!(ranged(Spread { median: 1.0, min: 0.5, max: 2.0 }, 1), "1.0 (0.5–2.0)");
    }
}
