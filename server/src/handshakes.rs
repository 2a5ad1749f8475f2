//! Connections that are yet to send their first request.
//!
//! The newest is always let in, and the one that has been silent for longest goes: strangers who
//! connect and say nothing would lock all others out otherwise.

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
    /// How many have come so far.
    came: u64,
    /// How many had to go for later ones.
    evicted: u64,
    /// By when they came; each is told when it has to go.
    each: BTreeMap<u64, Arc<Notify>>,
}

/// A place among them, given up when dropped.
#[derive(Debug)]
pub(crate) struct HandshakePlace {
    handshakes: Arc<Handshakes>,
    number: u64,
    evict: Arc<Notify>,
}

impl Handshakes {
    /// So many may wait.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, waiting: Mutex::default() })
    }

    /// A place for a new connection.
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

    /// How many had to go for later ones.
    pub(crate) fn evicted(&self) -> u64 {
        lock(&self.waiting).evicted
    }
}

impl HandshakePlace {
    /// Ends when this one has to go, if it ever has to.
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
    fn a_crowd_that_says_nothing_locks_nobody_out() {
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
