//! When chunks are cut, and the open chunks that few series have: of histograms, and of floats with start timestamps.

use model::HistogramValue;

use crate::blocks::chunk_samples::ChunkEncodings;
use crate::codec::chunk::Encoding;
use crate::codec::xor2::Xor2Appender;
use crate::head::closed_chunks::{ClosedChunk, SPAN_END};
use crate::head::head_chunks::HeadChunks;
use crate::head::open_histogram::OpenHistogram;
use crate::record::LogRef;

/// A float chunk that is longer takes no further sample. Prometheus: 1024 bytes minus the longest sample.
pub(super) const FLOAT_CHUNK_BYTES_MAX: usize = 1005;
/// A histogram chunk's length aimed at.
const HISTOGRAM_CHUNK_BYTES: usize = 1024;

/// The fewest samples of a histogram chunk, unless its range ends.
const HISTOGRAM_CHUNK_SAMPLES_MIN: u16 = 10;

/// When chunks are cut.
#[derive(Clone, Copy, Debug)]
pub struct CutRule {
    /// Chunks do not cross multiples of this many milliseconds.
    pub range: i64,
    /// Samples that a float chunk aims at.
    pub samples: u16,
    /// What new chunks are.
    pub encodings: ChunkEncodings,
}

impl CutRule {
    /// A rule for chunks without start timestamps.
    pub const fn new(range: i64, samples: u16) -> Self {
        Self { range, samples, encodings: ChunkEncodings { xor2: false, histogram_start_t: false } }
    }
}

/// Start of the range behind the one that holds `t`.
pub fn range_end(t: i64, range: i64) -> i64 {
    t.div_euclid(range).saturating_add(1).saturating_mul(range)
}

/// An open chunk of a rarer kind, and where it is cut.
#[derive(Debug)]
pub(super) struct BoxedOpen {
    pub(super) chunk: BoxedChunk,
    /// First time in it.
    pub(super) min_t: i64,
    /// A sample at or after this begins another chunk.
    pub(super) next_cut: i64,
    /// Whether that was predicted already.
    pub(super) predicted: bool,
}

#[derive(Debug)]
pub(super) enum BoxedChunk {
    Histograms(OpenHistogram),
    Xor2(Xor2Appender),
}

impl BoxedOpen {
    /// A chunk whose first sample is at `t`.
    pub(super) fn begin(chunk: BoxedChunk, t: i64, rule: CutRule) -> Box<Self> {
        Box::new(Self { chunk, min_t: t, next_cut: range_end(t, rule.range), predicted: false })
    }

    /// Whether the chunk does not span too much with a sample at `t`.
    pub(super) fn is_near(&self, t: i64) -> bool {
        t.saturating_sub(self.min_t) < SPAN_END
    }

    /// Whether the next histogram belongs into the chunk, by form, size and time.
    pub(super) fn fits_histogram(&mut self, t: i64, v: &HistogramValue, rule: CutRule) -> bool {
        let BoxedChunk::Histograms(chunk) = &self.chunk else { return false };
        let (bytes, samples) = (chunk.bytes().len(), chunk.count());
        let end = if self.predicted { range_end(self.min_t, rule.range) } else { self.next_cut };
        if !self.predicted && bytes >= HISTOGRAM_CHUNK_BYTES / 4 {
            let ratio = HISTOGRAM_CHUNK_BYTES as f64 / bytes as f64;
            self.next_cut = chunk_end(self.min_t, chunk.last_t(), self.next_cut, ratio);
            self.predicted = true;
        }
        let full = t >= self.next_cut || bytes >= 2 * HISTOGRAM_CHUNK_BYTES;
        let of_form = chunk.takes(v) && chunk.encoding().has_start_t() == rule.encodings.histogram_start_t;
        of_form && self.is_near(t) && !(full && (samples >= HISTOGRAM_CHUNK_SAMPLES_MIN || t >= end))
    }

    /// Whether the next float belongs into the chunk. One with start timestamps goes on to its end where new ones would
    /// have none.
    pub(super) fn fits_xor2(&mut self, t: i64, rule: CutRule) -> bool {
        let BoxedChunk::Xor2(chunk) = &self.chunk else { return false };
        if chunk.count() == rule.samples / 4 {
            self.next_cut = chunk_end(self.min_t, chunk.last_t(), self.next_cut, 4.0);
        }
        let full =
            chunk.count() >= rule.samples.saturating_mul(2) || chunk.bytes().len() > FLOAT_CHUNK_BYTES_MAX;
        t < self.next_cut && !full && self.is_near(t)
    }
}

/// Writes a chunk out that began at `min_t`.
pub(super) fn write_out(log_ref: LogRef, min_t: i64, chunk: &BoxedChunk, chunks: &HeadChunks) -> ClosedChunk {
    let (encoding, bytes, max_t, samples) = match chunk {
        BoxedChunk::Histograms(chunk) => (chunk.encoding(), chunk.bytes(), chunk.last_t(), chunk.count()),
        BoxedChunk::Xor2(chunk) => (Encoding::Xor2, chunk.bytes(), chunk.last_t(), chunk.count()),
    };
    let at = chunks.write(log_ref, min_t, max_t, encoding, false, bytes);
    ClosedChunk { at, min_t, max_t, encoding, samples }
}

/// Predicts where a chunk should end that is `1 / ratio` full between `start` and `now`, so that the chunks up to
/// `end` become equally long.
pub(super) fn chunk_end(start: i64, now: i64, end: i64, ratio: f64) -> i64 {
    let chunks = (end - start) as f64 / ((now - start + 1) as f64 * ratio);
    if chunks <= 1.0 {
        return end;
    }
    (start as f64 + (end - start) as f64 / chunks.floor()) as i64
}
