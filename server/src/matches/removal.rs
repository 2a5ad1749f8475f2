//! Players whom the game or an operator removes: their sessions end, and can't be resumed.

use tickwire_shared::{close::CloseReason, game::Game};

use super::{Claim, Connection, Context, Match, Session, SessionState};
use crate::mailbox::Removal;

impl<G: Game> Match<G> {
    /// Removes the players whom the game wants to go.
    pub(super) fn remove_players(&mut self, context: &mut Context<'_>) {
        for key in 0..self.sessions.capacity() {
            let seat = self.sessions.get(key).and_then(|session| session.seat);
            if seat.is_some_and(|seat| self.game.removes(seat)) {
                self.remove_session(key, context);
            }
        }
    }

    /// Removes whom an operator wants to go. Returns how many sessions have ended, with those that
    /// were admitted, but have not said hello yet.
    pub(crate) fn remove(&mut self, whom: &Removal, context: &mut Context<'_>) -> usize {
        let has_subject = |claim: &Claim| match (whom, &claim.subject) {
            (Removal::Subject(subject), Some(place)) => place.key() == subject,
            (Removal::Subject(_), None) | (Removal::Seat(..), _) => false,
        };
        let is_meant = |(_, session): &(usize, &Session)| match whom {
            Removal::Seat(id, seat) => *id == self.entry.id && session.seat == Some(*seat),
            Removal::Subject(_) => has_subject(&session.claim),
        };
        let is_coming = |(_, connection): &(usize, &Connection)| has_subject(&connection.claim);
        let sessions: Vec<_> = self.sessions.iter().filter(is_meant).map(|(key, _)| key).collect();
        let coming: Vec<_> =
            self.connections.iter().filter(is_coming).map(|(key, _)| key).collect();
        sessions.iter().for_each(|key| self.remove_session(*key, context));
        coming.iter().for_each(|key| self.close(*key, CloseReason::Removed, context));
        if !sessions.is_empty() {
            // Otherwise they could be back after a crash.
            self.saved = None;
        }
        sessions.len() + coming.len()
    }

    fn remove_session(&mut self, key: usize, context: &mut Context<'_>) {
        match self.sessions[key].state {
            SessionState::Connected(connection) => {
                self.close(connection, CloseReason::Removed, context);
            }
            SessionState::Away { .. } => self.forget(key),
        }
        // Otherwise the player could be back after a crash.
        self.saved = None;
    }
}
