//! Whether a session connects again after its connection was lost, and when.

use crate::{dice::Dice, time::Micros};

/// Longest wait before the first attempt to reconnect, and before any later one.
pub(super) const WAIT: Micros = Micros::from_millis(250);
pub(super) const WAIT_MAX: Micros = Micros::from_secs(5);
/// A connection that has been played on for this long is a good one: the backoff begins anew.
const GOOD: Micros = Micros::from_secs(10);
/// The session ends with this many invalid frames, each on a connection that was not a good one.
const FAULTS_MAX: u32 = 5;
/// How long it tries to reconnect: longer than a server keeps the seat, by default.
pub(super) const GIVE_UP: Micros = Micros::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(super) struct Backoff {
    dice: Dice,
    /// Longest wait before the next attempt.
    wait: Micros,
    /// When the connection was lost, if no snapshot was applied since.
    lost_at: Option<Micros>,
    /// When the first snapshot of this connection was applied.
    playing_since: Option<Micros>,
    /// Invalid frames since the last good connection.
    faults: u32,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), wait: WAIT, lost_at: None, playing_since: None, faults: 0 }
    }

    /// Handles the first snapshot of a connection.
    pub(super) const fn handle_playing(&mut self, at: Micros) {
        (self.lost_at, self.playing_since) = (None, Some(at));
    }

    /// Handles an invalid frame, with which the connection ends.
    pub(super) const fn handle_fault(&mut self) {
        self.faults += 1;
    }

    /// Handles the end of a connection, or that it could not be made.
    pub(super) fn handle_loss(&mut self, at: Micros) {
        self.lost_at.get_or_insert(at);
        if self.playing_since.take().is_some_and(|since| at.since(since) > GOOD) {
            (self.wait, self.faults) = (WAIT, 0);
        }
    }

    /// Handles that the server has answered, though not as it was asked to.
    pub(super) const fn handle_answer(&mut self) {
        self.wait = WAIT;
    }

    /// Handles that an attempt was put off by the client, which does not count.
    pub(super) fn handle_delay(&mut self, span: Micros) {
        self.lost_at = self.lost_at.map(|at| at.plus(span));
    }

    /// When to connect again after a loss at `at`; `None` if there is no use in it any more.
    pub(super) fn next_attempt(&mut self, at: Micros) -> Option<Micros> {
        let has_tried_enough = self.lost_at.is_some_and(|lost_at| at.since(lost_at) > GIVE_UP);
        if has_tried_enough || self.faults >= FAULTS_MAX {
            return None;
        }
        // With full jitter, so that many clients don't reconnect at the same moment.
        let wait = Micros(self.dice.next() % self.wait.0);
        self.wait = Micros(2 * self.wait.0).min(WAIT_MAX);
        Some(at.plus(wait))
    }
}
