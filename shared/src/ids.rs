//! Identifiers and counters, each its own type so that they can't be mixed up.

use serde::{Deserialize, Serialize};

/// A simulation step, counted from match start. Wraps after 2^32 steps (4.5 years at 30 Hz).
///
/// Deliberately not `Ord`: "later than" on a circle is not transitive. Compare with
/// [`Tick::since`], which is meaningful while both ticks are within 2^31 of each other.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Tick(pub u32);

impl Tick {
    /// Steps from `earlier` to `self`; negative when `self` is the older one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The tick `steps` earlier.
    #[must_use]
    pub const fn minus(self, steps: u32) -> Self {
        Self(self.0.wrapping_sub(steps))
    }

    /// The tick `steps` later.
    #[must_use]
    pub const fn plus(self, steps: u32) -> Self {
        Self(self.0.wrapping_add(steps))
    }
}

/// A client's counter on its inputs: the first is 1, each next one larger by 1. 0 means none yet.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct InputSeq(pub u32);

impl InputSeq {
    /// The number of the next input.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// An entity within its match. A game may use an id again, also for another kind, once every client
/// has seen the despawn; counting up is simplest.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct EntityId(pub u32);

impl EntityId {
    /// The largest valid id.
    pub const MAX: Self = Self(u32::MAX - 1);
}

/// A player's place in a match, from 0. It outlives a connection.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Seat(pub u16);

impl Seat {
    /// The seat as an index into per-seat arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Those players of a match who see the same entities, such as a team, or one player alone; see
/// [`Game::viewer`](crate::game::Game::viewer). Its number is below that of the match's seats.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Viewer(pub u16);

/// A running match, unique within its server process.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct MatchId(pub u32);

/// One admitted participant, reconnects included.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct SessionId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_survives_the_wrap() {
        check(Tick(5), Tick(3), 2);
        check(Tick(1), Tick(u32::MAX), 2);
        check(Tick(u32::MAX), Tick(1), -2);
    }

    #[track_caller]
    fn check(later: Tick, earlier: Tick, expected: i32) {
        assert_eq!(later.since(earlier), expected, "{later:?} since {earlier:?}");
    }
}
