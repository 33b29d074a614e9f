//! How series are read: a [`SeriesSource`] answers a [`Selection`] with [`Series`], whose samples come as [`Columns`].

use std::sync::Arc;

use super::{ReadError, Watch};
use crate::histogram::FloatHistogram;
use crate::labels::Labels;
use crate::matcher::Matcher;

/// What the caller does not need of its answer. A source may use a hint to do less work, or ignore it; the caller must
/// be right either way. The default needs everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Of each series, only the newest sample within the time bounds counts. A source may leave out any older ones.
    pub newest: bool,
    /// If it is not `None`, only these labels and those that describe the metric ([`METADATA_LABELS`]) count. A source
    /// may leave out any others; label sets need not be unique then.
    ///
    /// [`METADATA_LABELS`]: crate::labels::METADATA_LABELS
    pub labels: Option<Vec<String>>,
    /// The order of the series does not count.
    pub unordered: bool,
}

impl Hints {
    /// What two uses of one answer need together: whatever either of them needs.
    pub fn merge(&mut self, other: &Self) {
        self.newest &= other.newest;
        self.unordered &= other.unordered;
        match (&mut self.labels, &other.labels) {
            (Some(labels), Some(more)) => {
                labels.extend(more.iter().cloned());
                labels.sort_unstable();
                labels.dedup();
            }
            (labels, _) => *labels = None,
        }
    }
}

/// Which series, over which time.
#[derive(Clone, Debug)]
pub struct Selection {
    /// All must match. Without matchers, every series matches.
    pub matchers: Vec<Matcher>,
    /// First millisecond wanted, inclusive.
    pub min_t: i64,
    /// Last millisecond wanted, inclusive.
    pub max_t: i64,
    /// Upper bound of the items in the answer (series, names or values): the first ones in ascending order, whatever the
    /// hints; 0 for all.
    pub limit: usize,
    /// What the caller does not need. They concern series only, not names and values.
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

/// Reads one series front to back, on one thread.
pub trait Cursor {
    /// Appends the next run of samples (typically one chunk) to `out`, in ascending time, within the selection's
    /// bounds, each timestamp once. Returns false when the series has no more; then nothing was appended and every
    /// later call returns false too. After an error the cursor must not be used.
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError>;
}

/// One selected series. Holds what it needs alive (a snapshot of head and blocks); reading it never blocks appends.
/// Any thread may use it, several at a time too.
pub trait Series: Send + Sync {
    /// Its label set; only a part of it where [`Hints::labels`] allows that.
    fn labels(&self) -> &Labels;

    /// A cursor over its samples within the selection's bounds. May be called more than once.
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

/// What a selected series takes beside its labels, at least.
const SERIES_BYTES: usize = 128;

/// Series that answer a selection, and what went wrong without spoiling the answer.
pub struct SeriesSet {
    /// In ascending label order, each label set once, unless the hints allow otherwise.
    pub series: Vec<Box<dyn Series>>,
    /// Such as a quarantined block; shown to the user beside the result.
    pub warnings: Vec<String>,
}

/// A store of series as its readers see it: one consistent snapshot, whose answers never change.
///
/// Any thread may call any method, several at a time too. All of them block the thread while they work, and may wait
/// for a disk unless [`may_wait`](Self::may_wait) says otherwise.
pub trait SeriesSource: Send + Sync {
    /// The series that match and may have samples within the time bounds. Some may turn out to have none: a source need
    /// not look further than at the bounds of chunks.
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError>;

    /// As [`select`](Self::select), while `watch` looks on. A source whose answers may be long tells it of them as they
    /// grow.
    fn select_watched(&self, selection: &Selection, watch: &dyn Watch) -> Result<SeriesSet, ReadError> {
        watch.grown(0)?;
        let set = self.select(selection)?;
        watch.grown(set.series.iter().map(|series| SERIES_BYTES + series.labels().packed().len()).sum())?;
        Ok(set)
    }

    /// Whether [`select`](Self::select) and [`at_most`](Self::at_most) for this selection, and reading the series, may
    /// wait for a disk. False means that all of it is in memory or was mapped into memory recently. A forecast for
    /// callers that choose a thread; whether answers are right does not depend on it.
    fn may_wait(&self, _selection: &Selection) -> bool {
        true
    }

    /// An upper bound of the work that answering a selection takes, as the number of series and label values that are
    /// looked at; `None` where that is not known. `closely` allows the source to look as long as finding a few
    /// thousand series takes, for a lower bound. A forecast, as [`may_wait`](Self::may_wait) is.
    fn at_most(&self, _selection: &Selection, _closely: bool) -> Option<u64> {
        None
    }

    /// What is missing from every answer, such as a quarantined block: the warnings of every [`SeriesSet`], for answers
    /// that have none of their own.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of labels that matching series have, ascending, each once. As precise about the time bounds as whole blocks
    /// are: series of a part of the store that overlaps them count, even without samples within.
    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError>;

    /// Values that a label has in matching series, ascending, each once; about the time bounds see
    /// [`label_names`](Self::label_names).
    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_hints_need_what_either_needs() {
        let labels = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        let least = |names: &[&str]| Hints { newest: true, labels: labels(names), unordered: true };
        let merged = |mut a: Hints, b: &Hints| {
            a.merge(b);
            a
        };
        assert_eq!(merged(least(&["b", "a"]), &least(&["c", "a"])), least(&["a", "b", "c"]));
        assert_eq!(merged(least(&["a"]), &Hints::default()), Hints::default());
        assert_eq!(merged(Hints::default(), &least(&["a"])), Hints::default());
        let ordered = Hints { unordered: false, ..least(&[]) };
        assert_eq!(merged(least(&[]), &ordered), ordered);
    }
}
