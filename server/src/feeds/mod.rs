//! What happens in matches, for those who follow by Server-Sent Events.
//!
//! Matches hand over what happened through one bounded channel, only when something did. Here each
//! item is written down once, as the bytes that every reader gets, in the log of everything and in
//! that of its match. A reader is a place in a log: however slow, it costs no memory of its own.
//! When a log has forgotten what a reader is yet to be told, the reader is told of the gap.
//!
//! Ids are `BOOT-N`: `N` counts everything that happened, `BOOT` tells one run of the server from
//! another.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use tickwire_shared::{
    ids::{MatchId, Seat, Tick},
    schema::{FIELDS_MAX, Schema},
    time::UnixMillis,
};
use tokio::sync::{mpsc, watch};

use crate::{clock::Clock, directory::Directory};

/// Items on their way from the shards. More are lost, and readers are told so.
const CHANNEL_MAX: usize = 4096;
/// Items that the log of everything keeps, and that of one match.
const EVERYTHING_MAX: usize = 4096;
const MATCH_MAX: usize = 256;
/// Bytes that a reader is given at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) match_id: Option<MatchId>,
    pub(crate) at: UnixMillis,
    pub(crate) tick: Option<Tick>,
    pub(crate) what: Happening,
}

/// See [`Item`].
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A match begins.
    Opened,
    /// A match is over.
    Ended,
    Join(Seat, Arc<str>),
    Leave(Seat, Arc<str>),
    Away(Seat, Arc<str>),
    Back(Seat, Arc<str>),
    /// A seat's score is this now; a computer player has no name.
    Score(Seat, Option<Arc<str>>, Values),
    /// One of the game's own events that everybody is told of, by its kind.
    Event(u8, Values),
    Chat(Option<Seat>, Arc<str>, Arc<str>),
    Notice(Arc<str>),
    /// So many items found no room.
    Lost(u64),
}

/// A few integers, without memory of their own.
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

    fn named<'a>(&self, names: impl Iterator<Item = &'a str>) -> Value {
        let values = names.zip(&self.all[..self.len]);
        values.map(|(name, &value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into()
    }
}

/// A match's, or a shard's, end of the channel.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    sender: mpsc::Sender<Item>,
    clock: Clock,
    match_id: Option<MatchId>,
    lost: u64,
}

impl Teller {
    /// The end of one match.
    pub(crate) fn of(&self, id: MatchId) -> Self {
        Self { match_id: Some(id), lost: 0, ..self.clone() }
    }

    /// Hands over what happened, or counts it as lost when the front door does not keep up.
    pub(crate) fn tell(&mut self, tick: Option<Tick>, what: Happening) {
        let (match_id, at) = (self.match_id, self.clock.date());
        if self.lost > 0 {
            let what = Happening::Lost(self.lost);
            if self.sender.try_send(Item { match_id, at, tick, what }).is_ok() {
                self.lost = 0;
            }
        }
        if self.sender.try_send(Item { match_id, at, tick, what }).is_err() {
            self.lost += 1;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Feeds {
    boot: u32,
    schema: Schema,
    scores: &'static [&'static str],
    /// Whether what players say in matches is told.
    tells_chat: bool,
    logs: Mutex<Logs>,
    /// Items that found no room on their way here.
    lost: AtomicU64,
}

#[derive(Debug)]
struct Logs {
    newest: u64,
    everything: Arc<Log>,
    matches: HashMap<MatchId, Arc<Log>>,
}

/// The last items of a match, or of all.
#[derive(Debug)]
struct Log {
    kept: Mutex<Kept>,
    /// Whether it is over.
    news: watch::Sender<bool>,
}

#[derive(Debug)]
struct Kept {
    items: VecDeque<(u64, Bytes)>,
    items_max: usize,
    /// The newest item that made room.
    forgotten: u64,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Reader {
    feeds: Arc<Feeds>,
    log: Arc<Log>,
    news: watch::Receiver<bool>,
    after: u64,
    /// What it had before is not known here.
    is_stranger: bool,
    match_id: Option<MatchId>,
}

impl Feeds {
    /// The feeds of a game, and the end that shards are to be given.
    pub(crate) fn start(
        schema: Schema,
        scores: &'static [&'static str],
        tells_chat: bool,
        clock: Clock,
        directory: Arc<Directory>,
    ) -> (Arc<Self>, Teller) {
        let mut boot = [0; 4];
        getrandom::fill(&mut boot).expect("the system has randomness");
        let everything = Log::new(0, EVERYTHING_MAX);
        let logs = Logs { newest: 0, everything, matches: HashMap::new() };
        let feeds = Arc::new(Self {
            boot: u32::from_le_bytes(boot),
            schema,
            scores,
            tells_chat,
            logs: Mutex::new(logs),
            lost: AtomicU64::new(0),
        });
        let (sender, mut items) = mpsc::channel::<Item>(CHANNEL_MAX);
        let collecting = Arc::clone(&feeds);
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                if let Happening::Lost(_) = item.what {
                    // The end of a match may be among what was lost.
                    lock(&collecting.logs).matches.retain(|&id, log| {
                        let goes_on = directory.find(id).is_some();
                        log.news.send_replace(!goes_on);
                        goes_on
                    });
                }
                collecting.publish(&item);
            }
        });
        (feeds, Teller { sender, clock, match_id: None, lost: 0 })
    }

    /// Adds an item to the log of everything and to that of its match; a notice to all matches, to
    /// each.
    pub(crate) fn publish(&self, item: &Item) {
        let is_chat = matches!(item.what, Happening::Chat(..)) && item.match_id.is_some();
        if is_chat && !self.tells_chat {
            return;
        }
        let mut logs = lock(&self.logs);
        logs.newest += 1;
        let n = logs.newest;
        let bytes = self.write(n, item);
        logs.everything.push(n, bytes.clone());
        match item.match_id {
            Some(id) => {
                let log = logs.matches.entry(id).or_insert_with(|| Log::new(n - 1, MATCH_MAX));
                log.push(n, bytes);
                if matches!(item.what, Happening::Ended) {
                    log.news.send_replace(true);
                    logs.matches.remove(&id);
                }
            }
            None if matches!(item.what, Happening::Notice(_)) => {
                logs.matches.values().for_each(|log| log.push(n, bytes.clone()));
            }
            None => {}
        }
        if let Happening::Lost(count) = item.what {
            self.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Items that found no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A reader of everything, or of a match, which must be one that runs: from what follows the
    /// item with the id `last` on, or from now on.
    pub(crate) fn read(self: &Arc<Self>, only: Option<MatchId>, last: Option<&str>) -> Reader {
        let mut logs = lock(&self.logs);
        let newest = logs.newest;
        let log = match only {
            None => Arc::clone(&logs.everything),
            Some(id) => {
                let log = logs.matches.entry(id);
                Arc::clone(log.or_insert_with(|| Log::new(newest, MATCH_MAX)))
            }
        };
        let known = last.and_then(|last| self.parse(last)).filter(|&n| n <= newest);
        Reader {
            feeds: Arc::clone(self),
            news: log.news.subscribe(),
            log,
            after: known.unwrap_or(newest),
            is_stranger: last.is_some() && known.is_none(),
            match_id: only,
        }
    }

    fn parse(&self, id: &str) -> Option<u64> {
        let (boot, n) = id.split_once('-')?;
        (u32::from_str_radix(boot, 16) == Ok(self.boot)).then(|| n.parse().ok())?
    }

    fn write(&self, n: u64, item: &Item) -> Bytes {
        let mut data = Map::new();
        data.insert("match".into(), json!(item.match_id.map(|id| id.0)));
        data.insert("at".into(), json!(item.at.0));
        if let Some(tick) = item.tick {
            data.insert("tick".into(), json!(tick.0));
        }
        let mut name = |seat: Option<Seat>, name: Option<&str>| {
            seat.map(|seat| data.insert("seat".into(), json!(seat.0)));
            name.map(|name| data.insert("name".into(), json!(name)));
        };
        let kind = match &item.what {
            Happening::Opened => "opened",
            Happening::Ended => "ended",
            Happening::Lost(count) => {
                data.insert("lost".into(), json!(count));
                "gap"
            }
            Happening::Join(seat, who) => {
                name(Some(*seat), Some(who));
                "join"
            }
            Happening::Leave(seat, who) => {
                name(Some(*seat), Some(who));
                "leave"
            }
            Happening::Away(seat, who) => {
                name(Some(*seat), Some(who));
                "away"
            }
            Happening::Back(seat, who) => {
                name(Some(*seat), Some(who));
                "back"
            }
            Happening::Score(seat, who, values) => {
                name(Some(*seat), who.as_deref());
                data.insert("values".into(), values.named(self.scores.iter().copied()));
                "score"
            }
            Happening::Event(kind, values) => {
                let event = &self.schema.events[usize::from(*kind)];
                data.insert("values".into(), values.named(event.values.iter().map(String::as_str)));
                &event.name
            }
            Happening::Chat(seat, who, text) => {
                name(*seat, Some(who));
                data.insert("text".into(), json!(&**text));
                "chat"
            }
            Happening::Notice(text) => {
                data.insert("text".into(), json!(&**text));
                "notice"
            }
        };
        self.event(n, kind, &data.into())
    }

    fn event(&self, n: u64, kind: &str, data: &Value) -> Bytes {
        format!("id: {:08x}-{n}\nevent: {kind}\ndata: {data}\n\n", self.boot).into()
    }
}

impl Log {
    fn new(forgotten: u64, items_max: usize) -> Arc<Self> {
        let kept = Kept { items: VecDeque::new(), items_max, forgotten };
        Arc::new(Self { kept: Mutex::new(kept), news: watch::Sender::new(false) })
    }

    fn push(&self, n: u64, bytes: Bytes) {
        let mut kept = lock(&self.kept);
        if kept.items.len() == kept.items_max
            && let Some((oldest, _)) = kept.items.pop_front()
        {
            kept.forgotten = oldest;
        }
        kept.items.push_back((n, bytes));
        drop(kept);
        self.news.send_modify(|_| {});
    }
}

impl Reader {
    /// What there is to tell, if anything.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let kept = lock(&self.log.kept);
        let mut chunk = Vec::new();
        if self.after < kept.forgotten || self.is_stranger {
            self.after = self.after.max(kept.forgotten);
            self.is_stranger = false;
            let data = json!({ "match": self.match_id.map(|id| id.0) });
            chunk.extend_from_slice(&self.feeds.event(self.after, "gap", &data));
        }
        let start = kept.items.partition_point(|&(n, _)| n <= self.after);
        for (n, bytes) in kept.items.range(start..) {
            if chunk.len() + bytes.len() > CHUNK_BYTES && !chunk.is_empty() {
                break;
            }
            chunk.extend_from_slice(bytes);
            self.after = *n;
        }
        (!chunk.is_empty()).then(|| chunk.into())
    }

    /// Waits until there may be more. `false`: there is none and will be none.
    pub(crate) async fn wait(&mut self) -> bool {
        !*self.news.borrow_and_update() && self.news.changed().await.is_ok()
    }
}

/// What is held can't be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_goes_on_where_it_was_and_hears_of_gaps() {
        let feeds = feeds();
        let mut reader = feeds.read(None, None);
        assert_eq!(reader.take(), None);
        publish(&feeds, 1..=3);
        let chunk = text(reader.take());
        assert_eq!(chunk.matches("event: notice\n").count(), 3);
        let id = |n: u64| format!("{:08x}-{n}", feeds.boot);
        assert!(chunk.contains(&format!("id: {}\n", id(3))), "{chunk}");
        let mut back = feeds.read(None, Some(&id(2)));
        assert!(text(back.take()).contains("\"text\":\"3\""));
        assert_eq!(back.take(), None);

        publish(&feeds, 4..=EVERYTHING_MAX as u64 + 3);
        let late = text(feeds.read(None, Some(&id(3))).take());
        assert!(!late.contains("gap") && late.contains(&format!("id: {}\n", id(4))), "{late}");
        let late = text(feeds.read(None, Some(&id(2))).take());
        assert!(late.starts_with(&format!("id: {}\nevent: gap\n", id(3))), "{late}");
        for unknown in ["x", "00000000-1", &id(9_999_999)] {
            assert!(text(feeds.read(None, Some(unknown)).take()).contains("event: gap"));
        }
    }

    #[tokio::test]
    async fn the_feed_of_a_match_ends_with_it() {
        let feeds = feeds();
        let mut reader = feeds.read(Some(MatchId(7)), None);
        let tell = |id, what| {
            feeds.publish(&Item {
                match_id: Some(MatchId(id)),
                at: UnixMillis(1),
                tick: None,
                what,
            });
        };
        tell(8, Happening::Opened);
        tell(7, Happening::Join(Seat(3), "Ada".into()));
        tell(7, Happening::Ended);
        let chunk = text(reader.take());
        assert_eq!(chunk.matches("data:").count(), 2, "{chunk}");
        assert!(chunk.contains(r#"{"at":1,"match":7,"name":"Ada","seat":3}"#), "{chunk}");
        assert!(!reader.wait().await);
        assert!(!lock(&feeds.logs).matches.contains_key(&MatchId(7)));
    }

    fn feeds() -> Arc<Feeds> {
        let directory = Arc::new(Directory::new(1, 1));
        Feeds::start(Schema::default(), &[], true, Clock::start(), directory).0
    }

    fn publish(feeds: &Feeds, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            let what = Happening::Notice(n.to_string().into());
            feeds.publish(&Item { match_id: None, at: UnixMillis(n), tick: None, what });
        }
    }

    fn text(chunk: Option<Bytes>) -> String {
        String::from_utf8(chunk.unwrap_or_default().to_vec()).unwrap()
    }
}
