//! Facts about the game of tag that the README shows.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../examples/tag.rs"]
#[expect(dead_code, reason = "an example has a main")]
mod tag;

use tag::{Keys, Tag};
use tickwire_shared::{
    dice::Dice,
    game::{Events, Game, Input, MatchOptions, Step},
    ids::{EntityId, Seat, Tick},
    replica::{Predictor, Rewind},
    rows::Rows,
    testing::{self, Played, Profile, Simulation},
    time::{Micros, TickRate},
};

#[test]
fn tag_passes_the_check_for_any_game() {
    testing::check::<Tag>();
}

#[test]
fn a_runner_is_as_fast_at_any_rate() {
    for hz in [10, 30, 60, 128] {
        let start = run(hz, 0, [0, 0]);
        assert_eq!(run(hz, hz, [1, 0]), [start[0] + 600, start[1]], "at {hz} Hz");
    }
}

#[test]
fn a_runner_slides_along_a_wall() {
    let [before, after] = [60, 90].map(|ticks| run(30, ticks, [1, 1]));
    assert_eq!((before, after), ([2_000, 1_200], [2_000, 1_800]));
}

#[test]
fn runners_are_predicted_over_a_network() {
    for (profile, most) in [(Profile::LAN, 0), (Profile::WIFI, 4)] {
        let (lasts, cut_every, rate) =
            (Micros::from_secs(60), Micros(0), TickRate::new(30).unwrap());
        let run = Simulation { seed: 1, profile, players: 4, rate, lasts, cut_every };
        let outcome = run.run::<Tag>();
        assert_eq!(outcome.faults(), [""; 0]);
        assert!(outcome.counts.keys > 100, "{:?}", outcome.counts);
        assert!(outcome.counts.corrections <= most, "{}: {:?}", profile.name, outcome.counts);
    }
}

/// The rules for one runner, in centimetres.
#[derive(Clone)]
struct Run {
    per_tick: i32,
}

impl Predictor for Run {
    type Input = Keys;
    type State = [i32; 2];
    const JUMP_FROM: f32 = 2.0;

    fn read(&self, rows: &Rows, _: &[i32], seat: Seat) -> Option<[i32; 2]> {
        let runner = rows.find(EntityId(seat.0.into()))?;
        Some([runner.values[0], runner.values[1]])
    }

    fn advance(&self, state: &mut [i32; 2], Keys(keys): &Keys) {
        let to = [0, 1].map(|axis| state[axis] + keys[axis] * self.per_tick);
        *state = to.map(|axis| axis.clamp(0, 2_000));
    }

    fn place(&self, state: &[i32; 2]) -> [f32; 3] {
        [state[0] as f32 / 100.0, state[1] as f32 / 100.0, 0.0]
    }
}

impl Played for Tag {
    type Rules = Run;

    fn rules(rate: TickRate) -> Run {
        Run { per_tick: 600 / i32::from(rate.hz()) }
    }

    fn press(Keys(held): &mut Keys, _: bool, dice: &mut Dice) {
        *held = [0, 1].map(|_| dice.within(-1, 1));
    }

    /// The player who was "it" starts again in a corner.
    fn has_moved_players(before: Option<&Rows>, rows: Option<&Rows>) -> bool {
        let it =
            |rows: Option<&Rows>| rows?.iter().find(|row| row.values[2] == 1).map(|row| row.id);
        it(before) != it(rows)
    }
}

/// The position of a runner after this many ticks, in centimetres.
#[track_caller]
fn run(hz: u16, ticks: u16, keys: [i32; 2]) -> [i32; 2] {
    let tick_rate = TickRate::new(hz).unwrap();
    let mut tag = Tag::new(&MatchOptions { seed: 0, seats: 1, npcs: 0, tick_rate, mode: "" });
    tag.join(Seat(0));
    let inputs = [Input::from_values(&keys)];
    let mut events = Events::default();
    for tick in (0..ticks).map(|tick| Tick(tick.into())) {
        tag.step(&mut Step { tick, inputs: &inputs, past: Rewind::none(), events: &mut events });
    }
    let mut rows = Rows::default();
    tag.write_rows(&mut rows);
    let values = rows.row(0).values;
    [values[0], values[1]]
}
