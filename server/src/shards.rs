//! All shards together: which are fit, and what they are told and asked.

use std::sync::Arc;

use tickwire_shared::{ids::MatchId, schema::Schema, time::Micros};
use tokio::sync::{Mutex, oneshot};

use crate::{
    clock::Clock,
    mailbox::{Command, Recorded, STUCK_AFTER, ShardHandle, Standing},
    matches::Recording,
    telemetry::{self, Stats},
};

/// Reports are at least so far apart.
const REPORT_INTERVAL: Micros = Micros::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(crate) struct Shards {
    handles: Vec<ShardHandle>,
    clock: Clock,
    report: Mutex<Report>,
}

/// What shards have last counted, and when they were asked.
#[derive(Debug)]
struct Report {
    begun: Micros,
    counted: Arc<Counted>,
}

/// What shards have counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// By shard; of one that does not answer, what it last told.
    pub(crate) shards: Vec<Stats>,
    /// How many do not answer.
    pub(crate) silent: usize,
    /// What [`Stats::field_bits`] are called.
    pub(crate) field_names: Arc<[String]>,
}

impl Shards {
    /// All shards of a game with this schema.
    pub(crate) fn new(handles: Vec<ShardHandle>, clock: Clock, schema: &Schema) -> Self {
        let field_names = telemetry::field_names(schema).collect();
        let counted = Arc::new(Counted { field_names, ..Counted::default() });
        let report = Mutex::new(Report { begun: Micros(0), counted });
        Self { handles, clock, report }
    }

    /// Whether one is fit for one match more.
    pub(crate) fn is_any_fit(&self) -> bool {
        (0..self.handles.len()).any(|shard| self.is_fit(shard))
    }

    /// Whether this one is fit for one match more.
    pub(crate) fn is_fit(&self, shard: usize) -> bool {
        self.handles[shard].standing(self.clock.now()) == Standing::Fit
    }

    /// Whether this one is at something that does not return.
    pub(crate) fn is_stuck(&self, shard: usize) -> bool {
        self.handles[shard].standing(self.clock.now()) == Standing::Stuck
    }

    /// Hands over a command. It comes back when the shard does not keep up or has ended.
    pub(crate) fn send(&self, shard: usize, command: Command) -> Result<(), Command> {
        self.handles[shard].send(command)
    }

    /// Hands a command to one shard or to all, of which those hear it that keep up. Says how many
    /// do not.
    pub(crate) fn tell(&self, only: Option<usize>, command: impl Fn() -> Command) -> usize {
        let mut untold = 0;
        for (shard, handle) in self.handles.iter().enumerate() {
            let is_meant = only.is_none_or(|only| only == shard) && !handle.has_drained();
            if is_meant && let Err(command) = handle.send(command()) {
                tracing::error!(
                    shard,
                    ?command,
                    "a shard does not keep up or has failed: not told"
                );
                untold += 1;
            }
        }
        untold
    }

    /// What shards have counted. Who asks at the same time is told the same, so that nobody can
    /// keep shards busy with reports.
    pub(crate) async fn stats(&self) -> Arc<Counted> {
        let asked = self.clock.now();
        let mut report = self.report.lock().await;
        if report.begun <= asked {
            let due = report.begun.plus(REPORT_INTERVAL);
            tokio::time::sleep(due.since(self.clock.now()).into()).await;
            let begun = self.clock.now();
            let answers = self.ask(Command::Report).await;
            let is_silent =
                |shard: &usize| answers[*shard].is_none() && !self.handles[*shard].has_drained();
            let silent: Vec<_> = (0..answers.len()).filter(is_silent).collect();
            let counted = Arc::make_mut(&mut report.counted);
            match (counted.silent, silent.len()) {
                (before, now) if before == now => {}
                (_, 0) => tracing::info!("all shards answer again"),
                (_, _) => tracing::error!(
                    shards = ?silent,
                    "shards do not answer: a step of their games may not return"
                ),
            }
            counted.silent = silent.len();
            counted.shards.resize_with(answers.len(), Stats::default);
            let shards = counted.shards.iter_mut().zip(&self.handles);
            for ((stats, handle), answer) in shards.zip(answers) {
                *stats = answer.unwrap_or_else(|| stats.clone());
                if handle.has_drained() {
                    (stats.matches, stats.connections) = (0, 0);
                    stats.spectators.clear();
                }
            }
            report.begun = begun;
        }
        Arc::clone(&report.counted)
    }

    /// What led to each shard's last overrun; none of one that does not answer.
    pub(crate) async fn overruns(&self) -> Vec<Option<Vec<Recording>>> {
        self.ask(|reply| Command::Trace(Recorded::Overrun, reply)).await
    }

    /// What is recorded of a match, by its shard; none if that does not answer.
    pub(crate) async fn recording(&self, id: MatchId, shard: usize) -> Option<Vec<Recording>> {
        self.ask_one(shard, |reply| Command::Trace(Recorded::Match(id), reply)).await
    }

    /// Each shard's answer to a command, unless it is stuck or has failed.
    async fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<Option<T>> {
        let mut answers = Vec::new();
        for shard in 0..self.handles.len() {
            answers.push(self.ask_one(shard, &command).await);
        }
        answers
    }

    async fn ask_one<T>(
        &self,
        shard: usize,
        command: impl Fn(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        if self.is_stuck(shard) || self.send(shard, command(reply)).is_err() {
            return None;
        }
        tokio::time::timeout(STUCK_AFTER.into(), answer).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shard_that_has_drained_is_not_silent() {
        let (handle, commands, signs) = ShardHandle::new();
        let shards = Shards::new(vec![handle], Clock::start(), &Schema::default());
        drop(commands);
        assert_eq!(shards.stats().await.silent, 1, "it has failed");
        signs.show_drained();
        assert_eq!(shards.stats().await.silent, 0);
    }
}
