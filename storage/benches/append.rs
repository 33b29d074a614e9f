//! Appending through the write-ahead log to the head, in batches of 1,000.

#![expect(
    clippy::expect_used,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod common;

use std::cell::RefCell;

use common::{CpuTime, Feed};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::append::Appendable;

const BATCH: usize = 1000;

fn existing(c: &mut Criterion<CpuTime>) {
    let scrapes = common::recording();
    let mut group = c.benchmark_group("append_existing");
    group.throughput(Throughput::Elements(BATCH as u64));
    for series in [10_000, 100_000, 1_000_000] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let storage = common::open(dir.path());
        let mut feed = Feed::new(&scrapes, series);
        feed.run_to(&storage, 2);
        group.bench_function(format!("{series}"), |b| b.iter(|| feed.append(&storage, BATCH)));
    }
    group.finish();
}

fn new(c: &mut Criterion<CpuTime>) {
    let scrapes = common::recording();
    let mut group = c.benchmark_group("append_new");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let storage = common::open(dir.path());
    let next = RefCell::new(0);
    let labels = || {
        let from = next.replace_with(|next| *next + BATCH);
        common::label_sets_from(&scrapes, from, BATCH)
    };
    group.bench_function("10_labels", |b| {
        b.iter_batched(
            labels,
            |labels| {
                let mut appender = storage.appender();
                for labels in &labels {
                    appender.append(None, labels, common::START, 1.0, 0).expect("a sample");
                }
                appender.commit().expect("a commit");
                labels
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = existing, new }
criterion_main!(benches);
