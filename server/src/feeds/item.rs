//! Items of event feeds: how matches send them, and how they are encoded.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Map, Value, json};
use tickwire_shared::{
    close::CloseReason,
    declaration::RESERVED_EVENTS,
    ids::{MatchId, Seat, Tick},
    schema::{FIELDS_MAX, Schema},
    time::UnixMillis,
};
use tokio::sync::mpsc;

use crate::{clock::date, directory::Access};

/// An event for the feeds.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) match_id: Option<MatchId>,
    pub(crate) at: UnixMillis,
    pub(crate) tick: Option<Tick>,
    pub(crate) what: FeedEvent,
}

/// See [`Item`].
#[derive(Clone, Debug)]
pub(crate) enum FeedEvent {
    /// A match begins, or goes on: its mode, empty if the game has none, and who may take part.
    Opened(&'static str, Access),
    /// A match is over, and why.
    Ended(CloseReason),
    /// A player's presence changes: how, seat and name.
    Presence(PresenceChange, Seat, Arc<str>),
    /// A seat has a new score; a computer player has no name.
    Score(Seat, Option<Arc<str>>, Values),
    /// One of the game's own events for all clients, by its kind.
    Event(u8, Values),
    Chat(Option<Seat>, Arc<str>, Arc<str>),
    Notice(Arc<str>),
    /// How many items were dropped since the last one.
    Lost(u64),
}

/// How a player's presence changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PresenceChange {
    /// A new session.
    Join,
    /// The session ends.
    Leave,
    /// The connection is lost, and the seat is kept.
    Away,
    /// The session is resumed.
    Back,
}

impl PresenceChange {
    const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Away => "away",
            Self::Back => "back",
        }
    }
}

/// The game's names for the integers in its events and scores.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) schema: Schema,
    pub(super) scores: &'static [&'static str],
}

impl Words {
    /// Name and data of an item's event.
    pub(super) fn encode(&self, item: &Item) -> (&str, Value) {
        let mut data = Map::new();
        data.insert("match".into(), json!(item.match_id.map(|id| id.0)));
        data.insert("at".into(), json!(item.at.0));
        if let Some(tick) = item.tick {
            data.insert("tick".into(), json!(tick.0));
        }
        let kind = match &item.what {
            FeedEvent::Opened(mode, access) => {
                if !mode.is_empty() {
                    data.insert("mode".into(), json!(mode));
                }
                if *access == Access::Private {
                    data.insert("private".into(), json!(true));
                }
                "opened"
            }
            FeedEvent::Ended(why) => {
                data.insert("reason".into(), json!(why.name()));
                "ended"
            }
            FeedEvent::Lost(count) => {
                data.insert("lost".into(), json!(count));
                "gap"
            }
            FeedEvent::Presence(how, seat, who) => {
                data.extend(player(Some(*seat), Some(who)));
                how.name()
            }
            FeedEvent::Score(seat, who, values) => {
                data.extend(player(Some(*seat), who.as_deref()));
                data.insert("values".into(), self.score(values));
                "score"
            }
            FeedEvent::Event(kind, values) => {
                let event = &self.schema.events[usize::from(*kind)];
                data.insert("values".into(), values.named(event.values.iter().map(String::as_str)));
                &event.name
            }
            FeedEvent::Chat(seat, who, text) => {
                data.extend(player(*seat, Some(who)));
                data.insert("text".into(), json!(&**text));
                "chat"
            }
            FeedEvent::Notice(text) => {
                data.insert("text".into(), json!(&**text));
                "notice"
            }
        };
        let is_games = matches!(item.what, FeedEvent::Event(..));
        debug_assert!(is_games != RESERVED_EVENTS.contains(&kind), "{kind} has two meanings");
        (kind, data.into())
    }

    pub(super) fn score(&self, values: &Values) -> Value {
        values.named(self.scores.iter().copied())
    }
}

/// The JSON fields of a player, as far as they are known.
pub(super) fn player(
    seat: Option<Seat>,
    name: Option<&str>,
) -> impl Iterator<Item = (String, Value)> {
    let seat = seat.map(|seat| ("seat".into(), json!(seat.0)));
    let name = name.map(|name| ("name".into(), json!(name)));
    seat.into_iter().chain(name)
}

/// A few integers, stored inline so that a match allocates nothing for them.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    all: [i32; FIELDS_MAX],
    len: usize,
}

impl Values {
    pub(crate) fn new(values: &[i32]) -> Self {
        let len = values.len().min(FIELDS_MAX);
        let mut all = [0; FIELDS_MAX];
        all[..len].copy_from_slice(&values[..len]);
        Self { all, len }
    }

    pub(super) fn are_zero(&self) -> bool {
        self.all[..self.len].iter().all(|&value| value == 0)
    }

    fn named<'a>(&self, names: impl Iterator<Item = &'a str>) -> Value {
        let values = names.zip(&self.all[..self.len]);
        values.map(|(name, &value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into()
    }
}

/// The sending end of the channel, for a shard or one of its matches.
#[derive(Clone, Debug)]
pub(crate) struct FeedSender {
    sender: mpsc::Sender<Item>,
    match_id: Option<MatchId>,
    /// Items dropped since the last report of that, and by all senders ever.
    lost: u64,
    lost_total: Arc<AtomicU64>,
}

impl FeedSender {
    pub(crate) const fn new(sender: mpsc::Sender<Item>, lost_total: Arc<AtomicU64>) -> Self {
        Self { sender, match_id: None, lost: 0, lost_total }
    }

    /// The sending end for one match.
    pub(crate) fn of(&self, id: MatchId) -> Self {
        Self { match_id: Some(id), lost: 0, ..self.clone() }
    }

    /// Sends an event, or counts it as lost if the channel is full.
    pub(crate) fn send(&mut self, tick: Option<Tick>, what: FeedEvent) {
        let (match_id, at) = (self.match_id, date());
        if self.lost > 0 {
            let what = FeedEvent::Lost(self.lost);
            if self.sender.try_send(Item { match_id, at, tick, what }).is_ok() {
                self.lost = 0;
            }
        }
        if self.sender.try_send(Item { match_id, at, tick, what }).is_err() {
            self.lost += 1;
            self.lost_total.fetch_add(1, Ordering::Relaxed);
        }
    }
}
