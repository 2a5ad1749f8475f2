//! Connections that have not sent their first request yet.
//!
//! Their number is bounded. A new connection is always accepted, and evicts the oldest one at the
//! limit: otherwise connections that never send anything would lock out all others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use crate::locks::lock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Handshakes {
    max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many connections have entered so far.
    came: u64,
    /// How many were evicted.
    evicted: u64,
    /// By order of entry; the notification evicts the connection.
    each: BTreeMap<u64, Arc<Notify>>,
}

/// A place among these connections, released when dropped.
#[derive(Debug)]
pub(crate) struct HandshakePlace {
    handshakes: Arc<Handshakes>,
    number: u64,
    evict: Arc<Notify>,
}

impl Handshakes {
    /// At most `max` connections may wait.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, waiting: Mutex::default() })
    }

    /// Takes a place for a new connection; at the limit, evicts the oldest one.
    pub(crate) fn enter(self: &Arc<Self>) -> HandshakePlace {
        let mut waiting = lock(&self.waiting);
        if waiting.each.len() >= self.max
            && let Some((_, oldest)) = waiting.each.pop_first()
        {
            oldest.notify_one();
            waiting.evicted += 1;
        }
        waiting.came += 1;
        let (number, evict) = (waiting.came, Arc::new(Notify::new()));
        waiting.each.insert(number, Arc::clone(&evict));
        HandshakePlace { handshakes: Arc::clone(self), number, evict }
    }

    /// How many were evicted.
    pub(crate) fn evicted(&self) -> u64 {
        lock(&self.waiting).evicted
    }
}

impl HandshakePlace {
    /// Completes when this connection is evicted.
    pub(crate) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let evict = Arc::clone(&self.evict);
        async move { evict.notified().await }
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        lock(&self.handshakes.waiting).each.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn silent_connections_lock_nobody_out() {
        let handshakes = Handshakes::new(2);
        let come = || handshakes.enter();
        let [silent, heard, slow] = [come(), come(), come()];
        assert_eq!(lock(&handshakes.waiting).each.len(), 2);
        assert!(is_evicted(&silent) && !is_evicted(&heard));
        drop((heard, silent));
        let new = come();
        assert!(!is_evicted(&slow), "there was a place");
        let newer = come();
        assert!(is_evicted(&slow) && !is_evicted(&new) && !is_evicted(&newer));
        assert_eq!(handshakes.evicted(), 2);
    }

    fn is_evicted(place: &HandshakePlace) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(place.evicted()).poll(&mut context).is_ready()
    }
}
