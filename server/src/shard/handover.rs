//! Restoring the matches of an earlier server, and saving them for the next one.

use std::sync::Arc;

use tickwire_shared::{close::CloseReason, game::Game, time::Micros};

use super::Shard;
use crate::{clock::date, handover::MatchState, mailbox::Restored, matches::Match};

impl<G: Game> Shard<G> {
    /// Runs a match of an earlier server on.
    pub(super) fn restore(&mut self, restored: Restored, now: Micros) {
        let entry = Arc::clone(&restored.entry);
        let (sessions, settings, date) = (restored.claims.len(), self.settings, date());
        let journals = self.journals.clone();
        let made = self.insert(&entry, now, |schema, start, feed| {
            Match::restore(restored, settings, schema, start, date, feed, journals.as_ref())
        });
        if made {
            tracing::info!(match_id = entry.id.0, sessions, "match goes on");
            self.stats.restored += 1;
        } else {
            self.stats.unrestored += 1;
        }
    }

    /// The states of the matches as they were last saved.
    pub(super) fn saved(&mut self, now: Micros) -> Vec<MatchState> {
        let slots = 0..self.matches.capacity();
        let states = slots.filter_map(|slot| {
            let saved = self.guard(slot, now, |found, _, _| found.saved())?;
            let id = self.matches[slot].id();
            let report = |error| tracing::error!(match_id = id.0, %error, "not saved");
            saved.map_err(report).ok()
        });
        states.collect()
    }

    /// Saves all matches for the next server, and closes their connections. Returns their states.
    pub(super) fn hand_over(&mut self, now: Micros) -> Vec<MatchState> {
        self.drain_deadline = Some(now);
        let mut states = Vec::new();
        for slot in 0..self.matches.capacity() {
            let saved = self.guard(slot, now, |found, _, _| found.save(true));
            match saved {
                None => {}
                Some(Ok(state)) => {
                    states.push(state);
                    // Its feed does not say that it has ended.
                    self.close(slot, CloseReason::Drain, now);
                }
                Some(Err(error)) => {
                    let id = self.matches[slot].id();
                    tracing::error!(match_id = id.0, %error, "not handed over");
                    self.end(slot, CloseReason::Drain, now);
                }
            }
        }
        states
    }
}
