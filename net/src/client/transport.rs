//! One request to one server: a connection that is kept, or a new one, straight or through a proxy; and a second
//! attempt when a kept connection turns out to be closed. Source: Go's `http.Transport`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::url::GoUrl;
use http_body_util::Full;
use hyper::Method;
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use tokio::time::Instant;

use super::dial::{dial, dial_unix, join};
use super::error::{HttpError, ReadError};
use super::http1::{self, Connection, Stage};
use super::http2::Sender;
use super::pool::Pool;
use super::proxy::{Proxies, Proxy, ProxyKind, ascii};
use super::request::Request;
use super::response::{Body, Home};
use super::stream::Stream;
use super::tls::TlsSettings;
use super::tunnel;

/// What a TLS handshake may take, as in Prometheus.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bodies up to this size are sent in one piece with the head.
const SMALL_BODY: usize = 16 << 10;

/// Connections, and how to make more of them.
#[derive(Clone)]
pub(super) struct Transport {
    pub pool: Arc<Pool>,
    pub tls: Option<TlsSettings>,
    pub proxies: Proxies,
    pub user_agent: HeaderValue,
    /// Connects here instead of to the URL's host.
    pub socket: Option<Arc<PathBuf>>,
}

/// An answer before its body is read.
pub(super) struct Answer {
    pub status: hyper::StatusCode,
    pub status_text: Option<Box<str>>,
    pub headers: HeaderMap,
    pub body: Body,
}

/// A connection to send a request on.
enum Route {
    Http1 { stream: Stream, is_reused: bool },
    Http2 { sender: Sender, is_reused: bool },
}

impl Transport {
    /// Sends a request with exactly these headers.
    pub async fn round_trip(
        &self,
        request: &Request,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let encrypted = match request.url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(HttpError::Scheme(other.to_owned())),
        };
        if request.url.host().is_empty() {
            return Err(HttpError::NoHost);
        }
        let proxy = self.proxies.choose(&request.url).filter(|_| self.socket.is_none());
        // A proxy that forwards whole requests wants whole URLs.
        let forwards = match proxy {
            Some(proxy) if !encrypted => proxy.kind().map_err(HttpError::Connection)? != ProxyKind::Socks5,
            _ => false,
        };
        let mut headers = headers;
        if forwards && let Some(value) = proxy.and_then(Proxy::authorization) {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        let mut message = Vec::new();
        loop {
            match self.route(&request.url, encrypted, proxy, deadline).await? {
                Route::Http2 { sender, is_reused } => {
                    match sender.send(http2_request(request, &headers)?).await {
                        Ok(answer) => {
                            let (parts, body) = answer.into_parts();
                            return Ok(Answer {
                                status: parts.status,
                                status_text: None,
                                headers: parts.headers,
                                body: Body::Http2(body),
                            });
                        }
                        Err(failure) => {
                            self.pool.prune_http2();
                            if !(is_reused && (failure.is_unsent || request.may_be_repeated())) {
                                return Err(failure.error);
                            }
                            self.pool.forget_http2(request.url.host());
                        }
                    }
                }
                Route::Http1 { stream, is_reused } => {
                    if message.is_empty() {
                        write_message(&mut message, request, &headers, forwards)?;
                    }
                    let mut connection = Connection::new(stream);
                    let body: &[u8] = if request.body.len() > SMALL_BODY { &request.body } else { &[] };
                    let is_head = request.method == Method::HEAD;
                    match connection.exchange(&[&message, body], is_head).await {
                        Ok(head) => return Ok(self.answer(connection, head, &request.url, encrypted)),
                        Err(failure) => {
                            let again = match failure.stage {
                                Stage::Unwritten => true,
                                Stage::Unanswered => request.may_be_repeated(),
                                Stage::Answered => false,
                            };
                            if !(is_reused && again) {
                                return Err(broken(failure));
                            }
                        }
                    }
                }
            }
        }
    }

    fn answer(&self, connection: Connection, head: http1::Head, url: &GoUrl, encrypted: bool) -> Answer {
        let body = http1::Body::new(connection, head.framing);
        let home =
            head.keeps_open.then(|| Home { pool: self.pool.clone(), encrypted, host: url.host().into() });
        Answer {
            status: head.status,
            status_text: head.status_text,
            headers: head.headers,
            body: Body::Http1 { body, home },
        }
    }

    async fn route(
        &self,
        url: &GoUrl,
        encrypted: bool,
        proxy: Option<&Proxy>,
        deadline: Instant,
    ) -> Result<Route, HttpError> {
        if encrypted && let Some(sender) = self.pool.http2(url.host()).filter(|sender| !sender.is_closed()) {
            return Ok(Route::Http2 { sender, is_reused: true });
        }
        if let Some(stream) = self.pool.take(encrypted, url.host()) {
            return Ok(Route::Http1 { stream, is_reused: true });
        }
        let stream = self.connect(url, encrypted, proxy, deadline).await?;
        if stream.is_http2() {
            let sender = Sender::start(stream).await?;
            self.pool.put_http2(url.host(), sender.clone());
            return Ok(Route::Http2 { sender, is_reused: false });
        }
        Ok(Route::Http1 { stream, is_reused: false })
    }

    async fn connect(
        &self,
        url: &GoUrl,
        encrypted: bool,
        proxy: Option<&Proxy>,
        deadline: Instant,
    ) -> Result<Stream, HttpError> {
        let (name, port) = (ascii(url.hostname()), port(url, encrypted));
        let stream = match (&self.socket, proxy) {
            (Some(path), _) => Stream::Unix(dial_unix(path).await.map_err(HttpError::Connection)?),
            (None, None) => Stream::tcp(dial(&name, port, deadline).await.map_err(HttpError::Connection)?),
            (None, Some(proxy)) => self.connect_through(proxy, &name, port, encrypted, deadline).await?,
        };
        if encrypted { self.start_tls(stream, &name, false).await } else { Ok(stream) }
    }

    /// A connection that ends at the server, or for plain HTTP at a proxy that forwards requests.
    async fn connect_through(
        &self,
        proxy: &Proxy,
        name: &str,
        port: &str,
        encrypted: bool,
        deadline: Instant,
    ) -> Result<Stream, HttpError> {
        let failed = |why: String| HttpError::Connection(format!("proxyconnect tcp: {why}"));
        let kind = proxy.kind().map_err(failed)?;
        let (proxy_name, proxy_port) = proxy.address();
        let proxy_name = ascii(proxy_name);
        let tcp = dial(&proxy_name, proxy_port, deadline).await.map_err(failed)?;
        let mut stream = Stream::tcp(tcp);
        if kind == ProxyKind::Https {
            let connected = self.start_tls(stream, &proxy_name, true).await;
            stream = connected.map_err(|error| failed(error.to_string()))?;
        }
        if kind == ProxyKind::Socks5 {
            let number = port.parse().map_err(|_| failed(format!("address {port}: invalid port")))?;
            let credentials = proxy.credentials.as_ref();
            let tunnelled = tunnel::socks(stream, name, number, credentials).await;
            return tunnelled.map_err(|why| {
                let (proxy, server) = (join(&proxy_name, proxy_port), join(name, port));
                HttpError::Connection(format!("socks connect tcp {proxy}->{server}: {why}"))
            });
        }
        if !encrypted {
            return Ok(stream);
        }
        let address = join(name, port);
        let tunnelled = tunnel::connect(stream, &address, proxy.connect_headers(), &self.user_agent).await;
        tunnelled.map_err(|why| {
            HttpError::Connection(format!("proxy {} refused a connection to {address}: {why}", proxy.url))
        })
    }

    async fn start_tls(&self, stream: Stream, name: &str, is_proxy: bool) -> Result<Stream, HttpError> {
        let Some(tls) = &self.tls else {
            return Err(HttpError::Tls("tls: certificates were not read".to_owned()));
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.connect(stream, name, is_proxy)).await {
            Ok(connected) => connected,
            Err(_) => Err(HttpError::Tls("net/http: TLS handshake timeout".to_owned())),
        }
    }
}

fn port(url: &GoUrl, encrypted: bool) -> &str {
    match url.port() {
        "" if encrypted => "443",
        "" => "80",
        port => port,
    }
}

fn broken(failure: http1::Failure) -> HttpError {
    let error = failure.error;
    HttpError::Connection(match (failure.stage, &error) {
        (Stage::Answered, ReadError::UnexpectedEof | ReadError::Malformed(_)) => {
            format!("net/http: HTTP/1.x transport connection broken: {error}")
        }
        _ => error.to_string(),
    })
}

/// The host as the request names it: without a zone, which means something on this machine only, and empty if it holds
/// what no host may hold.
pub(super) fn host_header(request: &Request) -> Cow<'_, str> {
    if let Some(host) = request.headers.get(HOST).and_then(|host| host.to_str().ok()) {
        return Cow::Borrowed(host);
    }
    let written = request.url.host();
    let host = if written.is_ascii() {
        Cow::Borrowed(written)
    } else {
        let name = ascii(request.url.hostname());
        let port = request.url.port();
        if port.is_empty() { name } else { Cow::Owned(join(&name, port)) }
    };
    let is_valid = |b: u8| b.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~@".contains(&b);
    if !host.bytes().all(is_valid) {
        return Cow::Borrowed("");
    }
    match host.rfind(']').filter(|_| host.starts_with('[')) {
        Some(end) => match host[..end].rfind('%') {
            Some(zone) => Cow::Owned(format!("{}{}", &host[..zone], &host[end..])),
            None => host,
        },
        None => host,
    }
}

fn write_message(
    out: &mut Vec<u8>,
    request: &Request,
    headers: &HeaderMap,
    forwards: bool,
) -> Result<(), HttpError> {
    let host = host_header(request);
    let mut target = String::with_capacity(128);
    if forwards {
        if host.is_empty() {
            return Err(HttpError::Connection("http: invalid Host header".to_owned()));
        }
        target.push_str(request.url.scheme());
        target.push_str("://");
        target.push_str(&host);
    }
    request.url.write_request_target(&mut target);
    let may_have_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    let body_len = (may_have_body || !request.body.is_empty()).then_some(request.body.len());
    out.reserve(512);
    http1::write_request(out, request.method.as_str(), &target, &host, headers, body_len);
    if request.body.len() <= SMALL_BODY {
        out.extend_from_slice(&request.body);
    }
    Ok(())
}

fn http2_request(request: &Request, headers: &HeaderMap) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let mut target = String::new();
    request.url.write_request_target(&mut target);
    let uri = format!("https://{}{target}", host_header(request));
    let uri = uri.parse().map_err(|_| HttpError::Url(request.url.in_errors()))?;
    let mut outgoing = hyper::Request::new(Full::new(request.body.clone()));
    *outgoing.method_mut() = request.method.clone();
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers.clone();
    outgoing.headers_mut().remove(HOST);
    Ok(outgoing)
}
