//! Reading histogram chunks.

use std::sync::Arc;

use model::histogram::{FloatHistogram, ResetHint};
use model::read::Columns;

use super::bucket_layout::BucketLayout;
use super::count_type::{CountType, HistogramIn, reduced};
use super::sample_codes::{Coder, DeltaCoder, SampleCodes};
use super::{Flags, HEADER, MAX_SAMPLES_ST};
use crate::codec::bits::BitReader;
use crate::codec::chunk::{ChunkError, Trim};
use crate::codec::start_t::{self, StartTimes};

/// Decodes a chunk's samples from `min_t` to `max_t`, both inclusive, onto the end of `out`, in the float form. On
/// error `out` is as it was.
pub fn decode_into<F: CountType>(
    bytes: &[u8],
    start_t: bool,
    min_t: i64,
    max_t: i64,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let trim = Trim::new(out);
    let decoded = decode_all::<F>(bytes, start_t, min_t, max_t, out);
    trim.finish(decoded, min_t, max_t, out)
}

fn decode_all<F: CountType>(
    bytes: &[u8],
    start_t: bool,
    min_t: i64,
    max_t: i64,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let mut samples = Samples::<F>::new(bytes, start_t)?;
    while let Some(t) = samples.next()? {
        if t > max_t {
            break;
        }
        if t >= min_t {
            let h =
                reduced(samples.float()).map_err(|_| ChunkError::Invalid("histogram cannot be reduced"))?;
            out.push_histogram(t, Arc::new(h), samples.start_t());
        }
    }
    Ok(())
}

/// All samples of a chunk in its own form: timestamp, histogram, start timestamp (0 for unknown). Of reset hints only
/// that of gauges is given; whether a counter was reset shows when the samples are compared.
pub fn stored_samples<F: CountType>(
    bytes: &[u8],
    start_t: bool,
) -> Result<Vec<(i64, HistogramIn<F>, i64)>, ChunkError> {
    let mut samples = Samples::<F>::new(bytes, start_t)?;
    let mut found = Vec::new();
    while let Some(t) = samples.next()? {
        let mut h = samples.stored();
        if samples.flags == Flags::Gauge {
            h.reset_hint = ResetHint::Gauge;
        }
        found.push((t, h, samples.start_t()));
    }
    if !found.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(ChunkError::Invalid("timestamps do not ascend"));
    }
    Ok(found)
}

/// Timestamp and numbers of the last sample.
pub(super) type Last<F> = (DeltaCoder, SampleCodes<<F as CountType>::Count, <F as CountType>::Bucket>);

/// Walks over the samples of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Samples<'a, F: CountType> {
    pub(super) r: BitReader<'a>,
    pub(super) flags: Flags,
    pub(super) total: u16,
    pub(super) read: u16,
    pub(super) start: Option<StartTimes>,
    pub(super) layout: BucketLayout,
    /// What was read last; `None` before the first.
    pub(super) last: Option<Last<F>>,
}

impl<'a, F: CountType> Samples<'a, F> {
    pub(super) fn new(bytes: &'a [u8], start_t: bool) -> Result<Self, ChunkError> {
        let (&[c0, c1, third], stream) = bytes.split_first_chunk::<HEADER>().ok_or(ChunkError::Truncated)?;
        let count = u16::from_be_bytes([c0, c1]);
        Ok(Self {
            r: BitReader::new(stream),
            flags: Flags::from_byte(if start_t { c0 } else { third }),
            total: if start_t { count & MAX_SAMPLES_ST } else { count },
            read: 0,
            start: start_t.then(|| StartTimes::from_header(bytes[start_t::AT])),
            layout: BucketLayout::default(),
            last: None,
        })
    }

    /// Goes to the next sample and returns its timestamp; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<i64>, ChunkError> {
        if self.read == self.total {
            return Ok(None);
        }
        let r = &mut self.r;
        let (previous_t, t) = match &mut self.last {
            None => {
                self.layout = BucketLayout::read(r)?;
                // Each bucket takes a bit at least.
                let buckets = self.layout.bucket_counts(r.bits_left())?;
                let t = DeltaCoder::read_first(r);
                self.last = Some((t, SampleCodes::read_first(r, buckets)));
                (i64::MIN, t.value())
            }
            Some((t, numbers)) => {
                let previous_t = t.value();
                t.read(r);
                numbers.read(r);
                (previous_t, t.value())
            }
        };
        if let Some(start) = &mut self.start {
            start.read(r, self.read, t, previous_t)?;
        }
        self.read += 1;
        if let Some((_, numbers)) = &self.last {
            numbers.check(&self.r)?;
        }
        Ok(Some(t))
    }

    /// The last sample's start timestamp; 0 for unknown.
    pub(super) fn start_t(&self) -> i64 {
        self.start.map_or(0, |start| start.start_t())
    }

    /// The last sample in its own form, without its reset hint.
    pub(super) fn stored(&self) -> HistogramIn<F> {
        let Some((_, numbers)) = &self.last else { return HistogramIn::<F>::default() };
        if numbers.is_stale() {
            return HistogramIn::<F> { sum: numbers.sum.value(), ..Default::default() };
        }
        let [positive_spans, negative_spans] = self.layout.spans.clone();
        let [positive_buckets, negative_buckets] =
            numbers.buckets.each_ref().map(|side| side.iter().map(Coder::value).collect());
        HistogramIn::<F> {
            reset_hint: ResetHint::Unknown,
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            zero_count: numbers.zero_count.value(),
            count: numbers.count.value(),
            sum: numbers.sum.value(),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.layout.custom_values.clone(),
        }
    }

    /// The last sample in the float form.
    fn float(&self) -> FloatHistogram {
        let Some((_, numbers)) = &self.last else { return FloatHistogram::default() };
        if numbers.is_stale() {
            return FloatHistogram { sum: numbers.sum.value(), ..Default::default() };
        }
        let [positive_spans, negative_spans] = self.layout.spans.clone();
        let [positive_buckets, negative_buckets] = numbers
            .buckets
            .each_ref()
            .map(|side| F::absolute(side.iter().map(Coder::value)).map(F::float_bucket).collect());
        FloatHistogram {
            reset_hint: self.flags.hint(self.read),
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            zero_count: F::float_count(numbers.zero_count.value()),
            count: F::float_count(numbers.count.value()),
            sum: numbers.sum.value(),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.layout.custom_values.clone(),
        }
    }
}
