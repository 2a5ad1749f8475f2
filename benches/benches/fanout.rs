//! The cost of a tick of a match of sixteen after encoding: a frame for each client, and the
//! client's acknowledgement. The program `floor` measures the kernel's part.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tickwire_server::push_frame;
use tickwire_shared::{
    arena::Arena,
    game::Game,
    ids::{InputSeq, Tick},
    link::{ServerLink, Snapshot, frames::write_ack},
    testing,
    time::{Micros, TickRate},
};

const CLIENTS: u16 = 16;
/// About as long as the arena's bodies.
const BODY: [u8; 19] = [0x5A; 19];
const OWNER: [u8; 2] = [7, 3];

fn fanout(criterion: &mut Criterion) {
    let mut links: Vec<_> = (0..CLIENTS).map(|_| welcomed()).collect();
    let (mut payload, mut frames) = (Vec::new(), Vec::new());
    let mut tick = Tick(0);
    let rate = rate();
    let mut group = criterion.benchmark_group("fan-out, 16 clients");
    group.bench_function("frames of a tick", |bencher| {
        bencher.iter(|| {
            tick = tick.plus(1);
            let now = Micros(rate.nanos_to(tick.0.into()) / 1_000);
            for link in &mut links {
                assert!(link.has_credit(tick, now));
                black_box(link.basis(tick));
                payload.clear();
                let processed = InputSeq(0);
                let snapshot =
                    Snapshot { tick, digest: None, processed, owner: &OWNER, body: &BODY };
                link.write_snapshot(&snapshot, now, &mut payload);
                frames.clear();
                push_frame(&payload, &mut frames);
                black_box(&frames);
                payload.clear();
                write_ack(tick, &mut payload);
                let received = link.handle_frame(&payload, &[], &mut [], now);
                black_box(received).expect("the tick was sent");
            }
        });
    });
    group.finish();
}

fn welcomed() -> ServerLink {
    let mut link = ServerLink::new(Micros(0));
    link.welcome(&testing::welcome(Arena::schema(), rate()));
    link
}

fn rate() -> TickRate {
    TickRate::new(30).expect("30 is within the range of tick rates")
}

criterion_group!(benches, fanout);
criterion_main!(benches);
