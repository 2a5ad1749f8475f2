//! `testdata/social.json`: social messages and their bytes, which every client must read and write.
//! Run with `TICKWIRE_WRITE_VECTORS=1` to rewrite the file.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::{env, fs, path::Path};

use serde::Serialize;
use serde_json::{Value, json};
use tickwire_shared::{
    ids::Seat,
    link::{frames::MESSAGE, server::write_message},
    social::{ChatRefused, Line, Player, Presence, Social, Speaker},
    time::{Micros, UnixMillis},
    wire::{ClientMessage, ServerMessage, read_client, read_server, write_client},
};

#[test]
fn social_messages_are_those_of_the_vectors() {
    let player =
        |seat, name: &str, presence| Player { seat: Seat(seat), name: name.into(), presence };
    let line = |id, speaker, text: &str| {
        let sent_at = UnixMillis(1_795_345_200_123);
        Social::Line(Line { id, sent_at, speaker, text: text.into() })
    };
    let ada = Speaker::Player { seat: Seat(3), name: "Ada".into() };
    let server = [
        Social::Roster(vec![]),
        Social::Roster(vec![
            player(0, "Ada", Presence::Here),
            player(300, "プレイヤー", Presence::Away),
        ]),
        Social::Presence(player(7, "player 8", Presence::Gone)),
        line(1, ada.clone(), "<b>hello</b> &amp; 👋"),
        line(70_000, Speaker::Operator, "maintenance at noon"),
        line(2, ada, &"é".repeat(200)),
        Social::ChatRefused(ChatRefused::Empty),
        Social::ChatRefused(ChatRefused::TooLong),
        Social::ChatRefused(ChatRefused::TooFast { wait: Micros(750_000) }),
        Social::ChatRefused(ChatRefused::NotSeated),
    ];
    let client = ["", "hello", "<i>né</i> 👋"];
    let vectors = json!({
        "about": "each frame in hexadecimal, and the message that it carries",
        "server": server.map(from_server),
        "client": client.map(from_client),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/social.json");
    if env::var_os("TICKWIRE_WRITE_VECTORS").is_some() {
        let lines = vectors.to_string().replace("{\"frame", "\n{\"frame");
        fs::write(&path, lines + "\n").unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), vectors);
}

fn from_server(social: Social) -> Value {
    let message = ServerMessage::Social(social);
    let mut frame = Vec::new();
    write_message(&message, &mut frame);
    assert_eq!(read_server(&frame[1..]).unwrap(), message);
    vector(&frame, &message)
}

fn from_client(text: &str) -> Value {
    let message = ClientMessage::Chat(text.into());
    let mut frame = vec![MESSAGE];
    write_client(&message, &mut frame);
    assert_eq!(read_client(&frame[1..]).unwrap(), message);
    vector(&frame, &message)
}

fn vector(frame: &[u8], message: &impl Serialize) -> Value {
    assert_eq!(frame[0], MESSAGE);
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "frame": hex, "message": message })
}
