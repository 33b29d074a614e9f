//! The metrics store: the head, which holds recent samples in memory, and what reads and moves them.
//!
//! A series lives in a slot of the [`table`]; its samples are in an open chunk, in full chunks written to
//! [`head_chunks`], and, when they came too late for either, in [`late`] chunks. Commits are numbered by
//! [`isolation`]. While [`replay`] brings the head back, an [`interim`] head takes new samples.

use std::sync::Arc;

use model::append::HistogramSample;
use model::histogram::FloatHistogram;

pub mod append;
pub mod backfill;
pub mod batch;
pub mod bit_store;
pub mod block;
pub mod block_writer;
pub mod closed;
pub mod commit;
pub mod exemplars;
mod find;
pub mod flush;
pub mod found_chunks;
pub mod gather;
pub mod head;
pub mod head_chunks;
mod head_index;
pub mod interim;
pub mod isolation;
pub mod late;
pub mod layout;
pub mod log;
pub mod maintain;
pub mod merge;
pub mod numbers;
pub mod open_floats;
pub mod open_histogram;
pub mod pieces;
pub mod progress;
mod read_ahead;
pub mod read_only;
mod recode;
mod repeats;
pub mod replay;
mod replay_late;
mod replay_series;
pub mod restore;
pub mod select;
pub mod series;
pub mod store;
pub mod survey;
pub mod table;

#[cfg(test)]
mod replay_naive_test;
#[cfg(test)]
mod replay_test;

pub use recode::{Forms, Sample as StoredSample, Value as StoredValue, samples as stored_samples};

/// A histogram as queries read it.
pub(crate) fn float_form(sample: &HistogramSample) -> Arc<FloatHistogram> {
    match sample {
        HistogramSample::Float(histogram) => histogram.clone(),
        HistogramSample::Integer(histogram) => Arc::new(histogram.to_float()),
    }
}
