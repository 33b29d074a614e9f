//! What queries evaluate to: scalars, strings, vectors and matrices, with samples held as columns.
//!
//! Absent points: where a column has a place for every step of a range query, a step without a sample holds the
//! staleness mark. The mark is a signalling NaN, which arithmetic on other values never gives, and queries never see
//! stale samples; hence it is free to mean "no sample here". Arithmetic on the mark itself may leave or quiet it, so
//! every operation looks for it first.

use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::sample::{STALE_NAN, is_stale};
use model::{Labels, Value};

/// What an expression evaluates to; the type of a [`QueryValue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One float.
    Scalar,
    /// One text.
    String,
    /// Series with one sample each.
    Vector,
    /// Series with a range of samples each.
    Matrix,
}

impl ValueType {
    /// The name in error messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }

    /// The name in API answers.
    pub fn api_name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
        }
    }
}

/// What a query gave.
#[derive(Clone, Debug)]
pub enum QueryValue {
    /// One float.
    Scalar(Scalar),
    /// One text.
    String(Text),
    /// Series with one sample each, all at the same time. In the order of evaluation, which `sort` and `topk` set.
    Vector(Vec<VectorSample>),
    /// Series with samples over time, in ascending label order.
    Matrix(Vec<Series>),
}

impl QueryValue {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }

    /// About how many bytes the value takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Scalar(_) => size_of::<Self>(),
            Self::String(text) => size_of::<Self>() + text.v.len(),
            Self::Vector(samples) => samples.iter().map(VectorSample::bytes).sum(),
            Self::Matrix(series) => series.iter().map(Series::bytes).sum(),
        }
    }

    /// The value as an instant vector, a scalar as one sample without labels; `None` for other types.
    pub fn into_vector(self) -> Option<Vec<VectorSample>> {
        match self {
            Self::Vector(samples) => Some(samples),
            Self::Scalar(Scalar { t, v }) => {
                Some(vec![VectorSample { labels: Labels::empty(), t, value: Value::Float(v) }])
            }
            Self::String(_) | Self::Matrix(_) => None,
        }
    }
}

/// A float without labels.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
}

/// The value of a string literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The text.
    pub v: String,
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch; the time of evaluation.
    pub t: i64,
    /// Its value.
    pub value: Value,
}

/// What a histogram takes, about, when nobody shares it.
const HISTOGRAM_BYTES: usize = 512;

impl VectorSample {
    fn bytes(&self) -> usize {
        let histogram = if matches!(self.value, Value::Histogram(_)) { HISTOGRAM_BYTES } else { 0 };
        size_of::<Self>() + self.labels.packed().len() + histogram
    }
}

/// One series of a matrix. At any time it has a float or a histogram, not both.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its float samples.
    pub floats: Floats,
    /// Its histogram samples, ascending in time.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

impl Series {
    /// How many samples the series has.
    pub fn len(&self) -> usize {
        self.floats.iter().count() + self.histograms.len()
    }

    fn bytes(&self) -> usize {
        let points = 16 * self.floats.places() + HISTOGRAM_BYTES * self.histograms.len();
        size_of::<Self>() + self.labels.packed().len() + points
    }

    /// Whether the series has no sample.
    pub fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.floats.iter().next().is_none()
    }
}

/// Float samples of one series, ascending in time.
#[derive(Clone, Debug)]
pub enum Floats {
    /// A value for each step of the evaluation; absent points hold the staleness mark.
    Steps {
        /// Time of the first value, in milliseconds.
        start: i64,
        /// Distance of the values, in milliseconds.
        interval: i64,
        /// The values.
        values: Vec<f64>,
    },
    /// Samples with times of their own, as range selectors give them.
    Samples {
        /// Times in milliseconds.
        t: Vec<i64>,
        /// Values.
        v: Vec<f64>,
    },
}

impl Floats {
    /// How many values are held, absent ones included.
    pub fn places(&self) -> usize {
        match self {
            Self::Steps { values, .. } => values.len(),
            Self::Samples { v, .. } => v.len(),
        }
    }

    /// The samples as pairs of time in milliseconds and value.
    #[inline]
    pub fn iter(&self) -> FloatIter<'_> {
        FloatIter { floats: self, next: 0 }
    }
}

impl<'a> IntoIterator for &'a Floats {
    type Item = (i64, f64);
    type IntoIter = FloatIter<'a>;

    fn into_iter(self) -> FloatIter<'a> {
        self.iter()
    }
}

/// The samples of a [`Floats`].
#[derive(Clone)]
pub struct FloatIter<'a> {
    floats: &'a Floats,
    next: usize,
}

impl Iterator for FloatIter<'_> {
    type Item = (i64, f64);

    #[inline]
    fn next(&mut self) -> Option<(i64, f64)> {
        match self.floats {
            Floats::Steps { start, interval, values } => loop {
                let at = self.next;
                let v = *values.get(at)?;
                self.next += 1;
                if !is_absent(v) {
                    return Some((start + interval * at as i64, v));
                }
            },
            Floats::Samples { t, v } => {
                let at = self.next;
                self.next += 1;
                Some((*t.get(at)?, *v.get(at)?))
            }
        }
    }
}

/// Stands for "no sample" in columns that have a place for every step.
pub const ABSENT: f64 = STALE_NAN;

/// Whether a place in a column holds no sample.
#[inline]
pub fn is_absent(v: f64) -> bool {
    is_stale(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_sample_are_skipped() {
        let floats =
            Floats::Steps { start: 1000, interval: 500, values: vec![ABSENT, 1.0, f64::NAN, ABSENT, -0.0] };
        let got: Vec<(i64, u64)> = floats.iter().map(|(t, v)| (t, v.to_bits())).collect();
        assert_eq!(got, [(1500, 1f64.to_bits()), (2000, f64::NAN.to_bits()), (3000, (-0f64).to_bits())]);
        let floats = Floats::Samples { t: vec![1, 5], v: vec![2.0, 3.0] };
        assert_eq!(floats.iter().collect::<Vec<_>>(), [(1, 2.0), (5, 3.0)]);
    }

    #[test]
    fn arithmetic_never_gives_the_absent_mark() {
        let (nan, inf) = (std::hint::black_box(f64::NAN), std::hint::black_box(f64::INFINITY));
        for v in [nan + 0.0, -nan, nan * nan, inf - inf, inf * 0.0, 0.0 / (inf - inf), (-inf).sqrt()] {
            assert!(v.is_nan() && !is_absent(v));
        }
    }
}
