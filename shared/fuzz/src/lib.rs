//! Code that fuzz targets share: a short match, and splitting an input into frames.

use tickwire_shared::{
    arena::{Arena, ArenaInput},
    game::{Events, Game, MatchOptions, Step},
    ids::Tick,
    replica::Rewind,
    rows::Rows,
    testing,
    time::TickRate,
    wire::Welcome,
};

/// Splits an input into frames, each with its length in front: two bytes, little endian.
pub fn frames(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = input.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        input = rest;
        Some(frame)
    })
}

/// The rate of the match.
pub fn rate() -> TickRate {
    TickRate::new(30).expect("a valid rate")
}

/// The welcome to the match of the fuzz targets.
pub fn welcome() -> Welcome {
    testing::welcome(Arena::schema(), rate())
}

/// Rows of the first ticks of a match of computer players, from tick 1 on.
pub fn rows(ticks: u32) -> Vec<(Tick, Rows)> {
    let options = MatchOptions { seed: 1, seats: 16, npcs: 16, tick_rate: rate(), mode: "" };
    let mut arena = Arena::new(&options);
    let (inputs, mut events) = ([ArenaInput::default(); 16], Events::default());
    let step = |tick| {
        events.clear();
        arena.step(&mut Step { tick, inputs: &inputs, past: Rewind::none(), events: &mut events });
        let mut rows = Rows::default();
        arena.write_rows(&mut rows);
        (tick, rows)
    };
    (1..=ticks).map(Tick).map(step).collect()
}
