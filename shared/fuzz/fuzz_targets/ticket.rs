//! Tickets: without the key's signature, no ticket is accepted.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tickwire_server::tickets::Tickets;

fuzz_target!(|input: &[u8]| {
    static TICKETS: OnceLock<Tickets> = OnceLock::new();
    let tickets = TICKETS.get_or_init(|| {
        Tickets::with_secret(b"a secret that no input can know: 71c5").expect("it is long enough")
    });
    let Ok(token) = std::str::from_utf8(input) else { return };
    assert!(tickets.check(token, 1_800_000_000).is_err());
});
