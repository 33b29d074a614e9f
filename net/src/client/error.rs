//! What can go wrong with a request, in the words Prometheus's users know from Go.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a client cannot be made from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Bytes that no header may hold.
    #[error("invalid user agent {0:?}")]
    UserAgent(String),
    /// `min_version` above `max_version`.
    #[error(
        "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified"
    )]
    TlsRange,
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
    /// With what was tried in front.
    #[error("{what}: {source}")]
    Within {
        /// `unable to read CA cert`.
        what: &'static str,
        /// The reason.
        source: Box<HttpError>,
    },
    /// Out of time.
    #[error("context deadline exceeded")]
    Deadline,
    /// As many bytes as the limit, or more.
    #[error("body size limit exceeded")]
    BodyTooLarge,
    /// A body that its encoding contradicts, or that ends early.
    #[error("{0}")]
    Body(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Certificates that cannot be used or do not match, and handshakes that failed.
    #[error("{0}")]
    Tls(String),
    /// A file of the configuration.
    #[error("unable to read file {}: open {}: {reason}", path.display(), path.display())]
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
    #[error("net/http: invalid header field value for {0:?}")]
    Header(String),
    /// Not something to connect to.
    #[error("invalid URL {0:?}")]
    Url(String),
    /// A URL, a redirect's perhaps, of another protocol.
    #[error("unsupported protocol scheme {0:?}")]
    Scheme(String),
    /// A URL without a host.
    #[error("http: no Host in request URL")]
    NoHost,
    /// A redirect to nowhere.
    #[error("failed to parse Location header {location:?}: parse {location:?}: {reason}")]
    Location {
        /// As the server wrote it.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Going round in circles.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// No token.
    #[error("oauth2: {0}")]
    Token(String),
    /// No keys, region or signature for AWS.
    #[error("{0}")]
    Aws(String),
}

impl HttpError {
    /// Puts method and URL in front.
    pub(super) fn about(self, what: String) -> Self {
        Self::Request { what: what.into(), source: Box::new(self) }
    }

    /// Puts what was tried in front.
    pub(super) fn within(self, what: &'static str) -> Self {
        Self::Within { what, source: Box::new(self) }
    }

    /// The reason itself, without method and URL.
    pub fn reason(&self) -> &Self {
        match self {
            Self::Request { source, .. } | Self::Within { source, .. } => source.reason(),
            other => other,
        }
    }
}

/// What can come instead of a server's bytes.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The end where an answer should have begun.
    Eof,
    /// The end within a message.
    UnexpectedEof,
    /// The system's or TLS's refusal, and between which addresses.
    Io { text: String, addresses: Option<(SocketAddr, SocketAddr)> },
    /// Bytes that are no HTTP.
    Malformed(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("EOF"),
            Self::UnexpectedEof => f.write_str("unexpected EOF"),
            Self::Io { text, addresses: Some((local, peer)) } => {
                write!(f, "read tcp {local}->{peer}: read: {text}")
            }
            Self::Io { text, addresses: None } => write!(f, "read: {text}"),
            Self::Malformed(text) => f.write_str(text),
        }
    }
}

/// The innermost cause of an error of HTTP/2.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
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
