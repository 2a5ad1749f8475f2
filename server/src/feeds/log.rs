//! What is kept of what happened, as bytes that every reader gets.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use hyper::body::Bytes;
use tokio::sync::watch;

use super::CHUNK_BYTES;
use crate::locks::lock;

/// The last items of a match, or of all.
#[derive(Debug)]
pub(super) struct Log {
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

    /// Tells its readers whether it is over.
    pub(super) fn end(&self, is_over: bool) {
        self.news.send_replace(is_over);
    }

    pub(super) fn is_read(&self) -> bool {
        self.news.receiver_count() > 0
    }

    /// Tells that there is more, and whether that was all.
    pub(super) fn news(&self) -> watch::Receiver<bool> {
        self.news.subscribe()
    }

    /// The newest item that made room.
    pub(super) fn forgotten(&self) -> u64 {
        lock(&self.kept).forgotten
    }

    /// Appends what follows item `after`, as much as may be at once. Says which was the last.
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
