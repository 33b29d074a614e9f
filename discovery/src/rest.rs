//! Asking the HTTP API of a server that knows targets.

use std::time::Duration;

use config::http_client::HttpClientConfig;
use config::url::GoUrl;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use net::client::{HttpClient, Request, Response};
use serde::de::DeserializeOwned;

use super::error::{RefreshError, StartError};
use super::json;

/// How requests of discovery introduce themselves.
pub const USER_AGENT: &str = concat!("Trivium/", env!("CARGO_PKG_VERSION"));
/// Larger answers are refused.
const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// Pages of one listing; a server that gives more goes round in circles.
const MAX_PAGES: usize = 10_000;
/// Of what a server says about a failure, the log shows this much.
const MAX_DETAIL_CHARS: usize = 200;
/// Of an answer that is not used this much is read, for the sake of the connection and of what it says.
const MAX_DISCARDED_BYTES: u64 = 1 << 20;

/// A client of one API.
pub struct Api {
    client: HttpClient,
    /// For each request.
    timeout: Duration,
}

impl Api {
    /// Nothing is asked yet. As in Prometheus, a request may take as long as the interval between them.
    pub fn new(http: &HttpClientConfig, timeout: Duration) -> Result<Self, StartError> {
        Ok(Self::with(HttpClient::new(http, USER_AGENT)?, timeout))
    }

    /// With a client that can do more than the configuration says, such as signing.
    pub fn with(client: HttpClient, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// Sends a request; whatever the status, the answer's headers are there.
    pub async fn respond(&self, request: &Request) -> Result<Response, RefreshError> {
        Ok(self.client.send(request, self.timeout).await?)
    }

    /// Sends a request and reads the answer; any status but a success is an error.
    pub async fn ask(&self, request: &Request) -> Result<Answer, RefreshError> {
        let response = self.respond(request).await?;
        if !response.status.is_success() {
            return Err(refused(request, response).await);
        }
        read(request, response).await
    }
}

/// A request for JSON.
pub fn get_json(url: GoUrl) -> Request {
    let mut request = Request::get(url.without_empty_port());
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// What a refusal says. Its body is read for that.
pub async fn refused(request: &Request, response: Response) -> RefreshError {
    let status = response.status_text();
    // A body that cannot be read says nothing.
    let body = response.read(MAX_DISCARDED_BYTES, Vec::new()).await.unwrap_or_default();
    let mut detail = String::new();
    for word in String::from_utf8_lossy(&body).split_whitespace() {
        detail.push_str(if detail.is_empty() { ": " } else { " " });
        detail.push_str(word);
        if detail.len() > MAX_DETAIL_CHARS {
            detail = detail.chars().take(MAX_DETAIL_CHARS).chain(['…']).collect();
            break;
        }
    }
    RefreshError::Status { asked: request.describe(), status, detail }
}

/// Reads an answer's body.
pub async fn read(request: &Request, response: Response) -> Result<Answer, RefreshError> {
    let (asked, headers) = (request.describe(), response.headers.clone());
    match response.read(MAX_ANSWER_BYTES, Vec::new()).await {
        Ok(body) => Ok(Answer { headers, body, asked }),
        Err(reason) => Err(RefreshError::Body { asked, reason }),
    }
}

/// A good answer.
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, inflated.
    pub body: Vec<u8>,
    asked: String,
}

impl Answer {
    /// Its body as text.
    pub fn text(&self) -> Result<&str, RefreshError> {
        std::str::from_utf8(&self.body).map_err(|_| self.wrong("the answer is no UTF-8"))
    }

    /// Its body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RefreshError> {
        json::decode(&self.body).map_err(|error| self.wrong(error))
    }

    /// The error of an answer that is not what was asked for.
    pub fn wrong(&self, reason: impl ToString) -> RefreshError {
        RefreshError::Answer { asked: self.asked.clone(), reason: reason.to_string() }
    }
}

/// Counts the pages of one listing.
#[derive(Default)]
pub struct Pages(usize);

impl Pages {
    /// Before each page is asked for.
    pub fn turn(&mut self) -> Result<(), RefreshError> {
        self.0 += 1;
        if self.0 > MAX_PAGES { Err(RefreshError::Endless(MAX_PAGES)) } else { Ok(()) }
    }
}
