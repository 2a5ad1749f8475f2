//! Measures the snapshot codec on a recording, beside other encodings of the same rows.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use serde::Serialize;
use tickwire_benches::{
    controls::Controls,
    output::write_json,
    recording::{Recording, Sampling},
    replay::{Replay, basis, changed_fields, replay, shortest_ns},
};
use tickwire_shared::{rows::Rows, time::TickRate};

/// Replays a recording through the snapshot codec, and prints sizes and times.
#[derive(Debug, Parser)]
struct Args {
    /// A .rltr file, a text file of pedestrians, or `arena` for sixteen computer players.
    file: String,
    /// Step of a position, in centimetres.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    position_cm: f64,
    /// Bits of each of a quaternion's three components.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u8).range(2..=24))]
    rotation_bits: u8,
    /// Step of a velocity, in centimetres per second; `none` omits velocities.
    #[arg(long, default_value = "1", value_parser = velocity)]
    velocity_cms: Velocity,
    /// Ticks per second; by default the recording's own.
    #[arg(long, value_parser = rate)]
    rate: Option<TickRate>,
    /// Age of the baseline, in snapshots.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    baseline_age: u16,
    /// Also print the bits of each field.
    #[arg(long)]
    fields: bool,
    /// Also write the report as one JSON object; `-` for stdout instead of the text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Velocity(Option<f64>);

fn velocity(text: &str) -> Result<Velocity, String> {
    if text == "none" { Ok(Velocity(None)) } else { positive(text).map(|cms| Velocity(Some(cms))) }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.01);
    number.ok_or_else(|| "a number from 0.01 up".into())
}

fn rate(text: &str) -> Result<TickRate, String> {
    text.parse::<u16>().map_err(|error| error.to_string()).and_then(TickRate::try_from)
}

/// Number of replays, of which the shortest times are used.
const REPLAYS: usize = 5;

fn main() -> ExitCode {
    let args = Args::parse();
    let sampling = Sampling {
        position_cm: args.position_cm,
        rotation_bits: args.rotation_bits,
        velocity_cms: args.velocity_cms.0,
        rate: args.rate,
    };
    let recording = match Recording::open(&args.file, &sampling) {
        Ok(recording) => recording,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(&args, &recording) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a snapshot was not decoded exactly");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, recording: &Recording) -> anyhow::Result<bool> {
    let age = usize::from(args.baseline_age);
    let mut replays =
        (0..REPLAYS).map(|_| replay(recording, age)).collect::<Result<Vec<Replay>, _>>()?;
    let encoding = shortest_ns(replays.iter().map(|replay| &replay.encoding[..]));
    let decoding = shortest_ns(replays.iter().map(|replay| &replay.decoding[..]));
    let fields = changed_fields(recording, age).iter().sum::<u64>() as f64;
    let replay = replays.swap_remove(0);

    let snapshots = recording.snapshots.len() as f64;
    let entities = recording.snapshots.iter().map(|snapshot| snapshot.rows.len()).sum::<usize>();
    let updates = updates(recording, age);
    let bytes = replay.body_bytes + replay.model_bytes;
    let per_update = |bits: f64| bits / updates as f64;
    let controls = controls(recording, age)?;
    let report = Report {
        exact: replay.exact,
        snapshots: recording.snapshots.len(),
        entities_mean: entities as f64 / snapshots,
        updates,
        bits_per_update: per_update(8.0 * bytes as f64),
        bytes_per_snapshot_mean: bytes as f64 / snapshots,
        models: replay.models,
        model_bytes: replay.model_bytes,
        encode_ns_per_entity: per_update(encoding),
        decode_ns_per_entity: per_update(decoding),
        encode_ns_per_field: encoding / fields,
        decode_ns_per_field: decoding / fields,
        controls: ControlBits {
            bincode_rows_bits: per_update(8.0 * controls.bincode_rows as f64),
            bincode_f32_bits: per_update(8.0 * controls.bincode_f32 as f64),
            bitpack_bits: per_update(controls.bitpack_bits as f64),
            zstd_bits: per_update(8.0 * controls.zstd as f64),
        },
    };
    if let Some(file) = &args.json {
        write_json(file, &report)?;
        if file == Path::new("-") {
            return Ok(report.exact);
        }
    }
    let mut out = io::stdout().lock();
    report.print(&mut out)?;
    if args.fields {
        print_fields(&mut out, recording, &replay, updates)?;
    }
    Ok(report.exact)
}

/// The sum over all snapshots of moving entities, those updated since the baseline.
fn updates(recording: &Recording, age: usize) -> u64 {
    if age == 1 {
        return recording.snapshots.iter().map(|snapshot| u64::from(snapshot.updates)).sum();
    }
    let changed = |index: usize| {
        let rows = &recording.snapshots[index].rows;
        let none = Rows::default();
        let basis = basis(&recording.snapshots, index, age);
        let baseline = basis.first().map_or(&none, |&(_, rows)| rows);
        let changed = rows.iter().filter(|row| baseline.find(row.id) != Some(*row)).count() as u64;
        changed.max(recording.snapshots[index].updates.into())
    };
    (0..recording.snapshots.len()).map(changed).sum()
}

fn controls(recording: &Recording, age: usize) -> anyhow::Result<Controls> {
    let mut controls = Controls::default();
    let none = Rows::default();
    for (index, snapshot) in recording.snapshots.iter().enumerate() {
        let basis = basis(&recording.snapshots, index, age);
        let baseline = basis.first().map_or(&none, |&(_, rows)| rows);
        controls.add(&recording.schema, baseline, &snapshot.rows)?;
    }
    Ok(controls)
}

/// The report. `updates` is the number of moving entities, summed over snapshots; bits (including
/// those of models) and times are divided by it.
#[derive(Debug, Serialize)]
struct Report {
    exact: bool,
    snapshots: usize,
    entities_mean: f64,
    updates: u64,
    bits_per_update: f64,
    bytes_per_snapshot_mean: f64,
    models: u32,
    model_bytes: u64,
    encode_ns_per_entity: f64,
    decode_ns_per_entity: f64,
    encode_ns_per_field: f64,
    decode_ns_per_field: f64,
    controls: ControlBits,
}

#[derive(Debug, Serialize)]
struct ControlBits {
    bincode_rows_bits: f64,
    bincode_f32_bits: f64,
    bitpack_bits: f64,
    zstd_bits: f64,
}

impl Report {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { controls, .. } = self;
        let exact = if self.exact { "all exact" } else { "NOT ALL EXACT" };
        writeln!(out, "snapshots                  {:>12} ({exact})", self.snapshots)?;
        writeln!(out, "entities, mean             {:>12.1}", self.entities_mean)?;
        writeln!(out, "moving entities, sum       {:>12}", self.updates)?;
        writeln!(out, "bits per moving entity     {:>12.2}", self.bits_per_update)?;
        writeln!(out, "bytes per snapshot, mean   {:>12.2}", self.bytes_per_snapshot_mean)?;
        writeln!(out, "models, and their bytes    {:>12} {:>8}", self.models, self.model_bytes)?;
        writeln!(out, "encode ns per moving entity{:>12.1}", self.encode_ns_per_entity)?;
        writeln!(out, "decode ns per moving entity{:>12.1}", self.decode_ns_per_entity)?;
        writeln!(out, "encode ns per changed field{:>12.1}", self.encode_ns_per_field)?;
        writeln!(out, "decode ns per changed field{:>12.1}", self.decode_ns_per_field)?;
        writeln!(out, "controls, bits per moving entity")?;
        writeln!(out, "  bincode of rows          {:>12.1}", controls.bincode_rows_bits)?;
        writeln!(out, "  bincode of f32 structs   {:>12.1}", controls.bincode_f32_bits)?;
        writeln!(out, "  bit packing              {:>12.1}", controls.bitpack_bits)?;
        writeln!(out, "  zstd of rows             {:>12.1}", controls.zstd_bits)
    }
}

fn print_fields(
    out: &mut impl Write,
    recording: &Recording,
    replay: &Replay,
    updates: u64,
) -> io::Result<()> {
    let costs = replay.encoder.costs();
    writeln!(out, "bits per moving entity, by field")?;
    let mut print = |kind: &str, field: &str, bits: f64| {
        if bits > 0.0 {
            writeln!(out, "  {kind:<12} {field:<22} {:>8.3}", bits / updates as f64)?;
        }
        Ok(())
    };
    for (k, kind) in recording.schema.kinds.iter().enumerate() {
        for (f, field) in kind.fields.iter().enumerate() {
            print(&kind.name, &field.name, costs.field_bits(k, f))?;
        }
        print(&kind.name, "(moment)", costs.field_bits(k, kind.fields.len()))?;
        print(&kind.name, "(changed)", costs.change_bits(k))?;
    }
    print("(models)", "", 8.0 * replay.model_bytes as f64)
}
