//! A server's answer and the reading of its body.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use tokio::time::Instant;
use wire::compress::{Gunzip, InflateError};

use super::error::HttpError;
use super::http1;
use super::http2;
use super::pool::Pool;

/// An answer whose body is not read yet. Dropping it closes the connection unless the body is at its end.
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    pub(super) status_text: Option<Box<str>>,
    pub(super) body: Body,
    pub(super) deadline: Instant,
}

/// A body, as the protocol delivers it.
pub(super) enum Body {
    Http1 {
        body: http1::Body,
        /// Where the connection goes when the body is read, if it can serve another request.
        home: Option<Home>,
    },
    Http2(Incoming),
}

/// Where idle connections to a host are kept.
pub(super) struct Home {
    pub pool: Arc<Pool>,
    pub encrypted: bool,
    pub host: Box<str>,
}

/// How much of a compressed body is read at once.
const PIECE: usize = 16 << 10;

impl Response {
    /// Reads the whole body, inflating gzip. Reaching `limit` inflated bytes is an error; what follows is not read.
    /// `out` is the buffer to use.
    pub async fn read(self, limit: u64, out: Vec<u8>) -> Result<Vec<u8>, HttpError> {
        let gzip = self.headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes() == b"gzip");
        match tokio::time::timeout_at(self.deadline, self.body.read(gzip, limit, out)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Deadline),
        }
    }

    /// Reads a body of at most `limit` bytes to its end and forgets it, so that the connection can be used again.
    pub async fn discard(self, limit: u64) {
        // Whatever goes wrong, the next request then opens a connection of its own.
        let _ = tokio::time::timeout_at(self.deadline, self.body.discard(limit)).await;
    }

    /// Code and words, as the server wrote them: `503 Service Unavailable`.
    pub fn status_text(&self) -> String {
        match &self.status_text {
            Some(text) => text.to_string(),
            None => self.status.to_string(),
        }
    }
}

impl Body {
    async fn read(mut self, gzip: bool, limit: u64, mut out: Vec<u8>) -> Result<Vec<u8>, HttpError> {
        if gzip {
            let mut gunzip = Gunzip::new(out, limit);
            let mut piece = Vec::new();
            while self.read_some(&mut piece, PIECE).await? {
                gunzip.push(&piece).map_err(explain)?;
                piece.clear();
            }
            self.finish();
            return gunzip.finish().map_err(explain);
        }
        let before = out.len();
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        loop {
            // As in Prometheus a body of exactly the limit is too large.
            let left = max.saturating_sub(out.len() - before);
            if left == 0 {
                return Err(HttpError::BodyTooLarge);
            }
            if !self.read_some(&mut out, left).await? {
                self.finish();
                return Ok(out);
            }
        }
    }

    async fn discard(mut self, limit: u64) -> Result<(), HttpError> {
        let mut read = 0;
        let mut piece = Vec::new();
        if matches!(&self, Self::Http1 { body, .. } if body.left().is_some_and(|left| left > limit)) {
            return Ok(());
        }
        while read <= limit {
            if !self.read_some(&mut piece, PIECE).await? {
                self.finish();
                break;
            }
            read += piece.len() as u64;
            piece.clear();
        }
        Ok(())
    }

    /// Appends to `out`; whether there was something.
    async fn read_some(&mut self, out: &mut Vec<u8>, max: usize) -> Result<bool, HttpError> {
        match self {
            Self::Http1 { body, .. } => match body.read_some(out, max).await {
                Ok(read) => Ok(read > 0),
                Err(error) => Err(HttpError::Body(error.to_string())),
            },
            Self::Http2(body) => loop {
                match body.frame().await {
                    None => return Ok(false),
                    Some(Err(error)) => return Err(http2::failed(error)),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            out.extend_from_slice(&data);
                            return Ok(true);
                        }
                    }
                }
            },
        }
    }

    /// Keeps the connection.
    fn finish(self) {
        if let Self::Http1 { body, home: Some(home) } = self
            && body.is_at_end()
            && let Some(stream) = body.into_connection().into_idle()
        {
            home.pool.put(home.encrypted, &home.host, stream);
        }
    }
}

fn explain(error: InflateError) -> HttpError {
    match error {
        InflateError::TooLarge => HttpError::BodyTooLarge,
        InflateError::Corrupt(reason) => HttpError::Body(reason),
    }
}
