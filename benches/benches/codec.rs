//! The cost of encoding and decoding snapshots, per changed field.
//!
//! ```sh
//! RECORDINGS="FILE FILE" cargo bench -p tickwire-benches --bench codec
//! ```
//!
//! It measures the arena and the recordings in `RECORDINGS` (see the program `bandwidth`). Each is
//! repeated; an iteration is one changed field. "Encode and survey" is a match that has just begun,
//! in which the encoder collects statistics of every body.

use std::{
    env,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tickwire_benches::{
    recording::{Recording, Sampling, Snapshot},
    replay::{basis, changed_fields},
};
use tickwire_shared::{
    codec::{Decoder, Encoder},
    ids::Tick,
    rows::Rows,
};

/// Clients of a match, which share one encoding.
const CLIENTS: u64 = 16;
/// Snapshots for which a match counts as just begun.
const FIRST: usize = 100;

fn codec(criterion: &mut Criterion) {
    let named = env::var("RECORDINGS").unwrap_or_default();
    for file in ["arena"].into_iter().chain(named.split_whitespace()) {
        let recording = Recording::open(file, &Sampling::default())
            .unwrap_or_else(|error| panic!("RECORDINGS must name recordings: {error}"));
        let name = Path::new(file).file_stem().unwrap_or_else(|| file.as_ref()).to_string_lossy();
        measure(criterion, &name, &recording);
    }
}

fn measure(criterion: &mut Criterion, name: &str, recording: &Recording) {
    let mut group = criterion.benchmark_group(name);
    let fields = changed_fields(recording, 1);
    let entities: Vec<_> =
        (recording.snapshots.iter()).map(|snapshot| CLIENTS * snapshot.rows.len() as u64).collect();
    let mut match_ = Match::new(recording);
    group.bench_function("encode, per changed field", |bencher| {
        bencher.iter_custom(|count| match_.time(count, &fields, Match::encode));
    });
    group.bench_function("encode, per client of 16 and entity", |bencher| {
        bencher.iter_custom(|count| match_.time(count, &entities, Match::encode));
    });
    group.bench_function("encode and survey, per changed field", |bencher| {
        bencher.iter_custom(|count| match_.time(count, &fields, Match::encode_early));
    });
    group.bench_function("decode, per changed field", |bencher| {
        bencher.iter_custom(|count| match_.time(count, &fields, Match::decode));
    });
    group.finish();
}

/// A match whose codec has found its model.
struct Match<'a> {
    recording: &'a Recording,
    bases: Vec<Vec<(Tick, &'a Rows)>>,
    next: usize,
    encoder: Encoder,
    early: Encoder,
    decoder: Decoder,
    bodies: Vec<Vec<u8>>,
    body: Vec<u8>,
    rows: Rows,
}

impl<'a> Match<'a> {
    fn new(recording: &'a Recording) -> Self {
        let Recording { schema, rate, snapshots } = recording;
        let mut played = Self {
            recording,
            bases: (0..snapshots.len()).map(|index| basis(snapshots, index, 1)).collect(),
            next: 0,
            encoder: Encoder::new(schema, *rate),
            early: Encoder::new(schema, *rate),
            decoder: Decoder::new(schema, *rate),
            bodies: Vec::new(),
            body: Vec::new(),
            rows: Rows::default(),
        };
        for index in 0..snapshots.len() {
            played.encode(index);
        }
        let model = played.encoder.model().to_vec();
        if !model.is_empty() {
            played.decoder.set_model(&model).expect("the encoder's model is valid");
        }
        for (basis, Snapshot { tick, rows, .. }) in played.bases.iter().zip(snapshots) {
            let mut body = Vec::new();
            played.encoder.encode(basis, *tick, rows, &mut body);
            played.bodies.push(body);
        }
        played
    }

    /// The time for `wanted` units of work; `counts` says how many each snapshot has.
    fn time(&mut self, wanted: u64, counts: &[u64], work: fn(&mut Self, usize)) -> Duration {
        let mut done = 0;
        let start = Instant::now();
        while done < wanted {
            work(self, self.next);
            done += counts[self.next];
            self.next = (self.next + 1) % self.bases.len();
        }
        start.elapsed().mul_f64(wanted as f64 / done as f64)
    }

    /// Encodes like a server.
    fn encode(&mut self, index: usize) {
        let Snapshot { tick, rows, .. } = &self.recording.snapshots[index];
        black_box(self.encoder.poll_model());
        self.body.clear();
        self.encoder.encode(&self.bases[index], *tick, rows, &mut self.body);
    }

    fn encode_early(&mut self, index: usize) {
        if index.is_multiple_of(FIRST) {
            self.early = Encoder::new(&self.recording.schema, self.recording.rate);
        }
        let Snapshot { tick, rows, .. } = &self.recording.snapshots[index];
        black_box(self.early.poll_model());
        self.body.clear();
        self.early.encode(&self.bases[index], *tick, rows, &mut self.body);
    }

    fn decode(&mut self, index: usize) {
        let tick = self.recording.snapshots[index].tick;
        let body = &self.bodies[index];
        let decoded = self.decoder.decode(&self.bases[index], tick, body, &mut self.rows);
        decoded.expect("the encoder's body is valid");
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
