//! Tests of whole matches; those of single rules are in `rules`.

mod lag;
mod rules;
mod vectors;

use super::*;
use crate::{
    game::{Event, Input},
    replica::Rewind,
};

const SEATS: u16 = 16;

#[test]
fn the_schema_is_valid() {
    assert_eq!(Arena::schema().validate(), Ok(()));
}

#[test]
fn the_same_seed_and_inputs_give_the_same_rows() {
    let digests = |seed| {
        let mut world = World::new(seed, 30, 6);
        (0..10_000).map(|_| world.step_at_random()).collect::<Vec<_>>()
    };
    assert_eq!(digests(1), digests(1));
    assert_ne!(digests(1), digests(2));
}

#[test]
fn the_arena_passes_the_check_for_any_game() {
    crate::testing::check::<Arena>();
}

#[test]
fn a_match_read_back_continues_identically() {
    for ticks in [0, 1, 500, 2_000, 5_450] {
        let mut world = World::new(7, 30, 10);
        for _ in 0..ticks {
            world.step_at_random();
        }
        let mut other = world.read_back();
        for _ in 0..600 {
            assert_eq!(world.step_at_random(), other.step_at_random(), "after {ticks} ticks");
            assert_eq!(events(&world), events(&other), "after {ticks} ticks");
        }
    }
}

#[test]
fn everything_stays_within_the_schema_whatever_people_do() {
    let schema = Arena::schema();
    for (seed, hz) in (0..).zip([1, 2, 20, 30, 30, 60, 128]) {
        let mut world = World::new(seed, hz, 4);
        for _ in 0..2_000 {
            world.step_at_random();
            assert_eq!(schema.check_rows(&world.rows), Ok(()), "seed {seed}");
            assert_eq!(schema.check_events(&world.events), Ok(()), "seed {seed}");
            for seat in (0..SEATS).map(Seat) {
                let mut owner = [0; 2];
                world.arena.write_owner(seat, &mut owner);
                assert_eq!(schema.pack_owner(seat, &owner, &mut Vec::new()), Ok(()), "seed {seed}");
            }
        }
    }
}

#[test]
fn computers_command_only_what_the_schema_allows() {
    let schema = Arena::schema();
    let mut world = World::new(3, 30, SEATS);
    for _ in 0..3_000 {
        world.step();
        for player in &world.arena.players {
            let mut values = [0; 4];
            player.command.write_values(&mut values);
            for (integer, value) in schema.input.iter().zip(values) {
                assert!((integer.min..=integer.max).contains(&value), "{} {value}", integer.name);
            }
            assert_eq!(ArenaInput::from_values(&values), player.command);
        }
    }
}

/// What makes prediction exact: the next row depends only on the row and the input.
#[test]
fn a_client_that_moves_from_a_row_comes_to_the_next_row() {
    let mut world = World::new(11, 30, SEATS);
    let (mut moved, mut thrown) = (0, 0);
    for _ in 0..3_000 {
        let before = world.rows.clone();
        world.step();
        for seat in (0..SEATS).map(Seat) {
            let (Some(old), Some(new)) = (player(&before, seat), player(&world.rows, seat)) else {
                continue;
            };
            if old.health == 0 || new.health == 0 {
                continue;
            }
            let mut body = old.body;
            let command = world.arena.players[seat.index()].command;
            body::advance(&mut body, &command, world.arena.rate, &ARENA);
            moved += 1;
            // Only a blast may make a difference, and it does damage.
            if body != new.body {
                thrown += 1;
                assert!(new.health < old.health, "seat {seat:?}: {body:?}, but {:?}", new.body);
            }
        }
    }
    assert!(moved > 20_000 && thrown > 20, "{moved} moves, {thrown} by blasts");
}

#[test]
fn computers_play_a_lively_match() {
    let mut world = World::new(1, 30, SEATS);
    let (mut kills, mut taken, mut rested, mut alive) = (0, 0, 0, 0);
    for _ in 0..5_000 {
        let before = world.rows.clone();
        world.step();
        kills += count(&world, events::KILL);
        taken += count(&world, events::PICKED_UP);
        for seat in (0..SEATS).map(Seat) {
            let (old, new) = (player(&before, seat), player(&world.rows, seat));
            if let (Some(old), Some(new)) = (old, new)
                && new.health > 0
            {
                alive += 1;
                rested += i32::from(old.body.position == new.body.position);
            }
        }
    }
    assert!(kills > 100, "{kills} kills");
    assert!(taken > 30, "{taken} pickups taken");
    assert!(rested * 20 < alive, "resting for {rested} of {alive} ticks");
}

#[test]
fn computers_yield_their_seats_and_come_back() {
    let computers = |world: &World| {
        let players = world.arena.players.iter().enumerate();
        players.filter(|(_, player)| player.is_computer()).map(|(seat, _)| seat).collect::<Vec<_>>()
    };
    let mut world = World::new(1, 30, 3);
    assert_eq!(computers(&world), [13, 14, 15]);
    world.arena.join(Seat(14));
    assert_eq!(computers(&world), [12, 13, 15]);
    for seat in (0..13).map(Seat) {
        world.arena.join(seat);
    }
    assert_eq!(computers(&world), [13, 15]);
    world.arena.leave(Seat(2));
    assert_eq!(computers(&world), [2, 13, 15]);
    world.arena.leave(Seat(9));
    assert_eq!(computers(&world), [2, 13, 15]);
    world.step();
    assert_eq!(player(&world.rows, Seat(9)), None);
    assert_eq!(player(&world.rows, Seat(2)).map(|row| row.computer), Some(true));
    assert_eq!(player(&world.rows, Seat(14)).map(|row| row.computer), Some(false));
}

/// A match and the dice that play it.
#[derive(Debug)]
struct World {
    arena: Arena,
    dice: Dice,
    inputs: Vec<ArenaInput>,
    events: Events,
    rows: Rows,
    tick: Tick,
}

impl World {
    fn new(seed: u64, hz: u16, npcs: u16) -> Self {
        let tick_rate = TickRate::new(hz).unwrap();
        let options = MatchOptions { seed, seats: SEATS, npcs, tick_rate, mode: "" };
        Self {
            arena: Arena::new(&options),
            dice: Dice::new(seed ^ 0xD1CE),
            inputs: vec![ArenaInput::default(); SEATS.into()],
            events: Events::default(),
            rows: Rows::default(),
            tick: Tick(0),
        }
    }

    /// The same match, read back from its serialised state.
    fn read_back(&self) -> Self {
        let written = serde_json::to_string(&self.arena).unwrap();
        Self {
            arena: serde_json::from_str(&written).unwrap(),
            dice: self.dice.clone(),
            inputs: self.inputs.clone(),
            events: Events::default(),
            rows: self.rows.clone(),
            tick: self.tick,
        }
    }

    fn step(&mut self) {
        self.tick = self.tick.plus(1);
        self.events.clear();
        let (inputs, events) = (&self.inputs, &mut self.events);
        self.arena.step(&mut Step { tick: self.tick, inputs, past: Rewind::none(), events });
        self.rows.clear();
        self.arena.write_rows(&mut self.rows);
    }

    /// A step with a random input, and sometimes a player who joins or leaves.
    fn step_at_random(&mut self) -> u32 {
        let seat = Seat(self.dice.within(0, i32::from(SEATS) - 1) as u16);
        match self.dice.within(0, 199) {
            0..=1 => self.arena.join(seat),
            2 => self.arena.leave(seat),
            _ => {}
        }
        let schema = Arena::schema();
        let part = |integer: &crate::schema::Integer| self.dice.within(integer.min, integer.max);
        let values: Vec<_> = schema.input.iter().map(part).collect();
        self.inputs[seat.index()] = ArenaInput::from_values(&values);
        self.step();
        self.rows.digest()
    }
}

fn player(rows: &Rows, seat: Seat) -> Option<rows::PlayerRow> {
    rows::PlayerRow::read(rows.find(rows::player_id(seat))?.values)
}

fn events(world: &World) -> Vec<Event<'_>> {
    world.events.iter().collect()
}

fn count(world: &World, kind: u8) -> usize {
    world.events.iter().filter(|event| event.kind == kind).count()
}
