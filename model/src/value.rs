//! What a sample says: a float or a native histogram.

use std::fmt;
use std::sync::Arc;

use crate::go_float::FloatG;
use crate::histogram::{FloatHistogram, Histogram, HistogramError};

/// A value as queries, rules, templates and answers see it: whatever the counts of a stored histogram are, those seen
/// here are floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float; may be NaN or infinite.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// As Go's `%v` prints it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(v) => write!(f, "{}", FloatG(*v)),
            Self::Histogram(h) => write!(f, "{h}"),
        }
    }
}

/// A value as producers give it and stores keep it: histograms have the counts with which they were exposed.
#[derive(Clone, Debug)]
pub enum SampleValue {
    /// A float; may be NaN, infinite or the staleness mark.
    Float(f64),
    /// A native histogram.
    Histogram(HistogramValue),
}

impl From<Value> for SampleValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Float(v) => Self::Float(v),
            Value::Histogram(h) => Self::Histogram(HistogramValue::Float(h)),
        }
    }
}

/// A native histogram with the counts with which it was exposed.
#[derive(Clone, Debug)]
pub enum HistogramValue {
    /// Integer counts.
    Integer(Arc<Histogram>),
    /// Float counts.
    Float(Arc<FloatHistogram>),
}

impl HistogramValue {
    /// How many buckets it has, without the zero bucket.
    pub fn bucket_count(&self) -> usize {
        match self {
            Self::Integer(h) => h.positive_buckets.len() + h.negative_buckets.len(),
            Self::Float(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        }
    }

    /// The sum of its observations; the staleness mark for a stale one.
    pub fn sum(&self) -> f64 {
        match self {
            Self::Integer(h) => h.sum,
            Self::Float(h) => h.sum,
        }
    }

    /// Refuses a histogram whose parts contradict each other.
    pub fn validate(&self) -> Result<(), HistogramError> {
        match self {
            Self::Integer(h) => h.validate(),
            Self::Float(h) => h.validate(),
        }
    }

    /// As queries see it, with float counts.
    pub fn to_float(&self) -> Arc<FloatHistogram> {
        match self {
            Self::Integer(h) => Arc::new(h.to_float()),
            Self::Float(h) => h.clone(),
        }
    }
}
