//! The open chunk of a native histogram series.

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
