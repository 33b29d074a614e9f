//! Why a mechanism found nothing this time, and what it had asked.

use config::url::UrlError;
use net::client::{HttpError, SetupError};

/// Why a mechanism cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// A URL that is no URL.
    #[error("{field} is not a valid URL: {reason}")]
    Url {
        /// The field that holds it.
        field: &'static str,
        /// What is wrong with it.
        reason: UrlError,
    },
    /// Something that cannot be sent.
    #[error("{field} cannot be sent in a header")]
    Header {
        /// The field that holds it.
        field: &'static str,
    },
    /// Checked, but finds no targets in this version.
    #[error("{0} finds no targets in this version")]
    NotYet(&'static str),
}

/// Why a refresh failed. What was asked is shown without passwords.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// No answer. The error itself names the request.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that does not end, or is too large.
    #[error("{asked}: {reason}")]
    Body {
        /// `Get "http://host/path"`.
        asked: String,
        /// Why not.
        reason: HttpError,
    },
    /// The server refuses.
    #[error("{asked}: server returned HTTP status {status}{detail}")]
    Status {
        /// `Get "http://host/path"`.
        asked: String,
        /// `503 Service Unavailable`.
        status: String,
        /// A colon and what the server says besides, shortened; or "".
        detail: String,
    },
    /// An answer that is not what was asked for.
    #[error("{asked}: {reason}")]
    Answer {
        /// `Get "http://host/path"`.
        asked: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL that something of the configuration or of an answer makes, and that is none.
    #[error("{url:?} is not a valid URL: {reason}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: UrlError,
    },
    /// A listing in pages without end.
    #[error("the server gives more than {0} pages")]
    Endless(usize),
    /// Who asks cannot be told.
    #[error("{0}")]
    Credentials(String),
    /// With what was wanted in front.
    #[error("{what}: {reason}")]
    Within {
        /// `could not describe instances`.
        what: &'static str,
        /// Why not.
        reason: Box<RefreshError>,
    },
}

impl RefreshError {
    /// Puts what was wanted in front.
    pub fn within(self, what: &'static str) -> Self {
        Self::Within { what, reason: Box::new(self) }
    }
}
