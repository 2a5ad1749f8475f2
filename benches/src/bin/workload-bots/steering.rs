//! A client's inputs: a new direction, turn and fire button every 0.5 to 2 s.

use tickwire_benches::workload::Command;
use tickwire_shared::{dice::Dice, time::TickRate};

/// See the module.
pub(crate) struct Steering {
    dice: Dice,
    rate: i32,
    command: Command,
    turn: i16,
    inputs_left: i32,
}

impl Steering {
    /// Largest turn per second: half a turn.
    const TURN_MAX: i32 = 32_768;

    pub(crate) fn new(index: usize, rate: TickRate) -> Self {
        let dice = Dice::new(index as u64);
        Self { dice, rate: rate.hz().into(), command: Command::default(), turn: 0, inputs_left: 0 }
    }

    pub(crate) fn next(&mut self) -> Command {
        if self.inputs_left == 0 {
            self.inputs_left = self.dice.within(self.rate / 2, self.rate * 2).max(1);
            self.command.movement = [(); 2].map(|()| self.dice.within(-127, 127) as i8);
            self.command.buttons = (self.dice.within(1, 10) <= 3).into();
            let turn_max = Self::TURN_MAX / self.rate;
            self.turn = self.dice.within(-turn_max, turn_max) as i16;
            if self.turn == 0 {
                self.turn = 1;
            }
        }
        self.inputs_left -= 1;
        self.command.aim = self.command.aim.wrapping_add_signed(self.turn);
        self.command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aim_moves_with_every_input() {
        let mut steering = Steering::new(3, TickRate::new(30).unwrap());
        let mut before = steering.next();
        for _ in 0..1_000 {
            let command = steering.next();
            assert_ne!(command.aim, before.aim);
            before = command;
        }
    }
}
