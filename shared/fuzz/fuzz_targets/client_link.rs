//! Frames from a server to a client: after a valid welcome, or (odd first byte) from the beginning.
//! After a fault, or a lost connection (an empty frame), the client connects again, and is welcomed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_fuzz::{frames, welcome};
use tickwire_shared::{
    link::server::write_message,
    session::{Closed, NO_CODE, Session, SessionOptions},
    time::Micros,
    wire::{ServerMessage, Welcome},
};

fuzz_target!(|input: &[u8]| {
    let Some((&first, input)) = input.split_first() else { return };
    let mut session = Session::new(SessionOptions::default(), 1);
    let mut is_welcomed = first % 2 == 0;
    let lost = Closed { code: NO_CODE, reason: String::new() };
    let (mut now, frame_time) = (Micros(0), Micros::from_millis(33));
    for frame in frames(input) {
        if session.poll_connect(now).is_some() {
            session.connect("", now);
            if is_welcomed {
                let has_schema = session.link().welcome().is_some();
                let welcome = if has_schema {
                    Welcome { schema: None, model: None, ..welcome() }
                } else {
                    welcome()
                };
                let mut frame = Vec::new();
                write_message(&ServerMessage::Welcome(Box::new(welcome)), &mut frame);
                session.handle_frame(&frame, now);
            }
            is_welcomed = true;
        }
        if frame.is_empty() {
            session.handle_closed(lost.clone(), now);
        } else {
            session.handle_frame(frame, now);
        }
        play(&mut session, now);
        now = now.plus(frame_time);
    }
});

/// What a game does in each frame that it renders.
fn play(session: &mut Session, now: Micros) {
    while let Some(tick) = session.poll_input(now) {
        let parts = session.link().schema().map_or(&[][..], |schema| &schema.input);
        let values: Vec<_> = parts.iter().map(|part| part.neutral()).collect();
        session.write_input(tick, &values);
    }
    while session.poll_frame(now).is_some() {}
    session.advance(now);
    let link = session.link();
    assert_eq!(link.rows().is_some(), link.applied().is_some());
    if let (Some(view), Some(schema), Some(welcome)) =
        (session.view(), link.schema(), link.welcome())
    {
        for seen in view.iter() {
            let fields = &schema.kinds[usize::from(seen.kind())].fields;
            for index in 0..fields.len() {
                let _ = seen.value(fields, index, welcome.tick_rate);
            }
        }
    }
}
