//! Checks the session that PROTOCOL.md shows byte for byte. On failure, the message has the text
//! that PROTOCOL.md should contain.

use std::{fs, path::Path};

use tickwire_shared::{
    codec::Encoder,
    ids::{EntityId, InputSeq, MatchId, Seat, SessionId, Tick},
    link::{
        ClientEvent, ClientLink, Digest,
        frames::{Before, InputHead, SnapshotHead},
        integers,
        server::write_message,
    },
    rows::Rows,
    schema::{Field, Predict, Schema},
    time::{Micros, TickRate},
    wire::{ResumeToken, ServerMessage, Welcome, schema_hash},
};

#[test]
fn the_session_in_the_document_is_correct() {
    let (schema, rate) = (schema(), TickRate::new(30).unwrap());
    let mut client = ClientLink::default();
    let mut text = String::new();
    let mut say = |arrow: char, frame: &[u8], what: &str| {
        text += &format!("{arrow} {what}\n{}\n", hex(frame));
    };
    let mut frame = Vec::new();
    ClientLink::default().write_hello("Ada", None, &mut frame);
    say('→', &frame, "Hello: version 1, no schema yet, nothing to resume, \"Ada\"");

    frame.clear();
    let welcome = Welcome {
        session: SessionId(7),
        resume: ResumeToken([0xAB; 16]),
        match_id: MatchId(1),
        seat: Some(Seat(0)),
        seq: InputSeq(0),
        events: 0,
        lines: 0,
        tick_rate: rate,
        schema_hash: schema_hash(&schema),
        schema: Some(schema.clone()),
        model: Some(vec![]),
    };
    write_message(&ServerMessage::Welcome(Box::new(welcome)), &mut frame);
    client.handle_frame(&frame, Micros(0)).unwrap();
    say(
        '←',
        &frame,
        "Welcome: session 7, the token, match 1, seat 0, 30 Hz, the schema, the prior",
    );

    let mut encoder = Encoder::new(&schema, rate);
    let mut past = Vec::<(Tick, Rows)>::new();
    let mut before = Before { tick: None, processed: InputSeq(0) };
    for (tick, processed, x, what) in [
        (40, 0, 500, "tick 40, full, with a digest: x of entity 0 is 500, of 1 it is 20, hp 100"),
        (41, 0, 500, "tick 41: nothing has changed"),
        (42, 1, 503, "tick 42, input 1 is in it: x of 0 is 503"),
        (43, 1, 506, "tick 43: x of 0 is 506"),
    ] {
        let (tick, processed) = (Tick(tick), InputSeq(processed));
        let mut rows = Rows::default();
        rows.push(EntityId(0), 0, &[x, 100]);
        rows.push(EntityId(1), 0, &[20, 100]);
        let full = past.is_empty();
        let digest = full.then(|| rows.digest());
        frame.clear();
        let head = SnapshotHead { tick, full, digest, processed, lead: None, owner: false };
        head.write(before, &mut frame);
        let basis: Vec<_> = past.iter().map(|(tick, rows)| (*tick, rows)).collect();
        encoder.encode(&basis, tick, &rows, &mut frame);
        let event = client.handle_frame(&frame, Micros(0)).unwrap();
        let ClientEvent::Snapshot { digest, .. } = event else { panic!("no snapshot") };
        assert!(digest != Digest::Differs && client.rows() == Some(&rows));
        say('←', &frame, &format!("snapshot of {what}"));
        before = Before { tick: Some(tick), processed };
        past.insert(0, (tick, rows));
        if tick == Tick(40) {
            frame.clear();
            let (seq, at) = (InputSeq(1), Tick(42));
            InputHead { seq, tick: at, applied: tick, behind: 384 }.write(&mut frame);
            integers::pack(&schema.input, &[1], &mut frame).unwrap();
            say(
                '→',
                &frame,
                "input 1, for tick 42; 40 is applied, others shown 1.5 ticks before it; move 1",
            );
        }
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("PROTOCOL.md");
    let document = fs::read_to_string(document).unwrap();
    assert!(document.contains(&text), "PROTOCOL.md should show:\n{text}");
}

fn schema() -> Schema {
    let x = Field::new("x", 0.01, 0, 1_000).predict(Predict::Linear);
    let hp = Field::new("hp", 1.0, 0, 100);
    Schema::new("line").players("runner", EntityId(0), [x, hp]).input("move", -1, 1)
}

/// In lines of 40 bytes.
fn hex(frame: &[u8]) -> String {
    let line = |bytes: &[u8]| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("  {}", bytes.join(" "))
    };
    frame.chunks(40).map(line).collect::<Vec<_>>().join("\n")
}
