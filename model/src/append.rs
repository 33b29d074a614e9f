//! The contract by which samples enter a store: scraping, rules and push protocols append, a store commits.

use crate::labels::Labels;
use crate::metadata::Metadata;
use crate::sample::Exemplar;
use crate::value::{HistogramValue, SampleValue};

/// A store's number for a series, valid until the series is dropped from the head. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// Why one sample was refused. The other samples of the same appender are unaffected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Older than the newest sample of its series, and outside the out-of-order window if there is one.
    #[error("out of order sample")]
    OutOfOrder,
    /// The series has another value at this timestamp.
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// Older than the head accepts.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// Buckets, spans or counts that contradict each other.
    #[error("invalid native histogram: {0}")]
    InvalidHistogram(String),
    /// A label set that cannot name a series (empty, or not valid).
    #[error("invalid label set: {0}")]
    InvalidLabels(String),
    /// The exemplar is older than the series' newest.
    #[error("out of order exemplar")]
    ExemplarOutOfOrder,
    /// The exemplar equals the series' newest.
    #[error("duplicate exemplar")]
    ExemplarDuplicate,
    /// More than 128 characters of labels.
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    ExemplarTooLong,
    /// The store does not keep exemplars.
    #[error("exemplar storage is disabled")]
    ExemplarsDisabled,
    /// The given reference is unknown and no labels were given.
    #[error("unknown series reference")]
    UnknownSeries,
}

/// Nothing of a commit became durable or visible.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct CommitError {
    /// What failed, with the file.
    pub reason: String,
    /// Whether the cause is a full disk; the caller should go on and try again.
    pub disk_full: bool,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Samples that are now stored.
    pub samples: usize,
    /// Samples that were accepted at append and turned out late or duplicate at commit, because another appender
    /// was faster. They are dropped and counted by the store.
    pub dropped: usize,
}

/// Gathers samples and stores them together: after `commit` a query sees all of them or, before it, none.
/// Dropping an appender without `commit` rolls it back.
///
/// `known` is the reference an earlier call returned for the same labels; it saves the look-up. A reference that the
/// store no longer knows is not an error: the labels decide.
pub trait Appender: Send {
    /// Adds a float sample at `t` milliseconds. `start_t` is the start timestamp of a cumulative series, 0 for unknown.
    fn append(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: f64,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError>;

    /// Adds a histogram sample.
    fn append_histogram(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: HistogramValue,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError>;

    /// Adds a sample of either kind.
    fn append_value(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        value: SampleValue,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError> {
        match value {
            SampleValue::Float(v) => self.append(known, labels, t, v, start_t),
            SampleValue::Histogram(h) => self.append_histogram(known, labels, t, h, start_t),
        }
    }

    /// Adds an exemplar to a series that this appender or an earlier one appended to.
    fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError>;

    /// Notes the metadata of a series' metric family.
    fn set_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError>;

    /// From here on refuses samples that are not newer than their series' newest, even where the store would take
    /// late ones. Stale marks want this: they are no late observations. A store that never takes late samples has
    /// nothing to do.
    fn reject_out_of_order(&mut self, reject: bool) {
        let _ = reject;
    }

    /// Stores everything: first the write-ahead log, then memory. On error nothing is stored.
    fn commit(self: Box<Self>) -> Result<Committed, CommitError>;

    /// Forgets everything.
    fn rollback(self: Box<Self>);
}

/// Something that samples can be appended to.
pub trait Appendable: Send + Sync {
    /// A new appender. Many may be open at once.
    fn appender(&self) -> Box<dyn Appender + '_>;
}
