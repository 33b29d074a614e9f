//! `/metrics`: the server's own figures in the format that the client prefers. The protobuf form is
//! `io.prometheus.client.MetricFamily` of Prometheus's client model.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use telemetry::exposition::{Format, Negotiated, write};
use telemetry::registry::{Family, Kind, Metric, Value};
use telemetry::{Counter, Gather, IntGauge, Labeled, figures};
use wire::protobuf::Message;

use crate::Api;

figures! {
    /// Figures of `/metrics` itself.
    pub struct HandlerFigures {
        in_flight: IntGauge =
            "promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.";
        requests: Labeled<Counter> { requests() } =
            "promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code.";
    }
}

/// All codes show from the start.
fn requests() -> Labeled<Counter> {
    let requests = Labeled::of(&["code"]);
    for code in ["200", "500", "503"] {
        requests.with(&[code]);
    }
    requests
}

/// `/metrics`
pub async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let negotiated = Negotiated::of(accept);
    let handler = &api.metrics_handler;
    handler.in_flight.add(1);
    let figures = api.registry.gather();
    handler.in_flight.add(-1);
    handler.requests.with(&["200"]).inc();
    let body = match negotiated.format {
        Format::Text(format) => write(&figures, format).into_bytes(),
        Format::Protobuf => write_protobuf(&figures),
    };
    ([(header::CONTENT_TYPE, negotiated.content_type())], body).into_response()
}

fn write_protobuf(figures: &Gather) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * 1024);
    for (name, family) in figures.families().filter(|(_, family)| !family.metrics.is_empty()) {
        out.extend(family_message(name, family).delimited());
    }
    out
}

fn family_message(name: &str, family: &Family) -> Message {
    let kind = match family.kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Histogram => 4,
    };
    let message = Message::new().bytes(1, name).bytes(2, family.help).varint(3, kind);
    family
        .metrics
        .iter()
        .fold(message, |message, metric| message.bytes(4, metric_message(metric, family.kind)))
}

fn metric_message(metric: &Metric, kind: Kind) -> Message {
    let labels = metric.labels.iter().fold(Message::new(), |message, (name, value)| {
        message.bytes(1, Message::new().bytes(1, name).bytes(2, value))
    });
    match &metric.value {
        Value::Number(value) => {
            let field = if kind == Kind::Counter { 3 } else { 2 };
            labels.bytes(field, Message::new().double(1, *value))
        }
        Value::Summary { quantiles, count, sum } => {
            let summary = Message::new().varint(1, *count).double(2, *sum);
            let summary = quantiles.iter().fold(summary, |summary, (quantile, value)| {
                summary.bytes(3, Message::new().double(1, *quantile).double(2, *value))
            });
            labels.bytes(4, summary)
        }
        Value::Histogram { buckets, sum } => {
            let count = buckets.last().map_or(0, |(_, count)| *count);
            let histogram = Message::new().varint(1, count).double(2, *sum);
            // As in the Go client, the bucket to +Inf is left out: the count says the same.
            let finite = buckets.iter().filter(|(bound, _)| bound.is_finite());
            let histogram = finite.fold(histogram, |histogram, (bound, count)| {
                histogram.bytes(3, Message::new().varint(1, *count).double(2, *bound))
            });
            labels.bytes(7, histogram)
        }
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{Histogram, Summary};

    use super::*;
    use wire::protobuf::Fields;

    #[test]
    fn every_kind_as_protobuf() {
        let mut figures = Gather::default();
        figures.counter("a_total", "Help.", &[("l", "v")], 3.0);
        let histogram = Histogram::new(&[0.5]);
        histogram.observe(0.25);
        histogram.observe(2.0);
        figures.histogram("b", "", &[], &histogram);
        let summary = Summary::new(&[0.5]);
        summary.observe(7.0);
        figures.summary("c", "", &[], &summary);
        let mut body = &write_protobuf(&figures)[..];
        let mut families = Vec::new();
        while !body.is_empty() {
            let len = wire::protobuf::take_varint(&mut body).unwrap() as usize;
            let (family, rest) = body.split_at(len);
            families.push(Fields::new(family).collect::<Result<Vec<_>, _>>().unwrap());
            body = rest;
        }
        let inside = |family: usize, path: &[u32]| {
            let mut fields = families[family].clone();
            for number in &path[..path.len() - 1] {
                let field = fields.iter().find(|(n, _)| n == number).unwrap().1;
                fields = field.message().unwrap().collect::<Result<_, _>>().unwrap();
            }
            fields.into_iter().find(|(n, _)| n == path.last().unwrap()).unwrap().1
        };
        assert_eq!(inside(0, &[1]).bytes().unwrap(), b"a_total");
        assert_eq!(inside(0, &[2]).bytes().unwrap(), b"Help.");
        assert_eq!(inside(0, &[3]).varint().unwrap(), 0);
        assert_eq!(inside(0, &[4, 1, 2]).bytes().unwrap(), b"v");
        assert_eq!(inside(0, &[4, 3, 1]).double().unwrap(), 3.0);
        assert_eq!(inside(1, &[3]).varint().unwrap(), 4);
        assert_eq!(inside(1, &[4, 7, 1]).varint().unwrap(), 2);
        assert_eq!(inside(1, &[4, 7, 2]).double().unwrap(), 2.25);
        assert_eq!(inside(1, &[4, 7, 3, 1]).varint().unwrap(), 1);
        assert_eq!(inside(1, &[4, 7, 3, 2]).double().unwrap(), 0.5);
        assert_eq!(inside(2, &[4, 4, 3, 2]).double().unwrap(), 7.0);
    }
}
