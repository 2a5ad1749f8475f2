//! The state of a match for its feed: who plays, and their scores. New readers get it first.

use std::{collections::BTreeMap, sync::Arc};

use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use tickwire_shared::ids::{MatchId, Seat};

use super::item::{FeedEvent, PresenceChange, Values, Words, player};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// By seat.
    lines: BTreeMap<u16, Line>,
    /// The encoded event, until the state changes.
    written: Option<Bytes>,
}

#[derive(Debug, Default)]
struct Line {
    /// `None` for an empty seat or a computer player.
    name: Option<Arc<str>>,
    is_away: bool,
    score: Option<Values>,
}

impl Board {
    /// Applies an event of the match.
    pub(super) fn apply(&mut self, what: &FeedEvent) {
        match what {
            FeedEvent::Presence(how, seat, name) => {
                let line = self.lines.entry(seat.0).or_default();
                line.name = (*how != PresenceChange::Leave).then(|| Arc::clone(name));
                line.is_away = *how == PresenceChange::Away;
            }
            FeedEvent::Score(seat, name, values) => {
                let line = self.lines.entry(seat.0).or_default();
                line.name.clone_from(name);
                line.score = Some(values.clone());
            }
            FeedEvent::Opened(..)
            | FeedEvent::Ended(_)
            | FeedEvent::Event(..)
            | FeedEvent::Chat(..)
            | FeedEvent::Notice(_)
            | FeedEvent::Lost(_) => return,
        }
        self.written = None;
    }

    /// The `state` event. It has no id: a reader that reconnects resumes after the last event with
    /// one, or gets the state again.
    pub(super) fn event(&mut self, id: MatchId, words: &Words) -> Bytes {
        if let Some(written) = &self.written {
            return written.clone();
        }
        let data = json!({ "match": id.0, "players": self.players(words) });
        let written = Bytes::from(format!("event: state\ndata: {data}\n\n"));
        self.written.insert(written).clone()
    }

    /// The players and scores, by seat.
    pub(super) fn players(&self, words: &Words) -> Value {
        self.lines.iter().filter_map(|(seat, line)| line.to_json(*seat, words)).collect()
    }
}

impl Line {
    /// `None` for an empty seat without a score.
    fn to_json(&self, seat: u16, words: &Words) -> Option<Value> {
        let score = self.score.as_ref().filter(|score| self.name.is_some() || !score.are_zero());
        if self.name.is_none() && score.is_none() {
            return None;
        }
        let mut data: Map<_, _> = player(Some(Seat(seat)), self.name.as_deref()).collect();
        if self.is_away {
            data.insert("away".into(), true.into());
        }
        if let Some(score) = score {
            data.insert("values".into(), words.score(score));
        }
        Some(data.into())
    }
}

#[cfg(test)]
mod tests {
    use tickwire_shared::schema::Schema;

    use super::*;
    use crate::directory::Access;

    #[test]
    fn it_stands_as_what_happened_says() {
        let words = Words { schema: Schema::default(), scores: &["kills"] };
        let mut board = Board::default();
        let mut check = |what, expected: &str| {
            board.apply(&what);
            let event = board.event(MatchId(7), &words);
            let expected =
                format!("event: state\ndata: {{\"match\":7,\"players\":[{expected}]}}\n\n");
            assert_eq!(std::str::from_utf8(&event), Ok(expected.as_str()));
        };
        let (ada, score) = (Arc::<str>::from("Ada"), |kills| Values::new(&[kills]));
        check(FeedEvent::Opened("", Access::Public), "");
        let came = |how| FeedEvent::Presence(how, Seat(1), Arc::clone(&ada));
        check(came(PresenceChange::Join), r#"{"name":"Ada","seat":1}"#);
        let scored = r#"{"name":"Ada","seat":1,"values":{"kills":2}}"#;
        check(FeedEvent::Score(Seat(1), Some(Arc::clone(&ada)), score(2)), scored);
        let away = r#"{"away":true,"name":"Ada","seat":1,"values":{"kills":2}}"#;
        check(came(PresenceChange::Away), away);
        check(came(PresenceChange::Back), scored);
        let computer = r#"{"seat":0,"values":{"kills":1}}"#;
        check(FeedEvent::Score(Seat(0), None, score(1)), &format!("{computer},{scored}"));
        check(
            came(PresenceChange::Leave),
            &format!("{computer},{}", scored.replace("\"name\":\"Ada\",", "")),
        );
        check(FeedEvent::Score(Seat(1), None, score(0)), computer);
    }
}
