//! Query results as JSON. Source: Prometheus `web/api/v1/json_codec.go`.

use std::sync::Arc;

use model::float::FloatF;
use model::histogram::FloatHistogram;
use promql::value::{Point, Series, Value};

use super::json::JsonWriter;

/// Appends `{"resultType":…,"result":…}` without the closing brace, so that statistics may follow.
pub fn write_result(json: &mut JsonWriter, value: &Value) {
    json.raw("{\"resultType\":\"");
    json.raw(value.value_type().api_name());
    json.raw("\",\"result\":");
    match value {
        Value::Scalar(scalar) => {
            // Unlike samples, without exponent.
            json.raw("[");
            json.timestamp(scalar.t);
            json.raw(",");
            json.string(&FloatF(scalar.v).to_string());
            json.raw("]");
        }
        Value::String(text) => {
            json.raw("[");
            json.timestamp(text.t);
            json.raw(",");
            json.string(&text.v);
            json.raw("]");
        }
        Value::Vector(samples) => json.list(samples, |json, sample| {
            json.raw("{\"metric\":");
            json.labels(&sample.labels);
            match &sample.point {
                Point::Float(v) => {
                    json.raw(",\"value\":");
                    json.point(sample.t, *v);
                }
                Point::Histogram(h) => {
                    json.raw(",\"histogram\":");
                    histogram_point(json, sample.t, h);
                }
            }
            json.raw("}");
        }),
        Value::Matrix(series) => json.list(series, write_series),
    }
}

fn write_series(json: &mut JsonWriter, series: &Series) {
    json.raw("{\"metric\":");
    json.labels(&series.labels);
    let mut floats = series.floats.iter().peekable();
    if floats.peek().is_some() {
        json.raw(",\"values\":");
        json.list(floats, |json, (t, v)| json.point(t, v));
    }
    if !series.histograms.is_empty() {
        json.raw(",\"histograms\":");
        json.list(&series.histograms, |json, (t, h)| histogram_point(json, *t, h));
    }
    json.raw("}");
}

fn histogram_point(json: &mut JsonWriter, t: i64, h: &Arc<FloatHistogram>) {
    json.raw("[");
    json.timestamp(t);
    json.raw(",");
    histogram(json, h);
    json.raw("]");
}

/// Appends a native histogram; buckets without observations are left out.
pub fn histogram(json: &mut JsonWriter, h: &FloatHistogram) {
    json.raw("{\"count\":");
    json.float_string(h.count);
    json.raw(",\"sum\":");
    json.float_string(h.sum);
    let mut buckets = h.buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        json.raw(",\"buckets\":");
        json.list(buckets, |json, bucket| {
            let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => "0",
                (true, false) => "1",
                (false, false) => "2",
                (true, true) => "3",
            };
            json.raw("[");
            json.raw(rule);
            for v in [bucket.lower, bucket.upper, bucket.count] {
                json.raw(",");
                json.float_string(v);
            }
            json.raw("]");
        });
    }
    json.raw("}");
}
