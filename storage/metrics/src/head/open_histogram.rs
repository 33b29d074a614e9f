//! The open chunk of a native histogram series.

use model::HistogramValue;

use crate::codec::chunk::{ChunkError, Encoding};
use crate::codec::histogram::{Appended, Appender, CountType, Float, HistogramIn, Integer};

/// An open histogram chunk, and its last sample.
#[derive(Debug)]
pub struct OpenHistogram {
    chunk: Chunk,
    last: HistogramValue,
}

#[derive(Debug)]
enum Chunk {
    Integer(Appender<Integer>),
    Float(Appender<Float>),
}

impl OpenHistogram {
    /// A chunk with one sample; `start_t` says whether it holds start timestamps, and the sample's, 0 for unknown.
    /// `previous` is the series' chunk before it: it tells whether a counter was reset.
    pub fn begin(
        previous: Option<&Self>,
        t: i64,
        sample: &HistogramValue,
        start_t: Option<i64>,
    ) -> Result<Self, ChunkError> {
        let previous = previous.map(|previous| &previous.chunk);
        let chunk = match sample {
            HistogramValue::Integer(h) => {
                let previous = match previous {
                    Some(Chunk::Integer(chunk)) => Some(chunk),
                    _ => None,
                };
                Chunk::Integer(begin(previous, t, h, start_t)?)
            }
            HistogramValue::Float(h) => {
                let previous = match previous {
                    Some(Chunk::Float(chunk)) => Some(chunk),
                    _ => None,
                };
                Chunk::Float(begin(previous, t, h, start_t)?)
            }
        };
        Ok(Self { chunk, last: sample.clone() })
    }

    /// Adds a sample behind the others; `start_t` 0 for unknown. One that does not fit begins another chunk; the one
    /// before is returned.
    pub fn push(
        &mut self,
        t: i64,
        sample: &HistogramValue,
        start_t: i64,
    ) -> Result<Option<Self>, ChunkError> {
        let full = match (&mut self.chunk, sample) {
            (Chunk::Integer(chunk), HistogramValue::Integer(h)) => {
                push(chunk, t, h, start_t)?.map(Chunk::Integer)
            }
            (Chunk::Float(chunk), HistogramValue::Float(h)) => push(chunk, t, h, start_t)?.map(Chunk::Float),
            _ => {
                let next = Self::begin(None, t, sample, self.encoding().has_start_t().then_some(start_t))?;
                return Ok(Some(std::mem::replace(self, next)));
            }
        };
        let last = std::mem::replace(&mut self.last, sample.clone());
        Ok(full.map(|chunk| Self { chunk, last }))
    }

    /// Whether a sample is of the chunk's kind.
    pub fn takes(&self, sample: &HistogramValue) -> bool {
        self.is_float() == matches!(sample, HistogramValue::Float(_))
    }

    /// How its bytes are to be read.
    pub fn encoding(&self) -> Encoding {
        match &self.chunk {
            Chunk::Integer(chunk) => chunk.encoding(),
            Chunk::Float(chunk) => chunk.encoding(),
        }
    }

    /// Samples so far.
    pub fn count(&self) -> u16 {
        match &self.chunk {
            Chunk::Integer(chunk) => chunk.count(),
            Chunk::Float(chunk) => chunk.count(),
        }
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        match &self.chunk {
            Chunk::Integer(chunk) => chunk.bytes(),
            Chunk::Float(chunk) => chunk.bytes(),
        }
    }

    /// Whether its counts are floats.
    pub fn is_float(&self) -> bool {
        matches!(self.chunk, Chunk::Float(_))
    }

    /// Whether the last sample is this.
    pub fn last_is(&self, sample: &HistogramValue) -> bool {
        match (&self.last, sample) {
            (HistogramValue::Integer(a), HistogramValue::Integer(b)) => a.equals(b),
            (HistogramValue::Float(a), HistogramValue::Float(b)) => a.equals(b),
            _ => false,
        }
    }

    /// The last sample's time.
    pub fn last_t(&self) -> i64 {
        match &self.chunk {
            Chunk::Integer(chunk) => chunk.last_t(),
            Chunk::Float(chunk) => chunk.last_t(),
        }
    }

    /// The last sample's sum.
    pub fn last_sum(&self) -> f64 {
        self.last.sum()
    }

    /// The last sample's number of buckets.
    pub fn last_buckets(&self) -> usize {
        self.last.bucket_count()
    }
}

fn begin<F: CountType>(
    previous: Option<&Appender<F>>,
    t: i64,
    h: &HistogramIn<F>,
    start_t: Option<i64>,
) -> Result<Appender<F>, ChunkError> {
    let mut chunk = Appender::new(start_t.is_some());
    // The first sample of a chunk always fits.
    match chunk.append(previous, t, h, start_t.unwrap_or(0))? {
        Appended::New(new) => Ok(*new),
        Appended::Same | Appended::Widened => Ok(chunk),
    }
}

fn push<F: CountType>(
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
