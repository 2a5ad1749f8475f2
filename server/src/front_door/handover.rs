//! Taking over from an earlier server, and handing over to the next one.

use std::sync::{Arc, atomic::Ordering};

use super::FrontDoor;
use crate::{
    directory::{Entry, Reservation},
    handover::Handover,
    mailbox::{Command, Restored},
    matches::{Claim, SavedMatch},
};

impl FrontDoor {
    /// Runs the matches of an earlier server on, if the game still has the schema of this hash.
    pub(crate) fn take_over(&self, handover: Handover, schema_hash: u32) {
        self.next_session.store(handover.next_session, Ordering::Relaxed);
        self.directory.continue_from(handover.next_match);
        if let Some(tickets) = &self.tickets {
            tickets.mark_used(handover.used_tickets);
        }
        let matches = handover.matches;
        tracing::info!(matches = matches.len(), "taking over from the server before");
        if handover.schema_hash != schema_hash {
            tracing::error!("the game's schema has changed: its matches can't go on");
            return;
        }
        let mut by_shard: Vec<_> = (0..self.config.shards).map(|_| Vec::new()).collect();
        for saved in matches {
            let known = self.matchmaker.modes.iter().find(|known| **known == saved.mode);
            let Some(mode) = known.copied().or_else(|| saved.mode.is_empty().then_some("")) else {
                tracing::error!(
                    match_id = saved.id.0,
                    mode = saved.mode,
                    "the game has this mode no more: the match can't go on"
                );
                continue;
            };
            let entry = self.directory.add_again(saved.id, mode, saved.seats);
            let claims = self.claims_again(&saved, &entry);
            by_shard[entry.shard].push(Restored { saved, mode, claims });
        }
        for (shard, matches) in by_shard.into_iter().enumerate() {
            self.shards.send(shard, Command::TakeOver(matches)).expect("its mailbox is new");
        }
    }

    /// What the sessions of a match have reserved.
    fn claims_again(&self, saved: &SavedMatch, entry: &Arc<Entry>) -> Vec<Claim> {
        let subject_of = |subject: &String| self.subjects.take(&subject.as_str().into(), u32::MAX);
        let sessions = saved.sessions.iter();
        let claims = sessions.map(|session| Claim {
            seat: Reservation::new(entry).ok(),
            subject: session.subject.as_ref().and_then(subject_of),
            name: Box::default(),
        });
        claims.collect()
    }

    /// Leaves the matches to the next server. Returns whether it could.
    pub(crate) fn hand_on(&self, matches: Vec<SavedMatch>, schema_hash: u32) -> bool {
        let Some(path) = &self.config.handover_file else { return true };
        let handover = Handover {
            schema_hash,
            next_match: self.directory.next_id(),
            next_session: self.next_session.load(Ordering::Relaxed),
            used_tickets: self.tickets.as_ref().map_or_else(Vec::new, |tickets| tickets.used()),
            matches,
        };
        let (matches, file) = (handover.matches.len(), path.display());
        let left = handover.leave(path);
        match &left {
            Ok(()) => tracing::info!(matches, %file, "handed over"),
            Err(error) => {
                tracing::error!(matches, %file, %error, "can't hand over: the matches are lost");
            }
        }
        left.is_ok()
    }
}
