//! Running the matches of an earlier server on, and leaving them to the next one.

use std::sync::Arc;

use tickwire_shared::{close::CloseReason, game::Game, time::Micros};

use super::Shard;
use crate::{handover::WrittenMatch, mailbox::Restored, matches::Match};

impl<G: Game> Shard<G> {
    /// Runs a match of an earlier server on.
    pub(super) fn take_over(&mut self, restored: Restored, now: Micros) {
        let entry = Arc::clone(&restored.entry);
        let (sessions, settings, date) = (restored.claims.len(), self.settings, self.clock.date());
        let journals = self.journals.clone();
        let made = self.insert(&entry, now, |schema, start, feed| {
            Match::go_on(restored, settings, schema, start, date, feed, journals.as_ref())
        });
        if made {
            tracing::info!(match_id = entry.id.0, sessions, "match goes on");
        }
    }

    /// The matches as they were last written out.
    pub(super) fn written(&mut self, now: Micros) -> Vec<WrittenMatch> {
        let slots = 0..self.matches.capacity();
        let written = slots.filter_map(|slot| {
            let written =
                self.guard(slot, now, |found, context, _| found.written(context.clock))?;
            let id = self.matches[slot].id();
            let report = |error| tracing::error!(match_id = id.0, %error, "not saved");
            written.map_err(report).ok()
        });
        written.collect()
    }

    /// Writes out all matches for the next server, and closes their connections.
    pub(super) fn hand_over(&mut self, now: Micros) {
        self.drain_deadline = Some(now);
        for slot in 0..self.matches.capacity() {
            let written =
                self.guard(slot, now, |found, context, _| found.write(context.clock, true));
            match written {
                None => {}
                Some(Ok(written)) => {
                    self.saved.push(written);
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
    }
}
