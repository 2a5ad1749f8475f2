//! A match as one server leaves it to the next: everything but its connections, the rows of earlier
//! ticks and the codec's statistics. Its players resume their sessions, as after any lost connection.
//!
//! It may be *rewound*: what has happened after it was saved, until the server crashed, is lost.
//! Clients have seen later ticks, so it goes on after those, and more events than it knows of.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{Game, MatchOptions},
    ids::{InputSeq, MatchId, Seat, SessionId, Tick},
    link::{EventLog, InputQueue},
    schema::Schema,
    state::{self, StateError},
    time::{Micros, TickRate, UnixMillis},
    wire::ResumeToken,
};

use super::{Match, MatchSettings, Session, SessionState, interest::Sight, people::ChatLog};
use crate::{
    bucket::Bucket,
    clock::date,
    directory::Access,
    feeds::{FeedSender, PresenceChange},
    handover::MatchState,
    journal::{Journaled, Journals},
    mailbox::Restored,
};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedMatch {
    pub(crate) id: MatchId,
    seed: u64,
    seats: u16,
    npcs: u16,
    tick_rate: TickRate,
    pub(crate) mode: String,
    pub(crate) access: Access,
    /// Whether its game admits new players.
    pub(crate) admits: bool,
    tick: Tick,
    pub(crate) sessions: Vec<SavedSession>,
    /// The last events.
    #[serde(with = "serde_bytes")]
    log: Vec<u8>,
    chat: ChatLog,
    /// When it was saved, unless nothing has happened since.
    running_at: Option<UnixMillis>,
    #[serde(with = "serde_bytes")]
    game: Vec<u8>,
}

/// The session of a player. A spectator's ends with its connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    pub(crate) id: SessionId,
    resume: ResumeToken,
    seat: Seat,
    /// Whether the game knows that the player is away.
    #[serde(default)]
    is_away: bool,
    pub(super) name: String,
    /// The subject of its ticket.
    pub(crate) subject: Option<String>,
    /// The newest input that was received, and the newest that was used.
    seq: InputSeq,
    processed: InputSeq,
    events: u32,
    lines: u32,
}

impl<G: Game> Match<G> {
    /// Its state, as of its newest tick. It goes on, unless this `is_final`.
    pub(crate) fn save(&self, is_final: bool) -> Result<MatchState, StateError> {
        let MatchOptions { seed, seats, npcs, tick_rate, mode } = self.options;
        let saved = SavedMatch {
            id: self.entry.id,
            access: self.entry.access,
            admits: self.entry.admits(),
            seed,
            seats,
            npcs,
            tick_rate,
            mode: mode.to_owned(),
            tick: self.tick,
            sessions: self.sessions.iter().filter_map(|(_, s)| self.save_session(s)).collect(),
            log: self.log.write(),
            chat: self.chat.clone(),
            running_at: (!is_final).then(date),
            game: state::write(&*self.game)?,
        };
        state::write(&saved).map(MatchState::new)
    }

    /// Its state as it was last saved; it is saved now if it never was.
    pub(crate) fn saved(&mut self) -> Result<MatchState, StateError> {
        match &self.saved {
            Some(state) => Ok(state.clone()),
            None => Ok(self.saved.insert(self.save(false)?).clone()),
        }
    }

    fn save_session(&self, session: &Session) -> Option<SavedSession> {
        let seat = session.seat?;
        Some(SavedSession {
            id: session.id,
            resume: session.resume,
            seat,
            is_away: matches!(session.state, SessionState::Away { .. }),
            name: session.name.as_ref().into(),
            subject: session.claim.subject.as_ref().map(|place| place.key().as_ref().into()),
            seq: match session.state {
                SessionState::Connected(key) => self.connections[key].link.seq(),
                SessionState::Away { .. } => session.seq,
            },
            processed: self.queues[seat.index()].processed(),
            events: session.events,
            lines: session.lines,
        })
    }

    /// Runs a match on, from `start`; it is `date` now. All its sessions wait for their players.
    pub(crate) fn restore(
        restored: Restored,
        settings: MatchSettings,
        schema: &Rc<Schema>,
        start: Micros,
        date: UnixMillis,
        feed: FeedSender,
        journals: Option<&Journals>,
    ) -> Result<Self, StateError> {
        let Restored { saved, entry, claims } = restored;
        let (rewound_ticks, options) = (saved.rewound_ticks(date), saved.options(entry.mode));
        let SavedMatch { tick, chat, .. } = saved;
        let (game, tick) = (state::read(&saved.game)?, tick.plus(rewound_ticks.unwrap_or(0)));
        let first = (tick, Some(saved.game));
        let game = Journaled::new(game, &options, entry.id, date, first, journals);
        let mut made = Self::new(entry, game, options, settings, schema, start, feed);
        made.tick = tick;
        made.chat = chat;
        made.log = EventLog::read(&saved.log).unwrap_or_else(|| {
            tracing::error!(match_id = made.entry.id.0, "the saved events can't be read");
            EventLog::default()
        });
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
                rewound_to: rewound_ticks.map(|_| session.events),
                lines: session.lines,
                // Whoever comes back gets the roster and the chat.
                social_at: made.tick.plus(1),
            });
            if !session.is_away {
                made.game.away(seat);
            }
            made.announce_presence(key, PresenceChange::Away);
        }
        Ok(made)
    }
}

impl SavedMatch {
    /// What it was made with; `mode` is the game's own string.
    pub(crate) const fn options(&self, mode: &'static str) -> MatchOptions {
        let &Self { seed, seats, npcs, tick_rate, .. } = self;
        MatchOptions { seed, seats, npcs, tick_rate, mode }
    }

    /// How many ticks clients may have seen after it was saved, if it is rewound.
    fn rewound_ticks(&self, now: UnixMillis) -> Option<u32> {
        let ms = now.0.saturating_sub(self.running_at?.0) + CLOCK_STEP_MS;
        Some(self.tick_rate.ticks_in(Micros::from_millis(ms)))
    }
}

/// By how much the wall clock may have been set back.
const CLOCK_STEP_MS: u64 = 1_000;
