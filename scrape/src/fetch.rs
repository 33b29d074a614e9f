//! Asking a target for its metrics.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use config::global::{NameEscaping, ScrapeProtocol};
use config::scrape::ScrapeJob;
use config::url::{GoUrl, UrlError};
use hyper::StatusCode;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use net::client::{HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::exposition::{Format, FormatError};

use super::target::Target;

/// Of an answer that is not used this much is read, for the sake of the connection.
const MAX_DISCARDED_BYTES: u64 = 1 << 20;
/// Bytes of an uncompressed body where nothing else is configured: many times the largest that are known of, and few
/// enough for a target that never ends not to take the server's memory.
const DEFAULT_BODY_LIMIT: u64 = 256 << 20;
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Why a target gave nothing; texts are Prometheus's.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not reached, not in time, or too large.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer other than 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// A body in no known format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Labels that do not make a URL.
    #[error("parse {url:?}: {reason}")]
    Url {
        /// What they make.
        url: String,
        /// Why it is none.
        reason: UrlError,
    },
}

impl FetchError {
    /// Whether the body was cut at its limit.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Http(error) if matches!(error.reason(), HttpError::BodyTooLarge))
    }
}

/// Room for bodies, which all targets take in turns, so that a burst of answers or a slow disk does not fill the memory
/// with bodies that wait to be stored. A body that is slow to come takes no room from others.
pub struct BodyBuffers {
    kept: Mutex<Vec<Vec<u8>>>,
    room: Arc<Semaphore>,
}

impl Default for BodyBuffers {
    fn default() -> Self {
        Self { kept: Mutex::default(), room: Arc::new(Semaphore::new(Self::BODIES)) }
    }
}

impl BodyBuffers {
    /// Bodies at once, and buffers that are kept.
    const BODIES: usize = 32;
    /// A larger buffer is not kept.
    const LEN_MAX: usize = 4 << 20;
    /// What takes longer to arrive gives its room up.
    const SLOW: Duration = Duration::from_millis(100);

    /// Reads a body when there is room, or after `patience` without.
    async fn read(
        self: Arc<Self>,
        response: Response,
        limit: u64,
        expected_bytes: usize,
        patience: Duration,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), HttpError> {
        let room = tokio::time::timeout(patience, self.room.clone().acquire_owned()).await;
        let room = room.ok().and_then(Result::ok);
        let mut reading = pin!(response.read(limit, self.take(expected_bytes)));
        tokio::select! {
            biased;
            read = &mut reading => return Ok((read?, room)),
            () = tokio::time::sleep(Self::SLOW) => drop(room),
        }
        Ok((reading.await?, None))
    }

    /// An empty buffer with room for `bytes`.
    fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.kept.lock().pop().unwrap_or_default();
        buffer.reserve_exact(bytes);
        buffer
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut kept = self.kept.lock();
        if kept.len() < Self::BODIES && (1..=Self::LEN_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

/// A target's answer.
pub struct Body {
    /// Inflated.
    pub bytes: Vec<u8>,
    /// How to read it.
    pub format: Format,
    /// Where the memory goes in the end.
    buffers: Arc<BodyBuffers>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.bytes));
    }
}

/// Asks one target, again and again.
pub struct Fetcher {
    client: Arc<HttpClient>,
    request: Result<Request, (String, UrlError)>,
    timeout: Duration,
    body_limit: u64,
    fallback: Option<Format>,
    buffers: Arc<BodyBuffers>,
    /// Capacity of the next buffer.
    expected_bytes: usize,
}

impl Fetcher {
    /// Prepares the request to a target.
    pub fn new(client: Arc<HttpClient>, job: &ScrapeJob, target: &Target, buffers: Arc<BodyBuffers>) -> Self {
        let seconds = target.timeout_ms as f64 / 1000.0;
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(ACCEPT, &accept(&job.scrape_protocols, job.name_escaping));
        set(ACCEPT_ENCODING, if job.enable_compression { "gzip" } else { "identity" });
        set(TIMEOUT_HEADER, &seconds.to_string());
        Self {
            client,
            request: match GoUrl::parse(&target.url) {
                Ok(url) => Ok(Request { headers, ..Request::get(url.without_empty_port()) }),
                Err(reason) => Err((target.url.clone(), reason)),
            },
            timeout: Duration::from_millis(target.timeout_ms.unsigned_abs()),
            body_limit: match job.limits.body_size {
                1.. => job.limits.body_size.unsigned_abs(),
                0 if !job.limits.any_body_size => DEFAULT_BODY_LIMIT,
                ..=0 => u64::MAX,
            },
            fallback: job.fallback_scrape_protocol.map(format_of),
            buffers,
            expected_bytes: 0,
        }
    }

    /// Fetches the metrics within the target's timeout.
    pub async fn fetch(&mut self) -> Result<Body, FetchError> {
        let request = self
            .request
            .as_ref()
            .map_err(|(url, reason)| FetchError::Url { url: url.clone(), reason: reason.clone() })?;
        let response = self.client.send(request, self.timeout).await?;
        if response.status != StatusCode::OK {
            let status = response.status_text();
            response.discard(MAX_DISCARDED_BYTES).await;
            return Err(FetchError::Status(status));
        }
        let content_type = response.headers.get(CONTENT_TYPE).cloned();
        let content_type = content_type.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let format = Format::of(&String::from_utf8_lossy(content_type));
        let buffers = self.buffers.clone();
        let (bytes, room) =
            buffers.read(response, self.body_limit, self.expected_bytes, self.timeout / 2).await?;
        self.expected_bytes = bytes.len() + bytes.len() / 8;
        let format = match (format, self.fallback) {
            // Nothing to read, so it does not matter how.
            _ if bytes.is_empty() => Format::Text,
            (Ok(format), _) | (Err(_), Some(format)) => format,
            (Err(error), None) => return Err(error.into()),
        };
        Ok(Body { bytes, format, buffers: self.buffers.clone(), _room: room })
    }
}

fn format_of(protocol: ScrapeProtocol) -> Format {
    match protocol {
        ScrapeProtocol::PrometheusProto => Format::Protobuf,
        ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0 => Format::OpenMetrics,
        ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0 => Format::Text,
    }
}

/// The Accept header: protocols in order of preference, then anything.
fn accept(protocols: &[ScrapeProtocol], escaping: NameEscaping) -> String {
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    let mut header = String::new();
    for protocol in protocols {
        header.push_str(protocol.media_type());
        if matches!(protocol, ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::OpenMetricsText1_0_0) {
            header.push_str(";escaping=");
            header.push_str(escaping.as_str());
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1);
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again() {
        let buffers = Arc::new(BodyBuffers::default());
        let body = |bytes: usize| {
            let mut buffer = buffers.take(bytes);
            buffer.resize(bytes, 7);
            Body { bytes: buffer, format: Format::Text, buffers: buffers.clone(), _room: None }
        };
        drop(body(100));
        let again = buffers.take(10);
        assert!(again.is_empty() && again.capacity() >= 100);
        drop((0..2 * BodyBuffers::BODIES).map(body).collect::<Vec<_>>());
        drop(body(BodyBuffers::LEN_MAX + 1));
        let kept = buffers.kept.lock();
        assert_eq!(kept.len(), BodyBuffers::BODIES - 1);
        assert!(kept.iter().all(|buffer| buffer.capacity() <= BodyBuffers::LEN_MAX));
    }

    #[tokio::test]
    async fn a_body_takes_room_until_it_is_slow() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = GoUrl::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (go_on, mut told) = tokio::sync::mpsc::channel::<()>(1);
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nup").await.unwrap();
                told.recv().await.unwrap();
                socket.write_all(b" 1").await.unwrap();
            }
        });
        let client = HttpClient::new(&config::http_client::HttpClientConfig::default(), "test").unwrap();
        let buffers = Arc::new(BodyBuffers::default());
        let free = || buffers.room.available_permits();
        let read = async |patience| {
            let response = client.send(&Request::get(url.clone()), Duration::from_secs(60)).await.unwrap();
            buffers.clone().read(response, 100, 0, patience).await.unwrap()
        };

        go_on.send(()).await.unwrap();
        let (bytes, room) = read(Duration::from_secs(60)).await;
        assert_eq!((&*bytes, room.is_some(), free()), (&b"up 1"[..], true, BodyBuffers::BODIES - 1));
        drop(room);

        // Without any room left, and slowly.
        let all = buffers.room.clone().acquire_many_owned(BodyBuffers::BODIES as u32).await.unwrap();
        let slowly = async {
            tokio::time::sleep(2 * BodyBuffers::SLOW).await;
            go_on.send(()).await.unwrap();
        };
        let ((bytes, room), ()) = tokio::join!(read(Duration::from_millis(1)), slowly);
        assert_eq!((&*bytes, room.is_some(), free()), (&b"up 1"[..], false, 0));
        drop(all);
    }

    #[test]
    fn accept_header() {
        assert_eq!(
            accept(&ScrapeProtocol::DEFAULT, NameEscaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept(&[ScrapeProtocol::PrometheusProto], NameEscaping::Values),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,*/*;q=0.5"
        );
    }
}
