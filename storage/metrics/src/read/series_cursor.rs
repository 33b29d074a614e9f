//! One series read front to back from pieces: chunks of blocks, of the head, and out-of-order ones.
//!
//! Pieces that overlap in time are decoded together and merged; where two have a sample at the same time, the one
//! that was given first counts. Everything else goes from the chunk to the caller without a detour.

use std::sync::Arc;

use model::histogram::{FloatHistogram, ResetHint};
use model::read::{Columns, Cursor, ReadError};
use model::{HistogramValue, SampleValue};
use storage_base::StorageError;
use storage_base::index::ChunkMeta;

use crate::blocks::block::SharedBlock;
use crate::blocks::chunk_segments::Chunk;
use crate::blocks::tombstones::Intervals;
use crate::codec::chunk::{self, Encoding};
use crate::head::head_chunks::{ChunkBytes, HeadChunks};
use crate::stored_samples;

/// Where a piece's samples are.
#[derive(Clone)]
pub enum Source {
    /// A chunk of a block; what is deleted there is left out.
    Block(SharedBlock, ChunkMeta, Option<Arc<Intervals>>),
    /// A full chunk of the head, and, for one of out-of-order samples, which of them are seen.
    Head(Arc<HeadChunks>, u64, Option<Arc<[bool]>>),
    /// The bytes of an open chunk.
    Open(Encoding, ChunkBytes),
    /// Samples that are in no chunk.
    Plain(Arc<Columns>),
}

/// Some samples of a series.
#[derive(Clone)]
pub struct Piece {
    /// First time, at the earliest.
    pub min_t: i64,
    /// Last time, at the latest.
    pub max_t: i64,
    /// Whether it is all that its chunk holds.
    pub whole: bool,
    /// What of it is not to be seen; nothing for a block's chunk, which knows.
    pub deleted: Option<Arc<Intervals>>,
    /// Where it is.
    pub source: Source,
}

impl Piece {
    /// Decodes the samples from `min_t` to `max_t` onto the end of `out`, deleted ones included.
    fn decode(&self, min_t: i64, max_t: i64, out: &mut Columns) -> Result<(), ReadError> {
        let (min_t, max_t) = (min_t.max(self.min_t), max_t.min(self.max_t));
        if min_t > max_t {
            return Ok(());
        }
        match &self.source {
            Source::Block(block, chunk, deleted) => {
                let read = block.read_chunk(chunk, deleted.as_deref(), min_t, max_t, out);
                read.map_err(|e| StorageError::from(e).into())
            }
            Source::Head(chunks, at, seen) => {
                let (encoding, bytes) = chunks.read(*at)?;
                let decoded = match seen {
                    None => chunk::decode(encoding, &bytes, min_t, max_t, out),
                    Some(seen) => {
                        let mut all = Columns::default();
                        chunk::decode(encoding, &bytes, i64::MIN, i64::MAX, &mut all).map(|()| {
                            let mut seen = seen.iter();
                            copy(&all, out, |t| {
                                seen.next().copied().unwrap_or(true) && (min_t..=max_t).contains(&t)
                            });
                        })
                    }
                };
                decoded.map_err(|e| StorageError::from(chunks.corruption(*at, e.to_string())).into())
            }
            Source::Open(encoding, bytes) => chunk::decode(*encoding, bytes, min_t, max_t, out)
                .map_err(|e| ReadError::Failed(e.to_string())),
            Source::Plain(columns) => {
                copy(columns, out, |t| (min_t..=max_t).contains(&t));
                Ok(())
            }
        }
    }

    /// The chunk of a piece of the head; `None` when the samples are in none.
    pub(crate) fn bytes(&self) -> Result<Option<(Encoding, ChunkBytes)>, StorageError> {
        match &self.source {
            Source::Head(chunks, at, _) => chunks.read(*at).map(Some),
            Source::Open(encoding, bytes) => Ok(Some((*encoding, bytes.clone()))),
            Source::Block(..) | Source::Plain(_) => Ok(None),
        }
    }

    /// The samples from `min_t` to `max_t` in the form in which they are stored, without deleted ones.
    fn stored(&self, min_t: i64, max_t: i64) -> Result<Vec<model::Sample>, StorageError> {
        let (min_t, max_t) = (min_t.max(self.min_t), max_t.min(self.max_t));
        let mut samples = match &self.source {
            Source::Block(block, chunk, deleted) => {
                let samples = stored_samples(block.chunk(chunk)?);
                let mut samples = samples.map_err(|e| block.chunks().corrupt(chunk.at, e.to_string()))?;
                samples.retain(|sample| !deleted.as_ref().is_some_and(|deleted| deleted.contains(sample.t)));
                samples
            }
            Source::Head(chunks, at, seen) => {
                let (encoding, bytes) = chunks.read(*at)?;
                let samples = stored_samples(Chunk { encoding, data: &bytes });
                let mut samples = samples.map_err(|e| chunks.corruption(*at, e.to_string()))?;
                let mut seen = seen.iter().flat_map(|seen| seen.iter());
                samples.retain(|_| seen.next().copied().unwrap_or(true));
                samples
            }
            Source::Open(encoding, bytes) => {
                let samples = stored_samples(Chunk { encoding: *encoding, data: bytes });
                samples
                    .map_err(|e| StorageError::Internal(format!("an open chunk cannot be decoded: {e}")))?
            }
            Source::Plain(columns) => plain_samples(columns),
        };
        samples.retain(|sample| (min_t..=max_t).contains(&sample.t) && !self.deletes(sample.t));
        Ok(samples)
    }

    pub(crate) fn has_deleted(&self, min_t: i64, max_t: i64) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.overlap(min_t, max_t))
    }

    pub(crate) fn deletes(&self, t: i64) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.contains(t))
    }
}

/// Appends the samples of `from` for which `keep` says so; it is asked once for each, in order of time.
fn copy(from: &Columns, out: &mut Columns, mut keep: impl FnMut(i64) -> bool) {
    for sample in in_order(from, 0) {
        if keep(sample.t) {
            push(from, sample, out);
        }
    }
}

/// Samples that are in no chunk, ascending. Histograms of them are in the form of queries.
fn plain_samples(columns: &Columns) -> Vec<model::Sample> {
    let start_t = |of: &[i64], at: usize| of.get(at).copied().unwrap_or(0);
    let samples = in_order(columns, 0).into_iter();
    let samples = samples.map(|SamplePlace { t, histogram, at, .. }| match histogram {
        true => model::Sample {
            t,
            start_t: start_t(&columns.histogram_start_t, at),
            value: SampleValue::Histogram(HistogramValue::Float(columns.histogram_v[at].clone())),
        },
        false => model::Sample {
            t,
            start_t: start_t(&columns.float_start_t, at),
            value: SampleValue::Float(columns.float_v[at]),
        },
    });
    samples.collect()
}

/// Where a sample is in one of several columns.
#[derive(Clone, Copy, Debug)]
struct SamplePlace {
    t: i64,
    /// Which of several columns.
    of: usize,
    histogram: bool,
    at: usize,
}

/// All samples of columns, ascending in time.
fn in_order(columns: &Columns, of: usize) -> Vec<SamplePlace> {
    let floats =
        columns.float_t.iter().enumerate().map(|(at, &t)| SamplePlace { t, of, histogram: false, at });
    let histograms =
        columns.histogram_t.iter().enumerate().map(|(at, &t)| SamplePlace { t, of, histogram: true, at });
    let mut samples: Vec<_> = floats.chain(histograms).collect();
    if !columns.float_t.is_empty() && !columns.histogram_t.is_empty() {
        samples.sort_by_key(|sample| sample.t);
    }
    samples
}

fn push(from: &Columns, sample: SamplePlace, out: &mut Columns) {
    if sample.histogram {
        let start_t = from.histogram_start_t.get(sample.at).copied().unwrap_or(0);
        out.push_histogram(sample.t, from.histogram_v[sample.at].clone(), start_t);
    } else {
        let start_t = from.float_start_t.get(sample.at).copied().unwrap_or(0);
        out.push_float(sample.t, from.float_v[sample.at], start_t);
    }
}

/// Reads pieces as one series.
pub struct SeriesCursor {
    /// Descending by first time: the next is the last. Each with its place among those given.
    pieces: Vec<(usize, Piece)>,
    min_t: i64,
    max_t: i64,
}

impl SeriesCursor {
    /// A cursor over the samples from `min_t` to `max_t`. Of pieces that overlap, the first given counts.
    pub fn new(pieces: Vec<Piece>, min_t: i64, max_t: i64) -> Self {
        let mut pieces: Vec<_> = pieces.into_iter().enumerate().collect();
        pieces.retain(|(_, piece)| piece.min_t <= max_t && piece.max_t >= min_t);
        pieces.sort_by_key(|(_, piece)| std::cmp::Reverse(piece.min_t));
        Self { pieces, min_t, max_t }
    }

    /// The next pieces that overlap each other, and nothing behind them does.
    fn next_cluster(&mut self) -> Option<Vec<Piece>> {
        let first = self.pieces.pop()?;
        let mut end = first.1.max_t;
        let mut cluster = vec![first];
        while let Some(piece) = self.pieces.pop_if(|(_, piece)| piece.min_t <= end) {
            end = end.max(piece.1.max_t);
            cluster.push(piece);
        }
        cluster.sort_unstable_by_key(|(place, _)| *place);
        Some(cluster.into_iter().map(|(_, piece)| piece).collect())
    }

    /// The next samples in the form in which they are stored; `None` at the end. Of samples at the same time, the
    /// first given counts.
    pub(crate) fn next_stored(&mut self) -> Result<Option<Vec<model::Sample>>, StorageError> {
        let Some(cluster) = self.next_cluster() else { return Ok(None) };
        let mut samples = Vec::new();
        for piece in &cluster {
            samples.extend(piece.stored(self.min_t, self.max_t)?);
        }
        if cluster.len() > 1 {
            samples.sort_by_key(|sample| sample.t);
            samples.dedup_by_key(|sample| sample.t);
        }
        Ok(Some(samples))
    }

    fn read(&self, cluster: &[Piece], out: &mut Columns) -> Result<(), ReadError> {
        let (min_t, max_t) = (self.min_t, self.max_t);
        if let [piece] = cluster
            && !piece.has_deleted(min_t, max_t)
        {
            return piece.decode(min_t, max_t, out);
        }
        let mut columns = Vec::with_capacity(cluster.len());
        let mut samples = Vec::new();
        for (of, piece) in cluster.iter().enumerate() {
            let mut decoded = Columns::default();
            piece.decode(min_t, max_t, &mut decoded)?;
            samples.extend(in_order(&decoded, of).into_iter().filter(|sample| !piece.deletes(sample.t)));
            columns.push(decoded);
        }
        samples.sort_by_key(|sample| sample.t);
        samples.dedup_by_key(|sample| sample.t);
        let first_histogram = out.histogram_v.len();
        for sample in samples {
            push(&columns[sample.of], sample, out);
        }
        if cluster.len() > 1 {
            forget_resets(&mut out.histogram_v[first_histogram..]);
        }
        Ok(())
    }
}

/// What a histogram said of the one before it does not hold when another has come between.
fn forget_resets(histograms: &mut [Arc<FloatHistogram>]) {
    for histogram in histograms {
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(histogram).reset_hint = ResetHint::Unknown;
        }
    }
}

impl Cursor for SeriesCursor {
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError> {
        let before = out.len();
        while let Some(cluster) = self.next_cluster() {
            self.read(&cluster, out)?;
            if out.len() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
