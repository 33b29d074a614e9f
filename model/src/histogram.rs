//! Native histograms: the integer form that exporters send and chunks hold, and the float form that queries compute
//! with. Source: Prometheus `model/histogram`.

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
