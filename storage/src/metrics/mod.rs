//! The metrics store: the head, which holds recent samples in memory, and what reads and moves them.
//!
//! A series lives in a slot of the [`table`]; its samples are in an open chunk, in full chunks written to
//! [`head_chunks`], and, when they came too late for either, in [`late`] chunks. Commits are numbered by
//! [`isolation`].

use std::sync::Arc;

use model::append::HistogramSample;
use model::histogram::FloatHistogram;

pub mod builder;
pub mod exemplars;
pub mod head_chunks;
pub mod isolation;
pub mod late;
pub mod open_histogram;
pub mod series;
pub mod table;

/// A histogram as queries read it.
pub(crate) fn float_form(sample: &HistogramSample) -> Arc<FloatHistogram> {
    match sample {
        HistogramSample::Float(histogram) => histogram.clone(),
        HistogramSample::Integer(histogram) => Arc::new(integer_to_float(histogram)),
    }
}

fn integer_to_float(h: &model::histogram::Histogram) -> FloatHistogram {
    FloatHistogram {
        reset_hint: h.reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as f64,
        count: h.count as f64,
        sum: h.sum,
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: running_sums(&h.positive_buckets),
        negative_buckets: running_sums(&h.negative_buckets),
        custom_values: h.custom_values.clone(),
    }
}

fn running_sums(deltas: &[i64]) -> Vec<f64> {
    deltas
        .iter()
        .scan(0i64, |sum, delta| {
            *sum = sum.wrapping_add(*delta);
            Some(*sum as f64)
        })
        .collect()
}
