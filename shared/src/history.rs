//! The rows of at least the last [`HISTORY_LEN`] ticks of one match, addressed by [`Tick`].
//!
//! Rows can serve as a *baseline* only while they are in here, so the length bounds how long a
//! session can be skipped: 64 ticks at 30 Hz are 2.1 s. After that it gets a full snapshot, which
//! is not an error.
//!
//! Invariant: tick `t` can only be in `slots[t % slots.len()]`; a look-up compares the stored tick.

use crate::{ids::Tick, rows::Rows};

/// Least number of ticks that are kept.
pub const HISTORY_LEN: usize = 64;
const _: () = assert!(HISTORY_LEN.is_power_of_two(), "slots must stay in step across the wrap");

/// The rows of the last ticks of a match; see the [module](self).
#[derive(Clone, Debug)]
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
    /// A history that keeps at least [`HISTORY_LEN`] + `ticks` ticks, for sessions that are shown
    /// the match `ticks` late. Memory for rows is allocated when they are pushed.
    #[must_use]
    pub fn keeping(ticks: usize) -> Self {
        let len = (HISTORY_LEN + ticks).next_power_of_two();
        Self { slots: vec![Slot::default(); len].into() }
    }

    /// Empty rows for `tick`, for the caller to fill. They replace the oldest and reuse their
    /// memory, which is grown, with some reserve, to hold as much as the tick before, so that a
    /// growing match does not reallocate every tick.
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
