//! A client's frames, in any order, to a link that has sent it snapshots.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_fuzz::{frames, welcome};
use tickwire_shared::{
    arena::Arena,
    game::Game,
    ids::{InputSeq, Tick},
    link::{Received, ServerLink, Snapshot},
    time::Micros,
};

fuzz_target!(|input: &[u8]| {
    let schema = Arena::schema();
    let mut values = vec![0; schema.input.len()];
    let mut link = ServerLink::new(Micros(0));
    let mut out = Vec::new();
    for (frame, tick) in frames(input).zip(1..) {
        let now = Micros::from_millis(33 * u64::from(tick));
        match link.handle_frame(frame, &schema.input, &mut values, now) {
            Ok(Received::Hello(_)) => link.welcome(&welcome()),
            Ok(Received::Input { .. }) => {
                let in_range = |(value, part): (&i32, &tickwire_shared::schema::Integer)| {
                    (part.min..=part.max).contains(value)
                };
                assert!(values.iter().zip(&schema.input).all(in_range));
            }
            Ok(_) => {}
            Err(_) => return,
        }
        if link.has_credit(Tick(tick), now) {
            let processed = InputSeq(0);
            let snapshot =
                Snapshot { tick: Tick(tick), digest: None, processed, owner: &[], body: &[] };
            link.write_snapshot(&snapshot, now, &mut out);
        }
    }
});
