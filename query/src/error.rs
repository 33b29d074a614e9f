//! Why a query gave no result.

use model::read::ReadError;

/// Why a query gave no result. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The expression cannot be evaluated with these parameters; the client's fault.
    #[error("{0}")]
    Invalid(String),
    /// The deadline passed, in the stage named.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The query was cancelled, in the stage named.
    #[error("query was canceled in {0}")]
    Cancelled(&'static str),
    /// The query would have held more samples or bytes than allowed.
    #[error("query processing would load too many samples into memory in {0}")]
    TooManySamples(&'static str),
    /// The store failed.
    #[error("expanding series: {0}")]
    Storage(ReadError),
    /// The evaluation came to something that has no answer, such as a many-to-many match.
    #[error("{0}")]
    Execution(String),
}
