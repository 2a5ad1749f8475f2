//! The arena, with hooks for a test.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    arena::Arena,
    game::{Game, MatchOptions, Step},
    ids::Seat,
    rows::Rows,
    schema::Schema,
};

/// What a test does to the arena.
pub(crate) trait Hook: Send + 'static {
    /// Runs before each step.
    fn before_step() {}

    /// Whether a match may end now, unless the arena says so.
    fn may_end() -> bool {
        false
    }
}

/// See the module.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Hooked<H>(Arena, PhantomData<H>);

impl<H: Hook> Game for Hooked<H> {
    type Input = <Arena as Game>::Input;
    const MODES: &'static [&'static str] = Arena::MODES;
    const SCORES: &'static [&'static str] = Arena::SCORES;

    fn schema() -> Schema {
        Arena::schema()
    }

    fn new(options: &MatchOptions) -> Self {
        Self(Arena::new(options), PhantomData)
    }

    fn join(&mut self, seat: Seat) {
        self.0.join(seat);
    }

    fn leave(&mut self, seat: Seat) {
        self.0.leave(seat);
    }

    fn step(&mut self, step: &mut Step<'_, Self::Input>) {
        H::before_step();
        self.0.step(step);
    }

    fn write_rows(&self, rows: &mut Rows) {
        self.0.write_rows(rows);
    }

    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        self.0.write_owner(seat, values);
    }

    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        self.0.write_score(seat, values);
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }

    fn may_end(&self) -> bool {
        H::may_end() || self.0.may_end()
    }
}
