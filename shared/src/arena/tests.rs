//! Facts about whole matches. Rules of single modules are tested beside them.

use super::*;
use crate::game::Input;

const SEATS: u16 = 16;

#[test]
fn the_schema_is_valid() {
    assert_eq!(Arena::schema().validate(), Ok(()));
}

#[test]
fn the_same_seed_and_inputs_give_the_same_rows() {
    let digests = |seed| {
        let mut world = World::new(seed, 6);
        (0..10_000).map(|_| world.step_at_random()).collect::<Vec<_>>()
    };
    assert_eq!(digests(1), digests(1));
    assert_ne!(digests(1), digests(2));
}

#[test]
fn rows_stay_within_the_schema_whatever_people_do() {
    let schema = Arena::schema();
    for seed in 0..4 {
        let mut world = World::new(seed, 4);
        for _ in 0..3_000 {
            world.step_at_random();
            for row in world.rows.iter() {
                let fields = &schema.kinds[usize::from(row.kind)].fields;
                assert_eq!(fields.len(), row.values.len());
                for (field, value) in fields.iter().zip(row.values) {
                    let range = field.min..=field.max;
                    assert!(range.contains(value), "seed {seed}: {} is {value}", field.name);
                }
            }
        }
    }
}

/// A match and the dice that play it.
struct World {
    arena: Arena,
    dice: Dice,
    inputs: Vec<ArenaInput>,
    events: Events,
    rows: Rows,
    tick: Tick,
}

impl World {
    fn new(seed: u64, npcs: u16) -> Self {
        let tick_rate = TickRate::new(30).unwrap();
        let options = MatchOptions { seed, seats: SEATS, npcs, tick_rate };
        Self {
            arena: Arena::new(&options),
            dice: Dice::new(seed ^ 0xD1CE),
            inputs: vec![ArenaInput::default(); SEATS.into()],
            events: Events::default(),
            rows: Rows::default(),
            tick: Tick(0),
        }
    }

    fn step(&mut self) {
        self.tick = self.tick.plus(1);
        self.events.clear();
        let (inputs, events) = (&self.inputs, &mut self.events);
        self.arena.step(&mut Step { tick: self.tick, inputs, events });
        self.arena.write_rows(&mut self.rows);
    }

    /// A step with new inputs here and there, people who come, and people who go.
    fn step_at_random(&mut self) -> u32 {
        let seat = Seat(self.dice.within(0, SEATS as i32 - 1) as u16);
        match self.dice.within(0, 99) {
            0 => self.arena.join(seat),
            1 if self.dice.within(0, 1) == 0 => self.arena.leave(seat),
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
