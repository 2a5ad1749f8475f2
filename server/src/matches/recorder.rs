//! The flight recorder: the phases of a match's last ticks, to explain a slow one.
//!
//! Five timestamps per tick are kept in a ring of fixed size. [`Recording::trace_events`] writes
//! them in the [Trace Event Format], which `chrome://tracing` and <https://ui.perfetto.dev> show: a
//! process for each shard, a thread for each match.
//!
//! [Trace Event Format]:
//! https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

use serde_json::{Value, json};
use tickwire_shared::{
    ids::{MatchId, Tick},
    time::Micros,
};

/// Ticks in the ring: eight seconds at 30 Hz.
const TICKS: usize = 256;

/// When each phase of one tick began; it ends where the next begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TickTimes {
    pub(super) tick: Tick,
    pub(super) due: Micros,
    /// Sockets are read, inputs decoded.
    pub(super) inputs: Micros,
    /// The game's step.
    pub(super) step: Micros,
    /// The game's rows.
    pub(super) rows: Micros,
    /// Frames are made and written.
    pub(super) write: Micros,
    /// Time spent on encoding within `write`.
    pub(super) encoding: Micros,
    pub(super) end: Micros,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recorder {
    ring: Box<[TickTimes; TICKS]>,
    /// How many ticks were ever recorded.
    count: usize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { ring: Box::new([TickTimes::default(); TICKS]), count: 0 }
    }
}

impl Recorder {
    pub(super) fn keep(&mut self, times: TickTimes) {
        self.ring[self.count % TICKS] = times;
        self.count += 1;
    }

    /// The recorded ticks that ended after `since`.
    pub(super) fn recording(&self, match_id: MatchId, since: Micros) -> Recording {
        let kept = |n: usize| self.ring[n % TICKS];
        let oldest = self.count.saturating_sub(TICKS);
        let ended_since = (oldest..self.count).rev().take_while(|&n| kept(n).end > since);
        // Only these ticks are copied: the shard that asks is behind already.
        let first = ended_since.last().unwrap_or(self.count);
        Recording { match_id, ticks: (first..self.count).map(kept).collect() }
    }
}

/// A match's recording, oldest tick first.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    match_id: MatchId,
    ticks: Vec<TickTimes>,
}

impl Recording {
    /// One complete event for each phase of each tick.
    pub(crate) fn trace_events(&self, shard: usize, events: &mut Vec<Value>) {
        let thread = self.match_id.0;
        events.push(json!({
            "name": "thread_name", "ph": "M", "pid": shard, "tid": thread,
            "args": { "name": format!("match {thread}") },
        }));
        for times in &self.ticks {
            let lateness = times.inputs.since(times.due).0;
            let phases = [
                ("tick", times.inputs, times.end),
                ("inputs", times.inputs, times.step),
                ("step", times.step, times.rows),
                ("rows", times.rows, times.write),
                ("write", times.write, times.end),
                ("encode", times.write, times.write.plus(times.encoding)),
            ];
            events.extend(phases.map(|(name, start, end)| {
                json!({
                    "name": name, "cat": "tick", "ph": "X", "pid": shard, "tid": thread,
                    "ts": start.0, "dur": end.since(start).0,
                    "args": { "tick": times.tick.0, "late_us": lateness },
                })
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ticks_are_kept_in_order() {
        let mut recorder = Recorder::default();
        for tick in 1..=300 {
            let [inputs, step, end] = [0, 10, 90].map(|part| Micros(u64::from(tick) * 100 + part));
            recorder.keep(TickTimes {
                tick: Tick(tick),
                inputs,
                step,
                end,
                ..TickTimes::default()
            });
        }
        let all = recorder.recording(MatchId(7), Micros(0)).ticks;
        assert_eq!(all.len(), TICKS);
        assert_eq!([all[0].tick, all[255].tick], [Tick(45), Tick(300)]);

        let last = recorder.recording(MatchId(7), Micros(299 * 100 + 90));
        let mut events = Vec::new();
        last.trace_events(3, &mut events);
        assert_eq!(events.len(), 1 + 6, "a name, and six spans of one tick");
        let inputs = &events[2];
        assert_eq!(inputs["name"], "inputs");
        assert_eq!(
            [&inputs["ts"], &inputs["dur"], &inputs["pid"], &inputs["tid"]],
            [30_000, 10, 3, 7]
        );
    }
}
