//! `/api/v1/status/self_metrics`: the server's own figures as JSON, the way protobuf's JSON mapping writes the messages of
//! Prometheus's client model: 64-bit counts are text, and so are NaN and the infinities.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value as Json, json};
use telemetry::registry::{Family, Kind, Metric, Value};

use super::reply::{ApiResult, Reply};
use crate::Api;

/// `/api/v1/status/self_metrics`
pub async fn self_metrics(State(api): State<Arc<Api>>) -> ApiResult {
    let figures = api.registry.gather();
    let shown = figures.families().filter(|(_, family)| !family.metrics.is_empty());
    let families: Vec<Json> = shown.map(|(name, family)| family_json(name, family)).collect();
    Reply::json(&families)
}

fn family_json(name: &str, family: &Family) -> Json {
    let kind = match family.kind {
        Kind::Counter => "COUNTER",
        Kind::Gauge => "GAUGE",
        Kind::Histogram => "HISTOGRAM",
        Kind::Summary => "SUMMARY",
    };
    let metrics: Vec<Json> = family.metrics.iter().map(|metric| metric_json(metric, family.kind)).collect();
    json!({"name": name, "help": family.help, "type": kind, "metric": metrics})
}

fn metric_json(metric: &Metric, kind: Kind) -> Json {
    let mut object = serde_json::Map::new();
    if !metric.labels.is_empty() {
        let labels = metric.labels.iter().map(|(name, value)| json!({"name": name, "value": value}));
        object.insert("label".to_owned(), labels.collect());
    }
    let (name, value) = match &metric.value {
        Value::Number(value) => {
            let name = if kind == Kind::Counter { "counter" } else { "gauge" };
            (name, json!({"value": float(*value)}))
        }
        Value::Summary { quantiles, count, sum } => {
            let quantiles: Vec<Json> = quantiles
                .iter()
                .map(|(quantile, value)| json!({"quantile": float(*quantile), "value": float(*value)}))
                .collect();
            let mut summary = json!({"sampleCount": count.to_string(), "sampleSum": float(*sum)});
            if !quantiles.is_empty() {
                summary["quantile"] = quantiles.into();
            }
            ("summary", summary)
        }
        Value::Histogram { buckets, sum } => {
            let count = buckets.last().map_or(0, |(_, count)| *count);
            let finite = buckets.iter().filter(|(bound, _)| bound.is_finite());
            let buckets: Vec<Json> = finite
                .map(|(bound, count)| json!({"cumulativeCount": count.to_string(), "upperBound": float(*bound)}))
                .collect();
            let histogram =
                json!({"sampleCount": count.to_string(), "sampleSum": float(*sum), "bucket": buckets});
            ("histogram", histogram)
        }
    };
    object.insert(name.to_owned(), value);
    object.into()
}

/// A number without a needless `.0`; text for what JSON cannot say.
fn float(value: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if value.fract() == 0.0 && value.abs() < EXACT {
        (value as i64).into()
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{Gather, Histogram, Summary};

    use super::*;

    #[test]
    fn as_protobuf_maps_to_json() {
        let mut figures = Gather::default();
        figures.counter("a_total", "A.", &[("l", "v")], 3.0);
        figures.gauge("b", "B.", &[], f64::NEG_INFINITY);
        let histogram = Histogram::new(&[0.5]);
        histogram.observe(0.25);
        figures.histogram("c", "C.", &[], &histogram);
        figures.summary("d", "D.", &[], &Summary::new(&[0.9]));
        let families: Vec<Json> =
            figures.families().map(|(name, family)| family_json(name, family)).collect();
        let want = json!([
            {"name": "a_total", "help": "A.", "type": "COUNTER", "metric": [
                {"label": [{"name": "l", "value": "v"}], "counter": {"value": 3}}]},
            {"name": "b", "help": "B.", "type": "GAUGE", "metric": [{"gauge": {"value": "-Infinity"}}]},
            {"name": "c", "help": "C.", "type": "HISTOGRAM", "metric": [{"histogram": {
                "sampleCount": "1", "sampleSum": 0.25,
                "bucket": [{"cumulativeCount": "1", "upperBound": 0.5}]}}]},
            {"name": "d", "help": "D.", "type": "SUMMARY", "metric": [{"summary": {
                "sampleCount": "0", "sampleSum": 0, "quantile": [{"quantile": 0.9, "value": "NaN"}]}}]},
        ]);
        assert_eq!(Json::from(families), want);
    }
}
