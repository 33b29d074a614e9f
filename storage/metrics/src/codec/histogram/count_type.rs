//! The two forms of native histograms, as far as chunks care.

use model::histogram::{EXPONENTIAL_SCHEMA_MAX, FloatHistogram, HistogramError, HistogramOf};

use super::Flags;
use super::sample_codes::{Coder, CountCoder, DeltaCoder};
use crate::codec::chunk::Encoding;
use crate::codec::xor_value::XorValue;

/// Integer or float.
pub trait CountType: Clone + std::fmt::Debug {
    /// Codes counts.
    type Count: Coder<Value: PartialOrd> + std::fmt::Debug;
    /// Codes buckets.
    type Bucket: Coder + std::fmt::Debug;
    /// A bucket's count as it is, not as a difference.
    type Absolute: Copy + Default + PartialOrd;

    /// The chunk's encoding, without and with start timestamps.
    const ENCODINGS: [Encoding; 2];

    /// Buckets' counts as they are.
    fn absolute(buckets: impl Iterator<Item = Bucket<Self>>) -> impl Iterator<Item = Self::Absolute>;
    /// The inverse of [`Form::absolute`].
    fn stored(counts: impl Iterator<Item = Self::Absolute>) -> Vec<Bucket<Self>>;
    /// The float form of counts.
    fn float_count(count: Count<Self>) -> f64;
    /// The float form of a bucket.
    fn float_bucket(count: Self::Absolute) -> f64;
    /// Flags of a chunk that begins because a sample did not fit into the one before.
    fn flags_of_cut(why: Misfit) -> Flags;
    /// Flags of a chunk whose first sample is judged against the chunk before: `None` when it would have fitted.
    fn flags_of_first(why: Option<Misfit>) -> Flags;
}

/// A count of a form.
pub type Count<F> = <<F as CountType>::Count as Coder>::Value;
/// A bucket of a form.
pub type Bucket<F> = <<F as CountType>::Bucket as Coder>::Value;
/// A histogram of a form.
pub type HistogramIn<F> = HistogramOf<Count<F>, Bucket<F>>;

/// Why a sample does not fit into a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A counter was reset.
    Reset,
    /// The chunk holds gauge histograms and the sample is none, or the other way round.
    Gauge,
    /// The sample's layout cannot be expressed, or the chunk's last sample is stale.
    BucketLayout,
}

/// The integer form.
#[derive(Clone, Debug)]
pub struct Integer;

impl CountType for Integer {
    type Count = CountCoder;
    type Bucket = DeltaCoder;
    type Absolute = i64;

    const ENCODINGS: [Encoding; 2] = [Encoding::Histogram, Encoding::HistogramSt];

    fn absolute(buckets: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
        buckets.scan(0i64, |count, delta| {
            *count = count.wrapping_add(delta);
            Some(*count)
        })
    }

    fn stored(counts: impl Iterator<Item = i64>) -> Vec<i64> {
        let mut last = 0i64;
        counts.map(|count| count.wrapping_sub(std::mem::replace(&mut last, count))).collect()
    }

    fn float_count(count: u64) -> f64 {
        count as f64
    }

    fn float_bucket(count: i64) -> f64 {
        count as f64
    }

    fn flags_of_cut(why: Misfit) -> Flags {
        match why {
            Misfit::Reset => Flags::Reset,
            Misfit::Gauge => Flags::NotReset,
            Misfit::BucketLayout => Flags::Unknown,
        }
    }

    fn flags_of_first(why: Option<Misfit>) -> Flags {
        why.map_or(Flags::NotReset, Self::flags_of_cut)
    }
}

/// The float form.
#[derive(Clone, Debug)]
pub struct Float;

impl CountType for Float {
    type Count = XorValue;
    type Bucket = XorValue;
    type Absolute = f64;

    const ENCODINGS: [Encoding; 2] = [Encoding::FloatHistogram, Encoding::FloatHistogramSt];

    fn absolute(buckets: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
        buckets
    }

    fn stored(counts: impl Iterator<Item = f64>) -> Vec<f64> {
        counts.collect()
    }

    fn float_count(count: f64) -> f64 {
        count
    }

    fn float_bucket(count: f64) -> f64 {
        count
    }

    fn flags_of_cut(why: Misfit) -> Flags {
        if why == Misfit::Reset { Flags::Reset } else { Flags::Unknown }
    }

    fn flags_of_first(why: Option<Misfit>) -> Flags {
        if why == Some(Misfit::Reset) { Flags::Reset } else { Flags::NotReset }
    }
}

/// Brings a histogram to a resolution that can be computed with.
pub(super) fn reduced(mut h: FloatHistogram) -> Result<FloatHistogram, HistogramError> {
    if h.schema > EXPONENTIAL_SCHEMA_MAX {
        h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)?;
    }
    Ok(h)
}
