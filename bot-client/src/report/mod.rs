//! Reports: numbers for programs, a table and plots for people.

mod distribution;
mod html;
pub mod plot;
mod table;

use std::time::Duration;

use serde::Serialize;
use tickwire_shared::time::{Micros, TickRate};

use crate::{
    attack::Outcome,
    measure::{Measures, Second},
    scenario::Scenario,
    swarm::Options,
};
pub use distribution::Distribution;
pub use html::{STYLE, open_page};

/// The results of a run. Field names are the keys of the JSON report and end with the unit; values
/// that were not measured are `None`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`crate::Scenario::name`].
    pub scenario: &'static str,
    /// Seed of the bots' behaviour.
    pub seed: u64,
    /// Number of bots in the options.
    pub bots_requested: usize,
    /// Bots that the server has welcomed.
    pub bots_joined: usize,
    /// Bots whose connection ended before the run did.
    pub bots_lost: usize,
    /// Length of the measured window.
    pub window_s: f64,
    /// The server's tick rate; `None` for attackers, which don't learn it.
    pub tick_rate_hz: Option<u16>,
    /// Snapshots that were applied in the window.
    pub snapshots_received: u64,
    /// One for each tick of the window and bot, for as long as the bot was connected.
    pub snapshots_expected: u64,
    /// Mean bytes of a snapshot: payload and frame header.
    pub snapshot_bytes_mean: Option<f64>,
    /// Mean entities in a snapshot.
    pub entities_mean: Option<f64>,
    /// All bytes of snapshots divided by all their entities.
    pub bytes_per_entity_mean: Option<f64>,
    /// Frames that could not be decoded, over the whole run.
    pub decode_errors: u64,
    /// Digests received, over the whole run.
    pub digests_checked: u64,
    /// Digests that did not match the bot's rows.
    pub digest_mismatches: u64,
    /// Full snapshots that bots asked for.
    pub resyncs: u64,
    /// Time from writing an input until the first snapshot that includes it is applied, for every
    /// input of the window.
    pub input_to_snapshot_us: Option<Distribution>,
    /// Its mean minus half a tick interval, the wait for the next tick that no server avoids.
    pub input_to_snapshot_excess_us: Option<f64>,
    /// Difference between the time between a bot's snapshots and the ticks between them.
    pub snapshot_interval_error_us: Option<Distribution>,
    /// Time from a tick's deadline until its snapshot is applied, on the synchronised clock.
    pub snapshot_age_us: Option<Distribution>,
    /// Time from writing a ping to reading its pong.
    pub rtt_us: Option<Distribution>,
    /// How late the bots themselves sent.
    pub send_lateness_us: Option<Distribution>,
    /// CPU time of the swarm in the window.
    pub bot_cpu_s: f64,
    /// CPU time of the server in the window.
    pub server_cpu_s: Option<f64>,
    /// The same divided by snapshots received.
    pub server_cpu_us_per_snapshot: Option<f64>,
    /// The server's memory at the end of the window.
    pub server_rss_bytes: Option<u64>,
    /// Attacks that were made, in a scenario that attacks.
    pub attacks: Option<u64>,
    /// The longest time for which the server kept a client that never reads.
    pub kept_s_max: Option<f64>,
    /// How often bots came back.
    pub resumed: Option<usize>,
    /// The longest time that a bot was away.
    pub all_back_ms: Option<f64>,
    /// Greatest age of a snapshot that ended a gap of a second or more, as after a bot's stall.
    pub age_after_gap_ms: Option<f64>,
    /// Why the run is not a success.
    pub failure: Option<String>,
    /// For the plots.
    #[serde(skip)]
    timeline: Vec<Second>,
}

/// How many bots were connected, and for how long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attendance {
    pub(crate) joined: usize,
    pub(crate) lost: usize,
    /// Time played within the window, summed over all bots.
    pub(crate) played: Duration,
    /// How often bots came back, and the longest time that one was away.
    pub(crate) back: Option<(usize, Micros)>,
    /// The first thing that went wrong for a bot.
    pub(crate) first_trouble: Option<String>,
}

/// CPU time and memory over the window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) window: Duration,
    pub(crate) bot_cpu: Duration,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) server_rss_bytes: Option<u64>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        rate: TickRate,
        measures: &Measures,
        attendance: &Attendance,
        costs: &Costs,
    ) -> Self {
        let snapshots = measures.snapshots;
        let per = |sum: u64, count: u64| (count > 0).then(|| sum as f64 / count as f64);
        let latency = Distribution::of(&measures.input_to_snapshot);
        let half_a_tick_us = 500_000.0 / f64::from(rate.hz());
        let mut report = Self {
            scenario: options.scenario.name(),
            seed: options.seed,
            bots_requested: options.bots,
            bots_joined: attendance.joined,
            bots_lost: attendance.lost,
            window_s: costs.window.as_secs_f64(),
            tick_rate_hz: Some(rate.hz()),
            snapshots_received: snapshots,
            snapshots_expected: (attendance.played.as_secs_f64() * f64::from(rate.hz())) as u64,
            snapshot_bytes_mean: per(measures.snapshot_bytes, snapshots),
            entities_mean: per(measures.entities, snapshots),
            bytes_per_entity_mean: per(measures.snapshot_bytes, measures.entities),
            decode_errors: measures.decode_errors,
            digests_checked: measures.digests_checked,
            digest_mismatches: measures.digest_mismatches,
            // A bot asks for a full snapshot at each.
            resyncs: measures.digest_mismatches,
            input_to_snapshot_excess_us: latency.as_ref().map(|all| all.mean - half_a_tick_us),
            input_to_snapshot_us: latency,
            snapshot_interval_error_us: Distribution::of(&measures.interval_error),
            snapshot_age_us: Distribution::of(&measures.snapshot_age),
            rtt_us: Distribution::of(&measures.rtt),
            send_lateness_us: Distribution::of(&measures.send_lateness),
            bot_cpu_s: costs.bot_cpu.as_secs_f64(),
            server_cpu_s: costs.server_cpu.map(|cpu| cpu.as_secs_f64()),
            server_cpu_us_per_snapshot: (costs.server_cpu.filter(|_| snapshots > 0))
                .map(|cpu| cpu.as_secs_f64() * 1e6 / snapshots as f64),
            server_rss_bytes: costs.server_rss_bytes,
            attacks: None,
            kept_s_max: None,
            resumed: attendance.back.map(|(resumed, _)| resumed),
            all_back_ms: attendance.back.map(|(_, away)| away.0 as f64 / 1_000.0),
            age_after_gap_ms: measures.age_after_gap.map(|age| age.0 as f64 / 1_000.0),
            failure: None,
            timeline: measures.timeline.seconds().to_vec(),
        };
        report.failure = report.judge(attendance.first_trouble.as_deref());
        report
    }

    /// The report of a run of attackers.
    pub(crate) fn of_attack(options: &Options, outcome: &Outcome) -> Self {
        let attendance = Attendance { joined: options.bots, ..Attendance::default() };
        // Any rate will do: nothing that depends on it was measured.
        let rate = TickRate::new(1).expect("1 is a valid rate");
        Self {
            tick_rate_hz: None,
            attacks: Some(outcome.attacks),
            kept_s_max: outcome.kept_max.map(|kept| kept.as_secs_f64()),
            failure: outcome.failure.clone(),
            ..Self::new(options, rate, &Measures::new(), &attendance, &outcome.costs)
        }
    }

    /// Why the run is not a success, in one line, if it is not.
    fn judge(&self, first_trouble: Option<&str>) -> Option<String> {
        let because = first_trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
        if self.bots_joined < self.bots_requested {
            let missing = self.bots_requested - self.bots_joined;
            return Some(format!(
                "{missing} of {} bots did not join{because}",
                self.bots_requested
            ));
        }
        if self.digest_mismatches > 0 {
            let (wrong, all) = (self.digest_mismatches, self.digests_checked);
            return Some(format!("{wrong} of {all} digests did not match"));
        }
        if self.decode_errors > 0 {
            return Some(format!("{} frames could not be decoded{because}", self.decode_errors));
        }
        if self.bots_lost > 0 {
            let lost = if self.bots_lost == 1 { "bot was" } else { "bots were" };
            return Some(format!("{} {lost} lost{because}", self.bots_lost));
        }
        if let Some(resumed) = self.resumed
            && self.scenario == Scenario::Reconnect.name()
            && resumed < self.bots_joined
        {
            return Some(format!("{resumed} of {} bots came back", self.bots_joined));
        }
        (self.snapshots_received == 0).then(|| String::from("no snapshot came in the window"))
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// The report as a table for a terminal.
    #[must_use]
    pub fn to_table(&self) -> String {
        table::write(self)
    }

    /// The report with plots, as one self-contained file.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attackers_do_not_know_is_not_reported() {
        let outcome = Outcome {
            attacks: 3,
            kept_max: None,
            costs: Costs { window: Duration::from_secs(1), ..Costs::default() },
            failure: None,
        };
        let report = Report::of_attack(&Options::default(), &outcome);
        assert!(report.to_json().unwrap().contains("\"tick_rate_hz\": null"));
        assert!(!report.to_table().contains("Hz") && !report.to_html().contains("Hz"));
    }
}
