//! Opening a store: replay of a write-ahead log, without head chunk files and with them.

#![expect(
    clippy::expect_used,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod common;

use common::{CpuTime, Feed};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SERIES: usize = 20_000;
const STEPS: usize = 250;

fn replay(c: &mut Criterion<CpuTime>) {
    let scrapes = common::recording();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (full, bare) = (dir.path().join("full"), dir.path().join("bare"));
    let storage = common::open(&full);
    Feed::new(&scrapes, SERIES).run_to(&storage, STEPS);
    storage.close().expect("an orderly end");
    drop(storage);
    common::copy(&full, &bare);
    std::fs::remove_dir_all(bare.join("chunks_head")).expect("head chunk files");
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements((SERIES * STEPS) as u64)).sample_size(10);
    for (name, from) in [("log", bare), ("log_and_head_chunks", full)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    let copied = tempfile::tempdir().expect("a temporary directory");
                    common::copy(&from, copied.path());
                    copied
                },
                |dir| (common::open(dir.path()), dir),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = replay }
criterion_main!(benches);
