use proptest::prelude::*;

use super::*;
use crate::testing::frames::frame;

const LIMIT: usize = 64;

#[test]
fn whole_messages_come_out() {
    check(&frame(0x82, b"abc"), &[Ok("binary abc")]);
    check(&frame(0x81, b"abc"), &[Ok("text abc")]);
    check(&frame(0x89, b"hi"), &[Ok("ping hi")]);
    check(&frame(0x8A, b""), &[Ok("pong ")]);
    check(&frame(0x88, b""), &[Ok("close None")]);
    check(&frame(0x88, b"\x03\xe8bye"), &[Ok("close Some(1000)")]);
    check(&[frame(0x82, b"a"), frame(0x82, b"b")].concat(), &[Ok("binary a"), Ok("binary b")]);
}

#[test]
fn fragments_are_joined_around_control_frames() {
    let bytes = [frame(0x02, b"ab"), frame(0x89, b"x"), frame(0x00, b""), frame(0x80, b"c")];
    check(&bytes.concat(), &[Ok("ping x"), Ok("binary abc")]);
}

#[test]
fn invalid_frames_are_rejected() {
    check(&[0x82, 3, 1, 2, 3], &[Err(FrameError::Unmasked)]);
    check(&frame(0xC2, b""), &[Err(FrameError::ReservedBits)]);
    check(&frame(0x83, b""), &[Err(FrameError::UnknownOpcode)]);
    check(&frame(0x09, b""), &[Err(FrameError::BadControl)]);
    check(&[0x89, 0xFE, 0, 126], &[Err(FrameError::BadControl)]);
    check(&frame(0x80, b"a"), &[Err(FrameError::BadFragment)]);
    check(&[frame(0x02, b"a"), frame(0x82, b"b")].concat(), &[Err(FrameError::BadFragment)]);
    check(&[0x82, 0xFE, 0, 125, 0, 0, 0, 0], &[Err(FrameError::LongLength)]);
    check(&frame(0x81, b"\xff"), &[Err(FrameError::NotUtf8)]);
    check(&frame(0x88, b"\x03"), &[Err(FrameError::BadCloseCode)]);
    check(&frame(0x88, b"\x03\xee"), &[Err(FrameError::BadCloseCode)]);
}

#[test]
fn the_limit_counts_all_fragments() {
    check(&frame(0x82, &[b'a'; LIMIT]), &[Ok(&format!("binary {}", "a".repeat(LIMIT)))]);
    check(&frame(0x82, &[0; LIMIT + 1]), &[Err(FrameError::TooLong)]);
    let bytes = [frame(0x02, &[0; LIMIT]), frame(0x80, &[0; 1])].concat();
    check(&bytes, &[Err(FrameError::TooLong)]);
    // A giant length is rejected by its head alone.
    let head = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    check(&head, &[Err(FrameError::TooLong)]);
}

#[test]
fn an_idle_connection_holds_nothing() {
    let mut decoder = Decoder::new(LIMIT);
    let bytes = [frame(0x02, b"abc"), frame(0x80, b"d")].concat();
    for mut byte in bytes {
        assert_eq!(decoder.bytes_held() > 0, decoder.parts.is_some());
        let mut feed = decoder.feed(std::slice::from_mut(&mut byte));
        while feed.next().unwrap().is_some() {}
    }
    assert_eq!(decoder.bytes_held(), 0);
}

#[test]
fn a_length_has_one_encoding() {
    let decoded = |encoding: &[u8], length: usize| {
        let mut bytes = [&[0x82][..], encoding, &[0; 4]].concat();
        bytes.resize(bytes.len() + length, 0);
        Decoder::new(length)
            .feed(&mut bytes)
            .next()
            .map(|message| message == Some(Message::Binary(&vec![0; length])))
    };
    let [medium, long] = [
        |length: u16| [&[0xFE][..], &length.to_be_bytes()].concat(),
        |length: u16| [&[0xFF, 0, 0, 0, 0, 0, 0][..], &length.to_be_bytes()].concat(),
    ];
    assert_eq!(decoded(&[0x80 | 125], 125), Ok(true));
    assert_eq!(decoded(&medium(125), 125), Err(FrameError::LongLength));
    for length in [126, 0xFFFF] {
        assert_eq!(decoded(&medium(length), length.into()), Ok(true), "{length}");
        assert_eq!(decoded(&long(length), length.into()), Err(FrameError::LongLength), "{length}");
    }
    assert_eq!(decoded(&[0xFF, 0, 0, 0, 0, 0, 1, 0, 0], 0x1_0000), Ok(true));
}

proptest! {
    /// However the bytes are split, the same messages are decoded.
    #[test]
    fn cuts_do_not_matter(frames in prop::collection::vec(any_frame(), 0..6), cut in 1_usize..20) {
        let bytes = frames.concat();
        prop_assert_eq!(decode(&bytes, cut), decode(&bytes, bytes.len().max(1)));
    }

    #[test]
    fn hostile_bytes_are_bounded(bytes: Vec<u8>, cut in 1_usize..9) {
        let mut decoder = Decoder::new(LIMIT);
        for piece in bytes.clone().chunks_mut(cut) {
            let mut feed = decoder.feed(piece);
            while let Ok(Some(_)) = feed.next() {}
            prop_assert!(decoder.bytes_held() <= 4 * (LIMIT + 14));
        }
    }
}

#[track_caller]
fn check(bytes: &[u8], expected: &[Result<&str, FrameError>]) {
    let expected: Vec<_> = expected.iter().map(|r| r.map(String::from)).collect();
    for cut in [bytes.len(), 1, 3] {
        assert_eq!(decode(bytes, cut), expected, "cut into pieces of {cut}");
    }
}

fn decode(bytes: &[u8], cut: usize) -> Vec<Result<String, FrameError>> {
    let mut decoder = Decoder::new(LIMIT);
    let mut said = Vec::new();
    for piece in bytes.to_vec().chunks_mut(cut) {
        let mut feed = decoder.feed(piece);
        loop {
            match feed.next() {
                Ok(Some(message)) => said.push(Ok(describe(&message))),
                Ok(None) => break,
                Err(error) => {
                    said.push(Err(error));
                    return said;
                }
            }
        }
    }
    said
}

fn describe(message: &Message<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match message {
        Message::Text(payload) => format!("text {payload}"),
        Message::Binary(payload) => format!("binary {}", text(payload)),
        Message::Ping(payload) => format!("ping {}", text(payload)),
        Message::Pong(payload) => format!("pong {}", text(payload)),
        Message::Close(code) => format!("close {code:?}"),
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![0x82_u8, 0x81, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88]);
    (first, prop::collection::vec(0x20_u8..0x7F, 0..40)).prop_map(|(first, p)| frame(first, &p))
}
