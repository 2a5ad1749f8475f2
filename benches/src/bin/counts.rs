//! Fixed work on the hot paths, whose instructions `.ci/counts` counts.
//!
//! ```sh
//! valgrind --tool=callgrind --toggle-collect='counts::counted*' target/release/counts encode
//! ```
//!
//! Times depend on other work on the machine; instruction counts hardly do. The work is a match of
//! sixteen computer players, the same at every run, after the codec has found its model.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::hint::black_box;

use anyhow::bail;
use tickwire_benches::{
    recording::{Recording, Sampling, Snapshot},
    replay::basis,
};
use tickwire_shared::{
    arena::{Arena, ArenaInput, predict::Walk},
    codec::{Decoder, Encoder},
    game::{Events, Game, Input, MatchOptions, Step},
    ids::{Seat, Tick},
    link::{ClientLink, ServerLink, Snapshot as WireSnapshot, server::write_message},
    replica::{Interpolation, Prediction, Rewind},
    rows::Rows,
    schema::Schema,
    testing,
    time::{Micros, TickRate},
    wire::{Pong, ServerMessage, Welcome},
};

/// The parts that can be counted.
const PARTS: [&str; 7] =
    ["encode", "decode", "arena-step", "server-link", "client-link", "interpolation", "prediction"];
const SEATS: u16 = 16;
/// Number of ticks that are counted; earlier ones are for warming up.
const COUNTED: usize = 500;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("encode") => encode(),
        Some("decode") => decode(),
        Some("arena-step") => arena_step(),
        Some(part @ ("server-link" | "client-link" | "interpolation" | "prediction")) => play(part),
        Some("list") => println!("{}", PARTS.join("\n")),
        _ => bail!("expected one of {}", PARTS.join(", ")),
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
    decoder.set_model(encoder.model()).expect("the encoder's model is valid");
    let (mut body, mut decoded) = (Vec::new(), Rows::default());
    for index in warm..recording.snapshots.len() {
        let Snapshot { tick, rows, .. } = &recording.snapshots[index];
        let basis = basis(&recording.snapshots, index, 1);
        body.clear();
        encoder.encode(&basis, *tick, rows, &mut body);
        counted_decode(&mut decoder, &basis, *tick, &body, &mut decoded);
        assert!(decoded == *rows, "a snapshot was not decoded exactly");
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
    decoder.decode(basis, tick, body, rows).expect("the encoder's body is valid");
}

fn record() -> Recording {
    Recording::open("arena", &Sampling::default()).expect("`arena` needs no file")
}

/// An encoder that has encoded all but the last [`COUNTED`] snapshots, and how many those are.
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
    let mut arena =
        Arena::new(&MatchOptions { seed: 1, seats: SEATS, npcs: SEATS, tick_rate, mode: "" });
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

/// Runs both ends of one player's session, and counts one part.
fn play(part: &str) {
    let recording = record();
    let (mut encoder, warm) = learnt(&recording);
    let Recording { schema, rate, snapshots } = &recording;
    let run = |of: &str, work: &mut dyn FnMut()| {
        if of == part { counted_part(work) } else { work() }
    };
    let (mut server, mut client) = meet(&recording, encoder.model());
    let mut others = Interpolation::default();
    let mut own = Prediction::new(Walk { rate: *rate }, Seat(0));
    let (mut body, mut down, mut up) = (Vec::new(), Vec::new(), Vec::new());
    let keys = ArenaInput::default();
    let mut values = vec![0; schema.input.len()];
    keys.write_values(&mut values);
    for (index, Snapshot { tick, rows, .. }) in snapshots.iter().enumerate().skip(warm) {
        let (tick, now) = (*tick, Micros(rate.nanos_to(tick.0.into()) / 1_000));
        let rows_of = |before| &snapshots[index - tick.since(before) as usize].rows;
        let basis = server.basis(tick).with_rows(rows_of);
        for bytes in [&mut body, &mut down, &mut up] {
            bytes.clear();
        }
        encoder.encode(&basis, tick, rows, &mut body);
        let processed = server.seq();
        let snapshot = WireSnapshot { tick, digest: None, processed, owner: &[], body: &body };
        run("server-link", &mut || {
            assert!(server.has_credit(tick, now));
            server.write_snapshot(&snapshot, now, &mut down);
        });
        run("client-link", &mut || {
            client.handle_frame(&down, now).expect("the server follows the protocol");
            while let Some(next) = client.poll_input(now) {
                up.clear();
                client.write_input(next, &values, &mut up).expect("a snapshot was applied");
            }
        });
        let clock = client.clock().expect("the client was welcomed");
        run("interpolation", &mut || {
            others.push(tick, rows, clock, now);
            for frame in 0..2 {
                black_box(others.view(clock, now.plus(Micros(frame * 16_667))));
            }
        });
        run("prediction", &mut || {
            own.push(tick.plus(2), &keys);
            own.reconcile(tick, rows, &[], now);
            for frame in 0..2 {
                black_box(own.shown(&keys, 0.5, now.plus(Micros(frame * 16_667))));
            }
        });
        run("server-link", &mut || {
            if !up.is_empty() {
                let received = server.handle_frame(&up, &schema.input, &mut values, now);
                received.expect("the client follows the protocol");
                server.record_lead(5_000);
            }
        });
    }
}

/// Both ends of a session after the welcome and the first pong.
fn meet(recording: &Recording, model: &[u8]) -> (ServerLink, ClientLink) {
    let Recording { schema, rate, .. } = recording;
    let schema = Schema { owner: Vec::new(), ..schema.clone() };
    let model = Some(model.to_vec());
    let welcome = Welcome { model, ..testing::welcome(schema, *rate) };
    let (mut server, mut client) = (ServerLink::new(Micros(0)), ClientLink::default());
    server.welcome(&welcome);
    let zero = Micros(0);
    let pong =
        Pong { client_time: zero, server_time: zero, held: zero, tick: Tick(0), tick_time: zero };
    for message in [ServerMessage::Welcome(Box::new(welcome)), ServerMessage::Pong(pong)] {
        let mut frame = Vec::new();
        write_message(&message, &mut frame);
        client.handle_frame(&frame, zero).expect("the server follows the protocol");
    }
    (server, client)
}

#[inline(never)]
fn counted_part(work: &mut dyn FnMut()) {
    work();
}
