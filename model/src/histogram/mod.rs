//! Native histograms: the integer form that exporters send and chunks hold, and the float form that queries compute
//! with. Source: Prometheus `model/histogram`.
//!
//! A histogram has two sides of buckets around a zero bucket. Each side is a list of counts (`*_buckets`) and of
//! spans that say which bucket indices the counts belong to; [`cells`] walks both together and is what everything
//! else here builds on. [`bounds`] turns an index into the values a bucket holds, [`bucket`] iterates over whole
//! buckets. Arithmetic is generic over the kind of count ([`cells::Count`]), so that plain and compensated sums and
//! delta-coded integers share one merge, one compaction and one reduction of resolution.

mod add;
mod bounds;
mod bucket;
mod cells;
mod compact;
mod convert;
mod custom;
mod equal;
mod kahan;
mod quantile;
mod reset;
mod resolution;
mod scale;
mod text;
mod trim;
mod validate;
mod zero;

pub use add::{Combined, IncompatibleSchemas};
pub use bounds::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, exponential_bound, is_valid_schema};
pub use bucket::Bucket;
pub use kahan::{KahanHistogram, kahan_add, kahan_add_finite};
pub use quantile::{Fraction, NanNote, Quantile};
pub use validate::HistogramError;

/// Whether a histogram is known to follow a counter reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Not known; compare with the previous histogram.
    #[default]
    Unknown,
    /// A reset lies between the previous histogram and this.
    Reset,
    /// No reset lies between the previous histogram and this.
    NotReset,
    /// A gauge histogram, for which resets mean nothing.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the previous span, or for the first span the index of its first bucket.
    pub offset: i32,
    /// How many buckets the run has.
    pub length: u32,
}

/// Schema number of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Buckets as both forms hold them; `B` is `i64` (each the difference to the one before) or `f64` (absolute).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramOf<C, B> {
    /// Whether this follows a counter reset.
    pub reset_hint: ResetHint,
    /// -4 to 8: bucket bounds grow by 2^(2^-schema); [`CUSTOM_BUCKETS_SCHEMA`]: bounds are `custom_values`.
    pub schema: i32,
    /// Width of the zero bucket, on both sides of zero.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: C,
    /// All observations.
    pub count: C,
    /// Sum of all observed values; the staleness mark when the sample is stale.
    pub sum: f64,
    /// Layout of `positive_buckets`.
    pub positive_spans: Vec<Span>,
    /// Layout of `negative_buckets`.
    pub negative_spans: Vec<Span>,
    /// Buckets above zero, lowest first.
    pub positive_buckets: Vec<B>,
    /// Buckets below zero, nearest to zero first.
    pub negative_buckets: Vec<B>,
    /// Upper bounds of custom buckets, ascending, without +Inf; empty for other schemas.
    pub custom_values: Vec<f64>,
}

/// The integer form. Buckets are delta-coded: each is the difference to the bucket before it.
pub type Histogram = HistogramOf<u64, i64>;

/// The float form. Buckets are absolute counts.
pub type FloatHistogram = HistogramOf<f64, f64>;

impl<C, B> HistogramOf<C, B> {
    /// Whether the bucket bounds are `custom_values`.
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether this is a staleness mark.
    pub fn is_stale(&self) -> bool {
        crate::sample::is_stale(self.sum)
    }

    /// Bytes of memory as Prometheus counts them; a query's sample limit is measured in these (16 bytes a sample).
    pub fn size(&self) -> usize {
        let items = self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len();
        168 + 8 * items
    }
}

impl FloatHistogram {
    /// Count, sum, schema and reset hint without buckets: all that functions such as `histogram_count` look at.
    pub fn stats(&self) -> Self {
        Self {
            reset_hint: self.reset_hint,
            schema: self.schema,
            count: self.count,
            sum: self.sum,
            ..Self::default()
        }
    }
}
