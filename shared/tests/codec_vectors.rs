//! `testdata/codec.json`: bodies and models, and the rows that every client must decode from them.
//! Run with `TICKWIRE_WRITE_VECTORS=1` to rewrite the file.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail it")]

use std::{env, fmt::Write, fs, mem, path::Path};

use serde_json::{Value, json};
use tickwire_shared::{
    codec::{BASIS_MAX, Decoder, Encoder},
    dice::Dice,
    ids::{EntityId, Tick},
    rows::Rows,
    schema::{Field, Predict, Schema, pack_quaternion},
    time::TickRate,
    wire,
};

const SNAPSHOTS: u32 = 160;
/// Number of hostile bodies at the end of a match.
const HOSTILE: u32 = 200;
/// Number of snapshots in the match of rare things, but for the last.
const EDGE_SNAPSHOTS: usize = 60;
/// Least number of entities, usually and in a crowd.
const FEW: usize = 9;
const CROWD: usize = 48;

#[test]
fn bodies_are_those_of_the_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/codec.json");
    let matches = [
        play(&schema(0), 30, 1, FEW),
        play(&schema(4), 20, 2, FEW),
        play(&schema(0), 30, 3, CROWD),
        edges(),
    ];
    let vectors = json!({
        "about": "snapshots: the tick; the ticks of the basis, newest first; a model, in hex, that \
                  is sent before the body, or null; the body in hex; now and then the rows that \
                  it makes, each as [id, kind, value, ..]; their digest. hostile: bodies that \
                  might follow the last snapshot, and the digest of what they make, or null if \
                  they are malformed. schema_bytes: as in a welcome",
        "matches": matches,
    });
    if env::var_os("TICKWIRE_WRITE_VECTORS").is_some() {
        // A line for each snapshot keeps differences readable.
        let lines = vectors.to_string().replace("{\"basis\"", "\n{\"basis\"");
        fs::write(&path, lines + "\n").unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert!(serde_json::from_str::<Value>(&file).unwrap() == vectors, "the vectors differ");
}

/// A match whose client sometimes misses snapshots, or starts with a full one again.
fn play(schema: &Schema, hz: u16, seed: u64, things: usize) -> Value {
    let mut recorder = Recorder::new(schema, hz);
    let mut dice = Dice::new(seed);
    let mut world =
        World { schema, least: things, things: vec![], next_id: 1, rows: Rows::default() };
    let mut tick = Tick(u32::MAX - 30);
    for n in 0..SNAPSHOTS {
        let gap = if dice.within(0, 9) == 0 { dice.within(2, 80) as u32 } else { 1 };
        tick = tick.plus(gap);
        world.step(&mut dice);
        if n == SNAPSHOTS - 20 {
            world.spawn_last(&mut dice);
        }
        if n == 50 {
            recorder.known.clear();
        }
        recorder.record(tick, &world.rows);
        if dice.within(0, 7) > 0 {
            recorder.keep(tick, &world.rows);
        }
    }
    assert!(recorder.models > 0, "the vectors should have a model");
    let body = mem::take(&mut recorder.body);
    let hostile = (0..HOSTILE).map(|_| distort(&body, &mut dice)).collect();
    recorder.finish(tick.plus(1), hostile)
}

/// A match in which rare things happen all the time, and bodies that just keep to the limits, or
/// just don't.
fn edges() -> Value {
    let schema = edge_schema();
    let mut recorder = Recorder::new(&schema, 20);
    let mut dice = Dice::new(4);
    let (mut trains, mut dials) = (vec![[0; 6]; 4], vec![[0; 5]; 4]);
    let (mut last_id, mut tick, mut rows) = (20, Tick(100), Rows::default());
    for _ in 0..EDGE_SNAPSHOTS {
        tick = tick.plus(1);
        rows.clear();
        for (id, train) in (1..).zip(&mut trains) {
            step_train(train, &mut dice);
            rows.push(EntityId(id), 0, train);
        }
        for (id, dial) in (10..).zip(&mut dials) {
            let extreme = [i32::MIN, -1, 0, 1, i32::MAX][dice.within(0, 4) as usize];
            dial[dice.within(0, 4) as usize] = extreme;
            rows.push(EntityId(id), 1, dial);
        }
        // Often the last entity makes room for one with the next id.
        last_id += dice.within(0, 1) as u32;
        rows.push(EntityId(last_id), 2, &[]);
        recorder.record(tick, &rows);
        recorder.keep(tick, &rows);
    }
    // One train is left, and what it does next is not sent.
    for _ in 0..2 {
        step_train(&mut trains[0], &mut dice);
        rows.clear();
        rows.push(EntityId(1), 0, &trains[0]);
        tick = tick.plus(1);
        if recorder.snapshots.len() == EDGE_SNAPSHOTS {
            recorder.record(tick, &rows);
            recorder.keep(tick, &rows);
        }
    }
    recorder.encode(tick, &rows);
    let bodies = edge_bodies(&recorder.body);
    recorder.finish(tick, bodies)
}

/// At rest most of the time, so that often only its stills change.
fn step_train([led, x, v, hp, w, score]: &mut [i32; 6], dice: &mut Dice) {
    match dice.within(0, 7) {
        0 => (*v, *w) = (dice.within(-400, 400), dice.within(-400, 400)),
        1..3 => (*v, *w) = (0, 0),
        3..5 => *hp = dice.within(0, 100),
        5 => *score += 1,
        _ => {}
    }
    *x = (*x + *v).clamp(-10_000, 10_000);
    *led = (*led + *x / 4).clamp(-100_000, 100_000);
}

/// Bodies that just keep to the limits, or just don't, and follow one entity with the id 1.
fn edge_bodies(next: &[u8]) -> Vec<Vec<u8>> {
    type Bits = (u64, u32);
    // A count is as many ones as bits follow, a zero, and these bits.
    let count = |bits: u32, more: u64| -> [Bits; 2] { [((1 << bits) - 1, bits + 1), (more, bits)] };
    let none: [Bits; 1] = [(0, 1)];
    let (one, two, greatest) = (count(1, 0), count(1, 1), count(31, (1 << 31) - 1));
    let (from_0, after_last, marker, unknown) = ([(0, 1)], [(1, 1)], [(2, 2)], [(3, 2)]);
    let markers = |number: u64| {
        let each = [none[0], marker[0]].repeat(number as usize);
        structure(&[&none[..], &count(12, number - 4_095), &after_last, &each])
    };
    let mut bodies = vec![
        // Nothing changes, in three ways, one of which is malformed.
        vec![],
        vec![0],
        structure(&[&none, &none]),
        // With the entity that is there, 4,096, and one too many.
        markers(4_095),
        markers(4_096),
        // The id of the entity, the same id when the entity despawns, the highest id, and beyond it.
        structure(&[&none[..], &one, &from_0, &one, &marker]),
        structure(&[&one[..], &none, &one, &from_0, &one, &marker]),
        structure(&[&none[..], &one, &from_0, &greatest, &marker]),
        structure(&[&none[..], &one, &after_last, &greatest, &marker]),
        structure(&[&none[..], &two, &from_0, &greatest, &marker, &none, &marker]),
        structure(&[&none[..], &one, &after_last, &none, &unknown]),
        // Positions beyond the baseline.
        structure(&[&one[..], &one, &none]),
        structure(&[&one[..], &greatest, &none]),
        structure(&[&two[..], &none, &greatest, &none]),
    ];
    // Eight bits more than are read, by how many bits are read in the last byte that is needed.
    for bits in 0..4 {
        let (id, more) = (count(bits, 0), [(0, 8)]);
        bodies.push(structure(&[&none[..], &one, &after_last, &id, &marker, &more]));
        bodies.push(structure(&[
            &none[..],
            &two,
            &after_last,
            &id,
            &marker,
            &none,
            &marker,
            &more,
        ]));
    }
    // Zeros where no byte belongs.
    bodies.extend((0..=next.len()).map(|at| [&next[..at], &[0], &next[at..]].concat()));
    bodies
}

/// A body in which `bit(2^8)` is yes, six ones, and then come these raw bits: values and how many
/// bits each has.
fn structure(raw: &[&[(u64, u32)]]) -> Vec<u8> {
    let raw = raw.iter().copied().flatten();
    // From the lowest bit on.
    let mut bits: Vec<_> =
        raw.flat_map(|&(value, bits)| (0..bits).map(move |n| value >> n & 1)).collect();
    bits.resize((bits.len() + 6).next_multiple_of(8) - 6, 0);
    bits.extend([1; 6]);
    let byte = |bits: &[u64]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | bit as u8);
    bits.chunks(8).rev().map(byte).collect()
}

struct Recorder<'a> {
    schema: &'a Schema,
    hz: u16,
    encoder: Encoder,
    decoder: Decoder,
    /// The basis of the next snapshot.
    known: Vec<(Tick, Rows)>,
    /// The newest body.
    body: Vec<u8>,
    models: u32,
    snapshots: Vec<Value>,
}

impl<'a> Recorder<'a> {
    fn new(schema: &'a Schema, hz: u16) -> Self {
        schema.validate().unwrap();
        let rate = TickRate::new(hz).unwrap();
        Self {
            schema,
            hz,
            encoder: Encoder::new(schema, rate),
            decoder: Decoder::new(schema, rate),
            known: Vec::new(),
            body: Vec::new(),
            models: 0,
            snapshots: Vec::new(),
        }
    }

    fn record(&mut self, tick: Tick, rows: &Rows) {
        let model = self.encoder.poll_model().map(hex);
        if model.is_some() {
            self.models += 1;
            self.decoder.set_model(self.encoder.model()).unwrap();
        }
        self.encode(tick, rows);
        let mut decoded = Rows::default();
        self.decoder.decode(&basis(&self.known), tick, &self.body, &mut decoded).unwrap();
        assert_eq!(decoded, *rows);
        self.snapshots.push(json!({
            "tick": tick.0,
            "basis": self.ticks(),
            "model": model,
            "body": hex(&self.body),
            "rows": self.snapshots.len().is_multiple_of(20).then(|| rows_json(rows)),
            "digest": rows.digest(),
        }));
    }

    fn encode(&mut self, tick: Tick, rows: &Rows) {
        self.body.clear();
        self.encoder.encode(&basis(&self.known), tick, rows, &mut self.body);
    }

    fn keep(&mut self, tick: Tick, rows: &Rows) {
        self.known.insert(0, (tick, rows.clone()));
        self.known.truncate(BASIS_MAX);
    }

    fn ticks(&self) -> Vec<u32> {
        self.known.iter().map(|(tick, _)| tick.0).collect()
    }

    fn finish(mut self, tick: Tick, hostile: Vec<Vec<u8>>) -> Value {
        let ticks = self.ticks();
        let basis = basis(&self.known);
        let decode = |body: Vec<u8>| {
            let mut decoded = Rows::default();
            let decoded = self.decoder.decode(&basis, tick, &body, &mut decoded).map(|()| decoded);
            json!([hex(&body), decoded.ok().map(|rows| rows.digest())])
        };
        let bodies: Vec<_> = hostile.into_iter().map(decode).collect();
        let mut schema_bytes = Vec::new();
        wire::write_value(self.schema, &mut schema_bytes);
        json!({
            "tick_rate_hz": self.hz,
            "schema": self.schema,
            "schema_bytes": hex(&schema_bytes),
            "snapshots": self.snapshots,
            "hostile": { "tick": tick.0, "basis": ticks, "bodies": bodies },
        })
    }
}

fn basis(known: &[(Tick, Rows)]) -> Vec<(Tick, &Rows)> {
    known.iter().map(|(tick, rows)| (*tick, rows)).collect()
}

/// A few random bytes, or a body with a bit flipped, truncated or extended.
fn distort(body: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut below = |end: usize| dice.within(0, end as i32 - 1) as usize;
    let mut hostile = body.to_vec();
    match below(8) {
        0..5 => hostile = (0..below(8)).map(|_| below(256) as u8).collect(),
        5 => hostile.truncate(below(body.len())),
        6 => hostile.push(below(256) as u8),
        _ => hostile[below(body.len())] ^= 1 << below(8),
    }
    hostile
}

fn rows_json(rows: &Rows) -> Vec<Vec<i64>> {
    let row = |row: tickwire_shared::rows::Row<'_>| {
        let head = [i64::from(row.id.0), i64::from(row.kind)];
        head.into_iter().chain(row.values.iter().map(|&value| value.into())).collect()
    };
    rows.iter().map(row).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A schema with every variant of [`Predict`].
fn schema(substeps: u8) -> Schema {
    let all = (i32::MIN, i32::MAX);
    let field =
        |name: &str, step, (min, max), predict| Field::new(name, step, min, max).predict(predict);
    let body = [
        field("x", 0.01, (-10_000, 10_000), Predict::Carried { rate: 7 }),
        field("y", 0.01, (-10_000, 10_000), Predict::Carried { rate: 8 }),
        field("z", 0.02, all, Predict::Carried { rate: 9 }),
    ];
    let body = body.into_iter().chain(Field::quaternion("turn", 9, Some(10)));
    let velocities = ["vx", "vy", "vz"];
    let velocities = velocities.map(|name| field(name, 0.01, (-4000, 4000), Predict::Linear));
    // The step of the first field counts for all three.
    let spins = [("wx", 0.01), ("wy", 0.02), ("wz", 0.05)];
    let spins = spins.map(|(name, step)| field(name, step, (-1000, 1000), Predict::Linear));
    let led = field("led", 0.01, all, Predict::Carried { rate: 0 });
    let body = body.chain(velocities).chain(spins).chain([led]);
    let thrown = ["x", "y"].map(|name| field(name, 0.01, (-20_000, 20_000), Predict::Linear));
    let thrown = thrown.into_iter().chain(Field::quaternion("turn", 11, None));
    let player = [
        field("heading", 1.0, (-180, 179), Predict::Turned { rate: 2 }),
        field("aim", 0.1, (0, 3599), Predict::Angle),
        field("turn rate", 1.0, (-500, 500), Predict::Held),
        field("score", 1.0, (0, 999), Predict::Counter),
        field("switches", 1.0, (0, i32::MAX), Predict::Flags),
        field("team", 1.0, (0, 3), Predict::Held),
        field("constant", 1.0, (7, 7), Predict::Held),
        field("all", 1.0, all, Predict::Held),
        field("circle", 1.0, all, Predict::Angle),
    ];
    Schema::new("vectors")
        .kind("body", body)
        .kind("thrown", thrown)
        .kind("player", player)
        .kind("marker", [])
        .substeps(substeps)
}

/// A chain of rates, listed from its end; neighbours in coding order that are none in the row; and
/// fields whose changes need more than 32 bits.
fn edge_schema() -> Schema {
    let all = (i32::MIN, i32::MAX);
    let field = |name: &str, (min, max), predict| Field::new(name, 0.5, min, max).predict(predict);
    let train = [
        field("led", (-100_000, 100_000), Predict::Carried { rate: 1 }),
        field("x", (-10_000, 10_000), Predict::Carried { rate: 2 }),
        field("v", (-400, 400), Predict::Linear),
        field("hp", (0, 100), Predict::Held),
        field("w", (-400, 400), Predict::Linear),
        field("score", (0, 99), Predict::Counter),
    ];
    let dial = [
        field("held", all, Predict::Held),
        field("held too", all, Predict::Held),
        field("linear", all, Predict::Linear),
        field("counter", all, Predict::Counter),
        field("flags", all, Predict::Flags),
    ];
    Schema::new("edges").kind("train", train).kind("dial", dial).kind("marker", [])
}

/// Entities that fly, tumble, turn, rest, spawn and despawn.
struct World<'a> {
    schema: &'a Schema,
    least: usize,
    things: Vec<Thing>,
    next_id: u32,
    rows: Rows,
}

struct Thing {
    id: u32,
    kind: u8,
    /// Whether it keeps its kind, so that there are many neighbours of one kind.
    is_in_crowd: bool,
    state: [f64; 6],
    spin: [f64; 3],
    angle: f64,
    numbers: [i32; 5],
}

impl World<'_> {
    fn step(&mut self, dice: &mut Dice) {
        while self.least == CROWD && self.things.len() < CROWD {
            self.spawn(dice);
        }
        if self.things.len() < self.least || dice.within(0, 9) == 0 {
            self.spawn(dice);
        }
        if dice.within(0, 9) == 0 {
            let gone = dice.within(0, self.things.len() as i32 - 1) as usize;
            self.things.remove(gone);
        }
        self.rows.clear();
        for thing in &mut self.things {
            thing.step(dice);
            let fields = &self.schema.kinds[usize::from(thing.kind)].fields;
            let mut values = thing.values();
            values.truncate(fields.len());
            for (value, field) in values.iter_mut().zip(fields) {
                *value = (*value).clamp(field.min, field.max);
            }
            self.rows.push(EntityId(thing.id), thing.kind, &values);
        }
    }

    fn spawn(&mut self, dice: &mut Dice) {
        let mut unit = || f64::from(dice.within(-1000, 1000)) / 1000.0;
        let state = [unit() * 5e3, unit() * 5e3, 0.0, unit() * 2e3, unit() * 2e3, unit() * 1e3];
        let thing = Thing {
            id: self.next_id,
            kind: (if self.least == CROWD { self.next_id / 50 } else { self.next_id } % 4) as u8,
            is_in_crowd: self.least == CROWD,
            state,
            spin: [unit() * 3.0, unit() * 3.0, unit() * 3.0],
            angle: unit(),
            numbers: [0, 1, 0, 0, i32::MIN],
        };
        self.next_id = self.next_id.saturating_add(1 + dice.within(0, 3) as u32);
        // In order of id: before the one with the last id, if there is one.
        let place = self.things.partition_point(|other| other.id < thing.id);
        self.things.insert(place, thing);
    }

    /// Spawns an entity with the last valid id.
    fn spawn_last(&mut self, dice: &mut Dice) {
        let next_id = mem::replace(&mut self.next_id, EntityId::MAX.0);
        self.spawn(dice);
        self.next_id = next_id;
    }
}

impl Thing {
    fn step(&mut self, dice: &mut Dice) {
        let steps = f64::from(dice.within(2, 6)) / 120.0;
        if dice.within(0, 3) == 0 {
            return;
        }
        for axis in 0..3 {
            self.state[axis] += self.state[axis + 3] * steps;
            self.state[axis + 3] *= 0.99;
            self.spin[axis] *= 0.995;
        }
        self.angle += 2.0 * steps;
        self.numbers[4] = self.numbers[4].wrapping_add(1 << 20);
        match dice.within(0, 19) {
            0 => self.state[3] = -self.state[3],
            1 => self.numbers[0] += 1,
            2 => self.numbers[1] ^= 1 << dice.within(0, 30),
            3 => self.numbers[2] = dice.within(0, 3),
            4 => self.numbers[3] = dice.next() as i32,
            6 => self.numbers[4] = dice.next() as i32,
            5 if self.is_in_crowd => self.numbers[1] ^= dice.next() as i32 & i32::MAX,
            5 => self.kind = dice.within(0, 3) as u8,
            _ => {}
        }
    }

    fn values(&self) -> Vec<i32> {
        let [x, y, z, vx, vy, vz] = self.state.map(|part| part as i32);
        // Not exactly a unit quaternion, but near enough to have a largest component.
        let turn = |part: usize| (self.angle * self.spin[part]).rem_euclid(2.0) - 1.0;
        let length = (0..3).fold(1.0, |sum, i| sum + turn(i) * turn(i)).sqrt();
        let quaternion = [turn(0) / length, 1.0 / length, turn(1) / length, turn(2) / length];
        let quaternion = quaternion.map(|part| part as f32);
        let [a, b, c] = self.spin.map(|part| (part * 100.0) as i32);
        let [score, switches, team, any, circle] = self.numbers;
        match self.kind {
            0 => {
                let [l, q1, q2, q3] = pack_quaternion(quaternion, 9);
                vec![x, y, z / 2, l, q1, q2, q3, vx, vy, vz, a, b, c, y * 3]
            }
            1 => {
                let [l, q1, q2, q3] = pack_quaternion(quaternion, 11);
                vec![x, y, l, q1, q2, q3]
            }
            2 => {
                let heading = (self.angle * 100.0) as i32 % 180;
                let aim = ((self.angle * 1000.0) as i32).rem_euclid(3600);
                vec![heading, aim, 200, score, switches, team, 7, any, circle]
            }
            _ => vec![],
        }
    }
}
