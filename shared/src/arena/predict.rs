//! The arena's rule for client-side prediction.

use super::{
    ArenaInput,
    body::{Body, advance},
    map::ARENA,
    rows::{PLAYER, PlayerRow, player_id},
    units::STEPS_PER_M,
};
use crate::{ids::Seat, replica::Predictor, rows::Rows, time::TickRate};

/// How living players move.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The match's tick rate.
    pub rate: TickRate,
}

impl Predictor for Walk {
    type Input = ArenaInput;
    type State = Body;
    /// Three metres: a blast moves a player by 2.5 in a tick at 10 Hz.
    const JUMP_FROM: f32 = 3.0;

    fn read(&self, rows: &Rows, _: &[i32], seat: Seat) -> Option<Body> {
        let row = rows.find(player_id(seat))?;
        let player = PlayerRow::read(row.values).filter(|_| row.kind == PLAYER)?;
        (player.health > 0).then_some(player.body)
    }

    fn advance(&self, state: &mut Body, input: &ArenaInput) {
        advance(state, input, self.rate, &ARENA);
    }

    fn place(&self, state: &Body) -> [f32; 3] {
        let metres = |steps: i32| steps as f32 / STEPS_PER_M as f32;
        [metres(state.position.x), metres(state.position.y), 0.0]
    }
}
