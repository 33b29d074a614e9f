//! What can go wrong with a request, in the words Prometheus's users know from Go.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

/// Why a client cannot be made from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Bytes that no header may hold.
    #[error("invalid user agent {0:?}")]
    UserAgent(String),
    /// Only versions that are not supported are allowed.
    #[error("TLS versions below 1.2 are not supported (max_version: {0})")]
    TlsVersion(&'static str),
    /// `min_version` above `max_version`.
    #[error("tls_config.max_version must be greater than or equal to tls_config.min_version")]
    TlsRange,
    /// A proxy scheme other than http, https and socks5.
    #[error("unsupported proxy scheme {0:?}")]
    ProxyScheme(String),
    /// A proxy without a usable address.
    #[error("invalid proxy URL {0:?}")]
    ProxyUrl(String),
    /// A name or value that no header may have.
    #[error("invalid proxy_connect_header {0:?}")]
    ProxyHeader(String),
    /// A URL for tokens that is none.
    #[error("invalid token_url {0:?}")]
    TokenUrl(String),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// With method and URL in front.
    #[error("{what}: {source}")]
    Request {
        /// `Get "http://host/path"`.
        what: Box<str>,
        /// The reason.
        source: Box<HttpError>,
    },
    /// Out of time.
    #[error("context deadline exceeded")]
    Deadline,
    /// As many bytes as the limit, or more.
    #[error("body size limit exceeded")]
    BodyTooLarge,
    /// A body that its encoding contradicts.
    #[error("{0}")]
    Body(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Certificates that cannot be used or do not match.
    #[error("tls: {0}")]
    Tls(String),
    /// A file of the configuration.
    #[error("unable to read file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A secret manager that does not exist.
    #[error("secret reference {0:?} cannot be resolved: no secret manager is configured")]
    SecretReference(String),
    /// A header name or value that cannot be sent.
    #[error("invalid header {0:?}")]
    Header(String),
    /// Not something to connect to.
    #[error("invalid URL {0:?}")]
    Url(String),
    /// A redirect to another protocol.
    #[error("unsupported protocol scheme {0:?}")]
    Scheme(String),
    /// A redirect to nowhere.
    #[error("failed to parse Location header {0:?}")]
    Location(String),
    /// Going round in circles.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// No token.
    #[error("oauth2: {0}")]
    Token(String),
}

impl HttpError {
    /// Puts method and URL in front.
    pub(super) fn about(self, what: &str) -> Self {
        Self::Request { what: what.into(), source: Box::new(self) }
    }

    /// The reason itself, without method and URL.
    pub fn reason(&self) -> &Self {
        match self {
            Self::Request { source, .. } => source.reason(),
            other => other,
        }
    }

    pub(super) fn from_client(error: hyper_util::client::legacy::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(own) = inner.downcast_ref::<super::connect::ConnectError>() {
                return Self::Connection(own.to_string());
            }
            if let Some(hyper) = inner.downcast_ref::<hyper::Error>() {
                return Self::from_hyper(hyper);
            }
            cause = inner.source();
        }
        Self::Connection(innermost(&error))
    }

    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() {
            return Self::Connection("EOF".to_owned());
        }
        if let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            return Self::Connection(io_text(io));
        }
        Self::Connection(innermost(error))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// `connection refused` for `Connection refused (os error 111)`.
pub(super) fn io_text(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error")) {
        (Some(_), Some(at)) => text[..at].to_ascii_lowercase(),
        _ => text,
    }
}
