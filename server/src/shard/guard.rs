//! Calls into matches: a panic of a game ends its match, and nothing else.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Weak,
};

use tickwire_shared::{close::CloseReason, game::Game, ids::MatchId, time::Micros};

use super::Shard;
use crate::{
    feeds::FeedEvent,
    handover::Trial,
    intake::Intake,
    matches::{Context, Match},
};

impl<G: Game> Shard<G> {
    /// Calls a match. If its game panics, only this match ends.
    pub(super) fn guard<T>(
        &mut self,
        slot: usize,
        now: Micros,
        work: impl FnOnce(&mut Match<G>, &mut Context<'_>, &mut Intake) -> T,
    ) -> Option<T> {
        let found = self.matches.get_mut(slot)?;
        let (stats, closed) = (&mut self.stats, &mut self.closed);
        let mut context =
            Context { now, clock: self.clock, drain_deadline: self.drain_deadline, stats, closed };
        let intake = &mut self.intake;
        let called = call(&self.trial, found.id(), || work(found, &mut context, intake));
        if let Err(reason) = &called {
            tracing::error!(
                match_id = found.id().0,
                reason,
                "a match panicked, in the game or around it, and ends"
            );
            self.stats.matches_failed += 1;
            self.intake.clear();
            self.end(slot, CloseReason::MatchFailed, now);
        }
        called.ok()
    }

    pub(super) fn end(&mut self, slot: usize, why: CloseReason, now: Micros) {
        let id = self.matches[slot].id();
        self.close(slot, why, now);
        self.feed.of(id).send(None, FeedEvent::Ended(why));
    }

    /// Removes a match and closes its connections.
    pub(super) fn close(&mut self, slot: usize, why: CloseReason, now: Micros) {
        let mut ended = self.matches.remove(slot);
        let id = ended.id();
        if why == CloseReason::MatchOver {
            self.directory.end(id);
        } else {
            self.directory.remove(id);
        }
        let (stats, closed) = (&mut self.stats, &mut self.closed);
        ended.account(stats);
        let mut context =
            Context { now, clock: self.clock, drain_deadline: self.drain_deadline, stats, closed };
        ended.close_all(why, &mut context);
        if let Err(reason) = call(&self.trial, id, || drop(ended)) {
            tracing::error!(
                match_id = id.0,
                reason,
                "the game panicked when its match was dropped"
            );
            self.stats.matches_failed += u64::from(why != CloseReason::MatchFailed);
        }
    }
}

/// Calls a match, and catches its panic, whose message is the error. In a trial, no other match is
/// called meanwhile.
pub(super) fn call<T>(
    trial: &Weak<Trial>,
    id: MatchId,
    work: impl FnOnce() -> T,
) -> Result<T, String> {
    let work = || catch_unwind(AssertUnwindSafe(work));
    let called = match trial.upgrade() {
        Some(trial) => trial.call(id, work),
        None => work(),
    };
    called.map_err(|panic| reason(&*panic).to_owned())
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
