//! How fast bodies are read: `cargo bench -p wire --bench exposition`. A body of a real exporter can be given in the
//! environment variable `EXPOSITION_BODY`.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::exposition::{Entry, Format, Options, Parser, RawLabels};

/// A thousand families of ten series as exporters send them.
fn generated() -> String {
    let mut body = String::new();
    for family in 0..1000 {
        let _ = writeln!(body, "# HELP node_metric_{family}_total What family {family} counts.");
        let _ = writeln!(body, "# TYPE node_metric_{family}_total counter");
        for series in 0..10 {
            let v = f64::from(family * series) * if series % 2 == 0 { 1.0 } else { 1.234_567 };
            let _ = writeln!(
                body,
                "node_metric_{family}_total{{cpu=\"{series}\",mode=\"user\",device=\"/dev/mapper/vg-{series}\"}} {v}"
            );
        }
    }
    body
}

/// Reads a body as a scrape does that knows all series, or with `labels` none.
fn read(body: &[u8], labels: bool) -> usize {
    let mut parser = Parser::new(body, Format::Text, &Options::default());
    let mut count = 0;
    while let Some(Ok(entry)) = parser.next() {
        if let Entry::Series(series) = &entry {
            count += 1;
            if labels {
                let mut out = RawLabels::new();
                let _ = series.labels(false, &mut out);
                black_box(&out);
            }
        }
        black_box(&entry);
    }
    count
}

fn exposition(c: &mut Criterion) {
    let mut bodies = vec![("generated", generated().into_bytes())];
    if let Some(given) = std::env::var_os("EXPOSITION_BODY").and_then(|path| std::fs::read(path).ok()) {
        bodies.push(("given", given));
    }
    let mut group = c.benchmark_group("exposition");
    for (name, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("text/{name}"), |b| b.iter(|| read(black_box(body), false)));
        group.bench_function(format!("text and labels/{name}"), |b| b.iter(|| read(black_box(body), true)));
    }
    group.finish();
}

criterion_group!(benches, exposition);
criterion_main!(benches);
