//! The HTTP client of scraping, discovery and notification.
//!
//! An [`HttpClient`] is made from a checked [`HttpClientConfig`] and shared by all requests of one section, so that
//! connections are kept and counted per section. A [`Request`] is sent under a deadline; the [`Response`]'s body is
//! read ([`Response::read`]) under the same deadline and a size limit, inflated on the way. Files with credentials are
//! read again for every request, files with certificates when they change.

mod auth;
mod body;
mod connect;
mod error;
mod proxy;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::http_client::HttpClientConfig;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use auth::Authenticator;
use connect::Connector;
use proxy::Proxies;
use tls::TlsFiles;

pub use error::{HttpError, SetupError};

/// Idle connections are closed after this; longer than usual scrape intervals, as in Prometheus.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// What a connection reads at once, and how long an answer's head may be. A server keeps a connection to each of its
/// targets, and each keeps as much memory as it once read at once.
const READ_BUFFER: usize = 16 << 10;
/// As in Go's client.
const MAX_REDIRECTS: usize = 10;

/// A client for one section of the configuration. Cheap to share; needs a tokio runtime.
pub struct HttpClient {
    config: HttpClientConfig,
    user_agent: HeaderValue,
    /// Connects here instead of to the URL's host.
    socket: Option<PathBuf>,
    proxies: Proxies,
    authenticator: Authenticator,
    connections: Mutex<Option<Connections>>,
}

/// Open connections, and the certificates with which they were opened.
#[derive(Clone)]
struct Connections {
    files: TlsFiles,
    client: Client<Connector, Full<Bytes>>,
}

/// What to ask a server.
#[derive(Clone, Debug)]
pub struct Request {
    /// Usually GET or POST.
    pub method: Method,
    /// http or https.
    pub url: Url,
    /// Besides those of the configuration; these win.
    pub headers: HeaderMap,
    /// Empty for GET.
    pub body: Bytes,
}

impl Request {
    /// GET.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// POST with a body of the given media type.
    pub fn post(url: Url, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url, headers, body: body.into() }
    }
}

/// A server's answer whose body is not read yet. Dropping it closes the connection unless the body is at its end.
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    deadline: Instant,
    /// For messages: method and URL, as Go prints them.
    what: Arc<str>,
}

impl HttpClient {
    /// A client that introduces itself as `user_agent`.
    ///
    /// Files are not read yet; what they hold shows when they are used.
    pub fn new(config: &HttpClientConfig, user_agent: &str) -> Result<Self, SetupError> {
        Self::with_socket(config, user_agent, None)
    }

    /// As [`HttpClient::new`], but every connection goes to a Unix socket, whatever host the URL names.
    pub fn with_socket(
        config: &HttpClientConfig,
        user_agent: &str,
        socket: Option<PathBuf>,
    ) -> Result<Self, SetupError> {
        tls::check_versions(&config.tls)?;
        Ok(Self {
            user_agent: HeaderValue::from_str(user_agent)
                .map_err(|_| SetupError::UserAgent(user_agent.to_owned()))?,
            socket,
            proxies: Proxies::new(&config.proxy)?,
            authenticator: Authenticator::new(&config.auth, user_agent)?,
            connections: Mutex::new(None),
            config: config.clone(),
        })
    }

    /// Sends a request and gives the answer once its headers are there. `deadline` covers connecting, redirects,
    /// fetching tokens and later the body.
    pub async fn send(&self, request: Request, deadline: Duration) -> Result<Response, HttpError> {
        let deadline = Instant::now() + deadline;
        let what: Arc<str> = what(&request.method, &request.url).into();
        let answer = tokio::time::timeout_at(deadline, self.follow(request)).await;
        let (status, headers, body) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(error.about(&what)),
            Err(_) => return Err(HttpError::Deadline.about(&what)),
        };
        Ok(Response { status, headers, body, deadline, what })
    }

    async fn follow(&self, mut request: Request) -> Result<(StatusCode, HeaderMap, Incoming), HttpError> {
        let origin = request.url.origin();
        for _ in 0..=MAX_REDIRECTS {
            // Credentials are for the server that was configured, not for where it points.
            let trusted = request.url.origin() == origin;
            let response = self.send_once(&request, trusted).await?;
            let (parts, body) = response.into_parts();
            let location = parts.headers.get(header::LOCATION).filter(|_| self.config.follow_redirects);
            let Some(location) = location.filter(|_| is_redirect(parts.status)) else {
                return Ok((parts.status, parts.headers, body));
            };
            let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
            request.url = match request.url.join(&location) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => url,
                Ok(url) => return Err(HttpError::Scheme(url.scheme().to_owned())),
                Err(_) => return Err(HttpError::Location(location)),
            };
            let keeps_method =
                matches!(parts.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !keeps_method && request.method != Method::HEAD {
                request.method = Method::GET;
                request.body = Bytes::new();
                request.headers.remove(header::CONTENT_TYPE);
            }
            drain(body).await;
        }
        Err(HttpError::TooManyRedirects(MAX_REDIRECTS))
    }

    async fn send_once(
        &self,
        request: &Request,
        trusted: bool,
    ) -> Result<hyper::Response<Incoming>, HttpError> {
        let uri: Uri = request.url.as_str().parse().map_err(|_| HttpError::Url(request.url.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        self.add_configured_headers(&mut headers).await?;
        for (name, value) in &request.headers {
            headers.insert(name, value.clone());
        }
        if trusted && !headers.contains_key(header::AUTHORIZATION) {
            if let Some(value) = self.authenticator.header().await? {
                headers.insert(header::AUTHORIZATION, value);
            } else if let Some(value) = auth::from_url(&request.url) {
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        if let Some((name, value)) = self.proxies.plain_header(&uri) {
            headers.insert(name, value);
        }
        let mut outgoing = hyper::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = without_userinfo(uri);
        *outgoing.headers_mut() = headers;
        let client = self.client(request.url.scheme() == "https").await?;
        client.request(outgoing).await.map_err(HttpError::from_client)
    }

    async fn add_configured_headers(&self, headers: &mut HeaderMap) -> Result<(), HttpError> {
        for header in &self.config.headers {
            let name =
                HeaderName::try_from(&header.name).map_err(|_| HttpError::Header(header.name.clone()))?;
            let mut values: Vec<String> = header.values.clone();
            values.extend(header.secrets.iter().map(|secret| secret.reveal().to_owned()));
            for file in &header.files {
                values.push(auth::read_secret(file).await?);
            }
            for value in values {
                let value =
                    HeaderValue::from_str(&value).map_err(|_| HttpError::Header(header.name.clone()))?;
                headers.append(name.clone(), value);
            }
        }
        Ok(())
    }

    /// The pool of connections; a new one when certificate files have changed.
    async fn client(&self, encrypted: bool) -> Result<Client<Connector, Full<Bytes>>, HttpError> {
        let files = if encrypted { TlsFiles::stat(&self.config.tls).await } else { TlsFiles::default() };
        if let Some(current) = &*self.connections.lock()
            && (!encrypted || current.files == files)
        {
            return Ok(current.client.clone());
        }
        let tls = match encrypted {
            true => Some(tls::client_config(&self.config.tls, self.config.enable_http2).await?),
            false => None,
        };
        let connector = Connector::new(tls, &self.config, self.proxies.clone(), self.socket.clone());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector);
        let built = Connections { files, client };
        *self.connections.lock() = Some(built.clone());
        Ok(built.client)
    }
}

impl Response {
    /// Reads the whole body, inflating gzip. Reaching `limit` inflated bytes is an error; what follows is not read.
    /// `out` is the buffer to use.
    pub async fn read(self, limit: u64, out: Vec<u8>) -> Result<Vec<u8>, HttpError> {
        let gzip = self.headers.get(header::CONTENT_ENCODING).is_some_and(|v| v.as_bytes() == b"gzip");
        match tokio::time::timeout_at(self.deadline, body::read(self.body, gzip, limit, out)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Deadline),
        }
    }

    /// Method and URL, for messages.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// `Get "http://host/path"`, as Go's errors start.
fn what(method: &Method, url: &Url) -> String {
    let mut name = method.as_str().to_ascii_lowercase();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut shown = url.clone();
    if shown.password().is_some() {
        // Cannot fail: a URL that has a password may have one.
        let _ = shown.set_password(Some("***"));
    }
    format!("{name} {:?}", shown.as_str())
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn without_userinfo(uri: Uri) -> Uri {
    let Some(authority) = uri.authority().filter(|a| a.as_str().contains('@')) else {
        return uri;
    };
    let host = authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
    let mut parts = uri.clone().into_parts();
    parts.authority = host.parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

/// Reads a short body to its end so that the connection can be used again.
async fn drain(body: Incoming) {
    // Whatever goes wrong, the next request then opens a connection of its own.
    let _ = body::read(body, false, 16 << 10, Vec::new()).await;
}

#[cfg(test)]
mod tests;
