//! Random samples: gaps, jitter, counter resets, staleness marks, special floats, native histograms.

use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Span};
use model::labels::{BUCKET_LABEL, METRIC_NAME};
use model::sample::STALE_NAN;
use model::{Labels, Value};

use super::{Metric, MetricKind, Rng, Vocabulary};
use crate::series::{LoadedSample, LoadedSeries};

/// Upper bounds of classic histograms.
const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "5", "+Inf"];

/// Where samples lie.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time of the first sample, in milliseconds.
    pub start: i64,
    /// Usual distance of samples, in milliseconds.
    pub interval: i64,
    /// How many scrapes there are.
    pub scrapes: usize,
}

/// Series of all metrics, in no order.
pub fn series(rng: &mut Rng, vocabulary: &Vocabulary, timing: Timing) -> Vec<LoadedSeries> {
    vocabulary.metrics.iter().flat_map(|metric| metric_series(rng, metric, timing)).collect()
}

fn metric_series(rng: &mut Rng, metric: &Metric, timing: Timing) -> Vec<LoadedSeries> {
    let mut loaded = Vec::new();
    for labels in combinations(metric) {
        let times = times(rng, timing);
        match metric.kind {
            MetricKind::Counter => loaded.push(of(labels, counter(rng, &times))),
            MetricKind::Gauge => loaded.push(of(labels, gauge(rng, &times))),
            MetricKind::Native => loaded.push(of(labels, native(rng, &times, exponential))),
            MetricKind::Custom => loaded.push(of(labels, native(rng, &times, custom))),
            MetricKind::Mixed => loaded.push(of(labels, mixed(rng, &times))),
            MetricKind::Buckets => loaded.extend(buckets(rng, &labels, &times)),
        }
    }
    loaded
}

fn of(labels: Labels, samples: Vec<(i64, Value)>) -> LoadedSeries {
    let samples = samples.into_iter().map(|(t, value)| LoadedSample { t, start_t: 0, value }).collect();
    LoadedSeries { labels, samples }
}

fn combinations(metric: &Metric) -> Vec<Labels> {
    let mut all = vec![vec![(METRIC_NAME, metric.name)]];
    for (name, values) in metric.labels {
        all = all
            .iter()
            .flat_map(|pairs| values.iter().map(|value| [pairs.as_slice(), &[(*name, *value)]].concat()))
            .collect();
    }
    all.into_iter().map(Labels::from_pairs).collect()
}

/// Times of a series; `true` where the series ends for a while.
fn times(rng: &mut Rng, timing: Timing) -> Vec<(i64, bool)> {
    let jitter = usize::try_from(timing.interval / 20).unwrap_or(0);
    let (mut times, mut missing) = (Vec::with_capacity(timing.scrapes), 0);
    for i in 0..timing.scrapes {
        if missing > 0 {
            missing -= 1;
            continue;
        }
        let offset = if rng.chance(30) { rng.below(jitter + 1) } else { 0 };
        let t = timing.start + timing.interval * i as i64 + offset as i64;
        let ends = rng.chance(2);
        missing = if ends || rng.chance(3) { 1 + rng.below(8) } else { 0 };
        times.push((t, ends));
    }
    times
}

fn counter(rng: &mut Rng, times: &[(i64, bool)]) -> Vec<(i64, Value)> {
    let mut value = 0.0;
    let mut next = |ends: bool| {
        if ends {
            return STALE_NAN;
        }
        value = if rng.chance(4) { 0.0 } else { value + rng.below(20) as f64 + rng.unit() };
        value
    };
    times.iter().map(|(t, ends)| (*t, Value::Float(next(*ends)))).collect()
}

fn gauge(rng: &mut Rng, times: &[(i64, bool)]) -> Vec<(i64, Value)> {
    let mut next = |ends: bool| match rng.below(100) {
        _ if ends => STALE_NAN,
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => 0.0,
        4 => 1e300 * (rng.unit() - 0.5),
        _ => 200.0 * (rng.unit() - 0.5),
    };
    times.iter().map(|(t, ends)| (*t, Value::Float(next(*ends)))).collect()
}

fn buckets(rng: &mut Rng, labels: &Labels, times: &[(i64, bool)]) -> Vec<LoadedSeries> {
    let mut counts = [0.0; BOUNDS.len()];
    let mut columns: [Vec<(i64, Value)>; BOUNDS.len()] = Default::default();
    for (t, ends) in times {
        let mut cumulative = 0.0;
        for (count, column) in counts.iter_mut().zip(&mut columns) {
            *count += rng.below(5) as f64;
            cumulative += *count;
            column.push((*t, Value::Float(if *ends { STALE_NAN } else { cumulative })));
        }
    }
    let bounded = |bound: &str| {
        let mut builder = labels.to_builder();
        builder.set(BUCKET_LABEL, bound);
        builder.finish()
    };
    BOUNDS.iter().zip(columns).map(|(bound, samples)| of(bounded(bound), samples)).collect()
}

/// Histograms that grow from an `empty` one.
fn native(rng: &mut Rng, times: &[(i64, bool)], empty: fn(&mut Rng) -> FloatHistogram) -> Vec<(i64, Value)> {
    let mut h = empty(rng);
    let mut samples = Vec::with_capacity(times.len());
    for (t, ends) in times {
        if *ends {
            let stale = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
            samples.push((*t, Value::Histogram(Arc::new(stale))));
            continue;
        }
        if rng.chance(3) {
            h = empty(rng);
        }
        grow(rng, &mut h);
        samples.push((*t, Value::Histogram(Arc::new(h.clone()))));
    }
    samples
}

/// Runs of floats and histograms of both kinds.
fn mixed(rng: &mut Rng, times: &[(i64, bool)]) -> Vec<(i64, Value)> {
    let mut samples = Vec::with_capacity(times.len());
    while let rest @ [_, ..] = &times[samples.len()..] {
        let run = &rest[..rest.len().min(1 + rng.below(15))];
        samples.extend(match rng.below(3) {
            0 => counter(rng, run),
            1 => native(rng, run, exponential),
            _ => native(rng, run, custom),
        });
    }
    samples
}

fn custom(rng: &mut Rng) -> FloatHistogram {
    let bounds: [&[f64]; 3] = [&[1.0, 2.0, 5.0, 10.0], &[1.0, 5.0, 10.0], &[-1.0, 2.0, 20.0]];
    let bounds = rng.pick(&bounds);
    let length = bounds.len() + 1;
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        positive_spans: vec![Span { offset: 0, length: length as u32 }],
        positive_buckets: vec![0.0; length],
        custom_values: bounds.to_vec(),
        ..FloatHistogram::default()
    }
}

fn exponential(rng: &mut Rng) -> FloatHistogram {
    let length = 4 + rng.below(5) as u32;
    FloatHistogram {
        schema: rng.below(4) as i32 - 1,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: rng.below(5) as i32 - 2, length }],
        positive_buckets: vec![0.0; length as usize],
        negative_spans: vec![Span { offset: 0, length: 2 }],
        negative_buckets: vec![0.0; 2],
        ..FloatHistogram::default()
    }
}

fn grow(rng: &mut Rng, h: &mut FloatHistogram) {
    for bucket in &mut h.positive_buckets {
        let more = rng.below(6) as f64;
        *bucket += more;
        h.count += more;
        h.sum += more * (0.5 + rng.unit());
    }
    for bucket in &mut h.negative_buckets {
        let more = rng.below(2) as f64;
        *bucket += more;
        h.count += more;
        h.sum -= more;
    }
    if rng.chance(20) && !h.has_custom_buckets() {
        h.zero_count += 1.0;
        h.count += 1.0;
    }
}
