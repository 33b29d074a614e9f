//! Building histogram chunks: does the next sample fit, and what must be widened that it does.

use std::cmp::Ordering;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, ResetHint, Span};
use model::sample::is_stale;

use super::bucket_layout::{BucketLayout, bucket_count};
use super::count_type::{Bucket, CountType, HistogramIn, Misfit};
use super::sample_codes::{Coder, DeltaCoder, SampleCodes};
use super::samples::{Last, Samples};
use super::spans::{Difference, compare, fewest, widen};
use super::{Flags, HEADER, MAX_SAMPLES_ST};
use crate::codec::bits::BitWriter;
use crate::codec::chunk::{ChunkError, Encoding, MAX_SAMPLES};
use crate::codec::start_t::StartTimes;

/// Where an appended sample went.
#[derive(Debug)]
#[must_use]
pub enum Appended<F: CountType> {
    /// Into the chunk.
    Same,
    /// Into the chunk, all of whose bytes changed because its samples were given more buckets.
    Widened,
    /// Into a new chunk, because it did not fit; the old one is complete.
    New(Box<Appender<F>>),
}

/// Builds a chunk. [`Appender::bytes`] is a complete chunk after every sample.
#[derive(Clone, Debug)]
pub struct Appender<F: CountType> {
    w: BitWriter,
    count: u16,
    flags: Flags,
    start: Option<StartTimes>,
    layout: BucketLayout,
    /// `None` before the first sample.
    last: Option<Last<F>>,
}

/// What must be done that a sample fits.
struct Widening {
    /// The layout of sample and chunk afterwards.
    spans: [Vec<Span>; 2],
    /// The chunk has fewer buckets.
    chunk: bool,
}

impl<F: CountType> Appender<F> {
    /// An empty chunk, with or without start timestamps.
    pub fn new(start_t: bool) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; HEADER]);
        Self {
            w: BitWriter::after(bytes, 0),
            count: 0,
            flags: Flags::Unknown,
            start: start_t.then(StartTimes::default),
            layout: BucketLayout::default(),
            last: None,
        }
    }

    /// Goes on with an existing chunk. What would be appended to the original is appended to it, bit for bit.
    pub fn resume(bytes: &[u8], start_t: bool) -> Result<Self, ChunkError> {
        let mut samples = Samples::<F>::new(bytes, start_t)?;
        while samples.next()?.is_some() {}
        let Samples { r, flags, total, start, layout, last, .. } = samples;
        let start = start.map(|start| start.resume(total)).transpose()?;
        Ok(Self { w: r.into_writer(&bytes[..HEADER]), count: total, flags, start, layout, last })
    }

    /// Adds a sample; `start_t` 0 for unknown, and ignored by a chunk without start timestamps. `previous` is the
    /// series' chunk before this one, if there is one and it has the same form: an empty chunk learns from it whether
    /// a counter was reset. Timestamps must ascend, which the caller knows; a chunk that does not is refused when read.
    ///
    /// An error when the chunk is full, or the histogram's spans and buckets contradict each other; then nothing
    /// changed.
    pub fn append(
        &mut self,
        previous: Option<&Self>,
        t: i64,
        h: &HistogramIn<F>,
        start_t: i64,
    ) -> Result<Appended<F>, ChunkError> {
        for (spans, buckets) in
            [(&h.positive_spans, h.positive_buckets.len()), (&h.negative_spans, h.negative_buckets.len())]
        {
            if bucket_count(spans) != buckets as u64 {
                return Err(ChunkError::Invalid("spans and buckets of a histogram disagree"));
            }
        }
        if self.count == if self.start.is_some() { MAX_SAMPLES_ST } else { MAX_SAMPLES } {
            return Err(ChunkError::Full);
        }
        if self.count == 0 {
            let flags = match (h.reset_hint, previous) {
                (ResetHint::Gauge, _) => Flags::Gauge,
                (ResetHint::Reset, _) => Flags::Reset,
                (_, Some(previous)) if previous.count > 0 => F::flags_of_first(previous.fit(h).err()),
                _ => Flags::Unknown,
            };
            self.begin(flags, t, h, start_t);
            return Ok(Appended::Same);
        }
        match self.fit(h) {
            Err(why) => {
                let gauge = h.reset_hint == ResetHint::Gauge;
                let flags = if gauge { Flags::Gauge } else { F::flags_of_cut(why) };
                let mut new = Self::new(self.start.is_some());
                new.begin(flags, t, h, start_t);
                Ok(Appended::New(Box::new(new)))
            }
            Ok(None) => {
                self.write(t, h, start_t);
                Ok(Appended::Same)
            }
            Ok(Some(Widening { spans, chunk })) => {
                let h = widened::<F>(h.clone(), &spans);
                if chunk {
                    self.widen(spans)?;
                }
                self.write(t, &h, start_t);
                Ok(if chunk { Appended::Widened } else { Appended::Same })
            }
        }
    }

    fn begin(&mut self, flags: Flags, t: i64, h: &HistogramIn<F>, start_t: i64) {
        self.flags = flags;
        if is_stale(h.sum) {
            self.write(t, &HistogramIn::<F> { sum: h.sum, ..Default::default() }, start_t);
        } else {
            self.write(t, h, start_t);
        }
    }

    /// Writes a sample that fits.
    fn write(&mut self, t: i64, h: &HistogramIn<F>, start_t: i64) {
        let w = &mut self.w;
        let previous_t = match &mut self.last {
            None => {
                self.layout = BucketLayout::of(h);
                self.layout.write(w);
                let t = DeltaCoder::write_first(w, t);
                self.last = Some((t, SampleCodes::write_first(w, h)));
                i64::MIN
            }
            Some((last_t, numbers)) => {
                let previous_t = last_t.value();
                last_t.write(w, t);
                if is_stale(h.sum) {
                    numbers.write_stale(w, h.sum);
                } else {
                    numbers.write(w, h);
                }
                previous_t
            }
        };
        if let Some(start) = &mut self.start {
            start.write(w, self.count, t, previous_t, start_t);
        }
        self.count += 1;
        let [c0, c1] = self.count.to_be_bytes();
        let header = w.bytes_mut();
        if self.start.is_some() {
            header[..2].copy_from_slice(&[c0 | self.flags.to_byte(), c1]);
        } else {
            header[..HEADER].copy_from_slice(&[c0, c1, self.flags.to_byte()]);
        }
    }

    /// Whether a sample fits behind the last one, and what must be widened.
    fn fit(&self, h: &HistogramIn<F>) -> Result<Option<Widening>, Misfit> {
        let gauge = h.reset_hint == ResetHint::Gauge;
        let Some((_, last)) = &self.last else { return Ok(None) };
        if gauge != (self.flags == Flags::Gauge) {
            return Err(Misfit::Gauge);
        }
        if h.reset_hint == ResetHint::Reset {
            return Err(Misfit::Reset);
        }
        if is_stale(h.sum) {
            return Ok(None);
        }
        if last.is_stale() {
            return Err(Misfit::BucketLayout);
        }
        if !gauge && h.count < last.count.value() {
            return Err(Misfit::Reset);
        }
        if h.schema != self.layout.schema || h.zero_threshold != self.layout.zero_threshold {
            return Err(Misfit::BucketLayout);
        }
        if h.schema == CUSTOM_BUCKETS_SCHEMA && h.custom_values != self.layout.custom_values {
            return Err(Misfit::Reset);
        }
        if !gauge && h.zero_count < last.zero_count.value() {
            return Err(Misfit::Reset);
        }
        let sides = [(&h.positive_spans, &h.positive_buckets), (&h.negative_spans, &h.negative_buckets)];
        let mut differences = [Difference::default(), Difference::default()];
        for (side, (spans, buckets)) in sides.iter().enumerate() {
            let old = F::absolute(last.buckets[side].iter().map(Coder::value));
            let new = F::absolute(buckets.iter().copied());
            let may_follow = |old: F::Absolute, new: Option<F::Absolute>| match new {
                _ if gauge => true,
                // NaN follows anything.
                Some(new) => new.partial_cmp(&old) != Some(Ordering::Less),
                None => old == F::Absolute::default(),
            };
            if self.layout.spans[side] == **spans {
                if !old.zip(new).all(|(old, new)| may_follow(old, Some(new))) {
                    return Err(Misfit::Reset);
                }
            } else {
                differences[side] = compare((&self.layout.spans[side], old), (spans, new), may_follow)
                    .ok_or(Misfit::Reset)?;
            }
        }
        Ok(self.widening(h, differences, gauge))
    }

    /// Chooses the layout as Prometheus does, so that the bytes are the same.
    fn widening(&self, h: &HistogramIn<F>, differences: [Difference; 2], gauge: bool) -> Option<Widening> {
        let chunk = differences.iter().any(|d| d.only_b);
        let sample = differences.iter().any(|d| d.only_a);
        let [positive, negative] = differences;
        let spans = match (chunk, sample) {
            (false, false) => return None,
            (true, false) => [h.positive_spans.clone(), h.negative_spans.clone()],
            (false, true) if !gauge => self.layout.spans.clone(),
            _ => {
                let side = |d: Difference, own: &Vec<Span>, chunk: &Vec<Span>| match d.only_a {
                    // Equal spans were not compared.
                    false if gauge && own == chunk => fewest(own),
                    false if !gauge => own.clone(),
                    _ => d.union,
                };
                let [chunk_positive, chunk_negative] = &self.layout.spans;
                [
                    side(positive, &h.positive_spans, chunk_positive),
                    side(negative, &h.negative_spans, chunk_negative),
                ]
            }
        };
        Some(Widening { spans, chunk })
    }

    /// Writes the chunk anew with more buckets.
    fn widen(&mut self, spans: [Vec<Span>; 2]) -> Result<(), ChunkError> {
        let mut wide = Self::new(self.start.is_some());
        wide.flags = self.flags;
        let mut samples = Samples::<F>::new(self.w.bytes(), self.start.is_some())?;
        while let Some(t) = samples.next()? {
            wide.write(t, &widened::<F>(samples.stored(), &spans), samples.start_t());
        }
        *self = wide;
        Ok(())
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        self.w.bytes()
    }

    /// Gives the chunk up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.w.into_bytes()
    }

    /// Samples so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// What the chunk says about counter resets.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The last sample's timestamp; `i64::MIN` before the first.
    pub fn last_t(&self) -> i64 {
        self.last.as_ref().map_or(i64::MIN, |(t, _)| t.value())
    }

    /// The chunk's encoding.
    pub fn encoding(&self) -> Encoding {
        F::ENCODINGS[usize::from(self.start.is_some())]
    }
}

/// A histogram with more, empty buckets.
fn widened<F: CountType>(mut h: HistogramIn<F>, spans: &[Vec<Span>; 2]) -> HistogramIn<F> {
    let side = |own: &mut Vec<Span>, buckets: &mut Vec<Bucket<F>>, spans: &Vec<Span>| {
        if own != spans {
            *buckets = F::stored(widen((own, F::absolute(buckets.iter().copied())), spans));
            own.clone_from(spans);
        }
    };
    side(&mut h.positive_spans, &mut h.positive_buckets, &spans[0]);
    side(&mut h.negative_spans, &mut h.negative_buckets, &spans[1]);
    h
}
