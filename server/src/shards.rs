//! All shards together: which can take more work, and the commands sent to them.

use std::{sync::Arc, time::Duration};

use tickwire_shared::{ids::MatchId, schema::Schema, time::Micros};
use tokio::{
    sync::{Mutex, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    clock::Clock,
    directory::Entry,
    handover::MatchState,
    mailbox::{Availability, Command, Recorded, Removal, STUCK_AFTER, ShardHandle},
    matches::Recording,
    telemetry::{self, Stats},
};

/// Least time between two reports.
const REPORT_INTERVAL: Micros = Micros::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(crate) struct Shards {
    handles: Vec<ShardHandle>,
    clock: Clock,
    report: Mutex<Report>,
}

/// The last counters of all shards, and when they were asked for.
#[derive(Debug)]
struct Report {
    begun: Micros,
    counted: Arc<Counted>,
}

/// Counters of all shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// By shard; of a shard that does not answer, its last ones.
    pub(crate) shards: Vec<Stats>,
    /// How many shards do not answer.
    pub(crate) silent: usize,
    /// The names of [`Stats::field_bits`].
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

    /// Whether any shard can take another match.
    pub(crate) fn any_is_available(&self) -> bool {
        (0..self.handles.len()).any(|shard| self.is_available(shard))
    }

    /// Whether this shard can take another match.
    pub(crate) fn is_available(&self, shard: usize) -> bool {
        self.handles[shard].availability(self.clock.now()) == Availability::Available
    }

    /// Whether this shard is stuck: its current piece of work does not return.
    pub(crate) fn is_stuck(&self, shard: usize) -> bool {
        self.handles[shard].availability(self.clock.now()) == Availability::Stuck
    }

    /// Whether a shard is stuck.
    pub(crate) fn is_any_stuck(&self) -> bool {
        (0..self.handles.len()).any(|shard| self.is_stuck(shard))
    }

    /// Sends a command. Returns it if the shard's mailbox is full or the shard has ended.
    pub(crate) fn send(&self, shard: usize, command: Command) -> Result<(), Command> {
        self.handles[shard].send(command)
    }

    /// Sends a command to one shard or to all. Returns how many did not accept it.
    pub(crate) fn broadcast(&self, only: Option<usize>, command: impl Fn() -> Command) -> usize {
        let mut rejected = 0;
        for (shard, handle) in self.handles.iter().enumerate() {
            let is_addressed = only.is_none_or(|only| only == shard) && !handle.has_drained();
            if is_addressed && let Err(command) = handle.send(command()) {
                tracing::error!(
                    shard,
                    ?command,
                    "a shard's mailbox is full or the shard has failed: command dropped"
                );
                rejected += 1;
            }
        }
        rejected
    }

    /// The counters of all shards. Concurrent callers share one report, so that requests can't keep
    /// shards busy with reports.
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

    /// Ends the sessions that an operator removes, on one shard or all. Returns how many there were,
    /// or `None` if a shard does not answer.
    pub(crate) async fn remove(&self, only: Option<usize>, removal: &Removal) -> Option<usize> {
        let ask = |reply| Command::Remove(removal.clone(), reply);
        match only {
            Some(shard) => self.ask_one(shard, ask).await,
            None => self.ask(ask).await.into_iter().sum(),
        }
    }

    /// Passes a signal to a match's game. Returns whether the match was there, or `None` if its shard
    /// does not answer.
    pub(crate) async fn signal(&self, entry: &Entry, values: Box<[i32]>) -> Option<bool> {
        self.ask_one(entry.shard, |reply| Command::Signal(entry.id, values, reply)).await
    }

    /// The states of each shard's matches as they were last saved; `None` for a shard that does not
    /// answer.
    pub(crate) async fn saved(&self) -> Vec<Option<Vec<MatchState>>> {
        self.ask(Command::Save).await
    }

    /// Has all shards hand their matches over. Each answers once it can.
    pub(crate) fn hand_over(&self) -> Vec<oneshot::Receiver<Vec<MatchState>>> {
        let ask = |shard| {
            let (reply, answer) = oneshot::channel();
            if self.send(shard, Command::HandOver(reply)).is_err() {
                tracing::error!(shard, "a shard's mailbox is full or the shard has failed");
            }
            answer
        };
        (0..self.handles.len()).map(ask).collect()
    }

    /// The recording of each shard's last overrun; `None` for a shard that does not answer.
    pub(crate) async fn overruns(&self) -> Vec<Option<Vec<Recording>>> {
        self.ask(|reply| Command::Trace(Recorded::Overrun, reply)).await
    }

    /// The recording of a match; `None` if its shard does not answer.
    pub(crate) async fn recording(&self, id: MatchId, shard: usize) -> Option<Vec<Recording>> {
        self.ask_one(shard, |reply| Command::Trace(Recorded::Match(id), reply)).await
    }

    /// Each shard's answer to a command; `None` if it is stuck or has failed.
    async fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<Option<T>> {
        // All are asked before the first answer is awaited: one that hangs delays no other.
        let pending: Vec<_> =
            (0..self.handles.len()).map(|shard| self.ask_one(shard, &command)).collect();
        let mut answers = Vec::new();
        for answer in pending {
            answers.push(answer.await);
        }
        answers
    }

    /// Sends a command at once. Returns a future of the answer.
    fn ask_one<T>(
        &self,
        shard: usize,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> impl Future<Output = Option<T>> {
        let (reply, answer) = oneshot::channel();
        let is_sent = !self.is_stuck(shard) && self.send(shard, command(reply)).is_ok();
        let deadline = Instant::now() + Duration::from(STUCK_AFTER);
        async move { if is_sent { timeout_at(deadline, answer).await.ok()?.ok() } else { None } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shard_that_has_drained_is_not_silent() {
        let (handle, commands, status) = ShardHandle::new();
        let shards = Shards::new(vec![handle], Clock::start(), &Schema::default());
        drop(commands);
        assert_eq!(shards.stats().await.silent, 1, "it has failed");
        status.set_drained();
        assert_eq!(shards.stats().await.silent, 0);
    }
}
