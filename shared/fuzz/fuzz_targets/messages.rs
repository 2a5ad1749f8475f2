//! Low-rate messages: a message that was read can be written and read again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_shared::wire::{read_client, read_server, write_client, write_server};

fuzz_target!(|input: &[u8]| {
    let mut again = Vec::new();
    if let Ok(message) = read_client(input) {
        write_client(&message, &mut again);
        assert_eq!(read_client(&again), Ok(message));
    }
    again.clear();
    if let Ok(message) = read_server(input) {
        write_server(&message, &mut again);
        // Compares bytes, since a schema's steps may be NaN.
        let message = read_server(&again).expect("a written message can be read");
        let mut twice = Vec::new();
        write_server(&message, &mut twice);
        assert_eq!(twice, again);
    }
});
