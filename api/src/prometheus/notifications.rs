//! `/api/v1/notifications`, and `/api/v1/notifications/live`, which streams changes as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::reply::{ApiResult, Reply};
use crate::Api;
use crate::notifications::Notification;

/// `/api/v1/notifications`
pub async fn notifications(State(api): State<Arc<Api>>) -> ApiResult {
    Reply::json(&api.control.notifications().active())
}

/// `/api/v1/notifications/live`; 204 when there are too many readers.
pub async fn live(State(api): State<Arc<Api>>) -> Response {
    let Some(updates) = api.control.notifications().subscribe() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::new(StreamBody::new(Events(updates)))).into_response()
}

/// The events as hyper reads them.
struct Events(mpsc::Receiver<Notification>);

impl futures_core::Stream for Events {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|update| {
            let json = serde_json::to_string(&update?).unwrap_or_default();
            Some(Ok(Frame::data(Bytes::from(format!("data: {json}\n\n")))))
        })
    }
}
