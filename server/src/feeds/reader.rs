//! One who follows a feed: a place in a log, at its own speed.

use std::{collections::VecDeque, sync::Arc};

use hyper::body::Bytes;
use serde_json::json;
use tickwire_shared::ids::MatchId;
use tokio::sync::watch;

use super::{CHUNK_BYTES, Feeds, log::Log};
use crate::locks::lock;

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Reader {
    feeds: Arc<Feeds>,
    log: Arc<Log>,
    news: watch::Receiver<bool>,
    /// Whether it was over when it was looked at last.
    is_over: bool,
    after: u64,
    /// What it had before is not known here.
    is_stranger: bool,
    /// Matches of which it is yet to be told how they stand.
    unknown: VecDeque<MatchId>,
    match_id: Option<MatchId>,
}

impl Reader {
    /// Is told how the matches `unknown` stand, and what follows item `after`. What a stranger had
    /// before is not known here.
    pub(super) fn new(
        feeds: &Arc<Feeds>,
        log: Arc<Log>,
        match_id: Option<MatchId>,
        after: u64,
        is_stranger: bool,
        unknown: VecDeque<MatchId>,
    ) -> Self {
        let (feeds, news) = (Arc::clone(feeds), log.news());
        Self { feeds, log, news, is_over: false, after, is_stranger, unknown, match_id }
    }

    /// What there is to tell, if anything.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        // What comes from now on is waited for, whether it is found here or not.
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
        if self.after >= forgotten && !self.is_stranger {
            return;
        }
        self.after = self.after.max(forgotten);
        self.is_stranger = false;
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
                chunk.extend_from_slice(&followed.board.tell(id, &self.feeds.words));
            }
        }
    }

    /// Waits until there may be more than was taken. `false`: there is none and will be none.
    pub(crate) async fn wait(&mut self) -> bool {
        !self.is_over && self.news.changed().await.is_ok()
    }
}
