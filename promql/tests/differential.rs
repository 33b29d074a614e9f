//! The engine against the naive evaluator: random queries over random data must have the same answers.
//!
//! `TRIVIUM_DIFFERENTIAL=n` asks n times as many queries, `TRIVIUM_SEED=n` begins with another seed.
#![expect(clippy::panic, reason = "a test may end so")]

#[expect(clippy::unwrap_used, reason = "a test may end so")]
mod naive;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::histogram::FloatHistogram;
use model::{Labels, Value};
use naive::{Failure, Grid, Naive};
use promql::ast::Expr;
use promql::{Engine, EngineOptions, Features, QueryContext, parse};
use query::{QueryValue, RangeTimes};
use testkit::random::{Dialect, Queries, Rng, Vocabulary, data};
use testkit::{MemoryStore, Store};

/// Points by time and labels.
type Points = BTreeMap<(i64, Labels), Value>;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the engine answers.
fn engine(store: &MemoryStore, expr: &Expr, grid: Grid) -> Result<Points, String> {
    let cancel = AtomicBool::new(false);
    let context = QueryContext::unbounded(&cancel, &|| Duration::ZERO);
    let engine = Engine::new(EngineOptions::default());
    let Grid { start, end, step } = grid;
    let result = match step {
        0 => engine.instant(expr, store, start, &context),
        _ => engine.range(expr, store, RangeTimes { start, end, step }, &context),
    };
    let mut points = Points::new();
    let mut add = |t: i64, labels: Labels, value: Value| {
        assert!(points.insert((t, labels.clone()), value).is_none(), "{labels} twice at {t}");
    };
    match result.map_err(|error| error.to_string())?.value {
        QueryValue::Scalar(scalar) => add(scalar.t, Labels::empty(), Value::Float(scalar.v)),
        QueryValue::Vector(samples) => samples.into_iter().for_each(|s| add(s.t, s.labels, s.value)),
        QueryValue::Matrix(series) => {
            for series in series {
                series.floats.iter().for_each(|(t, v)| add(t, series.labels.clone(), Value::Float(v)));
                for (t, h) in series.histograms {
                    add(t, series.labels.clone(), Value::Histogram(h));
                }
            }
        }
        QueryValue::String(text) => panic!("{text:?}"),
    }
    Ok(points)
}

/// What the naive evaluator answers.
fn naive(store: &MemoryStore, expr: &Expr, grid: Grid) -> Result<Points, Failure> {
    let EngineOptions { lookback_delta, default_interval, .. } = EngineOptions::default();
    let mut points = Points::new();
    for (t, value) in Naive::new(store, grid, lookback_delta, default_interval).answer(expr)? {
        match value {
            naive::Answer::Scalar(v) => drop(points.insert((t, Labels::empty()), Value::Float(v))),
            naive::Answer::Vector(samples) => {
                points.extend(samples.into_iter().map(|sample| ((t, sample.labels), sample.value)));
            }
            naive::Answer::Text(text) => panic!("{text:?}"),
        }
    }
    Ok(points)
}

/// How far two answers are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// Equal, or nearly so: another order of summation may change last digits.
    None,
    /// A function made such a difference larger, as `sin` does for great angles.
    Small,
    Large,
}

fn distance(a: f64, b: f64) -> Distance {
    let (difference, size) = ((a - b).abs(), a.abs().max(b.abs()));
    match () {
        () if a == b || a.is_nan() && b.is_nan() || difference <= 1e-12 * size => Distance::None,
        () if difference <= 1e-6 * size => Distance::Small,
        () => Distance::Large,
    }
}

fn histogram_distance(a: &FloatHistogram, b: &FloatHistogram) -> Distance {
    let parts = |h: &FloatHistogram| {
        let mut h = h.clone();
        h.compact(0);
        let layout = (h.schema, h.positive_spans, h.negative_spans, h.reset_hint);
        let mut figures = vec![h.zero_threshold, h.zero_count, h.count, h.sum];
        figures.extend(h.positive_buckets.iter().chain(&h.negative_buckets).chain(&h.custom_values));
        (layout, figures)
    };
    let ((layout_a, a), (layout_b, b)) = (parts(a), parts(b));
    if layout_a != layout_b || a.len() != b.len() {
        return Distance::Large;
    }
    a.iter().zip(&b).map(|(a, b)| distance(*a, *b)).max().unwrap_or(Distance::None)
}

/// How far all answers are apart, and what differs most.
fn compare(engine: &Points, naive: &Points) -> (Distance, String) {
    let mut worst = (Distance::None, String::new());
    for key in engine.keys().chain(naive.keys()) {
        let (a, b) = (engine.get(key), naive.get(key));
        let distance = match (a, b) {
            (Some(Value::Float(a)), Some(Value::Float(b))) => distance(*a, *b),
            (Some(Value::Histogram(a)), Some(Value::Histogram(b))) => histogram_distance(a, b),
            _ => Distance::Large,
        };
        if distance > worst.0 {
            worst = (distance, format!("at {} {}:\nengine {a:?}\nnaive  {b:?}", key.0, key.1));
        }
    }
    worst
}

/// How the comparisons ended.
#[derive(Debug, Default)]
struct Tally {
    with_result: usize,
    empty: usize,
    failed: usize,
    ambiguous: usize,
    close: usize,
    different: Vec<String>,
}

impl Tally {
    fn compare(&mut self, store: &MemoryStore, query: &str, grid: Grid) {
        let expr = parse(query, &Features::ALL).unwrap_or_else(|errors| panic!("{query}: {errors}"));
        let answer = std::panic::catch_unwind(|| engine(store, &expr, grid));
        let Ok(answer) = answer else {
            self.different.push(format!("{query}\n{grid:?}\nthe engine panics"));
            return;
        };
        let found = match (answer, naive(store, &expr, grid)) {
            (_, Err(Failure::Ambiguous)) => {
                self.ambiguous += 1;
                None
            }
            (Ok(engine), Ok(naive)) => {
                let count = if engine.is_empty() { &mut self.empty } else { &mut self.with_result };
                *count += 1;
                match compare(&engine, &naive) {
                    (Distance::None, _) => None,
                    (Distance::Small, _) => {
                        self.close += 1;
                        None
                    }
                    (Distance::Large, difference) => Some(difference),
                }
            }
            (Err(_), Err(Failure::Error(_))) => {
                self.failed += 1;
                None
            }
            (Ok(_), Err(Failure::Error(naive))) => Some(format!("only the naive evaluator fails: {naive}")),
            (Err(engine), Ok(_)) => Some(format!("only the engine fails: {engine}")),
        };
        if let Some(found) = found {
            self.different.push(format!("{query}\n{grid:?}\n{found}"));
        }
    }
}

#[test]
fn random_queries_have_the_same_answers() {
    let (first_seed, rounds) = (number("TRIVIUM_SEED", 1), number("TRIVIUM_DIFFERENTIAL", 1));
    let vocabulary = Vocabulary::default();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + 6 * rounds {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut store = MemoryStore::default();
        let timing = data::Timing { start: 0, interval: 15_000, scrapes: 100 };
        store.load(data::series(&mut rng, &vocabulary, timing)).unwrap();
        let mut queries = Queries::new(seed, &vocabulary, Dialect::Experimental);
        for _ in 0..50 {
            let query = queries.query();
            let (start, step) = (200_000 + rng.below(400) as i64 * 1000, 1 + rng.below(120) as i64 * 1000);
            let range = Grid { start, end: start + step * rng.below(8) as i64, step };
            let instant = Grid { start, end: start, step: 0 };
            tally.compare(&store, &query, instant);
            tally.compare(&store, &query, range);
        }
    }
    let Tally { with_result, empty, failed, ambiguous, close, different } = &tally;
    println!(
        "{with_result} with a result, {close} of them differ a little, {empty} empty, {failed} failed on both sides,"
    );
    println!("{ambiguous} ambiguous");
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
    assert!(*with_result > empty + failed + ambiguous && close * 1000 <= *with_result, "{tally:?}");
}
