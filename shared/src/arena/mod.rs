//! The reference game: a top-down arena of 40 by 30 metres, two weapons, pickups, and rounds of
//! three minutes.
//!
//! Players run and aim independently, fire a gun that hits at once and rockets with a blast radius,
//! pick up ammunition and health, die and respawn. Computer players fill free seats, as far as the
//! options allow.
//!
//! Guarantees
//! - The same options, joins, leaves and inputs give the same rows, on every machine.
//! - Only [`body::advance`] and blasts move a living player. The former depends only on the
//!   player's row and input, so that a client can predict its own player.
//! - A step does not allocate once its buffers have grown.

pub mod body;
pub mod brain;
pub mod events;
pub mod input;
pub mod map;
mod pickups;
#[cfg(any(test, feature = "testing"))]
mod played;
mod player;
pub mod predict;
mod round;
pub mod rows;
pub mod units;
mod weapons;

use serde::{Deserialize, Serialize};

pub use input::ArenaInput;

use crate::{
    dice::Dice,
    game::{Events, Game, MatchOptions, Step},
    ids::{Seat, Tick},
    rows::Rows,
    schema::Schema,
    time::TickRate,
};
use brain::Brain;
use map::ARENA;
use pickups::Pickups;
use player::{Occupant, Player, respawn};
use round::{Round, Turn};
use weapons::Rockets;

/// A match.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arena {
    rate: TickRate,
    /// The tick of the last step.
    tick: Tick,
    dice: Dice,
    round: Round,
    computers_max: u16,
    /// By seat.
    players: Vec<Player>,
    rockets: Rockets,
    pickups: Pickups,
    /// What the computer players see; rewritten in each step.
    #[serde(skip)]
    seen: Rows,
}

impl Game for Arena {
    type Input = ArenaInput;

    const SCORES: &'static [&'static str] = &["kills", "deaths"];

    fn schema() -> Schema {
        rows::schema()
    }

    fn new(options: &MatchOptions) -> Self {
        let mut arena = Self {
            rate: options.tick_rate,
            tick: Tick::default(),
            dice: Dice::new(options.seed),
            round: Round::first(options.tick_rate),
            computers_max: options.npcs,
            players: vec![Player::new(Occupant::Nobody); options.seats.into()],
            rockets: Rockets::new(),
            pickups: Pickups::new(),
            seen: Rows::default(),
        };
        arena.seat_computers();
        arena
    }

    fn join(&mut self, seat: Seat) {
        self.rockets.forget(seat);
        self.players[seat.index()] = Player::new(Occupant::Person);
        self.seat_computers();
    }

    fn leave(&mut self, seat: Seat) {
        self.rockets.forget(seat);
        self.players[seat.index()] = Player::new(Occupant::Nobody);
        self.seat_computers();
    }

    fn step(&mut self, step: &mut Step<'_, ArenaInput>) {
        self.command(step.inputs);
        self.tick = step.tick;
        self.turn_round(step.events);
        self.move_players();
        if self.round.is_playing() {
            weapons::fire(&mut self.players, &mut self.rockets, self.rate, step.past, step.events);
            self.rockets.step(&mut self.players, self.rate, step.events);
            self.pickups.step(&mut self.players, self.rate, step.events);
        }
    }

    fn write_rows(&self, rows: &mut Rows) {
        self.round.row(self.tick).push(rows);
        self.pickups.write_rows(rows);
        for (seat, player) in (0..).map(Seat).zip(&self.players) {
            if player.is_here() {
                player.row().push(rows, rows::player_id(seat));
            }
        }
        self.rockets.write_rows(rows);
    }

    fn may_end(&self) -> bool {
        !self.round.is_playing()
    }

    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        values.copy_from_slice(&self.players[seat.index()].owner_values());
    }

    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        let player = &self.players[seat.index()];
        values.copy_from_slice(&[player.kills, player.deaths]);
    }
}

impl Arena {
    /// Gives free seats to computer players, the highest seat first, up to `computers_max`.
    fn seat_computers(&mut self) {
        let playing = self.players.iter().filter(|player| player.is_computer()).count();
        let wanted = usize::from(self.computers_max).saturating_sub(playing);
        let open = self.players.iter_mut().rev().filter(|player| !player.is_here());
        for player in open.take(wanted) {
            let brain = Brain::new(self.dice.next(), self.rate);
            *player = Player::new(Occupant::Computer(brain));
        }
    }

    /// Sets each player's command: a person's input, or a computer player's decision from the last
    /// tick's rows.
    fn command(&mut self, inputs: &[ArenaInput]) {
        let mut seen = std::mem::take(&mut self.seen);
        if self.players.iter().any(Player::is_computer) {
            seen.clear();
            self.write_rows(&mut seen);
        }
        for (index, player) in self.players.iter_mut().enumerate() {
            let owner = player.owner_values();
            match &mut player.occupant {
                Occupant::Nobody => {}
                Occupant::Person => player.command = inputs[index],
                Occupant::Computer(brain) => {
                    player.command = brain.decide(Seat(index as u16), &seen, &owner);
                }
            }
        }
        self.seen = seen;
    }

    fn turn_round(&mut self, events: &mut Events) {
        match self.round.advance(self.rate, &self.players) {
            Turn::None => {}
            Turn::Over { winner } => {
                self.rockets.clear();
                events::round_over(events, self.round.number, winner);
            }
            Turn::Next => {
                for player in &mut self.players {
                    (player.health, player.respawn_in) = (0, 0);
                    (player.kills, player.deaths) = (0, 0);
                }
                self.pickups.refill();
                events::round_start(events, self.round.number);
            }
        }
    }

    fn move_players(&mut self) {
        for index in 0..self.players.len() {
            let player = &mut self.players[index];
            if player.is_alive() {
                body::advance(&mut player.body, &player.command, self.rate, &ARENA);
            } else if player.respawn_in > 0 {
                player.respawn_in -= 1;
            } else if player.is_here() {
                respawn(&mut self.players, index, &mut self.dice);
            }
        }
    }
}

#[cfg(test)]
mod tests;
