//! Taking over from an earlier server, and handing over to the next one.

use std::{
    io,
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::Duration,
};

use tickwire_shared::{
    ids::MatchId,
    state::{self, StateError},
};
use tokio::sync::oneshot;

use super::FrontDoor;
use crate::{
    config::ConfigError,
    directory::{Entry, Reservation},
    handover::{Attempt, Handover, MatchState, Save},
    locks::lock,
    mailbox::{Command, Restored},
    matches::{Claim, SavedMatch},
};

/// How often the file is written. What it has of a match is up to three seconds older.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// Of how many seconds the ids of new matches are left out after a crash: more than the burst of
/// `matches_hz` and the time between two saves.
const SPARE_S: u32 = 16;

/// Why a match can't go on.
#[derive(Debug, thiserror::Error)]
enum NotRestored {
    #[error("{0}")]
    Unreadable(#[from] StateError),
    #[error("match {0}: the game no longer has its mode, {1}")]
    Mode(u32, String),
    #[error("match {0}: once it was restored, an earlier server crashed or hung in it")]
    Crashed(u32),
}

impl FrontDoor {
    /// Goes on from what an earlier server has left: restores its matches, if the game still has their
    /// schema.
    pub(crate) fn take_over(&self) -> Result<(), ConfigError> {
        let Some(file) = &self.handover else { return Ok(()) };
        let Some(taken) = file.take()? else { return Ok(()) };
        let kept = file.taken();
        let (handover, states) = match taken.contents {
            Ok(contents) => contents,
            Err(error) => {
                let file = kept.display();
                tracing::error!(%error, %file, "what an earlier server has left can't be read");
                self.unrestored.store(1, Ordering::Relaxed);
                return Ok(());
            }
        };
        let matches = states.len();
        tracing::info!(matches, "taking over from an earlier server");
        self.next_session.store(handover.next_session, Ordering::Relaxed);
        self.directory.continue_from(handover.next_match);
        if let Some(tickets) = &self.tickets {
            tickets.mark_used(handover.used_tickets);
        }
        let restored = if handover.schema_hash == file.schema_hash {
            self.restore_all(states, taken.attempt)
        } else {
            tracing::error!("the game's schema has changed: the matches can't go on");
            0
        };
        if restored < matches {
            let (lost, file) = (matches - restored, kept.display());
            tracing::error!(lost, %file, "not all matches go on: the file keeps them");
            self.unrestored.store(lost as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has shards restore matches. Returns how many.
    fn restore_all(&self, states: Vec<MatchState>, attempt: Attempt) -> usize {
        let (trial, crashed) = match attempt {
            Attempt::AllAtOnce => Default::default(),
            Attempt::Trial(trial, crashed) => {
                tracing::warn!(
                    "the server crashed or hung after the last takeover: a match may be at fault"
                );
                (trial, crashed)
            }
            Attempt::Nothing => {
                tracing::error!(
                    "the server crashed or hung after takeovers, with no match running: none goes on"
                );
                return 0;
            }
        };
        let mut shards: Vec<_> = (0..self.config.shards).map(|_| (vec![], vec![])).collect();
        for state in states {
            match self.restore(&state, &crashed) {
                Ok(restored) => {
                    let (saved, matches) = &mut shards[restored.entry.shard];
                    saved.push(state);
                    matches.push(restored);
                }
                Err(error) => tracing::error!(%error, "a match can't go on"),
            }
        }
        let (saved, shards): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
        let restored = saved.iter().map(Vec::len).sum();
        *lock(&self.saved) = saved;
        for (shard, matches) in shards.into_iter().enumerate() {
            let command = Command::Restore(matches, Weak::clone(&trial));
            self.shards.send(shard, command).expect("its mailbox is new");
        }
        restored
    }

    /// Finds a shard for a match, unless it has crashed an earlier server.
    fn restore(&self, state: &[u8], crashed: &[MatchId]) -> Result<Restored, NotRestored> {
        let saved: SavedMatch = state::read(state)?;
        if crashed.contains(&saved.id) {
            return Err(NotRestored::Crashed(saved.id.0));
        }
        let known = self.matchmaker.modes.find(&saved.mode);
        let Some(mode) = known.or_else(|| saved.mode.is_empty().then_some("")) else {
            return Err(NotRestored::Mode(saved.id.0, saved.mode));
        };
        let entry = self.directory.add_again(saved.id, &saved.options(mode), saved.access);
        let claims = self.claims_again(&saved, &entry);
        entry.set_admits(saved.admits);
        Ok(Restored { saved, entry, claims })
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
            // If all answer, they have restored their matches, which run until they are saved.
            let have_restored = self.shards.stats().await.silent == 0;
            tokio::time::sleep(SAVE_INTERVAL).await;
            let mut save = self.save_of(self.shards.saved().await);
            save.is_proof &= have_restored;
            let written = self.write_apart(Arc::new(save)).await;
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
        let save = Arc::new(Save { is_final: true, ..self.save_of(answers.collect()) });
        let (matches, file) = (save.states.len(), file.path().display());
        let handed = match self.write_apart(Arc::clone(&save)).await {
            Ok(()) => Ok(()),
            // There may have been no thread for it.
            Err(_) => self.write(&save),
        };
        match &handed {
            Ok(()) => tracing::info!(matches, %file, "handed over"),
            Err(error) => {
                tracing::error!(
                    matches, %file, %error,
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

    /// The matches of all shards. A shard that hangs or has failed does not answer: its matches are
    /// those of its last answer, so that they go on once it was killed, or those that were taken over.
    fn save_of(&self, answers: Vec<Option<Vec<MatchState>>>) -> Save {
        let is_proof = answers.iter().all(Option::is_some);
        let mut saved = lock(&self.saved);
        saved.resize_with(answers.len(), Vec::new);
        for (saved, answer) in saved.iter_mut().zip(answers) {
            *saved = answer.unwrap_or_else(|| std::mem::take(saved));
        }
        Save { states: saved.concat(), is_proof, is_final: false }
    }

    /// Writes the file in a thread of its own: the disk may be slow.
    async fn write_apart(self: &Arc<Self>, save: Arc<Save>) -> io::Result<()> {
        let (door, (done, written)) = (Arc::clone(self), oneshot::channel());
        let write = move || {
            // The server may have ended meanwhile.
            let _ = done.send(door.write(&save));
        };
        // The system may have no thread left: that must not end the server.
        thread::Builder::new().name("saving".into()).spawn(write)?;
        written.await.map_err(io::Error::other)?
    }

    fn write(&self, save: &Save) -> io::Result<()> {
        let Some(file) = &self.handover else { return Ok(()) };
        // Those of matches that a crash would lose are not given again: tickets may name them.
        let spare_s = if save.is_final { 0 } else { SPARE_S };
        let spare = self.config.limits.matches_hz.saturating_mul(spare_s);
        let handover = Handover {
            schema_hash: file.schema_hash,
            next_match: self.directory.next_id().wrapping_add(spare),
            next_session: self.next_session.load(Ordering::Relaxed),
            used_tickets: self.tickets.as_ref().map_or_else(Vec::new, |tickets| tickets.used()),
        };
        file.write(&handover, save, || !save.is_final && self.is_draining())
    }
}
