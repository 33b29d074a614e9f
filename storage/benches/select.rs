//! Looking series up among a million of ten labels each: postings alone, label values, and whole selections of a
//! snapshot, which also read every found series' labels and sort them.

#![expect(
    clippy::expect_used,
    clippy::type_complexity,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod common;

use std::hint::black_box;

use common::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};
use model::append::Appendable;
use model::matcher::MatchOp;
use model::read::Selection;
use model::{Labels, Matcher};
use storage::index::mem::MemIndex;
use storage::index::select;

const SERIES: usize = 1_000_000;

fn matchers(of: &[(&str, MatchOp, &str)]) -> Vec<Matcher> {
    of.iter().map(|(name, op, value)| Matcher::new(*op, *name, *value).expect("a matcher")).collect()
}

fn select(c: &mut Criterion<CpuTime>) {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let labels: Vec<Labels> = {
        let scrapes = common::recording();
        common::label_sets(&scrapes, SERIES)
    };
    let mut index = MemIndex::new();
    for (id, labels) in labels.iter().enumerate() {
        index.add(id as u32, labels);
    }
    let mut group = c.benchmark_group("postings_1m");
    group.sample_size(20);
    let name = "__name__";
    let queries: [(&str, &[(&str, MatchOp, &str)]); 7] = [
        (
            "one_series",
            &[
                (name, Equal, "node_cpu_seconds_total"),
                ("instance", Equal, "host-00042:9100"),
                ("cpu", Equal, "1"),
                ("mode", Equal, "idle"),
            ],
        ),
        (
            "intersection",
            &[(name, Equal, "node_cpu_seconds_total"), ("mode", Equal, "idle"), ("zone", Equal, "zone-1")],
        ),
        ("subtraction", &[(name, Equal, "node_cpu_seconds_total"), ("mode", NotEqual, "idle")]),
        ("regex_prefix", &[("instance", Regex, "host-000.*"), (name, Equal, "node_load1")]),
        ("regex_alternatives", &[("instance", Regex, "host-00001:9100|host-00002:9100|host-01000:9100")]),
        ("regex_any", &[(name, Regex, ".+")]),
        ("regex_suffix", &[(name, Regex, ".*_total"), ("instance", NotRegex, ".*9:9100")]),
    ];
    for (query, of) in queries {
        let matchers = matchers(of);
        group.bench_function(query, |b| {
            b.iter(|| black_box(select::select(&index, &matchers).expect("a selection").len()));
        });
    }
    let values = |name: &str, of: &[Matcher]| {
        black_box(select::label_values(&index, name, of, 0).expect("values").len());
    };
    group.bench_function("label_values", |b| b.iter(|| values("instance", &[])));
    let of = matchers(&[(name, Equal, "node_load1")]);
    group.bench_function("label_values_matching", |b| b.iter(|| values("instance", &of)));
    group.finish();
    drop(index);

    let dir = tempfile::tempdir().expect("a temporary directory");
    let storage = common::open(dir.path());
    for batch in labels.chunks(1000) {
        let mut appender = storage.appender();
        for labels in batch {
            appender.append(None, labels, common::START, 1.0, 0).expect("a sample");
        }
        appender.commit().expect("a commit");
    }
    drop(labels);
    let mut group = c.benchmark_group("select_1m");
    group.sample_size(10);
    for (query, of) in queries {
        let selection = Selection {
            matchers: matchers(of),
            min_t: common::START,
            max_t: common::START,
            limit: 0,
            hints: Default::default(),
        };
        let source = storage.snapshot();
        let found = source.select(&selection).expect("a selection").series.len();
        group.bench_function(format!("{query}/{found}"), |b| {
            b.iter(|| black_box(source.select(&selection).expect("a selection").series.len()));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = select }
criterion_main!(benches);
