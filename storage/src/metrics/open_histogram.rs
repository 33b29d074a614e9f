//! The open chunk of a native histogram series.

use model::append::HistogramSample;

use crate::codec::chunk::Encoding;

/// An open histogram chunk.
#[derive(Debug)]
pub enum OpenHistogram {}

impl OpenHistogram {
    /// How its bytes are to be read.
    pub fn encoding(&self) -> Encoding {
        match *self {}
    }

    /// Samples so far.
    pub fn count(&self) -> u16 {
        match *self {}
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        match *self {}
    }

    /// Whether its counts are floats.
    pub fn is_float(&self) -> bool {
        match *self {}
    }

    /// Whether the last sample is this.
    pub fn last_is(&self, _: &HistogramSample) -> bool {
        match *self {}
    }

    /// The last sample's time.
    pub fn last_t(&self) -> i64 {
        match *self {}
    }

    /// The last sample's sum.
    pub fn last_sum(&self) -> f64 {
        match *self {}
    }

    /// The last sample's number of buckets.
    pub fn last_buckets(&self) -> usize {
        match *self {}
    }
}
