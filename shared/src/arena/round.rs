//! Rounds: three minutes, a winner, a break, and the next.

use serde::{Deserialize, Serialize};

use super::{events::round_number, player::Player, rows::RoundRow, units};
use crate::{
    ids::{Seat, Tick},
    time::TickRate,
};

const ROUND_MS: u64 = 180_000;
const BREAK_MS: u64 = 6_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Round {
    /// Counted from 1.
    pub number: u32,
    pub phase: Phase,
    /// Ticks to the end of the phase.
    left: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    Playing,
    Over { winner: Option<Seat> },
}

/// The change of phase in a tick.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    None,
    Over { winner: Option<Seat> },
    Next,
}

impl Round {
    pub(super) fn first(rate: TickRate) -> Self {
        Self { number: 1, phase: Phase::Playing, left: units::ticks(ROUND_MS, rate) }
    }

    pub(super) fn is_playing(&self) -> bool {
        self.phase == Phase::Playing
    }

    /// Counts down by one tick, and starts the next phase when this one ends.
    pub(super) fn advance(&mut self, rate: TickRate, players: &[Player]) -> Turn {
        self.left -= 1;
        if self.left > 0 {
            return Turn::None;
        }
        match self.phase {
            Phase::Playing => {
                let winner = winner(players);
                self.phase = Phase::Over { winner };
                self.left = units::ticks(BREAK_MS, rate);
                Turn::Over { winner }
            }
            Phase::Over { winner: _ } => {
                self.number = self.number.wrapping_add(1);
                self.phase = Phase::Playing;
                self.left = units::ticks(ROUND_MS, rate);
                Turn::Next
            }
        }
    }

    pub(super) fn row(&self, now: Tick) -> RoundRow {
        let (over, winner) = match self.phase {
            Phase::Playing => (false, None),
            Phase::Over { winner } => (true, winner),
        };
        let ends_at_tick = units::tick_value(now.plus(self.left));
        RoundRow { over, number: round_number(self.number), winner, ends_at_tick }
    }
}

/// The player with the most kills, then the fewest deaths; `None` for a draw or without kills.
fn winner(players: &[Player]) -> Option<Seat> {
    let score = |player: &Player| (player.kills, -player.deaths);
    let best = players.iter().filter(|player| player.kills > 0).map(score).max()?;
    let mut winners = (0..).map(Seat).zip(players).filter(|(_, player)| score(player) == best);
    let (seat, _) = winners.next()?;
    winners.next().is_none().then_some(seat)
}
