//! A bounded log of encoded events, shared by all readers of a feed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use hyper::body::Bytes;
use tokio::sync::watch;

use super::CHUNK_BYTES;
use crate::locks::lock;

/// The last events of one match, or of all.
#[derive(Debug)]
pub(super) struct Log {
    kept: Mutex<Kept>,
    /// Wakes readers; the value says whether the feed has ended.
    news: watch::Sender<bool>,
}

#[derive(Debug)]
struct Kept {
    items: VecDeque<(u64, Bytes)>,
    items_max: usize,
    /// Number of the newest item that was removed to make room.
    forgotten: u64,
}

impl Log {
    pub(super) fn new(forgotten: u64, items_max: usize) -> Arc<Self> {
        let kept = Kept { items: VecDeque::new(), items_max, forgotten };
        Arc::new(Self { kept: Mutex::new(kept), news: watch::Sender::new(false) })
    }

    pub(super) fn push(&self, n: u64, bytes: Bytes) {
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

    /// Wakes the readers, and sets whether the feed has ended.
    pub(super) fn end(&self, is_over: bool) {
        self.news.send_replace(is_over);
    }

    pub(super) fn is_read(&self) -> bool {
        self.news.receiver_count() > 0
    }

    /// Changes when there are new items or the feed ends; the value says whether it has ended.
    pub(super) fn news(&self) -> watch::Receiver<bool> {
        self.news.subscribe()
    }

    /// Number of the newest item that was removed to make room.
    pub(super) fn forgotten(&self) -> u64 {
        lock(&self.kept).forgotten
    }

    /// Appends the items after `after`, up to the size of a chunk. Returns the last one's number.
    pub(super) fn write(&self, after: u64, chunk: &mut Vec<u8>) -> u64 {
        let kept = lock(&self.kept);
        let start = kept.items.partition_point(|&(n, _)| n <= after);
        let mut last = after;
        for (n, bytes) in kept.items.range(start..) {
            if chunk.len() + bytes.len() > CHUNK_BYTES && !chunk.is_empty() {
                break;
            }
            chunk.extend_from_slice(bytes);
            last = *n;
        }
        last
    }
}
