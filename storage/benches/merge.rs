//! Merging three blocks of two hours.

#![expect(
    clippy::expect_used,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{CpuTime, Feed, INTERVAL};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use storage::block::{BlockSet, new_id};
use storage::fs::RealDisk;
use storage::metrics::ChunkEncodings;
use storage::metrics::blocks::block::MetricsBlock;
use storage::metrics::blocks::merge::merge;
use storage::metrics::blocks::meta::BlockMeta;

const SERIES: usize = 10_000;

fn three_blocks(c: &mut Criterion<CpuTime>) {
    let scrapes = common::recording();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let storage = common::open(dir.path());
    // Until the head gives its third range away: half a range after its end.
    let steps = 7 * 3_600_000 / INTERVAL as usize;
    Feed::new(&scrapes, SERIES).run_to(&storage, steps + 2);
    storage.compact().expect("three blocks");
    drop(storage);
    let disk = RealDisk::new(dir.path());
    let blocks = BlockSet::<MetricsBlock>::load(&disk, Path::new(""), &BlockSet::default()).expect("blocks");
    let inputs: Vec<&MetricsBlock> = blocks.blocks().iter().take(3).map(|block| &**block).collect();
    assert_eq!(inputs.len(), 3);
    let metas: Vec<_> = inputs.iter().map(|block| block.meta()).collect();
    let mut group = c.benchmark_group("merge");
    let samples = metas.iter().map(|meta| meta.stats.num_samples).sum();
    group.throughput(Throughput::Elements(samples)).sample_size(10);
    group.bench_function("three_blocks", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("a temporary directory"),
            |into| {
                let disk = RealDisk::new(into.path());
                let meta = BlockMeta::merged(new_id(0, 1), &metas);
                merge(&disk, Path::new(""), &inputs, meta, ChunkEncodings::default(), &mut |_| {
                    ControlFlow::Continue(())
                })
                .expect("a block");
                into
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = three_blocks }
criterion_main!(benches);
