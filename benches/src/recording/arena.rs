//! A recording of sixteen computer players in the reference game, generated from a fixed seed.

use tickwire_shared::{
    arena::{Arena, ArenaInput, brain::Brain},
    game::{Events, Game, MatchOptions, Step},
    ids::{Seat, Tick},
    replica::Rewind,
    rows::{Row, Rows},
    time::TickRate,
};

use super::{Recording, Sampling, Snapshot};

const SEATS: u16 = 16;
const SECONDS: u32 = 240;

pub(super) fn play(sampling: &Sampling) -> Recording {
    let tick_rate =
        sampling.rate.unwrap_or_else(|| TickRate::new(30).expect("within the range of rates"));
    let options = MatchOptions { seed: 1, seats: SEATS, npcs: 0, tick_rate, mode: "" };
    let mut arena = Arena::new(&options);
    let mut brains: Vec<_> = (0..SEATS).map(|seat| Brain::new(seat.into(), tick_rate)).collect();
    (0..SEATS).for_each(|seat| arena.join(Seat(seat)));
    let mut events = Events::default();
    let mut owner = vec![0; Arena::schema().owner.len()];
    let mut rows = Rows::default();
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for tick in (1..=SECONDS * u32::from(tick_rate.hz())).map(Tick) {
        rows.clear();
        arena.write_rows(&mut rows);
        let mut inputs = [ArenaInput::default(); SEATS as usize];
        for ((seat, brain), input) in (0..).map(Seat).zip(&mut brains).zip(&mut inputs) {
            arena.write_owner(seat, &mut owner);
            *input = brain.decide(seat, &rows, &owner);
        }
        events.clear();
        arena.step(&mut Step { tick, inputs: &inputs, past: Rewind::none(), events: &mut events });
        rows.clear();
        arena.write_rows(&mut rows);
        let before = snapshots.last().map(|snapshot| &snapshot.rows);
        let same = |row: Row<'_>| before.is_some_and(|before| before.find(row.id) == Some(row));
        let updates = rows.iter().filter(|row| !same(*row)).count() as u32;
        snapshots.push(Snapshot { tick, rows: rows.clone(), updates });
    }
    Recording { schema: Arena::schema(), rate: tick_rate, snapshots }
}
