//! The contract by which a query language reads a store. The languages never see `storage`; both meet here.

use std::sync::Arc;

use crate::histogram::FloatHistogram;
use crate::labels::Labels;
use crate::matcher::Matcher;

/// A store's answer that could not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The caller gave up, or its deadline passed.
    #[error("reading was cancelled")]
    Cancelled,
    /// Bytes on disk are not what was written there.
    #[error("{file}: corrupt at offset {offset}: {reason}")]
    Corrupt {
        /// Path of the file.
        file: String,
        /// Offset of the damaged record in bytes.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// The disk or the store failed otherwise.
    #[error("{0}")]
    Failed(String),
}

/// What a query will do with the series it asks for. A store may use it to read less; it must not change answers.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Distance of evaluation steps in milliseconds; 0 for an instant query.
    pub step: i64,
    /// Width of the range selector in milliseconds; 0 for an instant selector.
    pub range: i64,
    /// The function around the selector, as PromQL names it; empty for none.
    pub function: String,
    /// Labels that the surrounding aggregation groups by, or leaves out when `by` is false.
    pub grouping: Vec<String>,
    /// Whether `grouping` is `by` (true) or `without` (false).
    pub by: bool,
    /// Of each series only the newest sample within the time bounds counts; a store may give just that one.
    pub newest: bool,
    /// Beside the labels that describe the metric, only these count, if it is not `None`. A store may leave out the
    /// others; label sets need not be unique then.
    pub labels: Option<Vec<String>>,
    /// Whether the order of the series does not count; a store may give them in any.
    pub unordered: bool,
}

/// Which series, over which time.
#[derive(Clone, Debug)]
pub struct Selection {
    /// All must match. At least one does not match the empty string, unless the caller means every series.
    pub matchers: Vec<Matcher>,
    /// First millisecond wanted, inclusive.
    pub min_t: i64,
    /// Last millisecond wanted, inclusive.
    pub max_t: i64,
    /// At most so many series; 0 for all.
    pub limit: usize,
    /// What the query will do with them.
    pub hints: Hints,
}

/// Samples of one series as columns, ascending in time. A timestamp occurs once, as float or as histogram.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Timestamps of the float samples, in milliseconds.
    pub float_t: Vec<i64>,
    /// Their values, staleness marks included.
    pub float_v: Vec<f64>,
    /// Timestamps of the histogram samples, in milliseconds.
    pub histogram_t: Vec<i64>,
    /// Their values, stale ones included (staleness mark in `sum`).
    pub histogram_v: Vec<Arc<FloatHistogram>>,
    /// Start timestamps of the float samples, 0 where unknown. Empty when no sample has one; else as long as
    /// `float_t`.
    pub float_start_t: Vec<i64>,
    /// Start timestamps of the histogram samples, as `float_start_t`.
    pub histogram_start_t: Vec<i64>,
}

impl Columns {
    /// Empties all columns and keeps their memory.
    pub fn clear(&mut self) {
        self.float_t.clear();
        self.float_v.clear();
        self.histogram_t.clear();
        self.histogram_v.clear();
        self.float_start_t.clear();
        self.histogram_start_t.clear();
    }

    /// How many samples the columns hold.
    pub fn len(&self) -> usize {
        self.float_t.len() + self.histogram_t.len()
    }

    /// Whether the columns hold no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a float sample; `start_t` 0 for unknown.
    pub fn push_float(&mut self, t: i64, v: f64, start_t: i64) {
        push_start(&mut self.float_start_t, self.float_t.len(), start_t);
        self.float_t.push(t);
        self.float_v.push(v);
    }

    /// Appends a histogram sample; `start_t` 0 for unknown.
    pub fn push_histogram(&mut self, t: i64, v: Arc<FloatHistogram>, start_t: i64) {
        push_start(&mut self.histogram_start_t, self.histogram_t.len(), start_t);
        self.histogram_t.push(t);
        self.histogram_v.push(v);
    }
}

fn push_start(column: &mut Vec<i64>, len: usize, start_t: i64) {
    if start_t != 0 || !column.is_empty() {
        column.resize(len, 0);
        column.push(start_t);
    }
}

/// Reads one series front to back.
pub trait Cursor {
    /// Appends the next run of samples (typically one chunk) to `out`, in ascending time, within the selection's
    /// bounds, each timestamp once. Returns false when the series has no more; then nothing was appended and every
    /// later call returns false too. After an error the cursor must not be used.
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError>;
}

/// One selected series. Holds what it needs alive (a snapshot of head and blocks); reading it never blocks appends.
pub trait Series: Send + Sync {
    /// Its label set, unique within the selection.
    fn labels(&self) -> &Labels;

    /// A cursor over its samples within the selection's bounds. May be called more than once, from any thread.
    fn cursor(&self) -> Box<dyn Cursor + '_>;

    /// Puts all its samples within the selection's bounds into `out`, which is emptied first: what a cursor would
    /// give. A store may know a shorter way.
    fn read(&self, out: &mut Columns) -> Result<(), ReadError> {
        out.clear();
        let mut cursor = self.cursor();
        while cursor.next_run(out)? {}
        Ok(())
    }
}

/// Series that answer a selection, and what went wrong without spoiling the answer.
pub struct SeriesSet {
    /// In ascending label order, each label set once.
    pub series: Vec<Box<dyn Series>>,
    /// Such as a quarantined block; shown to the user beside the result.
    pub warnings: Vec<String>,
}

/// A store of series as the query engine sees it: one consistent snapshot. Answers of one snapshot never change.
pub trait SeriesSource: Send + Sync {
    /// The series that match and have at least one chunk that overlaps the time bounds.
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError>;

    /// Whether answering a selection, or telling how much that is, may wait for a disk.
    fn may_wait(&self, _selection: &Selection) -> bool {
        true
    }

    /// An upper bound of the series, and of the label values on the way to them, that answering a selection looks at;
    /// `None` when that is not known. `closely`: it may take as long as finding a few thousand series, for a lower bound.
    fn at_most(&self, _selection: &Selection, _closely: bool) -> Option<u64> {
        None
    }

    /// What is missing from every answer, such as a quarantined block: the warnings of every [`SeriesSet`], for answers
    /// that have none of their own.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of labels that matching series have, ascending, each once. `selection.limit` bounds the names.
    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError>;

    /// Values that a label has in matching series, ascending, each once. `selection.limit` bounds the values.
    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError>;
}
