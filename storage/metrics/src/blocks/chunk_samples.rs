//! Chunks to samples and back, for chunks that cannot be copied as they are.

use std::sync::Arc;

use model::read::Columns;
use model::{HistogramValue, Sample, SampleValue};

use crate::blocks::chunk_segments::Chunk;
use crate::codec::chunk::{ChunkError, Encoding, decode};
use crate::codec::gorilla;
use crate::codec::histogram::{Appended, Appender, CountType, Float, HistogramIn, Integer, stored_samples};
use crate::codec::xor2::Xor2Appender;

/// Samples of an encoded chunk. Source: Prometheus `storage/series.go`, `seriesToChunkEncoderSplit`.
const SAMPLES_MAX: usize = 120;

/// Which encodings new chunks have. A sample that has a start timestamp gets a chunk that can hold it in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkEncodings {
    /// XOR2 for floats; else XOR.
    pub xor2: bool,
    /// Histograms with start timestamps; else without.
    pub histogram_start_t: bool,
}

/// A chunk made of samples.
#[derive(Clone, Debug)]
pub(crate) struct EncodedChunk {
    pub min_t: i64,
    pub max_t: i64,
    pub encoding: Encoding,
    pub data: Vec<u8>,
}

/// All samples of a chunk, ascending.
pub fn samples(chunk: Chunk<'_>) -> Result<Vec<Sample>, ChunkError> {
    let start = chunk.encoding.has_start_t();
    match chunk.encoding {
        Encoding::None => Ok(Vec::new()),
        Encoding::Xor | Encoding::Xor2 => floats(chunk),
        Encoding::Histogram | Encoding::HistogramSt => {
            histograms::<Integer>(chunk.data, start, HistogramValue::Integer)
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            histograms::<Float>(chunk.data, start, HistogramValue::Float)
        }
    }
}

fn floats(chunk: Chunk<'_>) -> Result<Vec<Sample>, ChunkError> {
    let mut columns = Columns::default();
    decode(chunk.encoding, chunk.data, i64::MIN, i64::MAX, &mut columns)?;
    let start_t = columns.float_start_t.into_iter().chain(std::iter::repeat(0));
    let samples = columns.float_t.into_iter().zip(columns.float_v).zip(start_t);
    Ok(samples.map(|((t, v), start_t)| Sample { t, start_t, value: SampleValue::Float(v) }).collect())
}

fn histograms<F: CountType>(
    data: &[u8],
    start: bool,
    histogram: impl Fn(Arc<HistogramIn<F>>) -> HistogramValue,
) -> Result<Vec<Sample>, ChunkError> {
    let stored = stored_samples::<F>(data, start)?.into_iter();
    let value = |h| SampleValue::Histogram(histogram(Arc::new(h)));
    Ok(stored.map(|(t, h, start_t)| Sample { t, start_t, value: value(h) }).collect())
}

/// Chunks that hold ascending samples.
pub(crate) fn encode<'s>(
    samples: impl Iterator<Item = &'s Sample>,
    encodings: ChunkEncodings,
) -> Result<Vec<EncodedChunk>, ChunkError> {
    let mut chunks = Vec::new();
    let mut open: Option<OpenChunk> = None;
    for sample in samples {
        open = Some(match open.take() {
            Some(mut chunk) if chunk.takes(sample, encodings) => {
                chunks.extend(chunk.push(sample)?);
                chunk
            }
            full => {
                chunks.extend(full.map(OpenChunk::finish).transpose()?);
                let mut chunk = OpenChunk::new(sample, encodings);
                chunk.push(sample)?;
                chunk
            }
        });
    }
    chunks.extend(open.map(OpenChunk::finish).transpose()?);
    Ok(chunks)
}

impl ChunkEncodings {
    /// Also what a chunk of this encoding holds.
    pub fn and(self, encoding: Encoding) -> Self {
        let histogram_start_t = encoding.is_histogram() && encoding.has_start_t();
        Self {
            xor2: self.xor2 || encoding == Encoding::Xor2,
            histogram_start_t: self.histogram_start_t || histogram_start_t,
        }
    }

    /// What a sample needs.
    fn of(self, sample: &Sample) -> Self {
        let start = sample.start_t != 0;
        Self { xor2: self.xor2 || start, histogram_start_t: self.histogram_start_t || start }
    }
}

/// A chunk being built.
struct OpenChunk {
    builder: Builder,
    min_t: i64,
    max_t: i64,
    samples: usize,
}

enum Builder {
    /// Encoded when it is full.
    Xor(Vec<(i64, f64)>),
    Xor2(Xor2Appender),
    Histogram(Appender<Integer>),
    FloatHistogram(Appender<Float>),
}

impl OpenChunk {
    /// An empty chunk of the kind that a sample needs.
    fn new(first: &Sample, encodings: ChunkEncodings) -> Self {
        let ChunkEncodings { xor2, histogram_start_t: start } = encodings.of(first);
        let builder = match first.value {
            SampleValue::Float(_) if xor2 => Builder::Xor2(Xor2Appender::new()),
            SampleValue::Float(_) => Builder::Xor(Vec::with_capacity(SAMPLES_MAX)),
            SampleValue::Histogram(HistogramValue::Integer(_)) => Builder::Histogram(Appender::new(start)),
            SampleValue::Histogram(HistogramValue::Float(_)) => Builder::FloatHistogram(Appender::new(start)),
        };
        Self { builder, min_t: first.t, max_t: first.t, samples: 0 }
    }

    /// Whether the chunk has room for a sample and is of its kind.
    fn takes(&self, sample: &Sample, encodings: ChunkEncodings) -> bool {
        let start = encodings.of(sample).histogram_start_t;
        let kind = match (&self.builder, &sample.value) {
            (Builder::Xor(_), SampleValue::Float(_)) => sample.start_t == 0,
            (Builder::Xor2(_), SampleValue::Float(_)) => true,
            (Builder::Histogram(chunk), SampleValue::Histogram(HistogramValue::Integer(_))) => {
                !start || chunk.encoding().has_start_t()
            }
            (Builder::FloatHistogram(chunk), SampleValue::Histogram(HistogramValue::Float(_))) => {
                !start || chunk.encoding().has_start_t()
            }
            _ => false,
        };
        kind && self.samples < SAMPLES_MAX
    }

    /// Appends a sample that the chunk takes. A histogram that does not fit begins the chunk anew; then the chunk as it
    /// was is returned.
    fn push(&mut self, sample: &Sample) -> Result<Option<EncodedChunk>, ChunkError> {
        let Sample { t, start_t, .. } = *sample;
        let done = match (&mut self.builder, &sample.value) {
            (Builder::Xor(samples), SampleValue::Float(v)) => {
                samples.push((t, *v));
                None
            }
            (Builder::Xor2(chunk), SampleValue::Float(v)) => chunk.append(t, *v, start_t).map(|()| None)?,
            (Builder::Histogram(chunk), SampleValue::Histogram(HistogramValue::Integer(h))) => {
                push_histogram(chunk, t, h, start_t)?.map(Builder::Histogram)
            }
            (Builder::FloatHistogram(chunk), SampleValue::Histogram(HistogramValue::Float(h))) => {
                push_histogram(chunk, t, h, start_t)?.map(Builder::FloatHistogram)
            }
            _ => return Err(ChunkError::Invalid("sample is of another kind than its chunk")),
        };
        let done = done.map(|builder| {
            let done = Self { builder, ..*self };
            (self.min_t, self.samples) = (t, 0);
            done.finish()
        });
        let done = done.transpose()?;
        self.max_t = t;
        self.samples += 1;
        Ok(done)
    }

    fn finish(self) -> Result<EncodedChunk, ChunkError> {
        let (encoding, data) = match self.builder {
            Builder::Xor(samples) => (Encoding::Xor, gorilla::encode(&samples)?),
            Builder::Xor2(chunk) => (Encoding::Xor2, chunk.into_bytes()),
            Builder::Histogram(chunk) => (chunk.encoding(), chunk.into_bytes()),
            Builder::FloatHistogram(chunk) => (chunk.encoding(), chunk.into_bytes()),
        };
        Ok(EncodedChunk { min_t: self.min_t, max_t: self.max_t, encoding, data })
    }
}

/// Appends a histogram; if it does not fit, `chunk` becomes a new one and the old one is returned.
fn push_histogram<F: CountType>(
    chunk: &mut Appender<F>,
    t: i64,
    h: &HistogramIn<F>,
    start_t: i64,
) -> Result<Option<Appender<F>>, ChunkError> {
    Ok(match chunk.append(None, t, h, start_t)? {
        Appended::Same | Appended::Widened => None,
        Appended::New(new) => Some(std::mem::replace(chunk, *new)),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use model::histogram::{FloatHistogram, Histogram, ResetHint, Span};
    use model::sample::STALE_NAN;
    use proptest::prelude::*;

    use super::*;

    /// What a value says, however its buckets are laid out.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) enum Meaning {
        Float(u64),
        Histogram { integer: bool, gauge: bool, count: u64, sum: u64, buckets: BTreeMap<i32, u64> },
    }

    pub(crate) fn meaning(value: &SampleValue) -> Meaning {
        let buckets = |spans: &[Span], counts: Vec<f64>| {
            let mut at = 0;
            let mut numbers = Vec::new();
            for span in spans {
                at += span.offset;
                numbers.extend(at..at + span.length as i32);
                at += span.length as i32;
            }
            let full = numbers.into_iter().zip(counts).filter(|(_, count)| *count != 0.0);
            full.map(|(number, count)| (number, count.to_bits())).collect()
        };
        match value {
            SampleValue::Float(v) => Meaning::Float(v.to_bits()),
            SampleValue::Histogram(HistogramValue::Integer(h)) => {
                let absolute = h.positive_buckets.iter().scan(0, |sum, delta| {
                    *sum += delta;
                    Some(*sum as f64)
                });
                Meaning::Histogram {
                    integer: true,
                    gauge: h.reset_hint == ResetHint::Gauge,
                    count: h.count,
                    sum: h.sum.to_bits(),
                    buckets: buckets(&h.positive_spans, absolute.collect()),
                }
            }
            SampleValue::Histogram(HistogramValue::Float(h)) => Meaning::Histogram {
                integer: false,
                gauge: h.reset_hint == ResetHint::Gauge,
                count: h.count.to_bits(),
                sum: h.sum.to_bits(),
                buckets: buckets(&h.positive_spans, h.positive_buckets.clone()),
            },
        }
    }

    /// Bucket counts by number; of one in eight histograms a stale one.
    fn histogram(counts: &[u8], kind: u8) -> SampleValue {
        let stale = kind / 4 == 7;
        let reset_hint = if kind & 2 == 0 { ResetHint::Unknown } else { ResetHint::Gauge };
        let (mut spans, mut present, mut gap) = (Vec::new(), Vec::new(), 0);
        for &count in if stale { &[][..] } else { counts } {
            if count == 0 {
                gap += 1;
            } else {
                spans.push(Span { offset: gap, length: 1 });
                present.push(i64::from(count));
                gap = 0;
            }
        }
        let total: i64 = present.iter().sum();
        let sum = if stale { STALE_NAN } else { total as f64 * 1.5 };
        if kind & 1 == 0 {
            let mut last = 0;
            let deltas = present.iter().map(|&count| count - std::mem::replace(&mut last, count)).collect();
            SampleValue::Histogram(HistogramValue::Integer(Arc::new(Histogram {
                reset_hint,
                count: total as u64,
                sum,
                positive_spans: spans,
                positive_buckets: deltas,
                ..Histogram::default()
            })))
        } else {
            SampleValue::Histogram(HistogramValue::Float(Arc::new(FloatHistogram {
                reset_hint,
                count: total as f64,
                sum,
                positive_spans: spans,
                positive_buckets: present.into_iter().map(|count| count as f64).collect(),
                ..FloatHistogram::default()
            })))
        }
    }

    pub(crate) fn value() -> impl Strategy<Value = SampleValue> {
        let float = prop_oneof![any::<f64>(), Just(STALE_NAN), Just(1.0)].prop_map(SampleValue::Float);
        let counts = prop::collection::vec(prop_oneof![Just(0u8), 0..4u8, Just(9)], 0..6);
        prop_oneof![float, (counts, 0..32u8).prop_map(|(counts, kind)| histogram(&counts, kind))]
    }

    proptest! {
        #[test]
        fn samples_survive_encoding(runs in prop::collection::vec((value(), 1..150usize, any::<bool>()), 0..6), xor2: bool, histogram_start_t: bool) {
            let mut all = Vec::new();
            for (value, count, started) in runs {
                for _ in 0..count {
                    let t = all.len() as i64 * 10;
                    all.push(Sample { t, start_t: if started { t - 5 } else { 0 }, value: value.clone() });
                }
            }
            let chunks = encode(all.iter(), ChunkEncodings { xor2, histogram_start_t }).unwrap();
            let mut read = Vec::new();
            for chunk in &chunks {
                prop_assert!(!(xor2 && chunk.encoding == Encoding::Xor));
                let plain = matches!(chunk.encoding, Encoding::Histogram | Encoding::FloatHistogram);
                prop_assert!(!(histogram_start_t && plain));
                let samples = samples(Chunk { encoding: chunk.encoding, data: &chunk.data }).unwrap();
                prop_assert!(samples.len() <= SAMPLES_MAX);
                prop_assert_eq!(samples.first().map(|sample| sample.t), Some(chunk.min_t));
                prop_assert_eq!(samples.last().map(|sample| sample.t), Some(chunk.max_t));
                read.extend(samples);
            }
            let say = |samples: &[Sample]| -> Vec<_> {
                samples.iter().map(|sample| (sample.t, sample.start_t, meaning(&sample.value))).collect()
            };
            prop_assert_eq!(say(&read), say(&all));
            // Nothing is cut without need.
            prop_assert!(chunks.len() <= 6 * 2 + all.len() / SAMPLES_MAX);
        }
    }
}
