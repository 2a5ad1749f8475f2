//! A match as one server leaves it to the next: everything but its connections, the rows of earlier
//! ticks and the codec's statistics. Its players resume their sessions, as after any lost connection.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{Audience, Game, MatchOptions},
    ids::{InputSeq, MatchId, Seat, SessionId, Tick},
    link::InputQueue,
    schema::Schema,
    state::{self, StateError},
    time::{Micros, TickRate},
    wire::ResumeToken,
};

use super::{Claim, Match, MatchSettings, Session, SessionState, interest::Sight, people::ChatLog};
use crate::{
    bucket::Bucket,
    feeds::{FeedSender, PresenceChange},
};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedMatch {
    pub(crate) id: MatchId,
    seed: u64,
    pub(crate) seats: u16,
    npcs: u16,
    tick_rate: TickRate,
    pub(crate) mode: String,
    tick: Tick,
    pub(crate) sessions: Vec<SavedSession>,
    /// The last events, with their payloads.
    events: Vec<(Audience, Vec<u8>)>,
    chat: ChatLog,
    game: Vec<u8>,
}

/// The session of a player. A spectator's ends with its connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    pub(crate) id: SessionId,
    resume: ResumeToken,
    seat: Seat,
    name: String,
    /// The subject of its ticket.
    pub(crate) subject: Option<String>,
    /// The newest input that was received, and the newest that was used.
    seq: InputSeq,
    processed: InputSeq,
    events: u32,
    lines: u32,
    social_at: Tick,
}

impl<G: Game> Match<G> {
    /// The match as of its newest tick.
    pub(crate) fn save(&self) -> Result<SavedMatch, StateError> {
        let MatchOptions { seed, seats, npcs, tick_rate, mode } = self.options;
        Ok(SavedMatch {
            id: self.id,
            seed,
            seats,
            npcs,
            tick_rate,
            mode: mode.to_owned(),
            tick: self.tick,
            sessions: self.sessions.iter().filter_map(|(_, s)| self.save_session(s)).collect(),
            events: self.log.iter().collect(),
            chat: self.chat.clone(),
            game: state::write(&self.game)?,
        })
    }

    fn save_session(&self, session: &Session) -> Option<SavedSession> {
        let seat = session.seat?;
        Some(SavedSession {
            id: session.id,
            resume: session.resume,
            seat,
            name: session.name.as_ref().into(),
            subject: session.claim.subject.as_ref().map(|place| place.key().as_ref().into()),
            seq: match session.state {
                SessionState::Connected(key) => self.connections[key].link.seq(),
                SessionState::Away { .. } => session.seq,
            },
            processed: self.queues[seat.index()].processed(),
            events: session.events,
            lines: session.lines,
            social_at: session.social_at,
        })
    }

    /// Runs a saved match on, from `start`. `claims` are those of its sessions, in the same order,
    /// which all wait for their players as of now.
    pub(crate) fn resume_saved(
        saved: SavedMatch,
        mode: &'static str,
        claims: Vec<Claim>,
        settings: MatchSettings,
        schema: &Rc<Schema>,
        start: Micros,
        feed: FeedSender,
    ) -> Result<Self, StateError> {
        let SavedMatch { id, seed, seats, npcs, tick_rate, tick, chat, .. } = saved;
        let options = MatchOptions { seed, seats, npcs, tick_rate, mode };
        let game = state::read(&saved.game)?;
        let mut made = Self::with_game(id, game, options, settings, schema, start, feed);
        (made.tick, made.chat) = (tick, chat);
        // A resumed client gets all lines at once.
        made.chat.mark_sent();
        for (audience, payload) in &saved.events {
            made.log.push(*audience, payload);
        }
        for (session, claim) in saved.sessions.into_iter().zip(claims) {
            let seat = session.seat;
            made.queues[seat.index()] = InputQueue::resumed(session.processed);
            let key = made.sessions.insert(Session {
                id: session.id,
                resume: session.resume,
                seat: Some(seat),
                name: session.name.into(),
                line_allowance: Bucket::full(start),
                claim,
                state: SessionState::Away { since: start, _kept: None },
                seq: session.seq,
                sight: Sight::INITIAL,
                events: session.events,
                lines: session.lines,
                social_at: session.social_at,
            });
            made.announce_presence(key, PresenceChange::Away);
        }
        Ok(made)
    }
}
