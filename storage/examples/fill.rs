//! Fills a data directory, or prints what one holds, to compare with Prometheus by hand.
//!
//! `fill write DIR [HOURS]` appends samples of all kinds that end now, one each 15 seconds, with some out of order and
//! some deleted, and then stops without closing, as a crash does. `fill read DIR` prints every sample, a line each.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::append::Appendable;
use model::histogram::{Histogram, Span};
use model::read::{Columns, Hints, Selection};
use model::sample::Exemplar;
use model::time::Clock;
use model::{HistogramValue, Labels, Matcher};
use storage::fs::RealDisk;
use storage::{Event, Limits, Observer, Options, Storage, metrics};

struct System;

impl Clock for System {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
    }
}

struct Print;

impl Observer for Print {
    fn event(&self, event: &Event) {
        eprintln!("{:?}: {event}", event.severity());
    }
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", dir] => write(dir, 1),
        ["write", dir, hours] => hours.parse().map_err(Into::into).and_then(|hours| write(dir, hours)),
        ["read", dir] => read(dir),
        _ => Err("usage: fill write DIR [HOURS] | fill read DIR".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn open(dir: &str) -> Result<Storage, Failure> {
    let limits = Limits {
        metrics: metrics::Limits { out_of_order_window: 3_600_000, ..metrics::Limits::default() },
        ..Limits::default()
    };
    let options = Options {
        limits,
        metrics: metrics::Options { exemplars: true, ..metrics::Options::default() },
        ..Options::default()
    };
    let disk = Arc::new(RealDisk::new(Path::new(dir)));
    let storage = Storage::open(disk, Arc::new(System), options, Arc::new(Print))?;
    storage.wait_replayed()?;
    Ok(storage)
}

fn write(dir: &str, hours: i64) -> Result<(), Failure> {
    let storage = open(dir)?;
    let end = System.now_ms();
    let start = end - hours * 3_600_000;
    for (step, t) in (start..end).step_by(15_000).enumerate() {
        let mut appender = storage.appender();
        for n in 0..20 {
            let name = if n % 2 == 0 { "fill_counter" } else { "fill_gauge" };
            let labels = Labels::from_pairs([("__name__", name), ("n", &n.to_string()), ("job", "fill")]);
            let v = if n % 2 == 0 { (step * n) as f64 } else { (step as f64 / 7.0).sin() * n as f64 };
            let series = appender.append(None, &labels, t, v, 0)?;
            if n == 0 && step % 10 == 0 {
                let labels = Labels::from_pairs([("trace_id", format!("{step:032x}"))]);
                appender.append_exemplar(series, Exemplar { labels, v, t: Some(t), sample_t: t })?;
            }
        }
        let labels = Labels::from_pairs([("__name__", "fill_histogram"), ("job", "fill")]);
        let step = step as u64;
        let histogram = Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: step,
            count: step * 4 + 3,
            sum: step as f64 * 1.5,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![step as i64, step as i64 + 3 - step as i64],
            ..Histogram::default()
        };
        let histogram = Histogram { count: step + step + step + 3, ..histogram };
        appender.append_histogram(None, &labels, t, HistogramValue::Integer(Arc::new(histogram)), 0)?;
        if step > 20 && step.is_multiple_of(20) {
            let labels = Labels::from_pairs([("__name__", "fill_gauge"), ("n", "1"), ("job", "fill")]);
            appender.append(None, &labels, t - 200_001, 42.0, 0)?;
        }
        appender.commit()?;
    }
    let deleted = [Matcher::equal("__name__", "fill_counter"), Matcher::equal("n", "2")];
    storage.delete_series(&deleted, end - 1_800_000, end - 900_000)?;
    storage.compact()?;
    eprintln!("{:?}", storage.blocks());
    // No close: the process ends as if it was killed.
    std::process::exit(0);
}

fn read(dir: &str) -> Result<(), Failure> {
    let storage = open(dir)?;
    let snapshot = storage.snapshot();
    let selection = Selection {
        matchers: Vec::new(),
        min_t: i64::MIN,
        max_t: i64::MAX,
        limit: 0,
        hints: Hints::default(),
    };
    for series in snapshot.select(&selection)?.series {
        let (mut columns, mut cursor) = (Columns::default(), series.cursor());
        while cursor.next_run(&mut columns)? {}
        for (t, v) in columns.float_t.iter().zip(&columns.float_v) {
            println!("{} {v} {t}", series.labels());
        }
        for (t, h) in columns.histogram_t.iter().zip(&columns.histogram_v) {
            println!("{} {{count:{}, sum:{}}} {t}", series.labels(), h.count, h.sum);
        }
    }
    drop(snapshot);
    storage.close()?;
    Ok(())
}
