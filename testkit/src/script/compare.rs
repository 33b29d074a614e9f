//! Whether a result is what a script expects. Floats may differ by a millionth of their size.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::go_float::FloatG;
use model::histogram::{FloatHistogram, Span};
use model::sample::is_stale;
use model::{Labels, Value};
use promql::parse::SeriesValue;
use query::value::Series;
use query::{QueryValue, RangeTimes, Times, VectorSample};

use super::expect::{Expectations, ExpectedSeries};
use crate::series::load::expand;

/// Relative difference that counts as none.
const EPSILON: f64 = 0.000_001;

/// Compares a value; the error says what differs. `times` are those of the values that the script lists.
pub fn compare(expected: &Expectations, times: Times, value: &QueryValue) -> Result<(), String> {
    match value {
        QueryValue::Scalar(scalar) => {
            let want = expected.scalar.ok_or("expected a vector or matrix result, but got a scalar")?;
            expect_float("the result", want, scalar.v)
        }
        QueryValue::String(text) => match expected.string.as_deref().unwrap_or_default() {
            want if want == text.v => Ok(()),
            want => Err(format!("expected string {want:?} but got {:?}", text.v)),
        },
        _ if expected.scalar.is_some() => {
            Err(format!("expected a scalar result, but got {}", value.value_type().api_name()))
        }
        QueryValue::Vector(samples) => compare_vector(expected, samples),
        QueryValue::Matrix(_) if expected.ordered => {
            Err("expected an ordered result, but the query returned a matrix".to_owned())
        }
        QueryValue::Matrix(series) => compare_matrix(expected, times, series),
    }
}

/// Checks that series come in label order, as matrices must.
pub fn check_sorted(series: &[Series]) -> Result<(), String> {
    for pair in series.windows(2) {
        if pair[0].labels > pair[1].labels {
            return Err(format!("matrix is not sorted: {} comes before {}", pair[0].labels, pair[1].labels));
        }
    }
    Ok(())
}

/// Whether an explicit hint is part of what is expected of a step.
struct Want {
    value: Option<Value>,
    hint: bool,
}

fn wanted(series: &ExpectedSeries) -> Result<Vec<Want>, String> {
    let points = expand(&series.values)?;
    let hints = series.values.iter().flat_map(|value| {
        let given = matches!(value, SeriesValue::Histogram { hint_given: true, .. });
        std::iter::repeat_n(given, usize::try_from(value.count()).unwrap_or(usize::MAX))
    });
    Ok(points.into_iter().zip(hints).map(|(value, hint)| Want { value, hint }).collect())
}

fn by_labels(expected: &Expectations) -> BTreeMap<&Labels, &ExpectedSeries> {
    expected.series.iter().map(|series| (&series.labels, series)).collect()
}

fn compare_vector(expected: &Expectations, samples: &[VectorSample]) -> Result<(), String> {
    let mut missing = by_labels(expected);
    for (position, sample) in samples.iter().enumerate() {
        let labels = &sample.labels;
        let Some(series) = missing.remove(labels) else {
            return Err(format!("unexpected metric {labels} in result, has value {}", show(&sample.value)));
        };
        if expected.ordered && series.position != position {
            let (want, got) = (series.position + 1, position + 1);
            return Err(format!("expected metric {labels} at position {want} but was at {got}"));
        }
        let Some(Want { value: Some(want), hint }) = wanted(series)?.into_iter().next() else {
            return Err(format!("expected no value for {labels} but got {}", show(&sample.value)));
        };
        compare_value(&labels.to_string(), &want, &sample.value, hint)?;
    }
    none_missing(&missing)
}

fn none_missing(missing: &BTreeMap<&Labels, &ExpectedSeries>) -> Result<(), String> {
    missing.keys().next().map_or(Ok(()), |labels| Err(format!("expected metric {labels} not found")))
}

fn compare_matrix(expected: &Expectations, times: Times, result: &[Series]) -> Result<(), String> {
    check_sorted(result)?;
    let times = expected.matrix_times.unwrap_or(times);
    let mut missing = by_labels(expected);
    for series in result {
        let labels = &series.labels;
        let got = points(series);
        let Some(want) = missing.remove(labels) else {
            return Err(format!("unexpected metric {labels} in result, has {}", show_points(&got)));
        };
        compare_points(&wanted(want)?, times, &got)
            .map_err(|reason| format!("{labels}: {reason}, result has {}", show_points(&got)))?;
    }
    none_missing(&missing)
}

/// All points of a series, floats and histograms, in ascending time.
fn points(series: &Series) -> Vec<(i64, Value)> {
    let histograms = series.histograms.iter().map(|(t, h)| (*t, Value::Histogram(Arc::clone(h))));
    let mut all: Vec<_> = series.floats.iter().map(|(t, v)| (t, Value::Float(v))).chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    all
}

fn compare_points(want: &[Want], times: Times, got: &[(i64, Value)]) -> Result<(), String> {
    let (start, end, step) = match times {
        Times::Instant(at) => (at, at, 1),
        Times::Range(RangeTimes { start, end, step }) => (start, end, step),
    };
    let mut got = got.iter();
    for (i, Want { value, hint }) in want.iter().enumerate() {
        let t = start + step * i64::try_from(i).unwrap_or(i64::MAX);
        if t > end {
            return Err(format!("expected {} points, but the time range cannot give so many", want.len()));
        }
        let Some(want) = value else { continue };
        match got.next() {
            Some((at, got)) if *at == t => compare_value(&format!("t={t}"), want, got, *hint)?,
            Some((at, _)) => return Err(format!("expected a point at t={t}, the next is at t={at}")),
            None => return Err(format!("expected a point at t={t}, there is none")),
        }
    }
    got.next().map_or(Ok(()), |(at, got)| Err(format!("unexpected point {} at t={at}", show(got))))
}

fn compare_value(place: &str, want: &Value, got: &Value, hint: bool) -> Result<(), String> {
    match (want, got) {
        (Value::Float(want), Value::Float(got)) => expect_float(place, *want, *got),
        (Value::Histogram(a), Value::Histogram(b)) if almost_equal_histograms(a, b, hint) => Ok(()),
        _ => Err(format!("expected {} for {place} but got {}", show(want), show(got))),
    }
}

fn expect_float(place: &str, want: f64, got: f64) -> Result<(), String> {
    if almost_equal(want, got) {
        return Ok(());
    }
    Err(format!("expected {} for {place} but got {}", FloatG(want), FloatG(got)))
}

fn show(value: &Value) -> String {
    match value {
        Value::Float(value) => FloatG(*value).to_string(),
        Value::Histogram(h) => h.test_expression(),
    }
}

fn show_points(points: &[(i64, Value)]) -> String {
    let shown: Vec<_> = points.iter().map(|(t, value)| format!("{} @[{t}]", show(value))).collect();
    format!("{} points [{}]", points.len(), shown.join(" "))
}

/// Whether two floats differ by less than a millionth of their sum. A staleness mark equals only itself, every other
/// NaN equals every other. Source: Prometheus `util/almost`.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || a.is_nan() && b.is_nan() {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Whether two histograms are equal but for empty buckets and small differences of floats; `hint` says whether their
/// reset hints matter.
pub fn almost_equal_histograms(want: &FloatHistogram, got: &FloatHistogram, hint: bool) -> bool {
    let compacted = |h: &FloatHistogram| {
        let mut h = h.clone();
        h.compact(0);
        h
    };
    let (want, got) = (compacted(want), compacted(got));
    let all_almost_equal =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    want.schema == got.schema
        && almost_equal(want.count, got.count)
        && almost_equal(want.sum, got.sum)
        && (!want.has_custom_buckets() || want.custom_values == got.custom_values)
        && want.zero_threshold == got.zero_threshold
        && almost_equal(want.zero_count, got.zero_count)
        && layout(&want.positive_spans) == layout(&got.positive_spans)
        && layout(&want.negative_spans) == layout(&got.negative_spans)
        && all_almost_equal(&want.positive_buckets, &got.positive_buckets)
        && all_almost_equal(&want.negative_buckets, &got.negative_buckets)
        && (!hint || want.reset_hint == got.reset_hint)
}

/// Spans without those of length 0, whose offsets go to the next.
fn layout(spans: &[Span]) -> Vec<Span> {
    let mut carried = 0;
    let mut kept = Vec::with_capacity(spans.len());
    for span in spans {
        carried += span.offset;
        if span.length > 0 {
            kept.push(Span { offset: carried, length: span.length });
            carried = 0;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use model::sample::STALE_NAN;

    use super::*;

    #[test]
    fn almost_equal_floats() {
        for (a, b, want) in [
            (1.0, 1.000_001, true),
            (1.0, 1.000_003, false),
            (0.0, -0.0, true),
            (0.0, 1e-300, false),
            (f64::NAN, -f64::NAN, true),
            (f64::NAN, STALE_NAN, false),
            (STALE_NAN, STALE_NAN, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::MAX, false),
        ] {
            assert_eq!(almost_equal(a, b), want, "{a} {b}");
        }
    }
}
