//! `testdata/codec.json`: bodies and models, and the rows that every client must decode from them.
//! Run with `TICKWIRE_WRITE_VECTORS=1` to rewrite the file.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail it")]

use std::{env, fmt::Write, fs, path::Path};

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
    schema.validate().unwrap();
    let rate = TickRate::new(hz).unwrap();
    let (mut encoder, mut decoder) = (Encoder::new(schema, rate), Decoder::new(schema, rate));
    let mut dice = Dice::new(seed);
    let mut world =
        World { schema, least: things, things: vec![], next_id: 1, rows: Rows::default() };
    let (mut tick, mut known, mut models) = (Tick(u32::MAX - 30), Vec::<(Tick, Rows)>::new(), 0);
    let mut snapshots = Vec::new();
    let mut body = Vec::new();
    for n in 0..SNAPSHOTS {
        let gap = if dice.within(0, 9) == 0 { dice.within(2, 80) as u32 } else { 1 };
        tick = tick.plus(gap);
        world.step(&mut dice);
        if n == SNAPSHOTS - 20 {
            world.spawn_last(&mut dice);
        }
        if n == 50 {
            known.clear();
        }
        let basis: Vec<_> = known.iter().map(|(tick, rows)| (*tick, rows)).collect();
        let model = encoder.poll_model().map(hex);
        if model.is_some() {
            models += 1;
            decoder.set_model(encoder.model()).unwrap();
        }
        body.clear();
        encoder.encode(&basis, tick, &world.rows, &mut body);
        let mut decoded = Rows::default();
        decoder.decode(&basis, tick, &body, &mut decoded).unwrap();
        assert_eq!(decoded, world.rows);
        snapshots.push(json!({
            "tick": tick.0,
            "basis": basis.iter().map(|(tick, _)| tick.0).collect::<Vec<_>>(),
            "model": model,
            "body": hex(&body),
            "rows": (n % 20 == 0).then(|| rows_json(&world.rows)),
            "digest": world.rows.digest(),
        }));
        if dice.within(0, 7) > 0 {
            known.insert(0, (tick, world.rows.clone()));
            known.truncate(BASIS_MAX);
        }
    }
    assert!(models > 0, "the vectors should have a model");
    let basis: Vec<_> = known.iter().map(|(tick, rows)| (*tick, rows)).collect();
    let hostile = |_| {
        let hostile = distort(&body, &mut dice);
        let mut decoded = Rows::default();
        let decoded =
            decoder.decode(&basis, tick.plus(1), &hostile, &mut decoded).map(|()| decoded);
        json!([hex(&hostile), decoded.ok().map(|rows| rows.digest())])
    };
    let hostile = json!({
        "tick": tick.plus(1).0,
        "basis": basis.iter().map(|(tick, _)| tick.0).collect::<Vec<_>>(),
        "bodies": (0..HOSTILE).map(hostile).collect::<Vec<_>>(),
    });
    let mut schema_bytes = Vec::new();
    wire::write_value(schema, &mut schema_bytes);
    json!({
        "tick_rate_hz": hz,
        "schema": schema,
        "schema_bytes": hex(&schema_bytes),
        "snapshots": snapshots,
        "hostile": hostile,
    })
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
        let next_id = std::mem::replace(&mut self.next_id, EntityId::MAX.0);
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
