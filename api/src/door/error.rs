//! Why the door gave no answer.

use std::time::Duration;

use model::read::ReadError;
use query::QueryError;

/// Why something could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// Its deadline passed.
    #[error(
        "{doing} took longer than {timeout:?}; ask for a shorter time or with narrower matchers, or raise --query.timeout"
    )]
    Timeout {
        /// What was done, as a gerund phrase.
        doing: &'static str,
        /// How long it was allowed to take.
        timeout: Duration,
    },
    /// The client has gone, or the server ends.
    #[error("{}", ReadError::Cancelled)]
    Cancelled,
    /// The store could not answer.
    #[error("{0}")]
    Store(ReadError),
    /// There is no memory for it.
    #[error("{0}")]
    Memory(QueryError),
    /// The work panicked, or was ended with the server.
    #[error("{doing}: {reason}")]
    Ended {
        /// What was done, as a gerund phrase.
        doing: &'static str,
        /// What is known of its end.
        reason: String,
    },
}

impl From<ReadError> for DoorError {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Cancelled => Self::Cancelled,
            e => Self::Store(e),
        }
    }
}
