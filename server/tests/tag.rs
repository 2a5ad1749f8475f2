//! Facts about the game of tag that the README shows.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../examples/tag.rs"]
#[expect(dead_code, reason = "an example has a main")]
mod tag;

use tag::Tag;
use tickwire_shared::{
    game::{Events, Game, Input, MatchOptions, Step},
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    testing,
    time::TickRate,
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

/// Where somebody is who runs for so many ticks, in centimetres.
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
