//! Requests over HTTP/2, which both ends agree on within TLS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::error::{HttpError, innermost};
use super::stream::Stream;

/// A connection that hears nothing for this long is asked whether it still lives, as in Prometheus.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer's headers, as in Go.
const MAX_HEADERS: u32 = 10 << 20;

/// A connection to send requests on.
#[derive(Clone)]
pub(super) struct Sender(http2::SendRequest<Full<Bytes>>);

/// Why there is no answer.
pub(super) struct Failure {
    pub error: HttpError,
    /// The server cannot have seen the request.
    pub is_unsent: bool,
}

impl Sender {
    /// Begins HTTP/2 on a connection.
    pub async fn start(stream: Stream) -> Result<Self, HttpError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_header_list_size(MAX_HEADERS);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        tokio::spawn(async move {
            // The requests on it fail with the reason.
            let _ = connection.await;
        });
        Ok(Self(sender))
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Sends a request when there is room for it.
    pub async fn send(
        mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, Failure> {
        let unsent = |error| Failure { error: failed(error), is_unsent: true };
        self.0.ready().await.map_err(unsent)?;
        self.0
            .send_request(request)
            .await
            .map_err(|error| Failure { is_unsent: error.is_canceled(), error: failed(error) })
    }
}

pub(super) fn failed(error: hyper::Error) -> HttpError {
    HttpError::Connection(format!("http2: {}", innermost(&error)))
}
