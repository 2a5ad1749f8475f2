//! Replays a recording through the codec, as a match would send it.

use std::time::{Duration, Instant};

use tickwire_shared::{
    codec::{BASIS_MAX, CodecError, Decoder, Encoder},
    ids::Tick,
    rows::Rows,
};

use crate::recording::{Recording, Snapshot};

/// The result of a replay.
#[derive(Debug)]
pub struct Replay {
    /// Whether every snapshot was decoded exactly.
    pub exact: bool,
    /// Bytes of all bodies.
    pub body_bytes: u64,
    /// Bytes of the models that were sent.
    pub model_bytes: u64,
    /// Number of models that were sent.
    pub models: u32,
    /// Time taken to encode each snapshot.
    pub encoding: Vec<Duration>,
    /// Time taken to decode each snapshot.
    pub decoding: Vec<Duration>,
    /// The encoder, for its statistics.
    pub encoder: Encoder,
}

/// Encodes and decodes every snapshot, with a baseline that is `baseline_age` snapshots older.
pub fn replay(recording: &Recording, baseline_age: usize) -> Result<Replay, CodecError> {
    let Recording { schema, rate, snapshots } = recording;
    let mut decoder = Decoder::new(schema, *rate);
    let mut replay = Replay {
        exact: true,
        body_bytes: 0,
        model_bytes: 0,
        models: 0,
        encoding: Vec::with_capacity(snapshots.len()),
        decoding: Vec::with_capacity(snapshots.len()),
        encoder: Encoder::new(schema, *rate),
    };
    let mut body = Vec::new();
    let mut decoded = Rows::default();
    for (index, Snapshot { tick, rows, .. }) in snapshots.iter().enumerate() {
        let basis = basis(snapshots, index, baseline_age);
        body.clear();
        let start = Instant::now();
        if let Some(model) = replay.encoder.poll_model() {
            decoder.set_model(model)?;
            replay.model_bytes += model.len() as u64;
            replay.models += 1;
        }
        replay.encoder.encode(&basis, *tick, rows, &mut body);
        let encoded = Instant::now();
        decoder.decode(&basis, *tick, &body, &mut decoded)?;
        replay.decoding.push(encoded.elapsed());
        replay.encoding.push(encoded - start);
        replay.exact &= decoded == *rows;
        replay.body_bytes += body.len() as u64;
    }
    Ok(replay)
}

/// The sum of each snapshot's shortest time over all replays, in nanoseconds. All replays do the
/// same work, so longer times are disturbance by other work on the machine.
pub fn shortest_ns<'a>(times: impl Iterator<Item = &'a [Duration]>) -> f64 {
    let mut shortest: Vec<Duration> = Vec::new();
    for times in times {
        shortest.resize(times.len(), Duration::MAX);
        shortest.iter_mut().zip(times).for_each(|(least, time)| *least = (*least).min(*time));
    }
    shortest.iter().sum::<Duration>().as_nanos() as f64
}

/// How many values of each snapshot differ from the baseline's.
pub fn changed_fields(recording: &Recording, baseline_age: usize) -> Vec<u64> {
    let snapshots = &recording.snapshots;
    let baseline = |index| basis(snapshots, index, baseline_age).first().map(|&(_, rows)| rows);
    let changed = |index: usize| changed_values(baseline(index), &snapshots[index].rows);
    (0..snapshots.len()).map(changed).collect()
}

/// The basis for the snapshot at `index` if the client has all snapshots up to `age` before it.
pub fn basis(snapshots: &[Snapshot], index: usize, age: usize) -> Vec<(Tick, &Rows)> {
    let known = &snapshots[..(index + 1).saturating_sub(age)];
    known.iter().rev().take(BASIS_MAX).map(|known| (known.tick, &known.rows)).collect()
}

fn changed_values(baseline: Option<&Rows>, rows: &Rows) -> u64 {
    let changed = |row: tickwire_shared::rows::Row<'_>| {
        let before = baseline.and_then(|baseline| baseline.find(row.id));
        let Some(before) = before.filter(|before| before.kind == row.kind) else {
            return row.values.len();
        };
        row.values.iter().zip(before.values).filter(|(new, old)| new != old).count()
    };
    rows.iter().map(|row| changed(row) as u64).sum()
}
