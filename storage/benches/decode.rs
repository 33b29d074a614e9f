//! Decoding XOR chunks of recorded series.

#![expect(
    clippy::expect_used,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod common;

use std::hint::black_box;

use common::{CpuTime, INTERVAL, START};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::read::Columns;
use storage::metrics::codec::chunk::{Encoding, decode};
use storage::metrics::codec::gorilla::XorAppender;

/// Samples of a chunk.
const CHUNK: usize = 120;

fn xor(c: &mut Criterion<CpuTime>) {
    let scrapes = common::recording();
    let step = |n: usize| n as i64 * INTERVAL;
    // As a server stores that moves timestamps onto the interval, and as the recorder's clock gave them.
    let aligned: Vec<i64> = (0..scrapes.times.len()).map(|n| START + step(n)).collect();
    let every =
        (scrapes.times[scrapes.times.len() - 1] - scrapes.times[0]) / (scrapes.times.len() as i64 - 1);
    let jittered = |(n, t): (usize, &i64)| START + t - scrapes.times[0] + step(n) - every * n as i64;
    let unaligned: Vec<i64> = scrapes.times.iter().enumerate().map(jittered).collect();
    let mut group = c.benchmark_group("decode_xor");
    for (name, times) in [("aligned", aligned), ("unaligned", unaligned)] {
        let mut chunks = Vec::new();
        for series in 0..scrapes.series() {
            for (times, values) in times.chunks(CHUNK).zip(scrapes.values.chunks(CHUNK)) {
                let mut chunk = XorAppender::new();
                for (t, v) in times.iter().zip(values) {
                    if let Some(v) = v[series] {
                        chunk.append(*t, v).expect("a sample");
                    }
                }
                chunks.push((u64::from(chunk.count()), chunk.into_bytes()));
            }
        }
        let samples = chunks.iter().map(|(samples, _)| samples).sum();
        let bytes: usize = chunks.iter().map(|(_, bytes)| bytes.len()).sum();
        println!("{name}: {} chunks, {:.2} bytes a sample", chunks.len(), bytes as f64 / samples as f64);
        group.throughput(Throughput::Elements(samples));
        let mut out = Columns::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                for (_, bytes) in &chunks {
                    out.clear();
                    decode(Encoding::Xor, bytes, i64::MIN, i64::MAX, &mut out).expect("a sound chunk");
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = xor }
criterion_main!(benches);
