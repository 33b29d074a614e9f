//! The HTTP client of scraping, discovery and notification. It reaches what Go's client reaches, and says why not in its
//! words: a connection that the server closed is replaced, addresses mean what they mean to Go, certificates are judged
//! as Go judges them.
//!
//! An [`HttpClient`] is made from a checked [`HttpClientConfig`] and shared by all requests of one section, so that
//! connections are kept and counted per section. A [`Request`] is sent under a deadline; the [`Response`]'s body is
//! read ([`Response::read`]) under the same deadline and a size limit, inflated on the way. Files with credentials are
//! read again for every request, files with certificates when they change.

mod auth;
pub mod aws;
mod dial;
mod error;
mod form;
mod http1;
mod http2;
mod oauth2;
mod pool;
mod proxy;
mod redirect;
mod request;
mod response;
mod stream;
mod tls;
mod transport;
mod tunnel;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::http_client::HttpClientConfig;
use config::url::GoUrl;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;

use auth::Authenticator;
use aws::AwsSigner;
use pool::Pool;
use proxy::Proxies;
use tls::{TlsFiles, TlsSettings};
use transport::{Answer, Transport};

pub use error::{HttpError, SetupError};
pub use request::Request;
pub use response::Response;

/// Requests for one answer at most, as in Go's client.
const MAX_REDIRECTS: usize = 10;
/// A redirect's body is read to its end for the sake of the connection if it is no longer than this.
const MAX_REDIRECT_BODY: u64 = 2 << 10;

/// A client for one section of the configuration. Cheap to share; needs a tokio runtime.
pub struct HttpClient {
    config: HttpClientConfig,
    user_agent: HeaderValue,
    authenticator: Authenticator,
    signer: Option<Arc<AwsSigner>>,
    transport: Transport,
    /// What HTTPS needs besides, and the files that it was read from.
    encrypted: Mutex<Option<(TlsFiles, Transport)>>,
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
        let name = HeaderValue::from_str(user_agent);
        let name = name.map_err(|_| SetupError::UserAgent(user_agent.to_owned()))?;
        Ok(Self {
            authenticator: Authenticator::new(&config.auth, user_agent)?,
            signer: None,
            transport: Transport {
                pool: Arc::new(Pool::default()),
                tls: None,
                proxies: Proxies::new(&config.proxy),
                user_agent: name.clone(),
                socket: socket.map(Arc::new),
            },
            user_agent: name,
            encrypted: Mutex::new(None),
            config: config.clone(),
        })
    }

    /// The same, but requests are signed for AWS instead of what the configuration says of authentication.
    #[must_use]
    pub fn signed(mut self, signer: Arc<AwsSigner>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Sends a request and gives the answer once its headers are there. `deadline` covers connecting, redirects,
    /// fetching tokens and later the body.
    pub async fn send(&self, request: &Request, deadline: Duration) -> Result<Response, HttpError> {
        let deadline = Instant::now() + deadline;
        match tokio::time::timeout_at(deadline, self.follow(request, deadline)).await {
            Ok(Ok(Answer { status, status_text, headers, body })) => {
                Ok(Response { status, status_text, headers, body, deadline })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(HttpError::Deadline.about(request.describe())),
        }
    }

    async fn follow(&self, first: &Request, deadline: Instant) -> Result<Answer, HttpError> {
        let about = |url: &GoUrl| request::describe(&first.method, url);
        let mut answer =
            self.send_once(first, true, deadline).await.map_err(|error| error.about(first.describe()))?;
        if !self.config.follow_redirects {
            return Ok(answer);
        }
        // What the next request is made from; `None` while that is the first one.
        let mut last: Option<Request> = None;
        let mut at_home = true;
        let mut with_body = true;
        for _ in 1..MAX_REDIRECTS {
            let Some(location) = location(&answer) else { return Ok(answer) };
            let from = last.as_ref().unwrap_or(first);
            let url = from.url.join(&location).map_err(|error| {
                HttpError::Location { location: location.clone(), reason: error.to_string() }
                    .about(about(&from.url))
            })?;
            let (method, keeps_body) = redirect::method_after(answer.status, from.method.clone());
            with_body &= keeps_body;
            // Once they have left, credentials stay away, even if a redirect leads back.
            at_home &= redirect::is_at_home(&first.url, &url);
            let mut headers = first.headers.clone();
            if !at_home {
                redirect::strip_sensitive(&mut headers);
            }
            if !with_body {
                redirect::strip_body(&mut headers);
            }
            redirect::set_referer(&mut headers, &from.url, &url);
            let body = if with_body { first.body.clone() } else { bytes::Bytes::new() };
            let next = Request { method, url: url.without_empty_port(), headers, body };
            let unread = Response {
                status: answer.status,
                status_text: None,
                headers: HeaderMap::new(),
                body: answer.body,
                deadline,
            };
            unread.discard(MAX_REDIRECT_BODY).await;
            answer = self
                .send_once(&next, at_home, deadline)
                .await
                .map_err(|error| error.about(about(&next.url)))?;
            last = Some(next);
        }
        match location(&answer) {
            Some(location) => {
                let what = request::describe_text(&first.method, &location);
                Err(HttpError::TooManyRedirects(MAX_REDIRECTS).about(what))
            }
            None => Ok(answer),
        }
    }

    /// `at_home` tells that the server is the one that was configured, so that credentials are for it.
    async fn send_once(
        &self,
        request: &Request,
        at_home: bool,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let mut headers = request.headers.clone();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        self.add_configured_headers(&mut headers).await?;
        if !at_home {
            redirect::strip_sensitive(&mut headers);
        }
        if at_home && let Some(signer) = &self.signer {
            for (name, value) in &signer.sign(request, &transport::host_header(request)).await? {
                headers.insert(name, value.clone());
            }
        }
        if !headers.contains_key(header::AUTHORIZATION) {
            if let Some(value) = auth::from_url(&request.url) {
                headers.insert(header::AUTHORIZATION, value);
            } else if at_home && let Some(value) = self.authenticator.header().await? {
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        headers.remove(header::HOST);
        if request.url.scheme() == "https" {
            return self.encrypted().await?.round_trip(request, headers, deadline).await;
        }
        self.transport.round_trip(request, headers, deadline).await
    }

    async fn add_configured_headers(&self, headers: &mut HeaderMap) -> Result<(), HttpError> {
        for header in &self.config.headers {
            let name =
                HeaderName::try_from(&header.name).map_err(|_| HttpError::Header(header.name.clone()))?;
            let mut values: Vec<String> = header.values.clone();
            values.extend(header.secrets.iter().map(|secret| secret.reveal().to_owned()));
            for file in &header.files {
                let value = auth::read_secret(file).await;
                values.push(value.map_err(|error| error.within("unable to read headers file"))?);
            }
            for value in values {
                let value =
                    HeaderValue::from_str(&value).map_err(|_| HttpError::Header(header.name.clone()))?;
                // More than 32,768 headers are a mistake.
                headers
                    .try_append(name.clone(), value)
                    .map_err(|_| HttpError::Header(header.name.clone()))?;
            }
        }
        Ok(())
    }

    /// What sends encrypted requests: with connections of its own, and new ones when certificate files have changed.
    async fn encrypted(&self) -> Result<Transport, HttpError> {
        let files = TlsFiles::stat(&self.config.tls).await;
        if let Some((read, transport)) = &*self.encrypted.lock()
            && *read == files
        {
            return Ok(transport.clone());
        }
        let tls = TlsSettings::read(&self.config.tls, self.config.enable_http2).await?;
        let transport =
            Transport { tls: Some(tls), pool: Arc::new(Pool::default()), ..self.transport.clone() };
        *self.encrypted.lock() = Some((files, transport.clone()));
        Ok(transport)
    }
}

/// Where an answer sends the client.
fn location(answer: &Answer) -> Option<String> {
    let location = answer.headers.get(header::LOCATION).filter(|_| redirect::is_redirect(answer.status))?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned()).filter(|location| !location.is_empty())
}

#[cfg(test)]
mod tests;
