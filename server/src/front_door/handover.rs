//! Taking over from an earlier server, and handing over to the next one.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use tickwire_shared::state::{self, StateError};
use tokio::sync::oneshot;

use super::FrontDoor;
use crate::{
    directory::{Entry, Reservation},
    handover::{Handover, MatchState, Taken},
    locks::lock,
    mailbox::{Command, Restored},
    matches::{Claim, SavedMatch},
};

/// How often the file is written. What it has of a match is up to three seconds older.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

impl FrontDoor {
    /// Runs the matches on that an earlier server has left, if the game still has their schema.
    pub(crate) fn take_over(&self) {
        let Some(file) = &self.handover else { return };
        let taken_to = file.taken();
        let (handover, matches) = match file.take() {
            Ok(Taken::Nothing) => return,
            Ok(Taken::All(handover, matches)) => {
                tracing::info!(matches = matches.len(), "taking over from an earlier server");
                (handover, matches)
            }
            Ok(Taken::Again(handover, matches)) => {
                if matches > 0 {
                    tracing::error!(
                        matches,
                        file = %taken_to.display(),
                        "an earlier server took these matches over, and ended before it had saved any: \
                         one of them may have crashed it, so they do not go on"
                    );
                }
                (handover, Vec::new())
            }
            Err(error) => {
                let file = file.path().display();
                tracing::error!(
                    %error, %file, taken_to = %taken_to.display(),
                    "can't take over from an earlier server: no match goes on"
                );
                return;
            }
        };
        self.next_session.store(handover.next_session, Ordering::Relaxed);
        self.directory.continue_from(handover.next_match);
        if let Some(tickets) = &self.tickets {
            tickets.mark_used(handover.used_tickets);
        }
        if handover.schema_hash != file.schema_hash {
            if !matches.is_empty() {
                let file = taken_to.display();
                tracing::error!(%file, "the game's schema has changed: the matches can't go on");
            }
            return;
        }
        let mut by_shard: Vec<_> = (0..self.config.shards).map(|_| Vec::new()).collect();
        for state in matches {
            match self.restore(&state) {
                Ok(Some((shard, restored))) => by_shard[shard].push(restored),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a match can't go on"),
            }
        }
        for (shard, matches) in by_shard.into_iter().enumerate() {
            self.shards.send(shard, Command::Restore(matches)).expect("its mailbox is new");
        }
    }

    /// Finds a shard for a match. `None` if the game no longer has its mode.
    fn restore(&self, state: &[u8]) -> Result<Option<(usize, Restored)>, StateError> {
        let saved: SavedMatch = state::read(state)?;
        let known = self.matchmaker.modes.find(&saved.mode);
        let Some(mode) = known.or_else(|| saved.mode.is_empty().then_some("")) else {
            let (match_id, mode) = (saved.id.0, &saved.mode);
            tracing::error!(match_id, mode, "a match can't go on: the game no longer has its mode");
            return Ok(None);
        };
        let entry = self.directory.add_again(saved.id, mode, saved.access, saved.seats);
        let claims = self.claims_again(&saved, &entry);
        entry.set_admits(saved.admits);
        Ok(Some((entry.shard, Restored { saved, entry, claims })))
    }

    /// What the sessions of a match have reserved.
    fn claims_again(&self, saved: &SavedMatch, entry: &Arc<Entry>) -> Vec<Claim> {
        let subject_of = |subject: &String| self.subjects.take(&subject.as_str().into(), u32::MAX);
        let claims = saved.sessions.iter().map(|session| Claim {
            seat: Reservation::new(entry).ok(),
            subject: session.subject.as_ref().and_then(subject_of),
            ..Claim::default()
        });
        claims.collect()
    }

    /// Saves the matches every few seconds, for the case that the server crashes. Never returns.
    pub(crate) async fn keep_saving(self: &Arc<Self>) {
        if self.handover.is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(SAVE_INTERVAL).await;
            let answers = self.shards.saved().await;
            let written = self.write_apart(self.with_saved(answers), false).await;
            let was_failing = self.is_save_failing.swap(written.is_err(), Ordering::Relaxed);
            match written {
                Err(error) if !was_failing => tracing::error!(
                    %error,
                    "can't save the matches: a crash would end them, or take them back to the last save"
                ),
                Ok(()) if was_failing => tracing::info!("the matches are saved again"),
                Err(_) | Ok(()) => {}
            }
        }
    }

    /// Hands over to the next server what the shards have answered; the matches of one that has not
    /// answered, as they were last saved. Returns whether it could.
    pub(crate) async fn hand_over(
        self: &Arc<Self>,
        answers: Vec<oneshot::Receiver<Vec<MatchState>>>,
    ) -> bool {
        let Some(file) = &self.handover else { return true };
        let answers = answers.into_iter().map(|mut answer| answer.try_recv().ok());
        let matches = self.with_saved(answers.collect());
        let (count, file) = (matches.len(), file.path().display());
        let handed = match self.write_apart(matches.clone(), true).await {
            Ok(()) => Ok(()),
            // There may have been no thread for it.
            Err(_) => self.write_handover(&matches, true),
        };
        match &handed {
            Ok(()) => tracing::info!(matches = count, %file, "handed over"),
            Err(error) => {
                tracing::error!(
                    matches = count, %file, %error,
                    "can't hand over: the matches end, or go back to the last save"
                );
            }
        }
        handed.is_ok()
    }

    /// The server has ended: another may have the file.
    pub(crate) fn release_handover(&self) {
        if let Some(file) = &self.handover {
            file.release();
        }
    }

    /// Writes the file in a thread of its own: the disk may be slow.
    async fn write_apart(
        self: &Arc<Self>,
        matches: Vec<MatchState>,
        is_final: bool,
    ) -> io::Result<()> {
        let (door, (done, written)) = (Arc::clone(self), oneshot::channel());
        let write = move || {
            // The server may have ended meanwhile.
            let _ = done.send(door.write_handover(&matches, is_final));
        };
        // The system may have no thread left: that must not end the server.
        thread::Builder::new().name("saving".into()).spawn(write)?;
        written.await.map_err(io::Error::other)?
    }

    /// The matches of all shards. A shard that hangs or has failed does not answer: its matches are
    /// those of its last answer, so that they go on once it was killed.
    fn with_saved(&self, answers: Vec<Option<Vec<MatchState>>>) -> Vec<MatchState> {
        let mut saved = lock(&self.saved);
        saved.resize_with(answers.len(), Vec::new);
        for (saved, answer) in saved.iter_mut().zip(answers) {
            *saved = answer.unwrap_or_else(|| std::mem::take(saved));
        }
        saved.concat()
    }

    fn write_handover(&self, matches: &[MatchState], is_final: bool) -> io::Result<()> {
        let Some(file) = &self.handover else { return Ok(()) };
        let handover = Handover {
            schema_hash: file.schema_hash,
            next_match: self.directory.next_id(),
            next_session: self.next_session.load(Ordering::Relaxed),
            used_tickets: self.tickets.as_ref().map_or_else(Vec::new, |tickets| tickets.used()),
        };
        file.write(&handover, matches, || !is_final && self.is_draining())
    }
}
