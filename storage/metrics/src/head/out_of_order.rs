//! Out-of-order samples of one series: an open chunk that takes them in any order, and full ones written out.
//!
//! OutOfOrder samples are few and rarely last, so they stay plain until their chunk is full. A sample remembers its
//! commit, because time does not tell what a snapshot may see of them.

use std::sync::Arc;

use model::read::Columns;
use model::{Sample, SampleValue};

use crate::blocks::chunk_samples::{self, ChunkEncodings, EncodedChunk};
use crate::codec::chunk::{self, ChunkError};
use crate::head::closed_chunks::ClosedChunk;
use crate::head::head_chunks::HeadChunks;
use crate::record::LogRef;

/// A out-of-order sample in the open chunk.
#[derive(Clone, Debug)]
pub struct OutOfOrderSample {
    /// Its time.
    pub t: i64,
    /// Start timestamp, 0 for unknown.
    pub start_t: i64,
    /// Its value.
    pub value: SampleValue,
    /// The commit that brought it.
    pub commit: u64,
}

/// A full chunk of out-of-order samples.
#[derive(Clone, Debug)]
pub struct OutOfOrderChunk {
    /// Where and what it is.
    pub chunk: ClosedChunk,
    /// The commits that brought its samples, in order of time; `None` when every snapshot sees all.
    pub commits: Option<Arc<[u64]>>,
}

/// The out-of-order samples of one series.
#[derive(Debug, Default)]
pub struct OutOfOrder {
    /// Ascending in time, each time once.
    pub(crate) open: Vec<OutOfOrderSample>,
    /// In the order in which they were written.
    pub(crate) closed: Vec<OutOfOrderChunk>,
}

impl OutOfOrderSample {
    /// A sample whose start timestamp is forgotten where chunks of these forms do not hold it.
    pub fn new(t: i64, start_t: i64, value: SampleValue, commit: u64, encodings: ChunkEncodings) -> Self {
        let kept = match value {
            SampleValue::Float(_) => encodings.xor2,
            SampleValue::Histogram(_) => encodings.histogram_start_t,
        };
        Self { t, start_t: if kept { start_t } else { 0 }, value, commit }
    }
}

impl OutOfOrderChunk {
    /// Whether a view sees any of it.
    pub fn visible(&self, view: u64) -> bool {
        self.commits.as_ref().is_none_or(|commits| commits.iter().any(|commit| *commit <= view))
    }
}

impl OutOfOrder {
    /// Chunks, full and open.
    pub fn chunks(&self) -> usize {
        self.closed.len() + usize::from(!self.open.is_empty())
    }

    /// Whether the open chunk has a sample at this time.
    pub fn has(&self, t: i64) -> bool {
        self.open.binary_search_by_key(&t, |sample| sample.t).is_ok()
    }

    /// Adds a sample to the open chunk; returns false when it has one at this time.
    pub fn insert(&mut self, sample: OutOfOrderSample) -> bool {
        match self.open.binary_search_by_key(&sample.t, |sample| sample.t) {
            Ok(_) => false,
            Err(at) => {
                self.open.insert(at, sample);
                true
            }
        }
    }

    /// Writes the open chunk out, as one chunk for each run of samples of a kind. Returns where they are.
    pub fn close(&mut self, log_ref: LogRef, encodings: ChunkEncodings, chunks: &HeadChunks) -> Vec<u64> {
        let mut places = Vec::new();
        // What does not encode was not validated; it stays where it is, and in the log.
        let Ok(runs) = encode(&self.open, encodings) else { return places };
        for Run { chunk: EncodedChunk { min_t, max_t, encoding, data }, commits } in runs {
            let at = chunks.write(log_ref, min_t, max_t, encoding, true, &data);
            places.push(at);
            let chunk = ClosedChunk { at, min_t, max_t, encoding, samples: commits.len() as u16 };
            self.closed.push(OutOfOrderChunk { chunk, commits: Some(Arc::from(commits)) });
        }
        self.open = Vec::new();
        places
    }

    /// Forgets which commits brought what, where every living snapshot sees all of it.
    pub fn forget_commits(&mut self, oldest_view: u64) {
        for chunk in &mut self.closed {
            if chunk.commits.as_ref().is_some_and(|commits| commits.iter().all(|c| *c <= oldest_view)) {
                chunk.commits = None;
            }
        }
    }

    /// First and last time of all out-of-order samples; `None` without any.
    pub fn range(&self) -> Option<(i64, i64)> {
        let open = self.open.first().zip(self.open.last()).map(|(first, last)| (first.t, last.t));
        let closed =
            self.closed.iter().map(|out_of_order| (out_of_order.chunk.min_t, out_of_order.chunk.max_t));
        closed.chain(open).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))
    }

    /// The open chunk's samples that a view sees, as columns.
    pub fn open_columns(&self, view: u64) -> Columns {
        let mut columns = Columns::default();
        for sample in self.open.iter().filter(|sample| sample.commit <= view) {
            match &sample.value {
                SampleValue::Float(v) => columns.push_float(sample.t, *v, sample.start_t),
                SampleValue::Histogram(h) => columns.push_histogram(sample.t, h.to_float(), sample.start_t),
            }
        }
        columns
    }
}

/// A chunk made of out-of-order samples, and the commit of each.
struct Run {
    chunk: EncodedChunk,
    commits: Vec<u64>,
}

/// Chunks of samples that ascend in time; a new one wherever the kind of value changes or a chunk ends by itself.
fn encode(samples: &[OutOfOrderSample], encodings: ChunkEncodings) -> Result<Vec<Run>, ChunkError> {
    let plain: Vec<_> = samples
        .iter()
        .map(|sample| Sample { t: sample.t, start_t: sample.start_t, value: sample.value.clone() })
        .collect();
    let mut rest = samples;
    let mut runs = Vec::new();
    for chunk in chunk_samples::encode(plain.iter(), encodings)? {
        let count = usize::from(chunk::count(chunk.encoding, &chunk.data)?).min(rest.len());
        let (run, behind) = rest.split_at(count);
        rest = behind;
        runs.push(Run { chunk, commits: run.iter().map(|sample| sample.commit).collect() });
    }
    Ok(runs)
}
