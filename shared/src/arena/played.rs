//! Simulated players for the arena's tests: they run about, turn and fire.

use glam::IVec2;

use super::{
    Arena, ArenaInput,
    input::MOVE_MAX,
    predict::Walk,
    rows::{ROUND_ID, RoundRow},
    units::ANGLES,
};
use crate::{dice::Dice, rows::Rows, testing::Played, time::TickRate};

impl Played for Arena {
    type Rules = Walk;

    fn rules(rate: TickRate) -> Walk {
        Walk { rate }
    }

    fn press(held: &mut ArenaInput, is_calm: bool, dice: &mut Dice) {
        let mut axis = || MOVE_MAX * dice.within(-1, 1);
        held.movement = IVec2::new(axis(), axis());
        held.aim = dice.within(0, ANGLES - 1);
        held.fire = !is_calm && dice.within(0, 2) == 0;
    }

    /// True when a round begins.
    fn has_moved_players(before: Option<&Rows>, rows: Option<&Rows>) -> bool {
        let round = |rows: Option<&Rows>| RoundRow::read(rows?.find(ROUND_ID)?.values);
        round(rows).map(|round| round.number) != round(before).map(|round| round.number)
    }
}
