//! Bodies of snapshots: full ones, and deltas against rows that the server really had.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tickwire_shared::{arena::Arena, codec::Decoder, game::Game, ids::Tick, rows::Rows};

fuzz_target!(|input: &[u8]| {
    static PLAYED: OnceLock<Vec<(Tick, Rows)>> = OnceLock::new();
    let played = PLAYED.get_or_init(|| tickwire_fuzz::rows(3));
    let Some((&basis, body)) = input.split_first() else { return };
    let newest_first = [(played[1].0, &played[1].1), (played[0].0, &played[0].1)];
    let basis = &newest_first[..usize::from(basis) % 3];
    let mut decoder = Decoder::new(&Arena::schema(), tickwire_fuzz::rate());
    let mut rows = Rows::default();
    if decoder.decode(basis, played[2].0, body, &mut rows).is_ok() {
        let _ = rows.digest();
    }
});
