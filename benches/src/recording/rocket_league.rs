//! Recordings of the rigid bodies of a Rocket League match, whose physics runs at 120 Hz.

use std::collections::{BTreeMap, BTreeSet};

use tickwire_shared::{
    ids::{EntityId, Tick},
    rows::Rows,
    schema::{Field, Predict, Schema, pack_quaternion},
    time::TickRate,
};

use super::{Recording, Sampling, Snapshot};

/// The first bytes of such a file.
pub(super) const MAGIC: &[u8] = b"RLTR1\0\0\0";

const PHYSICS_HZ: u16 = 120;
const FRAME_HZ: u16 = 30;

/// Bounds of the bodies' positions and velocities, with some margin.
const POSITION_MAX_CM: f64 = 16_384.0;
const VELOCITY_MAX_CMS: f64 = 8_192.0;
const SPIN_STEP: f64 = 0.01;
const SPIN_MAX: i32 = 1_023;

struct Body {
    id: u16,
    /// In 1/100 cm.
    position: [i32; 3],
    orientation: [f32; 4],
    /// In 1/100 cm/s.
    velocity: [i32; 3],
    /// In 1/10,000 rad/s.
    spin: [i32; 3],
}

pub(super) fn read(bytes: &[u8], sampling: &Sampling) -> Result<Recording, String> {
    let frames = frames(bytes)?;
    let hz = sampling.rate.map_or(FRAME_HZ, TickRate::hz);
    let rate = TickRate::new(hz).expect("both rates are valid");
    let quantiser = Quantiser::new(sampling);
    let mut bodies = BTreeMap::new();
    let mut updated = BTreeSet::new();
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let start = frames.first().map_or(0.0, |frame| frame.0);
    let tick_of = |time: f32| (f64::from(time - start) * f64::from(hz)).round() as u32;
    let mut frames = frames.into_iter().peekable();
    while let Some((time, frame)) = frames.next() {
        for body in frame {
            updated.insert(body.id);
            bodies.insert(body.id, quantiser.row(&body));
        }
        // At a lower rate, a tick has the last of its frames.
        let tick = tick_of(time);
        if sampling.rate.is_some() && frames.peek().is_some_and(|next| tick_of(next.0) == tick) {
            continue;
        }
        let last = snapshots.last().map(|snapshot| snapshot.tick.0);
        let tick = Tick(last.map_or(tick, |last| tick.max(last + 1)));
        let mut rows = Rows::default();
        for (id, values) in &bodies {
            rows.push(EntityId((*id).into()), 0, values);
        }
        snapshots.push(Snapshot { tick, rows, updates: updated.len() as u32 });
        updated.clear();
    }
    let schema = quantiser.schema((PHYSICS_HZ / hz) as u8);
    Ok(Recording { schema, rate, snapshots })
}

/// The file's frames: the time in seconds, and the bodies that changed.
fn frames(bytes: &[u8]) -> Result<Vec<(f32, Vec<Body>)>, String> {
    let mut file = Reader { bytes: &bytes[MAGIC.len()..] };
    let count = file.u32()?;
    (0..count)
        .map(|_| {
            let time = file.f32()?;
            let bodies = (0..file.u16()?).map(|_| file.body()).collect::<Result<_, _>>()?;
            Ok((time, bodies))
        })
        .collect()
}

/// Quantises bodies into rows.
struct Quantiser {
    fields: Vec<Field>,
    rotation_bits: u8,
    velocities: bool,
}

impl Quantiser {
    fn new(sampling: &Sampling) -> Self {
        let velocities = sampling.velocity_cms.is_some();
        let position = |name: &str, rate| {
            let max = (POSITION_MAX_CM / sampling.position_cm) as i32;
            let predict = if velocities { Predict::Carried { rate } } else { Predict::Linear };
            Field::new(name, sampling.position_cm as f32, -max, max).predict(predict)
        };
        let mut fields = vec![position("x", 7), position("y", 8), position("z", 9)];
        let spin = velocities.then_some(10);
        fields.extend(Field::quaternion("orientation", sampling.rotation_bits, spin));
        if let Some(step) = sampling.velocity_cms {
            let max = (VELOCITY_MAX_CMS / step) as i32;
            let linear = |name, step, max: i32| Field::new(name, step, -max, max);
            let velocity = ["vx", "vy", "vz"].map(|name| linear(name, step as f32, max));
            let spin = ["wx", "wy", "wz"].map(|name| linear(name, SPIN_STEP as f32, SPIN_MAX));
            fields.extend(velocity.into_iter().chain(spin).map(|f| f.predict(Predict::Linear)));
        }
        Self { fields, rotation_bits: sampling.rotation_bits, velocities }
    }

    fn schema(self, substeps: u8) -> Schema {
        Schema::new("rocket league").kind("body", self.fields).substeps(substeps)
    }

    fn row(&self, body: &Body) -> Vec<i32> {
        let quantise = |first: usize, values: [i32; 3], scale: f64| {
            [0, 1, 2]
                .map(|i| self.fields[first + i].quantise((f64::from(values[i]) * scale) as f32))
        };
        let mut row = Vec::with_capacity(self.fields.len());
        row.extend(quantise(0, body.position, 0.01));
        row.extend(pack_quaternion(body.orientation, self.rotation_bits));
        if self.velocities {
            row.extend(quantise(7, body.velocity, 0.01));
            row.extend(quantise(10, body.spin, 0.000_1));
        }
        row
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or("it ends too early")?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn i32s(&mut self) -> Result<[i32; 3], String> {
        let mut values = [0; 3];
        for value in &mut values {
            *value = i32::from_le_bytes(self.take()?);
        }
        Ok(values)
    }

    fn f32(&mut self) -> Result<f32, String> {
        self.take().map(f32::from_le_bytes)
    }

    fn body(&mut self) -> Result<Body, String> {
        let id = self.u16()?;
        let _sleeping: [u8; 1] = self.take()?;
        Ok(Body {
            id,
            position: self.i32s()?,
            orientation: [self.f32()?, self.f32()?, self.f32()?, self.f32()?],
            velocity: self.i32s()?,
            spin: self.i32s()?,
        })
    }
}
