//! `testdata/link.json`: frames of every kind and their content, for clients in other languages.
//! Run with `TICKWIRE_WRITE_VECTORS=1` to rewrite the file.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::{env, fs, path::Path};

use serde_json::{Value, json};
use tickwire_shared::{
    ids::{EntityId, InputSeq, MatchId, Seat, SessionId, Tick},
    link::{
        ClientLink,
        frames::{Before, InputHead, MESSAGE, SnapshotHead, write_ack},
        integers,
        pacing::decode_lead,
        server::write_message,
    },
    schema::{Field, Integer, Predict, Schema},
    time::{Micros, TickRate},
    wire::{
        ClientMessage, Hello, Kept, Pace, Pong, Resume, ResumeToken, ServerMessage, Welcome,
        model_hash, schema_hash, write_client,
    },
};

const MALFORMED: [&str; 18] = [
    // No first byte, one that is only a client's, and one that is nobody's.
    "",
    "0201000000",
    "03",
    // No such message; one that ends early, and one that does not end.
    "0007",
    "0001050607",
    "00050000",
    // No such marker of an integer, an integer that is too large for a seat, no such presence.
    "0005fe00",
    "000601fc000001000000",
    "000601000003",
    // Text that is not UTF-8, values that are not there, an event that is not in the schema.
    "00060201000001ff",
    "0002010001",
    "0002010200",
    // A slowdown of 0, and another welcome's beginning.
    "0004000100",
    "0000",
    // A snapshot without a basis; full and with a gap; both of the flags for the processed input.
    "80",
    "830000000002",
    "b1000000000000000000",
    // A full snapshot that ends within its tick.
    "81000000",
];

#[test]
fn frames_are_those_of_the_vectors() {
    let hashes = [&[][..], &[0], &[1, 2, 3]]
        .map(|model| json!({ "model": hex(model), "hash": model_hash(model) }));
    let acks = [0, 7, u32::MAX].map(|tick| {
        let mut frame = Vec::new();
        write_ack(Tick(tick), &mut frame);
        json!({ "frame": hex(&frame), "applied": tick })
    });
    let vectors = json!({
        "about": "each frame in hexadecimal, and what it says; times, also leads, in microseconds. \
                  snapshot_heads: before is the previous snapshot; a frame ends before the owner's \
                  values. malformed: frames that a client rejects after the first of the server's \
                  welcomes",
        "schema": schema(),
        "schema_hash": schema_hash(&schema()),
        "model_hashes": hashes,
        "client": client_messages().map(|message| {
            let mut frame = vec![MESSAGE];
            write_client(&message, &mut frame);
            json!({ "frame": hex(&frame), "message": message })
        }),
        "server": server_messages().map(|message| {
            let mut frame = Vec::new();
            write_message(&message, &mut frame);
            json!({ "frame": hex(&frame), "message": message })
        }),
        "inputs": inputs(),
        "acks": acks,
        "snapshot_heads": heads(),
        "malformed": MALFORMED,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/link.json");
    if env::var_os("TICKWIRE_WRITE_VECTORS").is_some() {
        let lines = vectors.to_string().replace("{\"frame", "\n{\"frame");
        fs::write(&path, lines + "\n").unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), vectors);
}

#[test]
fn a_client_rejects_the_malformed_frames() {
    let [welcome, ..] = server_messages();
    let mut frame = Vec::new();
    write_message(&welcome, &mut frame);
    for malformed in MALFORMED {
        let mut client = ClientLink::default();
        client.write_hello("", None, &mut Vec::new());
        client.handle_frame(&frame, Micros(0)).unwrap();
        let bytes: Vec<_> = (0..malformed.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&malformed[at..at + 2], 16).unwrap())
            .collect();
        let result = client.handle_frame(&bytes, Micros(0));
        assert!(result.is_err(), "{malformed}: {result:?}");
    }
}

fn client_messages() -> [ClientMessage; 7] {
    let hello = |schema_hash, resume, name: &str| {
        ClientMessage::Hello(Hello { version: 1, schema_hash, resume, name: name.into() })
    };
    let token = ResumeToken([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255]);
    let kept = |applied| Some(Kept { applied, events: 300, model_hash: 0x811C_9DC5 });
    [
        hello(None, None, ""),
        hello(Some(0xFEDC_BA98), None, "Ada"),
        hello(None, Some(Resume { token, kept: None }), ""),
        hello(Some(7), Some(Resume { token, kept: kept(None) }), ""),
        hello(Some(7), Some(Resume { token, kept: kept(Some(Tick(70_000))) }), ""),
        ClientMessage::Ping { client_time: Micros(1_234_567_890_123) },
        ClientMessage::Resync,
    ]
}

fn server_messages() -> [ServerMessage<'static>; 9] {
    let welcome = Welcome {
        session: SessionId(70_000),
        resume: ResumeToken([7; 16]),
        match_id: MatchId(3),
        seat: Some(Seat(300)),
        seq: InputSeq(0),
        events: 0,
        lines: 0,
        tick_rate: TickRate::new(30).unwrap(),
        schema_hash: schema_hash(&schema()),
        schema: Some(schema()),
        model: Some(vec![]),
    };
    let again = Welcome {
        seat: None,
        seq: InputSeq(250),
        events: 70_000,
        lines: 300,
        schema: None,
        model: None,
        ..welcome.clone()
    };
    let tick_time = Micros(66_666);
    [
        ServerMessage::Welcome(Box::new(welcome)),
        ServerMessage::Welcome(Box::new(again)),
        ServerMessage::Pong(Pong {
            client_time: Micros(5),
            server_time: Micros(70_000),
            held: Micros(300),
            tick: Tick(2),
            tick_time,
        }),
        ServerMessage::Event { tick: Tick(251), kind: 0, values: vec![].into() },
        ServerMessage::Event {
            tick: Tick(65_536),
            kind: 63,
            values: vec![0, -1, 1, 125, -126, 70_000, i32::MIN, i32::MAX].into(),
        },
        ServerMessage::Model(vec![].into()),
        ServerMessage::Model(vec![1, 2, 255].into()),
        ServerMessage::Pace(Pace { slowdown: 3, tick: Tick(2), tick_time }),
        ServerMessage::Leaving { within: Micros::from_secs(5) },
    ]
}

fn inputs() -> Vec<Value> {
    let input = schema().input;
    let lists: [(u32, u32, u32, u16, [i32; 4]); 3] = [
        (1, 40, 37, 0, [0, 0, 0, 0]),
        (2, 41, 37, 769, [-127, 127, 65_535, 3]),
        (u32::MAX, 0, u32::MAX - 2, u16::MAX, [5, -6, 7, 1]),
    ];
    let vector = |(seq, tick, applied, behind, values): (u32, u32, u32, u16, [i32; 4])| {
        let mut frame = Vec::new();
        let (seq, tick, applied) = (InputSeq(seq), Tick(tick), Tick(applied));
        InputHead { seq, tick, applied, behind }.write(&mut frame);
        integers::pack(&input, &values, &mut frame).unwrap();
        json!({
            "frame": hex(&frame), "seq": seq, "tick": tick, "applied": applied, "behind": behind,
            "values": values,
        })
    };
    lists.map(vector).to_vec()
}

fn heads() -> Vec<Value> {
    let head = SnapshotHead {
        tick: Tick(41),
        full: false,
        digest: None,
        processed: InputSeq(6),
        lead: None,
        owner: false,
    };
    let full = SnapshotHead { full: true, digest: Some(0x1234_5678), ..head };
    let list = [
        head,
        SnapshotHead { processed: InputSeq(5), ..head },
        SnapshotHead { processed: InputSeq(9), lead: Some(-128), ..head },
        SnapshotHead { tick: Tick(42), owner: true, ..head },
        SnapshotHead { tick: Tick(295), lead: Some(3), ..head },
        SnapshotHead { lead: Some(-64), ..head },
        SnapshotHead { lead: Some(-65), ..head },
        full,
        SnapshotHead {
            tick: Tick(700),
            processed: InputSeq(0),
            lead: Some(127),
            owner: true,
            ..full
        },
    ];
    let before = Before { tick: Some(Tick(40)), processed: InputSeq(5) };
    let vector = |head: SnapshotHead| {
        let mut frame = Vec::new();
        head.write(before, &mut frame);
        json!({
            "frame": hex(&frame),
            "before": { "tick": before.tick, "processed": before.processed },
            "tick": head.tick, "full": head.full, "digest": head.digest,
            "processed": head.processed, "lead": head.lead.map(decode_lead), "owner": head.owner,
        })
    };
    list.map(vector).to_vec()
}

/// A schema with nearly everything that a schema can have.
fn schema() -> Schema {
    let spin = Field::new("spin", 0.125, -100, 100);
    Schema::new("vectors 1")
        .kind(
            "mover",
            [
                Field::new("velocity", 0.25, -40, 40).predict(Predict::Linear),
                Field::new("x", 0.0078125, 0, 5_120).predict(Predict::Carried { rate: 0 }),
                spin,
                Field::new("aim", 0.01, 0, 1023).predict(Predict::Turned { rate: 2 }),
                Field::new("heading", 1.0, 0, 359).predict(Predict::Angle),
                Field::new("shots", 1.0, 0, 255).predict(Predict::Counter),
                Field::new("state", 1.0, i32::MIN, i32::MAX).predict(Predict::Flags),
            ],
        )
        .players("nothing", EntityId(70_000), [])
        .owner("bullets", 0, 99)
        .input("move_x", -127, 127)
        .input("move_y", -127, 127)
        .input("aim", 0, 65_535)
        .input("buttons", 0, 3)
        .event("kill", ["victim", "killer"])
        .event("bell", [])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The packed size of the input, so that the test above can't pass with an empty list.
#[test]
fn the_input_takes_34_bits() {
    let bits = |integer: &Integer| integer.max.abs_diff(integer.min) as usize + 1;
    assert_eq!(schema().input.iter().map(bits).product::<usize>(), 255 * 255 * 65_536 * 4);
    assert_eq!(integers::packed_bytes(&schema().input), 5);
}
