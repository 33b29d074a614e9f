//! What a sample says: a float or a native histogram.

use std::fmt;
use std::sync::Arc;

use crate::append::HistogramSample;
use crate::go_float::FloatG;
use crate::histogram::FloatHistogram;

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
    Histogram(HistogramSample),
}

impl From<Value> for SampleValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Float(v) => Self::Float(v),
            Value::Histogram(h) => Self::Histogram(HistogramSample::Float(h)),
        }
    }
}
