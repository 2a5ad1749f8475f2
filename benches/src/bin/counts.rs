//! Fixed work on the hot paths, for counting the instructions that it takes: see `.ci/counts`.
//!
//! ```sh
//! valgrind --tool=callgrind --toggle-collect='counts::counted*' target/release/counts encode
//! ```
//!
//! Times depend on what else a machine does, instructions hardly do. What is counted is a match of
//! sixteen computer players, the same at every run, after the codec has learnt what it can.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::hint::black_box;

use anyhow::bail;
use tickwire_benches::{
    recording::{Recording, Sampling, Snapshot},
    replay::basis,
};
use tickwire_shared::{
    arena::{Arena, ArenaInput},
    codec::{Decoder, Encoder},
    game::{Events, Game, MatchOptions, Step},
    ids::Tick,
    replica::Rewind,
    rows::Rows,
    time::TickRate,
};

/// What can be counted.
const PARTS: [&str; 3] = ["encode", "decode", "arena-step"];
const SEATS: u16 = 16;
/// Ticks that are counted; those before them are for warming up.
const COUNTED: usize = 500;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("encode") => encode(),
        Some("decode") => decode(),
        Some("arena-step") => arena_step(),
        Some("list") => println!("{}", PARTS.join("\n")),
        _ => bail!("what is to be counted? One of {}", PARTS.join(", ")),
    }
    Ok(())
}

fn encode() {
    let recording = record();
    let (mut encoder, warm) = learnt(&recording);
    let mut body = Vec::with_capacity(4096);
    for index in warm..recording.snapshots.len() {
        let Snapshot { tick, rows, .. } = &recording.snapshots[index];
        let basis = basis(&recording.snapshots, index, 1);
        body.clear();
        counted_encode(&mut encoder, &basis, *tick, rows, &mut body);
    }
    black_box(body);
}

#[inline(never)]
fn counted_encode(
    encoder: &mut Encoder,
    basis: &[(Tick, &Rows)],
    tick: Tick,
    rows: &Rows,
    body: &mut Vec<u8>,
) {
    encoder.encode(basis, tick, rows, body);
}

fn decode() {
    let recording = record();
    let (mut encoder, warm) = learnt(&recording);
    let mut decoder = Decoder::new(&recording.schema, recording.rate);
    decoder.set_model(encoder.model()).expect("it is the encoder's");
    let (mut body, mut decoded) = (Vec::new(), Rows::default());
    for index in warm..recording.snapshots.len() {
        let Snapshot { tick, rows, .. } = &recording.snapshots[index];
        let basis = basis(&recording.snapshots, index, 1);
        body.clear();
        encoder.encode(&basis, *tick, rows, &mut body);
        counted_decode(&mut decoder, &basis, *tick, &body, &mut decoded);
        assert!(decoded == *rows, "a snapshot did not come out as it went in");
    }
}

#[inline(never)]
fn counted_decode(
    decoder: &mut Decoder,
    basis: &[(Tick, &Rows)],
    tick: Tick,
    body: &[u8],
    rows: &mut Rows,
) {
    decoder.decode(basis, tick, body, rows).expect("it is the encoder's body");
}

fn record() -> Recording {
    Recording::open("arena", &Sampling::default()).expect("it needs no file")
}

/// An encoder that has seen all but the last snapshots, and how many those were.
fn learnt(recording: &Recording) -> (Encoder, usize) {
    let Recording { schema, rate, snapshots } = recording;
    let mut encoder = Encoder::new(schema, *rate);
    let warm = snapshots.len() - COUNTED;
    let mut body = Vec::new();
    for (index, Snapshot { tick, rows, .. }) in snapshots[..warm].iter().enumerate() {
        encoder.poll_model();
        body.clear();
        encoder.encode(&basis(snapshots, index, 1), *tick, rows, &mut body);
    }
    (encoder, warm)
}

fn arena_step() {
    let tick_rate = TickRate::new(30).expect("within the range of tick rates");
    let mut arena = Arena::new(&MatchOptions { seed: 1, seats: SEATS, npcs: SEATS, tick_rate });
    let mut events = Events::default();
    let inputs = [ArenaInput::default(); SEATS as usize];
    let mut rows = Rows::default();
    for tick in 0..COUNTED as u32 {
        events.clear();
        let mut step =
            Step { tick: Tick(tick), inputs: &inputs, past: Rewind::none(), events: &mut events };
        rows.clear();
        counted_step(&mut arena, &mut step, &mut rows);
    }
    black_box(rows);
}

#[inline(never)]
fn counted_step(arena: &mut Arena, step: &mut Step<'_, ArenaInput>, rows: &mut Rows) {
    arena.step(step);
    arena.write_rows(rows);
}
