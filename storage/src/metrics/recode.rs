//! Chunks to samples and back, for chunks that cannot be copied as they are.

use model::read::Columns;

use crate::block::chunks::Chunk;
use crate::codec::chunk::{ChunkError, Encoding, decode};
use crate::codec::gorilla::XorAppender;

/// Samples of an encoded chunk. Source: Prometheus `storage/series.go`, `seriesToChunkEncoderSplit`.
const SAMPLES_MAX: usize = 120;

/// A sample of a chunk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// Its value.
    pub value: Value,
}

/// A value of a sample.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Float(f64),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
        }
    }
}

/// A chunk made of samples.
#[derive(Clone, Debug)]
pub(super) struct Recoded {
    pub min_t: i64,
    pub max_t: i64,
    pub encoding: Encoding,
    pub data: Vec<u8>,
}

/// All samples of a chunk, ascending.
pub(super) fn samples(chunk: Chunk<'_>) -> Result<Vec<Sample>, ChunkError> {
    let mut columns = Columns::default();
    decode(chunk.encoding, chunk.data, i64::MIN, i64::MAX, &mut columns)?;
    let floats = columns.float_t.iter().zip(columns.float_v);
    Ok(floats.map(|(&t, v)| Sample { t, value: Value::Float(v) }).collect())
}

/// Chunks that hold ascending samples.
pub(super) fn encode<'s>(samples: impl Iterator<Item = &'s Sample>) -> Result<Vec<Recoded>, ChunkError> {
    let mut chunks = Vec::new();
    let mut open: Option<(XorAppender, Recoded, usize)> = None;
    for sample in samples {
        let Value::Float(v) = sample.value;
        if open.as_ref().is_some_and(|(_, _, count)| *count >= SAMPLES_MAX) {
            chunks.extend(open.take().map(finish));
        }
        let (appender, recoded, count) = open.get_or_insert_with(|| {
            let recoded =
                Recoded { min_t: sample.t, max_t: sample.t, encoding: Encoding::Xor, data: Vec::new() };
            (XorAppender::new(), recoded, 0)
        });
        appender.append(sample.t, v)?;
        recoded.max_t = sample.t;
        *count += 1;
    }
    chunks.extend(open.take().map(finish));
    Ok(chunks)
}

fn finish((appender, recoded, _): (XorAppender, Recoded, usize)) -> Recoded {
    Recoded { data: appender.into_bytes(), ..recoded }
}
