//! Measures the engine alone, on series made up in memory: 100,000 counters scraped every 15 seconds for 3 hours.
//! Prints the median of five runs of each query. The store costs nearly nothing here, so this is what the engine
//! adds to it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use model::Labels;
use model::read::{Columns, Cursor, ReadError, Selection, Series, SeriesSet, SeriesSource};
use promql::{Engine, EngineOptions, Features, QueryContext, parse};
use query::{QueryValue, RangeTimes};

const SERIES: usize = 100_000;
const INTERVAL: i64 = 15_000;
const SAMPLES: usize = 720;
const CHUNK: usize = 120;

/// A few shapes of values that all series share, so that memory stays small.
struct MadeUp {
    series: Vec<(Labels, usize)>,
    shapes: Arc<Vec<Columns>>,
}

struct OneSeries {
    labels: Labels,
    shapes: Arc<Vec<Columns>>,
    shape: usize,
    bounds: (i64, i64),
}

struct OneCursor<'a> {
    columns: &'a Columns,
    next: usize,
    end: usize,
}

impl MadeUp {
    fn new() -> Self {
        let shape = |seed: usize| {
            let mut columns = Columns::default();
            let mut v = seed as f64;
            for i in 0..SAMPLES {
                v = if (i + seed) % 500 == 499 { 0.0 } else { v + ((i * 7 + seed) % 13) as f64 / 3.0 };
                columns.push_float(i as i64 * INTERVAL + (seed % 1000) as i64, v, 0);
            }
            columns
        };
        let series = (0..SERIES)
            .map(|i| {
                let modes = ["idle", "user", "system", "iowait", "irq", "nice", "softirq", "steal"];
                let (host, cpu, mode) = (i / 64, i / 8 % 8, i % 8);
                let labels = Labels::from_pairs([
                    ("__name__", "node_cpu_seconds_total".to_owned()),
                    ("cpu", cpu.to_string()),
                    ("instance", format!("host-{host:05}:9100")),
                    ("job", "node".to_owned()),
                    ("mode", modes[mode].to_owned()),
                ]);
                (labels, i % 97)
            })
            .collect();
        Self { series, shapes: Arc::new((0..97).map(shape).collect()) }
    }
}

impl SeriesSource for MadeUp {
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        let matching = self.series.iter().filter(|(labels, _)| {
            selection
                .matchers
                .iter()
                .all(|matcher| matcher.name() == "__name__" || matcher.matches_labels(labels))
        });
        let boxed = |(labels, shape): &(Labels, usize)| -> Box<dyn Series> {
            Box::new(OneSeries {
                labels: labels.clone(),
                shapes: Arc::clone(&self.shapes),
                shape: *shape,
                bounds: (selection.min_t, selection.max_t),
            })
        };
        Ok(SeriesSet { series: matching.map(boxed).collect(), warnings: Vec::new() })
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

impl Series for OneSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn cursor(&self) -> Box<dyn Cursor + '_> {
        let columns = &self.shapes[self.shape];
        let next = columns.float_t.partition_point(|t| *t < self.bounds.0);
        let end = columns.float_t.partition_point(|t| *t <= self.bounds.1);
        Box::new(OneCursor { columns, next, end })
    }
}

impl Cursor for OneCursor<'_> {
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError> {
        if self.next >= self.end {
            return Ok(false);
        }
        let to = self.end.min((self.next / CHUNK + 1) * CHUNK);
        out.float_t.extend_from_slice(&self.columns.float_t[self.next..to]);
        out.float_v.extend_from_slice(&self.columns.float_v[self.next..to]);
        self.next = to;
        Ok(true)
    }
}

const QUERIES: [&str; 24] = [
    "sum(rate(node_cpu_seconds_total[5m]))",
    "sum by (instance) (rate(node_cpu_seconds_total[5m]))",
    "sum by (mode) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))",
    "rate(node_cpu_seconds_total{instance=~\"host-000.*\"}[5m])",
    "sum(node_cpu_seconds_total)",
    "avg by (mode) (node_cpu_seconds_total)",
    "max by (cpu) (node_cpu_seconds_total)",
    "count(node_cpu_seconds_total)",
    "stddev by (mode) (node_cpu_seconds_total)",
    "quantile by (mode) (0.9, node_cpu_seconds_total)",
    "topk(10, rate(node_cpu_seconds_total[5m]))",
    "topk by (mode) (3, node_cpu_seconds_total)",
    "sum(irate(node_cpu_seconds_total[5m]))",
    "sum(increase(node_cpu_seconds_total[1h]))",
    "sum(avg_over_time(node_cpu_seconds_total[10m]))",
    "sum(max_over_time(node_cpu_seconds_total[10m]))",
    "sum(quantile_over_time(0.9, node_cpu_seconds_total[10m]))",
    "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])))",
    "sum by (instance) (rate(node_cpu_seconds_total{mode=\"user\"}[5m])) / on (instance) sum by (instance) (rate(node_cpu_seconds_total[5m]))",
    "node_cpu_seconds_total{mode=\"user\"} / ignoring (mode) node_cpu_seconds_total{mode=\"idle\"}",
    "node_cpu_seconds_total * on (instance) group_left node_cpu_seconds_total{mode=\"idle\", cpu=\"0\"}",
    "node_cpu_seconds_total{mode=\"user\"} > 1000",
    "max_over_time(sum(rate(node_cpu_seconds_total[5m]))[30m:1m])",
    "changes(node_cpu_seconds_total{mode=\"user\"}[10m])",
];

fn main() -> ExitCode {
    let store = MadeUp::new();
    let engine =
        Engine::new(EngineOptions { max_samples: usize::MAX, max_bytes: usize::MAX, ..Default::default() });
    let last = SAMPLES as i64 * INTERVAL;
    let only = std::env::args().nth(1);
    println!("{:>10} {:>10}  query, over {SERIES} series", "instant", "3h/60s");
    for query in QUERIES.iter().filter(|query| only.as_ref().is_none_or(|part| query.contains(part.as_str())))
    {
        let expr = match parse(query, &Features::ALL) {
            Ok(expr) => expr,
            Err(error) => {
                eprintln!("{query}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let began = Instant::now();
        let (cancel, elapsed) = (AtomicBool::new(false), || began.elapsed());
        let context = QueryContext::unbounded(&cancel, &elapsed);
        let instant =
            median(|| engine.instant(&expr, &store, last, &context).map(|result| size(&result.value)));
        let times = RangeTimes { start: 0, end: last, step: 60_000 };
        let range = median(|| engine.range(&expr, &store, times, &context).map(|result| size(&result.value)));
        println!("{instant:>10} {range:>10}  {query}");
    }
    ExitCode::SUCCESS
}

fn size(value: &QueryValue) -> usize {
    match value {
        QueryValue::Vector(samples) => samples.len(),
        QueryValue::Matrix(series) => series.len(),
        QueryValue::Scalar(_) | QueryValue::String(_) => 1,
    }
}

fn median<E: std::fmt::Display>(mut run: impl FnMut() -> Result<usize, E>) -> String {
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        if let Err(error) = run() {
            return error.to_string();
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    format!("{:.1} ms", times[2].as_secs_f64() * 1e3)
}
