//! One observation of a series.

use crate::labels::Labels;
use crate::value::SampleValue;

/// Marks the end of a series in a float sample's value or a histogram's sum. A NaN with bits of its own: compare
/// bits, never `is_nan`. Source: Prometheus `model/value/value.go`.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// The NaN that arithmetic and exposition give.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness mark as a value.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);
/// The ordinary NaN as a value.
pub const NORMAL_NAN: f64 = f64::from_bits(NORMAL_NAN_BITS);

/// Whether a value is the staleness mark.
#[inline]
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One observation of a series as producers give it and stores keep it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Milliseconds since the Unix epoch; may be negative.
    pub t: i64,
    /// Start timestamp of a cumulative series in milliseconds, 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub value: SampleValue,
}

/// A value that points at a trace, or anything else outside the series.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Usually `trace_id` and `span_id`; at most 128 characters in all by OpenMetrics.
    pub labels: Labels,
    /// The exact value observed.
    pub v: f64,
    /// Milliseconds since the Unix epoch; `None` when the exporter gave no timestamp.
    pub t: Option<i64>,
    /// The time of the sample that it came with, in milliseconds: where it stands without a timestamp of its own.
    pub sample_t: i64,
}

impl Exemplar {
    /// When it was observed, as far as that is known. Milliseconds.
    pub fn time(&self) -> i64 {
        self.t.unwrap_or(self.sample_t)
    }

    /// Whether this is `earlier` once more: exporters go on showing an exemplar until they have another. Without
    /// timestamps, labels and value tell. Source: Prometheus `model/exemplar/exemplar.go`.
    pub fn repeats(&self, earlier: &Self) -> bool {
        let timed = self.t.is_some() || earlier.t.is_some();
        self.v == earlier.v && self.labels == earlier.labels && (!timed || self.time() == earlier.time())
    }
}
