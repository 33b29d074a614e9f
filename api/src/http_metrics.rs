//! Counts requests by handler and code, their duration and the size of answers, under Prometheus's names.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use telemetry::{Counter, Histogram, Labeled, figures};

const HANDLER: &[&str] = &["handler"];
const SECONDS: &[f64] = &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const BYTES: &[f64] = &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

figures! {
    /// Figures of the HTTP server.
    pub struct HttpMetrics {
        requests: Labeled<Counter> { Labeled::of(&["code", "handler"]) } =
            "prometheus_http_requests_total", "Counter of HTTP requests.";
        seconds: Labeled<Histogram> { Labeled::new(HANDLER, || Histogram::new(SECONDS)) } =
            "prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests.";
        bytes: Labeled<Histogram> { Labeled::new(HANDLER, || Histogram::new(BYTES)) } =
            "prometheus_http_response_size_bytes", "Histogram of response size for HTTP requests.";
    }
}

/// Middleware that counts; the duration ends with the last byte of the answer, or when the client goes away.
pub async fn count(State(metrics): State<Arc<HttpMetrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let handler = request.extensions().get::<MatchedPath>().map_or_else(String::new, |m| pattern(m.as_str()));
    let response = next.run(request).await;
    if handler.is_empty() {
        return response;
    }
    metrics.requests.with(&[response.status().as_str(), &handler]).inc();
    let observation = Observation {
        started,
        bytes: 0,
        seconds_of: metrics.seconds.with(&[&handler]),
        bytes_of: metrics.bytes.with(&[&handler]),
    };
    response.map(|body| Body::new(CountedBody { body, observation }))
}

/// `/label/{name}/values` as Prometheus writes it: `/label/:name/values`; `/assets/{*path}` as `/assets/*path`.
fn pattern(matched: &str) -> String {
    matched.replace("{*", "*").replace('{', ":").replace('}', "")
}

struct Observation {
    started: Instant,
    bytes: usize,
    seconds_of: Arc<Histogram>,
    bytes_of: Arc<Histogram>,
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.seconds_of.observe(self.started.elapsed().as_secs_f64());
        self.bytes_of.observe(self.bytes as f64);
    }
}

struct CountedBody {
    body: Body,
    observation: Observation,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.observation.bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
