//! A reader of a feed: a position in its log, which advances at the reader's own speed.

use std::{collections::VecDeque, sync::Arc};

use hyper::body::Bytes;
use serde_json::json;
use tickwire_shared::ids::MatchId;
use tokio::sync::watch;

use super::{CHUNK_BYTES, Feeds, log::Log};
use crate::locks::lock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Reader {
    feeds: Arc<Feeds>,
    log: Arc<Log>,
    news: watch::Receiver<bool>,
    /// Whether the feed had ended at the last call of `take`.
    is_over: bool,
    /// Number of the last item that the reader has.
    after: u64,
    /// Whether its last event id is unknown, for example from another run of the server.
    id_is_unknown: bool,
    /// Matches whose state it has yet to get.
    unknown: VecDeque<MatchId>,
    match_id: Option<MatchId>,
}

impl Reader {
    /// Starts with the state of the matches `unknown`, and goes on after item `after`. A stranger,
    /// with an unknown last event id, gets a gap first.
    pub(super) fn new(
        feeds: &Arc<Feeds>,
        log: Arc<Log>,
        match_id: Option<MatchId>,
        after: u64,
        id_is_unknown: bool,
        unknown: VecDeque<MatchId>,
    ) -> Self {
        let (feeds, news) = (Arc::clone(feeds), log.news());
        Self { feeds, log, news, is_over: false, after, id_is_unknown, unknown, match_id }
    }

    /// The next chunk, if there is anything new.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        // Before the log is read: `wait` then returns for any later item, even one read here.
        self.is_over = *self.news.borrow_and_update();
        let mut chunk = Vec::new();
        self.take_gap(&mut chunk);
        self.take_states(&mut chunk);
        if !self.unknown.is_empty() {
            return Some(chunk.into());
        }
        self.after = self.log.write(self.after, &mut chunk);
        (!chunk.is_empty()).then(|| chunk.into())
    }

    fn take_gap(&mut self, chunk: &mut Vec<u8>) {
        let forgotten = self.log.forgotten();
        if self.after >= forgotten && !self.id_is_unknown {
            return;
        }
        self.after = self.after.max(forgotten);
        self.id_is_unknown = false;
        let data = json!({ "match": self.match_id.map(|id| id.0) });
        chunk.extend_from_slice(&self.feeds.event(self.after, "gap", &data));
        self.unknown = lock(&self.feeds.logs).goes_on(self.match_id);
    }

    fn take_states(&mut self, chunk: &mut Vec<u8>) {
        if self.unknown.is_empty() {
            return;
        }
        let mut logs = lock(&self.feeds.logs);
        while chunk.len() < CHUNK_BYTES
            && let Some(id) = self.unknown.pop_front()
        {
            // It may have ended since.
            if let Some(followed) = logs.matches.get_mut(&id) {
                chunk.extend_from_slice(&followed.board.event(id, &self.feeds.words));
            }
        }
    }

    /// Waits until there may be more to take. `false`: the feed has ended and all of it was taken.
    pub(crate) async fn wait(&mut self) -> bool {
        !self.is_over && self.news.changed().await.is_ok()
    }
}
