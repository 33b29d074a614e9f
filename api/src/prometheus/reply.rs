//! Answers of the API: the envelope, errors and their HTTP statuses. Source: Prometheus `web/api/v1/api.go`.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use net::json::{JsonWriter, Written};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::door::DoorError;

/// Why a request failed, as `errorType` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request makes no sense.
    BadData,
    /// The query failed.
    Execution,
    /// The client went away.
    Canceled,
    /// The query took too long.
    Timeout,
    /// No such thing.
    NotFound,
    /// No format that the client accepts.
    NotAcceptable,
    /// The server failed.
    Internal,
    /// Switched off, or not there yet.
    Unavailable,
}

impl ErrorKind {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::NotFound => "not_found",
            Self::NotAcceptable => "not_acceptable",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // "Client closed request", as nginx and Prometheus number it.
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Internal | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What, where, and what to do.
    pub message: String,
}

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A request that makes no sense.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadData, message)
    }

    /// A parameter that makes no sense.
    pub fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {reason}"))
    }
}

#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = ErrorEnvelope { status: "error", error_type: self.kind.name(), error: &self.message };
        let body = serde_json::to_string(&envelope).unwrap_or_default();
        (self.kind.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl From<DoorError> for ApiError {
    fn from(e: DoorError) -> Self {
        let kind = match e {
            DoorError::Timeout { .. } => ErrorKind::Timeout,
            DoorError::Cancelled => ErrorKind::Canceled,
            DoorError::Store(_) | DoorError::Memory(_) => ErrorKind::Execution,
            DoorError::Ended { .. } => ErrorKind::Internal,
        };
        Self::new(kind, e.to_string())
    }
}

/// Writes the `data` of an answer.
pub type WriteData = Box<dyn FnOnce(&mut JsonWriter) + Send>;

/// An answer.
pub struct Reply {
    data: Option<WriteData>,
    /// Warnings beside the data.
    pub warnings: Vec<String>,
    /// Remarks beside the data.
    pub infos: Vec<String>,
    large: bool,
}

/// What every handler gives.
pub type ApiResult = Result<Reply, ApiError>;

impl Reply {
    /// An answer that serde writes; for small data.
    pub fn json(data: &impl Serialize) -> ApiResult {
        let text = serde_json::to_string(data)
            .map_err(|e| ApiError::new(ErrorKind::Internal, format!("writing the answer: {e}")))?;
        Ok(Self::with(Some(Box::new(move |json| json.raw(&text))), false))
    }

    /// An answer that may be large: `write` runs on a blocking thread while the client reads.
    pub fn stream(write: impl FnOnce(&mut JsonWriter) + Send + 'static) -> Self {
        Self::with(Some(Box::new(write)), true)
    }

    /// An answer that is known to be small: `write` runs where the answer is made.
    pub fn at_once(write: impl FnOnce(&mut JsonWriter) + Send + 'static) -> Self {
        Self::with(Some(Box::new(write)), false)
    }

    /// An answer without data.
    pub fn empty() -> Self {
        Self::with(None, false)
    }

    fn with(data: Option<WriteData>, large: bool) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new(), large }
    }

    /// Adds a warning.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Writes the answer with its envelope.
    pub fn write(self, json: &mut JsonWriter) {
        json.raw("{\"status\":\"success\"");
        if let Some(write) = self.data {
            json.raw(",\"data\":");
            write(json);
        }
        for (name, notes) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !notes.is_empty() {
                json.raw(",\"");
                json.raw(name);
                json.raw("\":");
                json.list(notes, |json, note| json.string(note));
            }
        }
        json.raw("}");
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        if !self.large {
            let mut json = JsonWriter::in_memory();
            self.write(&mut json);
            return (content_type, Body::new(Full::from(json.into_text()))).into_response();
        }
        let (send, receive) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let mut json = JsonWriter::streaming(send);
            self.write(&mut json);
            json.flush();
        });
        (content_type, Body::new(StreamBody::new(Pieces(receive)))).into_response()
    }
}

/// An answer that a writer handed over.
pub struct WrittenReply(pub Written);

impl IntoResponse for WrittenReply {
    fn into_response(self) -> Response {
        let body = match self.0 {
            Written::Whole(text) => Body::new(Full::new(text)),
            Written::Pieces(pieces) => Body::new(StreamBody::new(Pieces(pieces))),
        };
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The pieces of a body as hyper reads them.
pub(super) struct Pieces(pub(super) mpsc::Receiver<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (kind, status) in [
            (ErrorKind::BadData, 400),
            (ErrorKind::Execution, 422),
            (ErrorKind::Canceled, 499),
            (ErrorKind::Timeout, 503),
            (ErrorKind::NotFound, 404),
            (ErrorKind::NotAcceptable, 406),
            (ErrorKind::Internal, 500),
            (ErrorKind::Unavailable, 500),
        ] {
            assert_eq!(ApiError::new(kind, "x").into_response().status().as_u16(), status);
        }
    }

    #[test]
    fn envelope() {
        let mut json = JsonWriter::in_memory();
        Reply::json(&["a"]).unwrap().warn("w\"").write(&mut json);
        assert_eq!(json.into_text(), r#"{"status":"success","data":["a"],"warnings":["w\""]}"#);
    }
}
