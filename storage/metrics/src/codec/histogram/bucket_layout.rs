//! What all samples of a histogram chunk share: schema, zero bucket's width, spans, custom bounds.
//! Source: Prometheus `tsdb/chunkenc/histogram_meta.go`.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, HistogramOf, Span};

use crate::codec::bits::{BitReader, BitWriter};
use crate::codec::chunk::ChunkError;
use crate::codec::varbit;
use crate::format::{HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_MIN};

/// The largest custom bound that is written as a multiple of a thousandth, in thousandths.
const BOUND_MAX: f64 = 33_554_430.0;
/// Added to the exponent of a zero threshold that is a power of two.
const THRESHOLD_BIAS: i32 = 244;
/// A zero threshold that follows in full.
const THRESHOLD_FULL: u64 = 255;

/// The layout of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BucketLayout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    /// Positive, negative.
    pub(super) spans: [Vec<Span>; 2],
    pub(super) custom_values: Vec<f64>,
}

impl BucketLayout {
    pub(super) fn of<C, B>(h: &HistogramOf<C, B>) -> Self {
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            spans: [h.positive_spans.clone(), h.negative_spans.clone()],
            custom_values: h.custom_values.clone(),
        }
    }

    pub(super) fn write(&self, w: &mut BitWriter) {
        write_zero_threshold(w, self.zero_threshold);
        varbit::write_int(w, i64::from(self.schema));
        for spans in &self.spans {
            varbit::write_uint(w, spans.len() as u64);
            for span in spans {
                varbit::write_uint(w, u64::from(span.length));
                varbit::write_int(w, i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::write_uint(w, self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                write_bound(w, bound);
            }
        }
    }

    pub(super) fn read(r: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(r);
        let schema = i32::try_from(varbit::read_int(r)).unwrap_or(i32::MAX);
        if !matches!(schema, CUSTOM_BUCKETS_SCHEMA | HISTOGRAM_SCHEMA_MIN..=HISTOGRAM_SCHEMA_MAX) {
            return Err(ChunkError::Invalid("histogram has an unknown schema"));
        }
        let spans = [read_spans(r)?, read_spans(r)?];
        let mut custom_values = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            for _ in 0..varbit::read_uint(r) {
                custom_values.push(read_bound(r));
                within(r)?;
            }
        }
        within(r)?;
        Ok(Self { schema, zero_threshold, spans, custom_values })
    }

    /// Buckets of each side. An error when there are more than `most`, all together.
    pub(super) fn bucket_counts(&self, most: usize) -> Result<[usize; 2], ChunkError> {
        let [positive, negative] = self.spans.each_ref().map(|spans| bucket_count(spans));
        if positive.saturating_add(negative) > most as u64 {
            return Err(ChunkError::Truncated);
        }
        Ok([positive as usize, negative as usize])
    }
}

/// Buckets that spans lay out.
pub(super) fn bucket_count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

fn within(r: &BitReader<'_>) -> Result<(), ChunkError> {
    if r.overrun() { Err(ChunkError::Truncated) } else { Ok(()) }
}

fn read_spans(r: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let mut spans = Vec::new();
    for _ in 0..varbit::read_uint(r) {
        let length = varbit::read_uint(r) as u32;
        let offset = varbit::read_int(r) as i32;
        within(r)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// One byte for 0 and the powers of two from 2^-243 to 2^10, which exporters use.
fn write_zero_threshold(w: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let is_power = bits << 12 == 0 && bits >> 63 == 0;
    if threshold == 0.0 {
        w.write(0, 8);
    } else if is_power && (1 - THRESHOLD_BIAS..=10).contains(&exponent) {
        w.write((exponent + THRESHOLD_BIAS) as u64, 8);
    } else {
        w.write(THRESHOLD_FULL, 8);
        w.write(bits, 64);
    }
}

fn read_zero_threshold(r: &mut BitReader<'_>) -> f64 {
    match r.read(8) {
        0 => 0.0,
        THRESHOLD_FULL => f64::from_bits(r.read(64)),
        byte => f64::from_bits((byte + 1023 - THRESHOLD_BIAS as u64) << 52),
    }
}

/// A whole number of thousandths, plus 1, or 0 and the float.
fn write_bound(w: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    if (0.0..=BOUND_MAX).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound {
        varbit::write_uint(w, thousandths as u64 + 1);
    } else {
        w.write(0, 1);
        w.write(bound.to_bits(), 64);
    }
}

fn read_bound(r: &mut BitReader<'_>) -> f64 {
    match varbit::read_uint(r) {
        0 => f64::from_bits(r.read(64)),
        thousandths => (thousandths - 1) as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_thresholds() {
        for (threshold, bits) in [
            (0.0, 8),
            (0.5f64.powi(128), 8),
            (0.5f64.powi(243), 8),
            (0.5f64.powi(244), 72),
            (1024.0, 8),
            (2048.0, 72),
            (0.3, 72),
            (-0.5, 72),
            (f64::INFINITY, 72),
        ] {
            let mut w = BitWriter::default();
            write_zero_threshold(&mut w, threshold);
            assert_eq!(8 * w.bytes().len(), bits, "{threshold}");
            assert_eq!(read_zero_threshold(&mut BitReader::new(w.bytes())), threshold);
        }
        let mut w = BitWriter::default();
        write_zero_threshold(&mut w, 1.0);
        assert_eq!(w.bytes(), [244]);
    }

    #[test]
    fn custom_bounds() {
        for (bound, short) in [
            (0.0, true),
            (0.005, true),
            (1.0, true),
            (33_554.43, true),
            (33_554.431, false),
            (0.0001, false),
            (-1.0, false),
            (f64::INFINITY, false),
            (f64::MIN_POSITIVE, false),
        ] {
            let mut w = BitWriter::default();
            write_bound(&mut w, bound);
            assert_eq!(w.bytes().len() < 9, short, "{bound}");
            assert_eq!(read_bound(&mut BitReader::new(w.bytes())), bound);
        }
    }

    #[test]
    fn hostile_counts_end() {
        let mut w = BitWriter::default();
        w.write(0, 8);
        varbit::write_int(&mut w, 3);
        varbit::write_uint(&mut w, u64::MAX);
        assert_eq!(BucketLayout::read(&mut BitReader::new(w.bytes())), Err(ChunkError::Truncated));
        let layout = BucketLayout {
            spans: [vec![Span { offset: 0, length: u32::MAX }; 3], vec![]],
            ..BucketLayout::default()
        };
        assert_eq!(layout.bucket_counts(1000), Err(ChunkError::Truncated));
    }
}
