//! Roster, chat and scores of a match.
//!
//! Changes are sent with the next tick, in the same write as its snapshot, so chat costs no further
//! writes. A client that joins gets the roster and the chat up to the last tick at once, and the
//! rest with the next tick.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{Audience, Game},
    ids::Seat,
    schema::FIELDS_MAX,
    social::{
        CHAT_CHARS_MAX, ChatRefused, HISTORY_LINES, Line, Player, Presence, Social, Speaker,
        clean_line, clean_name,
    },
    time::{Micros, UnixMillis},
    wire::ServerMessage,
};

use super::{Match, Session, SessionState, push_message};
use crate::{
    clock::date,
    feeds::{FeedEvent, PresenceChange, Values},
    limits::CHAT_RATE,
    socket::SendError,
};

/// The chat of a match.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ChatLog {
    /// The last [`HISTORY_LINES`], oldest first.
    lines: VecDeque<Line>,
    /// Id of the newest line.
    id: u32,
    /// How many lines wait for the next tick. Whoever resumes in another server gets all at once.
    #[serde(skip)]
    fresh: usize,
}

impl ChatLog {
    fn push(&mut self, speaker: Speaker, text: String, sent_at: UnixMillis) -> Line {
        self.id += 1;
        self.fresh += 1;
        let line = Line { id: self.id, sent_at, speaker, text };
        self.lines.push_back(line.clone());
        if self.lines.len() > HISTORY_LINES {
            self.lines.pop_front();
        }
        line
    }

    /// Lines that were sent to all clients already.
    fn sent(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().take(self.lines.len().saturating_sub(self.fresh))
    }

    /// Marks all lines as sent.
    pub(super) fn mark_sent(&mut self) {
        self.fresh = 0;
    }
}

impl Session {
    /// The player as others see them.
    fn player(&self, presence: Presence) -> Option<Player> {
        Some(Player { seat: self.seat?, name: self.name.as_ref().into(), presence })
    }
}

/// A participant's name: from the ticket, else from the hello, else by the seat.
pub(super) fn name_of(ticket: &str, typed: &str, seat: Option<Seat>) -> Arc<str> {
    let name = clean_name(ticket).or_else(|| clean_name(typed));
    match (name, seat) {
        (Some(name), _) => name.into(),
        (None, Some(seat)) => format!("player {}", seat.0 + 1).into(),
        (None, None) => "spectator".into(),
    }
}

impl<G: Game> Match<G> {
    /// Sends the roster and the last chat lines to a client that was just welcomed.
    pub(super) fn send_briefing(&mut self, key: usize) -> Result<(), SendError> {
        let presence = |session: &Session| match session.state {
            SessionState::Connected(_) => Presence::Here,
            SessionState::Away { .. } => Presence::Away,
        };
        let mut roster: Vec<_> =
            self.sessions.iter().filter_map(|(_, s)| s.player(presence(s))).collect();
        roster.sort_unstable_by_key(|player| player.seat);
        let (mut frames, mut payload) = (Vec::new(), Vec::new());
        let lines = self.chat.sent().cloned().map(Social::Line);
        for social in std::iter::once(Social::Roster(roster)).chain(lines) {
            push_message(&ServerMessage::Social(social), &mut payload, &mut frames);
        }
        self.connections[key].socket.send(&frames)
    }

    /// Announces that a player joined, resumed, was disconnected or left.
    pub(super) fn announce_presence(&mut self, subject: usize, how: PresenceChange) {
        let session = &self.sessions[subject];
        let presence = match how {
            PresenceChange::Join | PresenceChange::Back => Presence::Here,
            PresenceChange::Away => Presence::Away,
            PresenceChange::Leave => Presence::Gone,
        };
        let Some(player) = session.player(presence) else { return };
        let what = FeedEvent::Presence(how, player.seat, Arc::clone(&session.name));
        self.feed.send(Some(self.tick), what);
        self.announce(Social::Presence(player), Some(subject));
    }

    /// Publishes the scores that have changed in this tick to the feeds.
    pub(super) fn publish_scores(&mut self) {
        let mut score = [0; FIELDS_MAX];
        let score = &mut score[..G::SCORES.len()];
        for (seat, sent) in (0..).map(Seat).zip(self.scores.chunks_exact_mut(score.len().max(1))) {
            score.fill(0);
            self.game.write_score(seat, score);
            if score != sent {
                sent.copy_from_slice(score);
                let session = self.sessions.iter().find(|(_, s)| s.seat == Some(seat));
                let name = session.map(|(_, session)| Arc::clone(&session.name));
                let what = FeedEvent::Score(seat, name, Values::new(score));
                self.feed.send(Some(self.tick), what);
            }
        }
    }

    /// Handles a client's chat line. `Some`: why it is refused.
    pub(super) fn handle_chat(
        &mut self,
        key: usize,
        typed: &str,
        now: Micros,
    ) -> Option<ChatRefused> {
        let session = self.connections[key].session?;
        self.sessions[session].lines += 1;
        match self.sessions[session].may_say(typed, now) {
            Ok((speaker, text)) => {
                let Session { seat, name, .. } = &self.sessions[session];
                let what = FeedEvent::Chat(*seat, Arc::clone(name), text.as_str().into());
                self.feed.send(Some(self.tick), what);
                let line = self.chat.push(speaker, text, date());
                self.announce(Social::Line(line), None);
                None
            }
            Err(refused) => Some(refused),
        }
    }

    /// Sends an operator's notice, cleaned already, to all clients.
    pub(crate) fn handle_notice(&mut self, text: &str) {
        let line = self.chat.push(Speaker::Operator, text.to_owned(), date());
        self.announce(Social::Line(line), None);
    }

    /// Sends a social message to all clients. It is no news to the session `subject`.
    fn announce(&mut self, social: Social, subject: Option<usize>) {
        let tick = self.tick.plus(1);
        for (key, session) in &mut self.sessions {
            if subject != Some(key) {
                session.social_at = tick;
            }
        }
        self.fanout.push_message(Audience::All, &ServerMessage::Social(social));
    }
}

impl Session {
    fn may_say(&mut self, typed: &str, now: Micros) -> Result<(Speaker, String), ChatRefused> {
        let seat = self.seat.ok_or(ChatRefused::NotSeated)?;
        let text = clean_line(typed, CHAT_CHARS_MAX)?;
        if !self.line_allowance.take(1, CHAT_RATE, now) {
            return Err(ChatRefused::TooFast { wait: self.line_allowance.wait(1, CHAT_RATE, now) });
        }
        Ok((Speaker::Player { seat, name: self.name.as_ref().into() }, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_get_the_last_lines_without_those_of_the_next_tick() {
        let mut chat = ChatLog::default();
        for n in 1..=40 {
            if n == 39 {
                chat.mark_sent();
            }
            let line = chat.push(Speaker::Operator, n.to_string(), UnixMillis(n));
            assert_eq!(u64::from(line.id), n);
        }
        let sent: Vec<_> = chat.sent().map(|line| line.id).collect();
        assert_eq!(sent, (9..=38).collect::<Vec<_>>());
        chat.mark_sent();
        assert_eq!(chat.sent().count(), HISTORY_LINES);
    }

    #[test]
    fn everybody_has_a_name() {
        let name = |ticket, typed, seat: Option<u16>| name_of(ticket, typed, seat.map(Seat));
        assert_eq!(&*name("Ada", "Eve", Some(0)), "Ada");
        assert_eq!(&*name("", " E\u{202E}ve ", Some(0)), "Eve");
        assert_eq!(&*name("", "\u{200B}", Some(4)), "player 5");
    }
}
