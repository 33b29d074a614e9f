//! What to ask a server.

use bytes::Bytes;
use config::url::GoUrl;
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// With this header Go's client takes a request of any method for one that may be sent twice.
const IDEMPOTENCY_KEYS: [HeaderName; 2] =
    [HeaderName::from_static("idempotency-key"), HeaderName::from_static("x-idempotency-key")];

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Usually GET or POST.
    pub method: Method,
    /// http or https.
    pub url: GoUrl,
    /// Besides those of the configuration; these win.
    pub headers: HeaderMap,
    /// Empty for GET.
    pub body: Bytes,
}

impl Request {
    /// GET.
    pub fn get(url: GoUrl) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// POST with a body of the given media type.
    pub fn post(url: GoUrl, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, url, headers, body: body.into() }
    }

    /// Whether a server that may have seen the request may see it again.
    pub(super) fn may_be_repeated(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
            || IDEMPOTENCY_KEYS.iter().any(|name| self.headers.contains_key(name))
    }

    /// `Get "http://host/path"`, as Go's errors start; without the URL's password.
    pub fn describe(&self) -> String {
        describe(&self.method, &self.url)
    }
}

pub(super) fn describe(method: &Method, url: &GoUrl) -> String {
    describe_text(method, &url.in_errors())
}

pub(super) fn describe_text(method: &Method, url: &str) -> String {
    let mut name = method.as_str().to_ascii_lowercase();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{name} {url:?}")
}
