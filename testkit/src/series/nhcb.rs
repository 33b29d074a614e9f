//! Native histograms with custom buckets, made of classic histograms' series. Source: Prometheus `util/convertnhcb`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Span};
use model::labels::{BUCKET_LABEL, METRIC_NAME};
use model::{Labels, Value};

use super::{LoadedSample, LoadedSeries};

/// A classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Upper bound and cumulative count; of equal bounds the first counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What the suffix of a metric name says about a series of a classic histogram.
#[derive(Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms of all classic histograms among the series.
pub(super) fn convert(series: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for LoadedSeries { labels, samples } in series {
        let Some((part, base)) = part_of(labels) else { continue };
        let histograms = found.entry(base).or_default();
        for LoadedSample { t, value, .. } in samples {
            let Value::Float(value) = value else { continue };
            let classic = histograms.entry(*t).or_default();
            match part {
                Part::Bucket(bound) => classic.buckets.push((bound, *value)),
                Part::Count => classic.count = Some(*value),
                Part::Sum => classic.sum = *value,
            }
        }
    }
    found
        .into_iter()
        .map(|(labels, histograms)| {
            let samples = histograms.into_iter().map(|(t, classic)| {
                let value = Value::Histogram(Arc::new(classic.convert()?));
                Ok(LoadedSample { t, start_t: 0, value })
            });
            Ok(LoadedSeries { samples: samples.collect::<Result<_, String>>()?, labels })
        })
        .collect()
}

/// Which part of a classic histogram a series is, and the labels of the whole.
fn part_of(labels: &Labels) -> Option<(Part, Labels)> {
    let name = labels.metric_name()?;
    let (part, base) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound: f64 = labels.get(BUCKET_LABEL)?.parse().ok()?;
        if bound.is_nan() {
            return None;
        }
        (Part::Bucket(bound), base)
    } else if let Some(base) = name.strip_suffix("_count") {
        (Part::Count, base)
    } else {
        (Part::Sum, name.strip_suffix("_sum")?)
    };
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, base);
    builder.remove(BUCKET_LABEL);
    Some((part, builder.finish()))
}

impl Classic {
    fn convert(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|later, earlier| later.0 == earlier.0);
        let count = self.count.or(self.buckets.last().map(|(_, count)| *count)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let (mut counts, mut before) = (Vec::with_capacity(self.buckets.len()), 0.0);
        for (bound, cumulative) in &self.buckets {
            if *cumulative < before || *cumulative < 0.0 {
                return Err(format!("count is not cumulative: {cumulative} < {before} at le={bound}"));
            }
            counts.push(cumulative - before);
            before = *cumulative;
        }
        if before != count {
            return Err(format!("count mismatch: count={count} != le=+Inf count={before}"));
        }
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: u32::try_from(counts.len()).unwrap_or(u32::MAX) }],
            positive_buckets: counts,
            custom_values: self
                .buckets
                .iter()
                .map(|(bound, _)| *bound)
                .filter(|b| *b != f64::INFINITY)
                .collect(),
            ..FloatHistogram::default()
        };
        histogram.compact(0);
        histogram.validate().map_err(|e| e.to_string())?;
        Ok(histogram)
    }
}
