//! The cost per tick of a match of sixteen before encoding: the rules, the rows, and the decisions
//! of computer players if there are any.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tickwire_shared::{
    arena::{Arena, ArenaInput, brain::Brain},
    game::{Events, Game, MatchOptions, Step},
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    time::TickRate,
};

const SEATS: u16 = 16;
/// Number of ticks whose inputs are recorded, and then repeated.
const RECORDED: usize = 4_096;

fn arena(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("arena, 16 players");
    let recording = record();

    let mut people = Match::new(0);
    (0..SEATS).for_each(|seat| people.arena.join(Seat(seat)));
    let mut inputs = recording.iter().cycle();
    group.bench_function("step", |bencher| {
        bencher.iter(|| people.step(inputs.next().expect("a cycle has no end")));
    });

    let mut rows = Rows::default();
    group.bench_function("write_rows", |bencher| {
        bencher.iter(|| {
            rows.clear();
            people.arena.write_rows(black_box(&mut rows));
        });
    });

    let mut computers = Match::new(SEATS);
    group.bench_function("step, all of them computers", |bencher| {
        bencher.iter(|| computers.step(&[ArenaInput::default(); SEATS as usize]));
    });
    group.finish();
}

/// Records the inputs of computer players in all seats.
fn record() -> Vec<[ArenaInput; SEATS as usize]> {
    let mut played = Match::new(0);
    let mut brains: Vec<_> = (0..SEATS).map(|seat| Brain::new(seat.into(), rate())).collect();
    (0..SEATS).for_each(|seat| played.arena.join(Seat(seat)));
    let mut rows = Rows::default();
    let mut owner = [0; 2];
    let mut record = || {
        rows.clear();
        played.arena.write_rows(&mut rows);
        let mut inputs = [ArenaInput::default(); SEATS as usize];
        for ((seat, brain), input) in (0..).map(Seat).zip(&mut brains).zip(&mut inputs) {
            played.arena.write_owner(seat, &mut owner);
            *input = brain.decide(seat, &rows, &owner);
        }
        played.step(&inputs);
        inputs
    };
    (0..RECORDED).map(|_| record()).collect()
}

struct Match {
    arena: Arena,
    tick: Tick,
    events: Events,
}

impl Match {
    fn new(npcs: u16) -> Self {
        let options = MatchOptions { seed: 1, seats: SEATS, npcs, tick_rate: rate(), mode: "" };
        Self { arena: Arena::new(&options), tick: Tick(0), events: Events::default() }
    }

    fn step(&mut self, inputs: &[ArenaInput]) {
        self.tick = self.tick.plus(1);
        self.events.clear();
        self.arena.step(&mut Step {
            tick: self.tick,
            inputs,
            past: Rewind::none(),
            events: &mut self.events,
        });
    }
}

fn rate() -> TickRate {
    TickRate::new(30).expect("within the range of tick rates")
}

criterion_group!(benches, arena);
criterion_main!(benches);
