//! Facts about the game of cards that the README shows.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../examples/cards.rs"]
#[expect(dead_code, reason = "an example has a main")]
mod cards;

use cards::{Cards, Request};
use tickwire_shared::{
    game::{Events, Game, MatchOptions, Step},
    ids::{EntityId, Seat, Tick},
    replica::Rewind,
    rows::Rows,
    testing,
    time::TickRate,
};

const HZ: u32 = 5;

#[test]
fn cards_pass_the_check_for_any_game() {
    testing::check::<Cards>();
}

#[test]
fn the_highest_card_gets_the_prize_and_equal_ones_nothing() {
    let mut table = Table::with_players(3);
    let [_, prize, _] = table.table();
    table.lay(0, 7);
    table.lay(2, 9);
    assert_eq!(table.step(), [0; 0], "it waits for seat 1");
    table.lay(1, 8);
    assert_eq!(table.step(), [0, 7, 1, 8, 2, 9, 2, prize]);
    assert_eq!((0..3).map(|seat| table.points(seat)).collect::<Vec<_>>(), [0, 0, prize]);
    assert_eq!(table.table()[0], 2, "the next round");
    for seat in 0..3 {
        table.lay(seat, 13 - i32::from(seat == 1));
    }
    assert_eq!(table.step(), [0, 13, 1, 12, 2, 13]);
    assert_eq!(table.owner(1), [2, (1 << 14) - 2 - (1 << 8) - (1 << 12), 0], "cards are laid once");
}

#[test]
fn a_request_counts_once_and_a_player_may_think_again() {
    let mut table = Table::with_players(2);
    table.lay(0, 5);
    table.step();
    table.lay(0, 6);
    table.step();
    assert_eq!(table.owner(0)[..], [2, (1 << 14) - 2, 6]);
    table.lay(1, 1);
    assert_eq!(table.step()[..4], [0, 6, 1, 1]);
    // The inputs are as they were.
    table.step();
    assert_eq!((table.owner(0)[2], table.player(0)[1]), (0, 0));
    table.lay(0, 6);
    table.step();
    assert_eq!(table.owner(0)[2], 0, "it was laid before");
}

#[test]
fn who_is_late_lays_the_lowest_card() {
    let mut table = Table::with_players(2);
    table.lay(1, 2);
    let late = (0..).map(|_| table.step()).take_while(Vec::is_empty).count();
    assert_eq!(late as u32, 20 * HZ - 1);
    assert_eq!(table.owner(0)[1], (1 << 14) - 2 - (1 << 1));
}

#[test]
fn a_round_does_not_wait_long_for_who_is_away() {
    let mut table = Table::with_players(2);
    table.cards.away(Seat(0));
    table.lay(1, 2);
    let waited = (0..).map(|_| table.step()).take_while(Vec::is_empty).count();
    assert_eq!((waited as u32, table.player(0)[2]), (5 * HZ - 1, 1));
    // Who is back is waited for.
    table.cards.back(Seat(0));
    table.lay(1, 3);
    assert!((0..10 * HZ).all(|_| table.step().is_empty()));
}

#[test]
fn all_prizes_are_played_for_and_then_the_match_ends() {
    let mut table = Table::with_players(2);
    for round in 1..=13 {
        assert_eq!(table.table()[0], round);
        table.lay(0, round);
        table.lay(1, round % 13 + 1);
        table.step();
    }
    assert_eq!((table.points(0) + table.points(1), table.table()[0]), (91, 14));
    assert!((1..10 * HZ).all(|_| table.step().is_empty() && !table.cards.is_over()));
    table.step();
    assert!(table.cards.is_over());
}

#[test]
fn who_is_alone_waits_before_the_first_round_and_does_not_play_on() {
    let mut table = Table::with_players(1);
    assert!((0..99 * HZ).all(|_| table.step().is_empty() && table.cards.admits()));
    table.cards.join(Seat(1));
    let waited = (0..).take_while(|_| table.step().is_empty() && table.table()[0] == 0).count();
    assert_eq!(waited as u32, 10 * HZ - 1, "for a third player");
    assert!(!table.cards.admits());
    table.cards.leave(Seat(0));
    table.step();
    assert_eq!(table.table()[0], 14);
}

/// A table for three.
struct Table {
    cards: Cards,
    tick: Tick,
    inputs: Vec<Request>,
}

impl Table {
    fn with_players(count: u16) -> Self {
        let tick_rate = TickRate::new(HZ as u16).unwrap();
        let seats = if count == 2 { 2 } else { 3 };
        let options = MatchOptions { seed: 1, seats, npcs: 0, tick_rate, mode: "" };
        let mut cards = Cards::new(&options);
        (0..count).for_each(|seat| cards.join(Seat(seat)));
        let mut table =
            Self { cards, tick: Tick(0), inputs: vec![Request::default(); seats.into()] };
        table.step();
        table
    }

    fn lay(&mut self, seat: usize, card: i32) {
        let number = self.inputs[seat].number + 1;
        self.inputs[seat] = Request { number, card };
    }

    /// Runs a tick. Returns the values of its events.
    fn step(&mut self) -> Vec<i32> {
        self.tick = self.tick.plus(1);
        let (past, mut events) = (Rewind::none(), Events::default());
        let (tick, inputs) = (self.tick, &*self.inputs);
        self.cards.step(&mut Step { tick, inputs, past, events: &mut events });
        events.iter().flat_map(|event| event.values.to_vec()).collect()
    }

    fn row<const N: usize>(&self, id: u32) -> [i32; N] {
        let mut rows = Rows::default();
        self.cards.write_rows(&mut rows);
        rows.find(EntityId(id)).unwrap().values.try_into().unwrap()
    }

    fn player(&self, seat: u32) -> [i32; 3] {
        self.row(seat)
    }

    fn points(&self, seat: u32) -> i32 {
        self.player(seat)[0]
    }

    /// Round, prize, and end of the round.
    fn table(&self) -> [i32; 3] {
        self.row(self.inputs.len() as u32)
    }

    fn owner(&self, seat: u16) -> [i32; 3] {
        let mut values = [0; 3];
        self.cards.write_owner(Seat(seat), &mut values);
        values
    }
}
