//! Frames from a server to a client: after a valid welcome, or (odd first byte) from the beginning.
//! After each fault the client connects again, and may be welcomed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_fuzz::{frames, welcome};
use tickwire_shared::{
    link::{ClientLink, server::write_message},
    time::Micros,
    wire::{ServerMessage, Welcome},
};

fuzz_target!(|input: &[u8]| {
    let Some((&first, input)) = input.split_first() else { return };
    let mut link = ClientLink::default();
    if first % 2 == 0 {
        let mut frame = Vec::new();
        write_message(&ServerMessage::Welcome(Box::new(welcome())), &mut frame);
        link.handle_frame(&frame, Micros(0)).expect("the welcome is valid");
    }
    for (frame, at) in frames(input).zip(1..) {
        if link.handle_frame(frame, Micros::from_millis(33 * at)).is_err() {
            link.write_hello("", None, &mut Vec::new());
            let again = Welcome { schema: None, model: None, ..welcome() };
            let mut frame = Vec::new();
            write_message(&ServerMessage::Welcome(Box::new(again)), &mut frame);
            let _ = link.handle_frame(&frame, Micros::from_millis(33 * at));
        }
        assert_eq!(link.rows().is_some(), link.applied().is_some());
    }
});
