//! Records 7 to 10, 12 and 13: native histogram samples.
//!
//! Histograms with custom buckets have records of their own (9 and 10), because they came later than 7 and 8; 12 and
//! 13 hold both.

use std::sync::Arc;

use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, FloatHistogram, Histogram, HistogramError, HistogramOf,
    ResetHint, Span,
};
use storage_base::bytes::reader::{ByteReader, Truncated};
use storage_base::bytes::varint::{put_uvarint, put_varint};
use storage_base::wal::Batch;

use super::{
    Base, CUSTOM_FLOAT_HISTOGRAMS, CUSTOM_HISTOGRAMS, FLOAT_HISTOGRAMS, FLOAT_HISTOGRAMS_V2, HISTOGRAMS,
    HISTOGRAMS_V2, RecordError, RefFloatHistogram, RefHistogram, RefHistogramOf, V2,
};
use crate::format::{HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_MIN};

/// Adds records of integer histogram samples: one with `start_t`, else up to two.
pub fn put_histograms(batch: &mut Batch, samples: &[RefHistogram], start_t: bool) {
    put(batch, samples, start_t, [HISTOGRAMS, CUSTOM_HISTOGRAMS, HISTOGRAMS_V2]);
}

/// Adds records of float histogram samples: one with `start_t`, else up to two.
pub fn put_float_histograms(batch: &mut Batch, samples: &[RefFloatHistogram], start_t: bool) {
    put(batch, samples, start_t, [FLOAT_HISTOGRAMS, CUSTOM_FLOAT_HISTOGRAMS, FLOAT_HISTOGRAMS_V2]);
}

fn put<C: Number, B: Number>(
    batch: &mut Batch,
    samples: &[RefHistogramOf<HistogramOf<C, B>>],
    start_t: bool,
    [plain, custom, v2]: [u8; 3],
) {
    let is_custom = |s: &&RefHistogramOf<HistogramOf<C, B>>| s.v.schema == CUSTOM_BUCKETS_SCHEMA;
    if start_t {
        batch.push(|out| {
            let mut coder = V2::default();
            for (i, s) in samples.iter().enumerate() {
                if i == 0 {
                    out.push(v2);
                }
                coder.put(out, s.series, s.t, s.start_t);
                put_body(&*s.v, out);
            }
        });
        return;
    }
    // The base of the plain record is the first sample of all, as in Prometheus.
    let first_custom = samples.iter().find(is_custom);
    for (kind, base, custom) in [(plain, samples.first(), false), (custom, first_custom, true)] {
        let mut chosen = samples.iter().filter(|s| is_custom(s) == custom).peekable();
        if let (Some(base), true) = (base, chosen.peek().is_some()) {
            batch.push(|out| {
                out.push(kind);
                let base = Base::put(out, base.series, base.t);
                for s in chosen {
                    base.put_deltas(out, s.series, s.t);
                    put_body(&*s.v, out);
                }
            });
        }
    }
}

pub(super) fn read<H: HistogramBody>(
    r: &mut ByteReader<'_>,
    skipped: &mut u64,
) -> Result<Vec<RefHistogramOf<H>>, RecordError> {
    let mut samples = Vec::new();
    if r.is_empty() {
        return Ok(samples);
    }
    let base = Base::read(r)?;
    while !r.is_empty() {
        let (series, t) = base.read_deltas(r)?;
        keep(&mut samples, RefHistogramOf { series, t, start_t: 0, v: H::read(r)? }, skipped)?;
    }
    Ok(samples)
}

pub(super) fn read_v2<H: HistogramBody>(
    r: &mut ByteReader<'_>,
    skipped: &mut u64,
) -> Result<Vec<RefHistogramOf<H>>, RecordError> {
    let mut samples = Vec::new();
    let mut v2 = V2::default();
    while !r.is_empty() {
        let (series, t, start_t) = v2.read(r)?;
        keep(&mut samples, RefHistogramOf { series, t, start_t, v: H::read(r)? }, skipped)?;
    }
    Ok(samples)
}

const TOO_FINE: i32 = EXPONENTIAL_SCHEMA_MAX + 1;

/// Keeps a sample whose schema is known, at a resolution that can be computed with.
fn keep<H: HistogramBody>(
    samples: &mut Vec<RefHistogramOf<H>>,
    mut sample: RefHistogramOf<H>,
    skipped: &mut u64,
) -> Result<(), RecordError> {
    match sample.v.schema() {
        CUSTOM_BUCKETS_SCHEMA | HISTOGRAM_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX => {}
        TOO_FINE..=HISTOGRAM_SCHEMA_MAX => {
            let v = Arc::get_mut(&mut sample.v).map(HistogramBody::reduce);
            v.unwrap_or(Ok(())).map_err(|e| RecordError::Histogram(e.to_string()))?;
        }
        _ => {
            *skipped += 1;
            return Ok(());
        }
    }
    samples.push(sample);
    Ok(())
}

/// A histogram's bytes in a record, and in a memory snapshot.
pub trait HistogramBody: Sized {
    /// Appends the histogram.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads a histogram; its content is not checked.
    fn read(r: &mut ByteReader<'_>) -> Result<Arc<Self>, RecordError>;
    /// Its schema.
    fn schema(&self) -> i32;
    /// Brings it to the finest schema that can be computed with.
    fn reduce(&mut self) -> Result<(), HistogramError>;
}

impl HistogramBody for Histogram {
    fn put(&self, out: &mut Vec<u8>) {
        put_body(self, out);
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Arc<Self>, RecordError> {
        read_body(r)
    }

    fn schema(&self) -> i32 {
        self.schema
    }

    fn reduce(&mut self) -> Result<(), HistogramError> {
        self.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)
    }
}

impl HistogramBody for FloatHistogram {
    fn put(&self, out: &mut Vec<u8>) {
        put_body(self, out);
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Arc<Self>, RecordError> {
        read_body(r)
    }

    fn schema(&self) -> i32 {
        self.schema
    }

    fn reduce(&mut self) -> Result<(), HistogramError> {
        self.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)
    }
}

/// A count or a bucket as records hold it.
trait Number: Copy {
    /// Bytes that it takes at least.
    const LEN_MIN: usize;
    fn put(self, out: &mut Vec<u8>);
    fn read(r: &mut ByteReader<'_>) -> Result<Self, Truncated>;
}

impl Number for u64 {
    const LEN_MIN: usize = 1;

    fn put(self, out: &mut Vec<u8>) {
        put_uvarint(out, self);
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Self, Truncated> {
        r.uvarint()
    }
}

impl Number for i64 {
    const LEN_MIN: usize = 1;

    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, self);
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Self, Truncated> {
        r.varint()
    }
}

impl Number for f64 {
    const LEN_MIN: usize = 8;

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bits().to_be_bytes());
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Self, Truncated> {
        r.f64()
    }
}

fn put_body<C: Number, B: Number>(h: &HistogramOf<C, B>, out: &mut Vec<u8>) {
    out.push(match h.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    put_varint(out, i64::from(h.schema));
    h.zero_threshold.put(out);
    h.zero_count.put(out);
    h.count.put(out);
    h.sum.put(out);
    for spans in [&h.positive_spans, &h.negative_spans] {
        put_uvarint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, i64::from(span.offset));
            put_uvarint(out, u64::from(span.length));
        }
    }
    put_numbers(out, &h.positive_buckets);
    put_numbers(out, &h.negative_buckets);
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        put_numbers(out, &h.custom_values);
    }
}

fn read_body<C: Number, B: Number>(r: &mut ByteReader<'_>) -> Result<Arc<HistogramOf<C, B>>, RecordError> {
    let reset_hint = match r.u8()? {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let schema = r.varint()? as i32;
    Ok(Arc::new(HistogramOf {
        reset_hint,
        schema,
        zero_threshold: r.f64()?,
        zero_count: C::read(r)?,
        count: C::read(r)?,
        sum: r.f64()?,
        positive_spans: read_spans(r)?,
        negative_spans: read_spans(r)?,
        positive_buckets: read_numbers(r)?,
        negative_buckets: read_numbers(r)?,
        custom_values: if schema == CUSTOM_BUCKETS_SCHEMA { read_numbers(r)? } else { Vec::new() },
    }))
}

fn put_numbers<N: Number>(out: &mut Vec<u8>, numbers: &[N]) {
    put_uvarint(out, numbers.len() as u64);
    for number in numbers {
        number.put(out);
    }
}

fn read_numbers<N: Number>(r: &mut ByteReader<'_>) -> Result<Vec<N>, Truncated> {
    let count = r.count(N::LEN_MIN)?;
    (0..count).map(|_| N::read(r)).collect()
}

fn read_spans(r: &mut ByteReader<'_>) -> Result<Vec<Span>, Truncated> {
    let count = r.count(2)?;
    (0..count).map(|_| Ok(Span { offset: r.varint()? as i32, length: r.uvarint()? as u32 })).collect()
}
