//! `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`, and the gate that answers 503 until the store is open. It opens
//! while the write-ahead log is being replayed; `/-/ready` tells load balancers to wait for the end of that.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Api;
use crate::control::Readiness;

const LIFECYCLE_OFF: &str = "Lifecycle API is not enabled.";

/// `/-/healthy`: the process serves.
pub async fn healthy() -> &'static str {
    "Prometheus Server is Healthy.\n"
}

/// `/-/ready`: everything that the store holds is there.
pub async fn ready(State(api): State<Arc<Api>>) -> Response {
    match api.control.readiness() {
        Readiness::Ready => "Prometheus Server is Ready.\n".into_response(),
        readiness => unavailable(readiness),
    }
}

/// Middleware: 503 unless the store is open and the server is not stopping.
pub async fn gate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match api.control.readiness() {
        Readiness::Ready | Readiness::Replaying => next.run(request).await,
        readiness @ (Readiness::Starting | Readiness::Stopping) => unavailable(readiness),
    }
}

fn unavailable(readiness: Readiness) -> Response {
    let stopping = if readiness == Readiness::Stopping { "true" } else { "false" };
    (StatusCode::SERVICE_UNAVAILABLE, [("X-Prometheus-Stopping", stopping)], "Service Unavailable")
        .into_response()
}

/// `POST /-/reload`
pub async fn reload(State(api): State<Arc<Api>>) -> Response {
    if !api.options.lifecycle {
        return (StatusCode::FORBIDDEN, LIFECYCLE_OFF).into_response();
    }
    match api.control.request_reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {reason}\n"))
            .into_response(),
    }
}

/// `POST /-/quit`
pub async fn quit(State(api): State<Arc<Api>>) -> Response {
    if !api.options.lifecycle {
        return (StatusCode::FORBIDDEN, LIFECYCLE_OFF).into_response();
    }
    match api.control.request_quit() {
        true => "Requesting termination... Goodbye!".into_response(),
        false => "Termination already in progress.".into_response(),
    }
}
