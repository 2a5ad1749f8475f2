//! Brains of bots: they turn what a client sees into inputs.

use tickwire_shared::{
    arena::{Arena, brain::Brain as ArenaMind},
    dice::Dice,
    game::{Game, Input},
    ids::Seat,
    rows::Rows,
    schema::{Integer, Schema},
    time::TickRate,
    wire::{Welcome, schema_hash},
};

/// Decides one bot's inputs, from nothing but its seed and its views.
///
/// ```no_run
/// use tickwire_bot_client::{Brain, Options, brain::View, run};
/// use tickwire_shared::ids::EntityId;
///
/// /// Runs from one side to the middle, and back.
/// struct Runner;
///
/// impl Brain for Runner {
///     fn decide(&mut self, view: &View<'_>, values: &mut [i32]) {
///         let own = view.rows.find(EntityId(view.seat.0.into()));
///         values[0] = if own.is_some_and(|own| own.values[0] < 1_000) { 1 } else { -1 };
///     }
/// }
///
/// let report = run(&Options::default(), |_| Box::new(Runner))?;
/// # Ok::<(), tickwire_bot_client::RunError>(())
/// ```
pub trait Brain {
    /// Decides the next input: `values` has an element for each of the schema's `input` integers,
    /// and still holds the last input; at first, each is the nearest to 0 in its range. Each must be
    /// within its range. Called once per tick interval.
    fn decide(&mut self, view: &View<'_>, values: &mut [i32]);
}

/// What a bot sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The bot's own seat.
    pub seat: Seat,
    /// The newest snapshot, or with `--net` the one that a player would see now.
    pub rows: &'a Rows,
    /// Values that only this seat's player receives.
    pub owner: &'a [i32],
}

/// What is known of a bot when its brain is made.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// Index of the bot in the swarm, from 0.
    pub number: usize,
    /// This bot's own seed.
    pub seed: u64,
    /// The server's welcome.
    pub welcome: &'a Welcome,
    /// The game's schema.
    pub schema: &'a Schema,
}

/// A brain that plays the arena; for any other game, one that presses buttons at random.
#[must_use]
pub fn for_game(newcomer: &Newcomer<'_>) -> Box<dyn Brain> {
    let Newcomer { seed, welcome, schema, .. } = *newcomer;
    if welcome.schema_hash == schema_hash(&Arena::schema()) {
        Box::new(ArenaPlayer(ArenaMind::new(seed, welcome.tick_rate)))
    } else {
        Box::new(Fidget::new(seed, &schema.input, welcome.tick_rate))
    }
}

/// Plays the arena like its computer players.
#[derive(Debug)]
struct ArenaPlayer(ArenaMind);

impl Brain for ArenaPlayer {
    fn decide(&mut self, view: &View<'_>, values: &mut [i32]) {
        self.0.decide(view.seat, view.rows, view.owner).write_values(values);
    }
}

/// Holds every integer of the input for a while, then changes it at random.
#[derive(Debug)]
struct Fidget {
    dice: Dice,
    parts: Vec<Held>,
    hold_ticks_max: i32,
}

#[derive(Debug)]
struct Held {
    integer: Integer,
    ticks_left: i32,
}

/// Longest time for which an integer is held.
const HOLD_S_MAX: i32 = 2;

impl Fidget {
    fn new(seed: u64, input: &[Integer], rate: TickRate) -> Self {
        let held = |integer: &Integer| Held { integer: integer.clone(), ticks_left: 0 };
        Self {
            dice: Dice::new(seed),
            parts: input.iter().map(held).collect(),
            hold_ticks_max: i32::from(rate.hz()) * HOLD_S_MAX,
        }
    }
}

impl Brain for Fidget {
    fn decide(&mut self, _view: &View<'_>, values: &mut [i32]) {
        for (held, value) in self.parts.iter_mut().zip(values) {
            held.ticks_left -= 1;
            if held.ticks_left < 0 {
                held.ticks_left = self.dice.within(1, self.hold_ticks_max);
                *value = self.dice.within(held.integer.min, held.integer.max);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fidgeting_stays_within_the_schema() {
        let integer = |min, max| Integer { name: String::from("n"), min, max };
        let input = [integer(-7, 9), integer(i32::MIN, i32::MAX), integer(3, 3)];
        let mut brain = Fidget::new(5, &input, TickRate::new(30).unwrap());
        let view = View { seat: Seat(0), rows: &Rows::default(), owner: &[] };
        let mut values = [0; 3];
        let mut changes = 0;
        for _ in 0..600 {
            let before = values;
            brain.decide(&view, &mut values);
            changes += u32::from(before != values);
            for (integer, value) in input.iter().zip(values) {
                assert!((integer.min..=integer.max).contains(&value), "{value}");
            }
        }
        assert!((20..100).contains(&changes), "{changes} changes in 20 s");
    }
}
