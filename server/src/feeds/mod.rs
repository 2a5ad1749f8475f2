//! Event feeds: what happens in matches, as Server-Sent Events.
//!
//! Matches send items through one bounded channel. Here each item is encoded once, as the bytes
//! that every reader gets, and appended to two bounded logs: that of all events, and that of its
//! match. A reader is a position in a log, so even a slow one needs no memory of its own. If the
//! log no longer has a reader's next item, the reader gets a `gap` event. After a gap, and at
//! first, it gets the state of each match.
//!
//! Event ids are `BOOT-N`: `N` counts all items, and `BOOT` differs for each run of the server.

mod board;
mod item;
mod log;
mod reader;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tickwire_shared::{ids::MatchId, schema::Schema};
use tokio::{
    sync::{Notify, mpsc},
    task::yield_now,
    time::{sleep, timeout},
};

use crate::{directory::Directory, locks::lock};
use board::Board;
use item::Words;
pub(crate) use item::{FeedEvent, FeedSender, Item, PresenceChange, Values};
use log::Log;
pub(crate) use reader::Reader;

/// Items that may wait in the channel. More are dropped, and readers get a `gap`.
const CHANNEL_MAX: usize = 16 * 1024;
/// Interval at which items are taken from the channel: waking a task for each item would cost a
/// shard as much as a snapshot.
pub(crate) const GATHER_TIME: Duration = Duration::from_millis(50);
/// The same interval while there is no reader.
const UNREAD_GATHER_TIME: Duration = Duration::from_millis(500);
/// Items that are kept in the log of all events, and in the log of one match.
const EVERYTHING_MAX: usize = 4096;
const MATCH_MAX: usize = 256;
/// Items that are published before readers have their turn: fewer than a log keeps, so that no
/// reader that keeps up misses some of the events of a tick, however many they are.
const TURN_MAX: usize = MATCH_MAX / 2;
/// Size of a chunk for a reader, unless a single event is longer.
const CHUNK_BYTES: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Feeds {
    boot: u32,
    words: Words,
    /// Whether the players' chat in matches is published.
    publishes_chat: bool,
    logs: Mutex<Logs>,
    /// Items that were dropped because the channel was full. Counted by the senders, since a match
    /// that ends can't report its last ones.
    lost: Arc<AtomicU64>,
    reader_came: Notify,
}

#[derive(Debug)]
struct Logs {
    newest: u64,
    everything: Arc<Log>,
    matches: HashMap<MatchId, Followed>,
}

/// The feed of a running match.
#[derive(Debug)]
struct Followed {
    log: Arc<Log>,
    board: Board,
}

impl Feeds {
    /// Starts the feeds of a game. Returns the sending end for the shards too.
    pub(crate) fn start(
        schema: Schema,
        scores: &'static [&'static str],
        publishes_chat: bool,
        directory: Arc<Directory>,
    ) -> (Arc<Self>, FeedSender) {
        let mut boot = [0; 4];
        getrandom::fill(&mut boot).expect("the system has randomness");
        let everything = Log::new(0, EVERYTHING_MAX);
        let logs = Logs { newest: 0, everything, matches: HashMap::new() };
        let lost = Arc::<AtomicU64>::default();
        let feeds = Arc::new(Self {
            boot: u32::from_le_bytes(boot),
            words: Words { schema, scores },
            publishes_chat,
            logs: Mutex::new(logs),
            lost: Arc::clone(&lost),
            reader_came: Notify::new(),
        });
        let (sender, mut items) = mpsc::channel::<Item>(CHANNEL_MAX);
        let collecting = Arc::clone(&feeds);
        tokio::spawn(async move {
            let mut gathered = Vec::new();
            while items.recv_many(&mut gathered, CHANNEL_MAX).await > 0 {
                let was_full = gathered.len() == CHANNEL_MAX;
                for items in gathered.chunks(TURN_MAX) {
                    items.iter().for_each(|item| collecting.publish(item));
                    yield_now().await;
                }
                gathered.clear();
                if was_full {
                    // An `Ended` item may have been dropped, and is not sent again.
                    collecting.forget_ended(&directory);
                }
                collecting.let_gather().await;
            }
        });
        (feeds, FeedSender::new(sender, lost))
    }

    /// The game's name.
    pub(crate) fn game(&self) -> &str {
        &self.words.schema.game
    }

    async fn let_gather(&self) {
        if lock(&self.logs).are_read() {
            sleep(GATHER_TIME).await;
        } else {
            // A new reader ends the wait, so it gets waiting items at once.
            let _ = timeout(UNREAD_GATHER_TIME, self.reader_came.notified()).await;
        }
    }

    /// Appends an item to the log of all events and to that of its match; a notice without a match,
    /// to the logs of all matches.
    pub(crate) fn publish(&self, item: &Item) {
        let is_chat = matches!(item.what, FeedEvent::Chat(..)) && item.match_id.is_some();
        if is_chat && !self.publishes_chat {
            return;
        }
        let mut logs = lock(&self.logs);
        logs.newest += 1;
        let n = logs.newest;
        let (kind, mut data) = self.words.encode(item);
        if let (FeedEvent::Ended(_), Some(id)) = (&item.what, item.match_id) {
            // The result, which nobody can ask for later.
            let board = logs.matches.get(&id).map(|followed| &followed.board);
            data["players"] = board.map_or_else(|| json!([]), |board| board.players(&self.words));
        }
        let bytes = self.event(n, kind, &data);
        logs.everything.push(n, bytes.clone());
        match item.match_id {
            Some(id) => {
                let followed = logs.matches.entry(id).or_insert_with(|| Followed::new(n - 1));
                followed.board.apply(&item.what);
                followed.log.push(n, bytes);
                if matches!(item.what, FeedEvent::Ended(_)) {
                    followed.log.end(true);
                    logs.matches.remove(&id);
                }
            }
            None if matches!(item.what, FeedEvent::Notice(_)) => {
                logs.matches.values().for_each(|followed| followed.log.push(n, bytes.clone()));
            }
            None => {}
        }
    }

    /// Ends the feeds of matches that the directory no longer has: their `Ended` items were
    /// dropped.
    fn forget_ended(&self, directory: &Directory) {
        lock(&self.logs).matches.retain(|&id, followed| {
            let goes_on = directory.find(id).is_ok();
            followed.log.end(!goes_on);
            goes_on
        });
    }

    /// How many items were dropped.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A reader of all events, or of one running match. It starts after the item with the id
    /// `last`; without an id, with the next item.
    pub(crate) fn read(self: &Arc<Self>, only: Option<MatchId>, last: Option<&str>) -> Reader {
        let mut logs = lock(&self.logs);
        let newest = logs.newest;
        let log = match only {
            None => Arc::clone(&logs.everything),
            Some(id) => {
                let followed = logs.matches.entry(id);
                Arc::clone(&followed.or_insert_with(|| Followed::new(newest)).log)
            }
        };
        let unknown = if last.is_none() { logs.goes_on(only) } else { VecDeque::new() };
        let known = last.and_then(|last| self.parse(last)).filter(|&n| n <= newest);
        self.reader_came.notify_one();
        let id_is_unknown = last.is_some() && known.is_none();
        Reader::new(self, log, only, known.unwrap_or(newest), id_is_unknown, unknown)
    }

    fn parse(&self, id: &str) -> Option<u64> {
        let (boot, n) = id.split_once('-')?;
        (u32::from_str_radix(boot, 16) == Ok(self.boot)).then(|| n.parse().ok())?
    }

    fn event(&self, n: u64, kind: &str, data: &Value) -> Bytes {
        format!("id: {:08x}-{n}\nevent: {kind}\ndata: {data}\n\n", self.boot).into()
    }
}

impl Logs {
    /// Whether any log has a reader.
    fn are_read(&self) -> bool {
        let matches = self.matches.values().map(|followed| &followed.log);
        matches.chain([&self.everything]).any(|log| log.is_read())
    }

    /// One match, or all running ones, oldest first.
    fn goes_on(&self, only: Option<MatchId>) -> VecDeque<MatchId> {
        let mut ids: Vec<_> = match only {
            Some(id) => vec![id],
            None => self.matches.keys().copied().collect(),
        };
        ids.sort_unstable_by_key(|id| id.0);
        ids.into()
    }
}

impl Followed {
    fn new(forgotten: u64) -> Self {
        Self { log: Log::new(forgotten, MATCH_MAX), board: Board::default() }
    }
}

#[cfg(test)]
mod tests {
    use tickwire_shared::{close::CloseReason, ids::Seat, time::UnixMillis};

    use super::*;
    use crate::directory::Access;

    #[tokio::test]
    async fn a_reader_resumes_and_notices_gaps() {
        let feeds = feeds();
        let mut reader = feeds.read(None, None);
        assert_eq!(reader.take(), None, "no match, no state");
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
        assert_eq!(text(reader.take()), "event: state\ndata: {\"match\":7,\"players\":[]}\n\n");
        let tell = |id, what| {
            feeds.publish(&Item {
                match_id: Some(MatchId(id)),
                at: UnixMillis(1),
                tick: None,
                what,
            });
        };
        tell(8, FeedEvent::Opened("duel", Access::Public));
        tell(7, FeedEvent::Presence(PresenceChange::Join, Seat(3), "Ada".into()));
        tell(7, FeedEvent::Ended(CloseReason::MatchOver));
        let chunk = text(reader.take());
        assert_eq!(chunk.matches("data:").count(), 2, "{chunk}");
        assert!(chunk.contains(r#"{"at":1,"match":7,"name":"Ada","seat":3}"#), "{chunk}");
        let result = r#""match":7,"players":[{"name":"Ada","seat":3}],"reason":"match_over"}"#;
        assert!(chunk.contains(result), "{chunk}");
        assert!(!reader.wait().await);
        assert!(!lock(&feeds.logs).matches.contains_key(&MatchId(7)));
    }

    #[tokio::test]
    async fn items_after_a_take_are_waited_for() {
        let feeds = feeds();
        for what in [FeedEvent::Notice("soon over".into()), FeedEvent::Ended(CloseReason::Drain)] {
            let mut reader = feeds.read(Some(MatchId(7)), None);
            while reader.take().is_some() {}
            feeds.publish(&Item {
                match_id: Some(MatchId(7)),
                at: UnixMillis(1),
                tick: None,
                what,
            });
            let news = timeout(Duration::from_secs(1), reader.wait()).await;
            assert_eq!(news, Ok(true));
            assert_eq!(text(reader.take()).matches("data:").count(), 1);
        }
    }

    #[tokio::test]
    async fn a_reader_that_keeps_up_misses_nothing_of_a_burst() {
        let directory = Arc::new(Directory::new(1, 1));
        let (feeds, feed) = Feeds::start(Schema::default(), &[], true, directory);
        let mut reader = feeds.read(Some(MatchId(7)), None);
        let mut feed = feed.of(MatchId(7));
        let burst = 4 * MATCH_MAX;
        for _ in 0..burst {
            feed.send(None, FeedEvent::Notice("boom".into()));
        }
        feed.send(None, FeedEvent::Ended(CloseReason::Drain));
        let mut read = String::new();
        let reads = async {
            while reader.wait().await {
                while let Some(chunk) = reader.take() {
                    read.push_str(&text(Some(chunk)));
                }
            }
        };
        timeout(Duration::from_secs(20), reads).await.expect("the feed ends");
        assert!(!read.contains("event: gap"), "{}", &read[..200]);
        assert_eq!(read.matches("event: notice").count(), burst);
    }

    #[tokio::test]
    async fn a_dropped_end_is_noticed() {
        let directory = Arc::new(Directory::new(1, 1));
        let (feeds, feed) = Feeds::start(Schema::default(), &[], true, directory);
        let mut reader = feeds.read(Some(MatchId(7)), None);
        let mut feed = feed.of(MatchId(7));
        for _ in 0..CHANNEL_MAX {
            feed.send(None, FeedEvent::Notice("full".into()));
        }
        feed.send(None, FeedEvent::Ended(CloseReason::Drain));
        let ended = async {
            while reader.wait().await {
                while reader.take().is_some() {}
            }
        };
        timeout(Duration::from_secs(20), ended).await.expect("its readers notice the end");
        assert_eq!(feeds.lost(), 1);
    }

    #[tokio::test]
    async fn a_new_or_lagging_reader_gets_the_state_of_matches() {
        let feeds = feeds();
        for id in 1..=1_000 {
            let (match_id, at) = (Some(MatchId(id)), UnixMillis(1));
            let what = FeedEvent::Presence(PresenceChange::Join, Seat(0), "Ada".into());
            feeds.publish(&Item { match_id, at, tick: None, what });
        }
        for last in [None, Some("of-another-run")] {
            let mut reader = feeds.read(None, last);
            let mut text_read = String::new();
            while let Some(chunk) = reader.take() {
                assert!(chunk.len() < 2 * CHUNK_BYTES);
                text_read.push_str(&text(Some(chunk)));
            }
            assert_eq!(text_read.matches("event: state\n").count(), 1_000);
            assert_eq!(text_read.starts_with("id: "), last.is_some());
            assert!(
                text_read
                    .ends_with("{\"match\":1000,\"players\":[{\"name\":\"Ada\",\"seat\":0}]}\n\n")
            );
        }
        let last = format!("{:08x}-999", feeds.boot);
        assert_eq!(text(feeds.read(None, Some(&last)).take()).matches("event:").count(), 1);
    }

    fn feeds() -> Arc<Feeds> {
        let directory = Arc::new(Directory::new(1, 1));
        Feeds::start(Schema::default(), &[], true, directory).0
    }

    fn publish(feeds: &Feeds, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            let what = FeedEvent::Notice(n.to_string().into());
            feeds.publish(&Item { match_id: None, at: UnixMillis(n), tick: None, what });
        }
    }

    fn text(chunk: Option<Bytes>) -> String {
        String::from_utf8(chunk.unwrap_or_default().to_vec()).unwrap()
    }
}
