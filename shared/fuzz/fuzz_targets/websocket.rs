//! Bytes from a socket, split anywhere: nothing panics, and the buffered bytes are bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_shared::{wire::CLIENT_FRAME_BYTES_MAX, ws::Decoder};

/// A message's fragments, and an incomplete frame, each in a vector whose capacity may double.
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
