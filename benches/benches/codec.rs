//! What encoding and decoding a snapshot costs.

use criterion::{Criterion, criterion_group, criterion_main};

fn codec(_: &mut Criterion) {}

criterion_group!(benches, codec);
criterion_main!(benches);
