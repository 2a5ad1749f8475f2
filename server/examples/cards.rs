//! A game of turns with hidden cards: Goofspiel. All players have the cards 1 to 13. In each of 13
//! rounds they lay one of them, face down, for a prize of 1 to 13 points. The highest card gets it; if
//! several players laid that, nobody does.

use serde::{Deserialize, Serialize};
use tickwire_shared::dice::Dice;
use tickwire_shared::game::{Game, Input, MatchOptions, Step};
use tickwire_shared::ids::{EntityId, Seat, Tick};
use tickwire_shared::rows::Rows;
use tickwire_shared::schema::{Field, Schema};

const CARDS: i32 = 13;
/// Before the first round, players join; after the last, they look at the result.
const START: i32 = 0;
const END: i32 = CARDS + 1;
const START_S: u32 = 10;
const ROUND_S: u32 = 20;
/// For how long a round waits for a player who is away.
const AWAY_S: u32 = 5;

/// Lays a card, instead of an earlier one if the round still waits for others.
#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) number: i32,
    pub(crate) card: i32,
}

impl Input for Request {
    fn from_values(values: &[i32]) -> Self {
        Self { number: values[0], card: values[1] }
    }
    fn write_values(&self, values: &mut [i32]) {
        values.copy_from_slice(&[self.number, self.card]);
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Player {
    /// The number of the last request.
    handled: i32,
    /// Bit n is card n, until it is shown.
    hand: i32,
    /// The card that lies face down.
    laid: Option<i32>,
    points: i32,
    /// Ticks since the connection was lost.
    away_ticks: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Cards {
    hz: u32,
    tick: Tick,
    /// By round.
    prizes: Vec<i32>,
    players: Vec<Option<Player>>,
    round: i32,
    /// Ticks until the round ends, unless all have laid their cards before.
    left: u32,
}

impl Cards {
    fn players(&mut self) -> impl Iterator<Item = (i32, &mut Player)> {
        (0..).zip(&mut self.players).filter_map(|(seat, player)| Some((seat, player.as_mut()?)))
    }
    fn is_round(&self) -> bool {
        (START + 1..END).contains(&self.round)
    }
    fn begin(&mut self, round: i32) {
        self.round = round;
        let seconds = if self.is_round() { ROUND_S } else { START_S };
        self.left = seconds * self.hz;
    }
    fn is_waiting_for(&self, player: &Player) -> bool {
        player.laid.is_none() && player.away_ticks.is_none_or(|ticks| ticks < AWAY_S * self.hz)
    }
    /// Shows the cards, and gives the prize to the highest.
    fn show(&mut self, step: &mut Step<'_, Request>) {
        let (prize, mut highest, mut winner) = (self.prizes[self.round as usize], 0, None);
        for (seat, player) in self.players() {
            let lowest = player.hand.trailing_zeros().cast_signed();
            let card = player.laid.take().unwrap_or(lowest);
            player.hand &= !(1 << card);
            step.events.all(0, &[seat, card]);
            if card >= highest {
                winner = (card > highest).then_some(seat);
                highest = card;
            }
        }
        if let Some((seat, player)) = self.players().find(|(seat, _)| winner == Some(*seat)) {
            player.points += prize;
            step.events.all(1, &[seat, prize]);
        }
    }
}

impl Game for Cards {
    type Input = Request;
    const SCORES: &'static [&'static str] = &["points"];
    fn schema() -> Schema {
        let field = |(name, max)| Field::new(name, 1.0, 0, max);
        let player = [("points", 91), ("has_laid", 1), ("is_away", 1)].map(field);
        let table = [("round", END + 1), ("prize", CARDS), ("ends", i32::MAX)].map(field);
        let cards = Schema::new("cards").players("player", EntityId(0), player);
        let cards = cards.kind("table", table).input("number", 0, 255).input("card", 0, CARDS);
        let cards =
            cards.owner("handled", 0, 255).owner("hand", 0, 1 << END).owner("laid", 0, CARDS);
        cards.event("shown", ["seat", "card"]).event("won", ["seat", "prize"])
    }
    fn new(options: &MatchOptions) -> Self {
        let (mut dice, mut prizes) = (Dice::new(options.seed), Vec::from_iter(START..=END + 1));
        (2..END).for_each(|n| prizes.swap(n as usize, dice.within(1, n) as usize));
        let (hz, players) = (options.tick_rate.hz().into(), vec![None; options.seats.into()]);
        Self { hz, tick: Tick(0), prizes, players, round: START, left: 0 }
    }
    fn join(&mut self, seat: Seat) {
        let hand = (2 << CARDS) - 2;
        let player = Player { handled: 0, hand, laid: None, points: 0, away_ticks: None };
        self.players[seat.index()] = Some(player);
    }
    fn leave(&mut self, seat: Seat) {
        self.players[seat.index()] = None;
    }
    fn away(&mut self, seat: Seat) {
        if let Some(player) = &mut self.players[seat.index()] {
            player.away_ticks = Some(0);
        }
    }
    fn back(&mut self, seat: Seat) {
        if let Some(player) = &mut self.players[seat.index()] {
            player.away_ticks = None;
        }
    }
    fn step(&mut self, step: &mut Step<'_, Request>) {
        // Counted, since ticks are left out when a match goes on after a crash.
        (self.tick, self.left) = (step.tick, self.left.saturating_sub(1));
        let is_round = self.is_round();
        for (seat, player) in self.players() {
            player.away_ticks = player.away_ticks.map(|ticks| ticks.saturating_add(1));
            let Request { number, card } = step.inputs[seat as usize];
            if number != 0 && number != player.handled {
                player.handled = number;
                let has_it = player.hand >> card & 1 == 1;
                player.laid = if is_round && has_it { Some(card) } else { player.laid };
            }
        }
        let seated = self.players().count();
        let is_ready = match self.round {
            START => seated == self.players.len(),
            END.. => false,
            _ => !self.players.iter().flatten().any(|player| self.is_waiting_for(player)),
        };
        if seated < 2 && self.round < END {
            self.begin(if is_round { END } else { START });
        } else if is_ready || self.left == 0 {
            if is_round {
                self.show(step);
            }
            self.begin(self.round + 1);
        }
    }
    fn write_rows(&self, rows: &mut Rows) {
        for (seat, player) in (0..).zip(&self.players) {
            if let Some(Player { points, laid, away_ticks, .. }) = player {
                let values = [*points, laid.is_some().into(), away_ticks.is_some().into()];
                rows.push(EntityId(seat), 0, &values);
            }
        }
        let prize = if self.is_round() { self.prizes[self.round as usize] } else { 0 };
        let ends = self.tick.plus(self.left).0 as i32 & i32::MAX;
        rows.push(EntityId(self.players.len() as u32), 1, &[self.round, prize, ends]);
    }
    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        if let Some(Player { handled, hand, laid, .. }) = &self.players[seat.index()] {
            values.copy_from_slice(&[*handled, *hand, laid.unwrap_or(0)]);
        }
    }
    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        values[0] = self.players[seat.index()].as_ref().map_or(0, |player| player.points);
    }
    fn admits(&self) -> bool {
        self.round == START
    }
    fn may_end(&self) -> bool {
        !self.is_round()
    }
    fn is_over(&self) -> bool {
        self.round > END
    }
}

fn main() -> std::process::ExitCode {
    tickwire_server::main::<Cards>()
}
