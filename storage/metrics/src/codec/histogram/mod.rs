//! Chunks of native histograms: encodings 2 (integer), 3 (float), 5 and 6 (the same with start timestamps).
//! Source: Prometheus `tsdb/chunkenc/histogram.go`, `float_histogram.go`, `histogram_st.go`.
//!
//! ```text
//! without start timestamps: u16 count | u8 flags | bits
//! with start timestamps:    2 bits flags, 14 bits count | u8 start timestamps | bits
//! bits: layout | sample | sample | ...
//! ```
//!
//! All samples of a chunk share one [`bucket_layout`]; a sample is then its [`sample_codes`] alone. A sample with other
//! buckets widens the chunk, is widened itself, or begins a new chunk ([`spans`], [`append`]). [`form`] is what the
//! integer and the float form differ in; [`samples`] reads.

mod append;
mod bucket_layout;
mod count_type;
mod sample_codes;
mod samples;
mod spans;

use model::histogram::ResetHint;

pub use append::{Appended, Appender};
pub use count_type::{CountType, Float, HistogramIn, Integer};
pub use samples::{decode_into, stored_samples};

/// Builds chunks of integer histograms.
pub type HistogramAppender = Appender<Integer>;
/// Builds chunks of float histograms.
pub type FloatHistogramAppender = Appender<Float>;

/// Bytes before the bit stream.
const HEADER: usize = 3;
/// The most samples that a chunk with start timestamps can count.
const MAX_SAMPLES_ST: u16 = 0x3fff;

/// What a chunk says about counter resets between it and the chunk before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// Nothing.
    Unknown,
    /// There is none.
    NotReset,
    /// There is one.
    Reset,
    /// The chunk holds gauge histograms.
    Gauge,
}

impl Flags {
    fn from_byte(byte: u8) -> Self {
        match byte >> 6 {
            0b00 => Self::Unknown,
            0b01 => Self::NotReset,
            0b10 => Self::Reset,
            _ => Self::Gauge,
        }
    }

    fn to_byte(self) -> u8 {
        let bits = match self {
            Self::Unknown => 0b00,
            Self::NotReset => 0b01,
            Self::Reset => 0b10,
            Self::Gauge => 0b11,
        };
        bits << 6
    }

    /// The hint of the `read`-th sample. Of the first nothing is said, because chunks in between may be deleted.
    fn hint(self, read: u16) -> ResetHint {
        match self {
            Self::Gauge => ResetHint::Gauge,
            _ if read > 1 => ResetHint::NotReset,
            _ => ResetHint::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
