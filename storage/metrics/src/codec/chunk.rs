//! One chunk: samples of one series in one of several encodings, as block and head chunk files hold them.
//! Source: Prometheus `tsdb/chunkenc/chunk.go`.

use model::read::Columns;

use super::histogram::{self, Float, Integer};
use super::{gorilla, xor2};

/// The most samples a chunk can count.
pub const MAX_SAMPLES: u16 = u16::MAX;

/// How a chunk's bytes are to be read. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Encoding {
    /// No samples.
    None = 0,
    /// Floats, [`gorilla`].
    Xor = 1,
    /// Integer native histograms, [`histogram`].
    Histogram = 2,
    /// Float native histograms, [`histogram`].
    FloatHistogram = 3,
    /// Floats with start timestamps, [`xor2`].
    Xor2 = 4,
    /// Integer native histograms with start timestamps.
    HistogramSt = 5,
    /// Float native histograms with start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// Whether chunks of this encoding hold histograms.
    pub fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::FloatHistogram | Self::HistogramSt | Self::FloatHistogramSt)
    }

    /// Whether chunks of this encoding hold start timestamps.
    pub fn has_start_t(self) -> bool {
        matches!(self, Self::Xor2 | Self::HistogramSt | Self::FloatHistogramSt)
    }
}

impl TryFrom<u8> for Encoding {
    type Error = ChunkError;

    fn try_from(number: u8) -> Result<Self, ChunkError> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            _ => return Err(ChunkError::Encoding(number)),
        })
    }
}

/// A chunk that cannot be read, or takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The number names no encoding that this version knows.
    #[error("unknown chunk encoding {0}")]
    Encoding(u8),
    /// The bytes end before the samples that the header counts.
    #[error("chunk ends early")]
    Truncated,
    /// The bytes make no sense.
    #[error("invalid chunk: {0}")]
    Invalid(&'static str),
    /// The chunk holds [`MAX_SAMPLES`] already.
    #[error("chunk is full")]
    Full,
}

/// Decodes a chunk's samples from `min_t` to `max_t`, both inclusive, onto the end of `out`, in ascending time.
/// Histograms come out in the float form. On error `out` is as it was.
pub fn decode(
    encoding: Encoding,
    bytes: &[u8],
    min_t: i64,
    max_t: i64,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    match encoding {
        Encoding::None => Ok(()),
        Encoding::Xor => gorilla::decode_into(bytes, min_t, max_t, out),
        Encoding::Histogram => histogram::decode_into::<Integer>(bytes, false, min_t, max_t, out),
        Encoding::FloatHistogram => histogram::decode_into::<Float>(bytes, false, min_t, max_t, out),
        Encoding::Xor2 => xor2::decode_into(bytes, min_t, max_t, out),
        Encoding::HistogramSt => histogram::decode_into::<Integer>(bytes, true, min_t, max_t, out),
        Encoding::FloatHistogramSt => histogram::decode_into::<Float>(bytes, true, min_t, max_t, out),
    }
}

/// How many samples a chunk says it holds.
pub fn count(encoding: Encoding, bytes: &[u8]) -> Result<u16, ChunkError> {
    let header = bytes.first_chunk().ok_or(ChunkError::Truncated);
    match encoding {
        Encoding::None => Ok(0),
        // The top two bits are the counter reset flags.
        Encoding::HistogramSt | Encoding::FloatHistogramSt => Ok(u16::from_be_bytes(*header?) & 0x3fff),
        _ => Ok(u16::from_be_bytes(*header?)),
    }
}

/// Timestamps of a chunk do not ascend.
pub(super) const NOT_ASCENDING: ChunkError = ChunkError::Invalid("timestamps do not ascend");

/// Remembers how long columns were, to cut what a decoder appended to the wanted time, or off after an error.
pub(super) struct Trim {
    floats: usize,
    histograms: usize,
}

impl Trim {
    pub(super) fn new(out: &Columns) -> Self {
        Self { floats: out.float_t.len(), histograms: out.histogram_t.len() }
    }

    /// Ends a decoder that appended to `out` and gave `decoded`.
    pub(super) fn finish(
        self,
        decoded: Result<(), ChunkError>,
        min_t: i64,
        max_t: i64,
        out: &mut Columns,
    ) -> Result<(), ChunkError> {
        let decoded = decoded.and_then(|()| {
            let ascend = ascends(&out.float_t[self.floats..]) && ascends(&out.histogram_t[self.histograms..]);
            if ascend { Ok(()) } else { Err(NOT_ASCENDING) }
        });
        self.cut(decoded, min_t, max_t, out)
    }

    /// As [`Trim::finish`], for a decoder that knows that its timestamps ascend.
    pub(super) fn cut(
        self,
        decoded: Result<(), ChunkError>,
        min_t: i64,
        max_t: i64,
        out: &mut Columns,
    ) -> Result<(), ChunkError> {
        let Columns { float_t, float_v, histogram_t, histogram_v, float_start_t, histogram_start_t } = out;
        match decoded {
            Ok(()) => {
                trim(float_t, float_v, float_start_t, self.floats, min_t, max_t);
                trim(histogram_t, histogram_v, histogram_start_t, self.histograms, min_t, max_t);
            }
            Err(_) => {
                truncate(float_t, float_v, float_start_t, self.floats);
                truncate(histogram_t, histogram_v, histogram_start_t, self.histograms);
            }
        }
        decoded
    }
}

/// Whether timestamps ascend.
pub(super) fn ascends(t: &[i64]) -> bool {
    // Without an early exit, so that it vectorises.
    t.windows(2).fold(true, |ok, pair| ok & (pair[0] < pair[1]))
}

fn truncate<V>(t: &mut Vec<i64>, v: &mut Vec<V>, start_t: &mut Vec<i64>, len: usize) {
    t.truncate(len);
    v.truncate(len);
    start_t.truncate(len);
}

fn trim<V>(t: &mut Vec<i64>, v: &mut Vec<V>, start_t: &mut Vec<i64>, from: usize, min_t: i64, max_t: i64) {
    if !start_t.is_empty() {
        start_t.resize(t.len(), 0);
    }
    let added = &t[from..];
    let end = from
        + if added.last().is_some_and(|&last| last > max_t) {
            added.partition_point(|&t| t <= max_t)
        } else {
            added.len()
        };
    let start = from
        + if added.first().is_some_and(|&first| first < min_t) {
            added.partition_point(|&t| t < min_t)
        } else {
            0
        };
    let start = start.min(end);
    t.truncate(end);
    t.drain(from..start);
    v.truncate(end);
    v.drain(from..start);
    if !start_t.is_empty() {
        start_t.truncate(end);
        start_t.drain(from..start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last timestamp of a chunk, in milliseconds; `None` when it is empty. Reads the whole chunk.
    fn time_range(encoding: Encoding, bytes: &[u8]) -> Result<Option<(i64, i64)>, ChunkError> {
        let mut columns = Columns::default();
        decode(encoding, bytes, i64::MIN, i64::MAX, &mut columns)?;
        let t = if encoding.is_histogram() { &columns.histogram_t } else { &columns.float_t };
        Ok(t.first().copied().zip(t.last().copied()))
    }

    #[test]
    fn numbers_round_trip() {
        for number in 0..=6 {
            assert_eq!(Encoding::try_from(number).map(|e| e as u8), Ok(number));
        }
        assert_eq!(Encoding::try_from(7), Err(ChunkError::Encoding(7)));
    }

    #[test]
    fn count_and_range() {
        let mut appender = gorilla::XorAppender::new();
        assert_eq!(time_range(Encoding::Xor, appender.bytes()), Ok(None));
        for t in [-5, 10, 30] {
            appender.append(t, 1.5).unwrap();
        }
        assert_eq!(count(Encoding::Xor, appender.bytes()), Ok(3));
        assert_eq!(time_range(Encoding::Xor, appender.bytes()), Ok(Some((-5, 30))));
        assert_eq!(count(Encoding::Xor, &[1]), Err(ChunkError::Truncated));
        assert_eq!(count(Encoding::HistogramSt, &[0xc0, 5, 0]), Ok(5));
        assert_eq!(time_range(Encoding::None, &[]), Ok(None));
    }
}
