//! The rows of the last [`HISTORY_LEN`] ticks of one match, or of more, addressed by [`Tick`].
//!
//! Rows may serve as a *baseline* only while they are still here, so the length bounds how long a
//! session may be skipped: 64 ticks at 30 Hz are 2.1 s. After that it gets a full snapshot; that
//! is never an error.
//!
//! Invariant: `slots[t % slots.len()]` holds tick `t` or another; a look-up compares the tick.

use crate::{ids::Tick, rows::Rows};

/// Ticks that are kept at least.
pub const HISTORY_LEN: usize = 64;
const _: () = assert!(HISTORY_LEN.is_power_of_two(), "slots must stay in step across the wrap");

/// See the module.
#[derive(Debug)]
pub struct History {
    slots: Box<[Slot]>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    tick: Option<Tick>,
    rows: Rows,
}

impl Default for History {
    fn default() -> Self {
        Self::keeping(0)
    }
}

impl History {
    /// A history in which a tick so many ticks old has [`HISTORY_LEN`] more before it. Memory for
    /// rows is taken when they come.
    #[must_use]
    pub fn keeping(ticks: usize) -> Self {
        let len = (HISTORY_LEN + ticks).next_power_of_two();
        Self { slots: vec![Slot::default(); len].into() }
    }

    /// Rows for `tick`, empty, to be filled. They replace the oldest, whose memory they reuse; with
    /// room for what the tick before has, so that a new record does not take memory for every tick.
    pub fn push(&mut self, tick: Tick) -> &mut Rows {
        let before = &self.slots[self.index(tick.minus(1))].rows;
        let (entities, integers) = (before.len(), before.values().len());
        let index = self.index(tick);
        let slot = &mut self.slots[index];
        slot.tick = Some(tick);
        slot.rows.clear();
        slot.rows.make_room(entities, integers);
        &mut slot.rows
    }

    /// The rows of `tick`, if they are still here.
    #[must_use]
    pub fn rows(&self, tick: Tick) -> Option<&Rows> {
        let slot = &self.slots[self.index(tick)];
        (slot.tick == Some(tick)).then_some(&slot.rows)
    }

    const fn index(&self, tick: Tick) -> usize {
        tick.0 as usize % self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EntityId;

    #[test]
    fn old_ticks_make_room() {
        let mut history = History::default();
        for tick in [u32::MAX, 0, 1] {
            history.push(Tick(tick)).push(EntityId(tick), 0, &[]);
        }
        check(&history, u32::MAX, true);
        check(&history, 1, true);
        check(&history, 2, false);
        let _ = history.push(Tick(63));
        check(&history, u32::MAX, false);
    }

    #[test]
    fn more_ticks_are_kept_if_they_should_be() {
        let mut history = History::keeping(100);
        for tick in 0..256 {
            let _ = history.push(Tick(tick));
        }
        check(&history, 256 - (HISTORY_LEN as u32 + 100), true);
        let _ = history.push(Tick(256));
        check(&history, 0, false);
    }

    #[track_caller]
    fn check(history: &History, tick: u32, expected: bool) {
        assert_eq!(history.rows(Tick(tick)).is_some(), expected, "tick {tick}");
    }
}
