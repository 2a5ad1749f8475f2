use std::collections::BTreeMap;

use proptest::{collection, prelude::*};

use super::*;
use crate::{
    ids::EntityId,
    schema::{Field, Predict},
};

/// Values of one entity; as many are used as its kind has fields.
type Entity = (u8, [i32; 10]);

proptest! {
    /// The codec's whole contract: a body rebuilds the rows from its basis.
    #[test]
    fn a_body_rebuilds_the_rows(
        history in collection::vec((entities(), 1u32..9, any::<u8>()), 1..6),
    ) {
        let schema = schema();
        schema.validate().unwrap();
        let rate = TickRate::new(30).unwrap();
        let (mut encoder, mut decoder) = (Encoder::new(&schema, rate), Decoder::new(&schema, rate));
        let (mut client, mut sent) = (Decoder::new(&schema, rate), Vec::<(Tick, Rows)>::new());
        let (mut tick, mut decoded, mut body) = (Tick(0), Rows::default(), Vec::new());
        for (entities, gap, noise) in history {
            let rows = rows(&schema, &entities);
            tick = tick.plus(gap);
            let basis: Vec<_> = sent.iter().rev().map(|(tick, rows)| (*tick, rows)).collect();
            for basis in (0..=basis.len()).map(|length| &basis[..length]) {
                body.clear();
                encoder.encode(basis, tick, &rows, &mut body);
                // State that the encoder keeps from body to body does not change the result.
                let mut same = Vec::new();
                Encoder::new(&schema, rate).encode(basis, tick, &rows, &mut same);
                prop_assert_eq!(&same, &body);
                prop_assert_eq!(decoder.decode(basis, tick, &body, &mut decoded), Ok(()));
                prop_assert_eq!(&decoded, &rows);
            }
            // What a client keeps from body to body does not, either, even if one is rejected.
            prop_assert_eq!(client.decode(&basis, tick, &body, &mut decoded), Ok(()));
            prop_assert_eq!(&decoded, &rows);
            let mut noisy = body.clone();
            noisy[body.len() / 2..].iter_mut().for_each(|byte| *byte ^= noise);
            if client.decode(&basis, tick, &noisy, &mut decoded).is_ok() {
                prop_assert_eq!(client.decode(&basis, tick, &body, &mut decoded), Ok(()));
            }
            sent.push((tick, rows));
        }
    }

    #[test]
    fn a_hostile_body_never_panics(before in entities(), gap: u32, body: Vec<u8>) {
        let schema = schema();
        let mut decoder = Decoder::new(&schema, TickRate::new(30).unwrap());
        let before = rows(&schema, &before);
        let _ = decoder.decode(&[(Tick(0), &before)], Tick(gap), &body, &mut Rows::default());
    }
}

proptest! {
    #[test]
    fn a_hostile_model_never_panics(
        model: Vec<u8>,
        before in entities(),
        body in collection::vec(any::<u8>(), 0..200),
    ) {
        let schema = schema();
        let mut decoder = Decoder::new(&schema, TickRate::new(30).unwrap());
        let _ = decoder.set_model(&model);
        let before = rows(&schema, &before);
        let _ = decoder.decode(&[(Tick(0), &before)], Tick(1), &body, &mut Rows::default());
    }
}

/// Indices whose differences from the prior add up beyond what an integer holds.
#[test]
fn a_model_whose_indices_overflow_is_rejected() {
    let schema = schema();
    let mut decoder = Decoder::new(&schema, TickRate::new(30).unwrap());
    let even = 1 << (table::TOTAL_BITS - 3);
    for far in [i32::MAX, i32::MIN] {
        for differs in [false, true] {
            let (mut coder, mut bytes) = (RangeEncoder::new(), Vec::new());
            let table = Family::shared().table(4, 0);
            // A kind differs, its first index by `far`, and the second by as much or even more.
            coder.bit(even, true);
            for differs in [true, differs] {
                coder.bit(even, differs);
                if differs {
                    coder.long(table, far);
                }
            }
            coder.finish(&mut bytes);
            assert_eq!(decoder.set_model(&bytes), Err(CodecError::BadModel), "{far}, {differs}");
        }
    }
}

#[test]
fn a_match_finds_better_models_which_a_late_client_can_use() {
    let schema = schema();
    let rate = TickRate::new(30).unwrap();
    let mut encoder = Encoder::new(&schema, rate);
    let mut early = Decoder::new(&schema, rate);
    let (mut sent, mut decoded, mut body) = (Vec::new(), Rows::default(), Vec::new());
    let (mut models, mut first_bytes, mut last_bytes) = (0, 0, 0);
    for tick in (0..2000).map(Tick) {
        let rows = orbit(&schema, tick);
        if let Some(model) = encoder.poll_model() {
            early.set_model(model).unwrap();
            models += 1;
        }
        let basis: Vec<_> = sent.iter().rev().map(|(tick, rows)| (*tick, rows)).collect();
        body.clear();
        encoder.encode(&basis, tick, &rows, &mut body);
        early.decode(&basis, tick, &body, &mut decoded).unwrap();
        assert_eq!(decoded, rows);
        match tick.0 {
            1..100 => first_bytes += body.len(),
            1900.. => last_bytes += body.len(),
            _ => {}
        }
        if tick == Tick(1999) {
            let mut late = Decoder::new(&schema, rate);
            late.set_model(encoder.model()).unwrap();
            late.decode(&basis, tick, &body, &mut decoded).unwrap();
            assert_eq!(decoded, rows);
        }
        sent.push((tick, rows));
        if sent.len() > BASIS_MAX {
            sent.remove(0);
        }
    }
    assert!(models >= 2, "{models} models");
    assert!(last_bytes * 5 < first_bytes * 4, "{first_bytes} bytes at first, then {last_bytes}");
}

/// Bodies that orbit and tumble, and a dial that turns.
fn orbit(schema: &Schema, tick: Tick) -> Rows {
    let mut rows = Rows::default();
    for id in 0..5 {
        let angle = f64::from(tick.0) * 0.02 + f64::from(id);
        let (sin, cos) = angle.sin_cos();
        let quaternion = [sin * 0.5, cos * 0.5, 0.5, 0.5].map(|part| part as f32);
        let mut values = vec![(900.0 * cos) as i32, (5000.0 * sin) as i32];
        values.extend(crate::schema::pack_quaternion(quaternion, 9));
        values.extend([30, -40, 0, (5000.0 * cos) as i32 * 6 / 10]);
        let fields = &schema.kinds[0].fields;
        for (value, field) in values.iter_mut().zip(fields) {
            *value = (*value).clamp(field.min, field.max);
        }
        rows.push(EntityId(id), 0, &values);
    }
    let heading = (tick.0 * 3 % 360) as i32 - 180;
    let dial = (tick.0 / 7 % 10) as i32;
    rows.push(EntityId(9), 1, &[heading, dial, 90, 5, 3, 7, tick.0 as i32, i32::MIN, 0, 0]);
    rows
}

/// Few ids and mostly small values, so that rows collide, vanish and reappear often.
fn entities() -> impl Strategy<Value = BTreeMap<u32, Entity>> {
    let value = prop_oneof![4 => -3i32..4, 2 => -1000i32..1000, 1 => any::<i32>()];
    let id = prop_oneof![8 => 0u32..6, 1 => any::<u32>()];
    collection::btree_map(id, (0u8..3, prop::array::uniform10(value)), 0..6)
}

fn rows(schema: &Schema, entities: &BTreeMap<u32, Entity>) -> Rows {
    let mut rows = Rows::default();
    for (&id, (kind, values)) in entities {
        let fields = &schema.kinds[usize::from(*kind)].fields;
        let fit = |(field, &value): (&Field, &i32)| value.clamp(field.min, field.max);
        let values: Vec<i32> = fields.iter().zip(values).map(fit).collect();
        rows.push(EntityId(id), *kind, &values);
    }
    rows
}

/// Every way to predict, ranges from one value to all of them, and a kind without fields.
fn schema() -> Schema {
    let all = (i32::MIN, i32::MAX);
    let field = |name: &str, (min, max), predict| Field::new(name, 0.01, min, max).predict(predict);
    let body =
        [field("x", (-1000, 1000), Predict::Linear), field("y", all, Predict::Carried { rate: 9 })];
    let body = body.into_iter().chain(Field::quaternion("turn", 9, Some(6)));
    let body = body.chain([
        field("wx", (-500, 500), Predict::Held),
        field("wy", (-500, 500), Predict::Held),
        field("wz", (-500, 500), Predict::Held),
        field("vy", all, Predict::Linear),
    ]);
    let dial = [
        field("heading", (-180, 179), Predict::Turned { rate: 2 }),
        field("dial", (0, 9), Predict::Angle),
        field("turn rate", (-500, 500), Predict::Held),
        field("score", (0, i32::MAX), Predict::Counter),
        field("switches", (0, 255), Predict::Flags),
        field("constant", (7, 7), Predict::Held),
        field("position", all, Predict::Linear),
        field("full circle", all, Predict::Angle),
        field("pushed", all, Predict::Carried { rate: 6 }),
        field("led", all, Predict::Carried { rate: 8 }),
    ];
    Schema::new("test").kind("body", body).kind("dial", dial).kind("marker", []).substeps(4)
}
