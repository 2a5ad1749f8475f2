//! Bytes off a socket, cut anywhere: nothing panics, and no more is held than a message may have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_shared::{wire::CLIENT_FRAME_BYTES_MAX, ws::Decoder};

/// A message's fragments, and the frame that is coming in, each in a vector that may double.
const HELD_MAX: usize = 4 * (CLIENT_FRAME_BYTES_MAX + 14);

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let mut decoder = Decoder::new(CLIENT_FRAME_BYTES_MAX);
    for part in bytes.to_vec().chunks_mut(usize::from(cut) + 1) {
        let mut feed = decoder.feed(part);
        loop {
            match feed.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(decoder.bytes_held() <= HELD_MAX, "{} bytes held", decoder.bytes_held());
    }
});
