//! The cost per tick of a match of sixteen before encoding: the rules, the rows, and the decisions
//! of computer players if there are any.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tickwire_benches::arena::{Inputs, Match, Played, SEATS};
use tickwire_shared::{game::Game, rows::Rows, time::TickRate};

/// Number of ticks whose inputs are recorded, and then repeated.
const RECORDED: usize = 4_096;

fn arena(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("arena, 16 players");
    let rate = TickRate::new(30).expect("within the range of tick rates");
    let mut played = Played::new(rate);
    let recording: Vec<_> = (0..RECORDED).map(|_| played.play()).collect();

    let mut people = Match::of_people(rate);
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

    let mut computers = Match::new(SEATS, rate);
    group.bench_function("step, all of them computers", |bencher| {
        bencher.iter(|| computers.step(&Inputs::default()));
    });
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
