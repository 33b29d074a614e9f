//! Writes a part of the head as a block.

use std::path::Path;

use model::read::Selection;
use storage_base::StorageError;
use storage_base::fs::Disk;

use crate::blocks::block_writer::{BlockWriter, TimedChunk};
use crate::blocks::chunk_samples::{self, ChunkEncodings, EncodedChunk};
use crate::blocks::chunk_segments::Chunk;
use crate::blocks::meta::BlockMeta;
use crate::codec::chunk::Encoding;
use crate::head::head_chunks::ChunkBytes;
use crate::read::head_view::{HeadView, Subset};
use crate::read::series_cursor::Piece;

/// Series whose labels are in memory at a time.
const BATCH: usize = 512;

/// Writes the samples of a view that lie in the times of `meta` as a block inside `parent`. `written` hears of the
/// chunks of each series, and may break it off. Returns the meta; `None` when no sample is there.
pub(crate) fn write_block(
    disk: &dyn Disk,
    parent: &Path,
    view: &HeadView,
    meta: BlockMeta,
    subset: Subset,
    segment_len: u64,
    written: &mut dyn FnMut(&[TimedChunk<'_>]) -> Result<(), StorageError>,
) -> Result<Option<BlockMeta>, StorageError> {
    let (min_t, max_t) = (meta.min_time, meta.max_time.saturating_sub(1));
    let hints = model::read::Hints::default();
    let selection = Selection { matchers: Vec::new(), min_t, max_t, limit: 0, hints };
    let series = view.references(&selection, subset)?;
    if series.is_empty() {
        return Ok(None);
    }
    let symbols = view.symbols_of(&series);
    let mut writer =
        BlockWriter::create_with(disk, parent, meta.id, &symbols)?.with_segment_len_max(segment_len);
    let mut pieces = Vec::new();
    let mut labels = Vec::with_capacity(BATCH);
    for series in series.chunks(BATCH) {
        view.labels_of(series, &mut labels);
        for (reference, labels) in series.iter().zip(&labels) {
            pieces.clear();
            view.pieces_of(*reference, min_t, max_t, subset, &mut pieces);
            let chunks = block_chunks(view, &mut pieces, min_t, max_t)?;
            let timed: Vec<_> = chunks.iter().map(BlockChunk::timed).collect();
            written(&timed)?;
            writer.add_labels(&symbols, labels, &timed)?;
        }
    }
    writer.finish(meta)
}

/// A chunk for a block.
enum BlockChunk {
    /// As the head has it.
    Whole { min_t: i64, max_t: i64, encoding: Encoding, bytes: ChunkBytes },
    /// Made anew.
    EncodedChunk(EncodedChunk),
}

impl BlockChunk {
    fn timed(&self) -> TimedChunk<'_> {
        match self {
            Self::Whole { min_t, max_t, encoding, bytes } => TimedChunk {
                min_t: *min_t,
                max_t: *max_t,
                chunk: Chunk { encoding: *encoding, data: bytes },
                record: None,
            },
            Self::EncodedChunk(chunk) => TimedChunk {
                min_t: chunk.min_t,
                max_t: chunk.max_t,
                chunk: Chunk { encoding: chunk.encoding, data: &chunk.data },
                record: None,
            },
        }
    }
}

/// Chunks that ascend without overlap, made of a series' pieces: copied where possible.
fn block_chunks(
    view: &HeadView,
    pieces: &mut [Piece],
    min_t: i64,
    max_t: i64,
) -> Result<Vec<BlockChunk>, StorageError> {
    pieces.sort_by_key(|piece| piece.min_t);
    let mut chunks = Vec::with_capacity(pieces.len());
    let mut rest = &*pieces;
    while let Some(first) = rest.first() {
        let mut end = first.max_t;
        let more = rest[1..].iter().take_while(|piece| {
            let overlaps = piece.min_t <= end;
            end = end.max(piece.max_t);
            overlaps
        });
        let (cluster, behind) = rest.split_at(1 + more.count());
        rest = behind;
        if let [piece] = cluster
            && piece.whole
            && !piece.has_deleted(piece.min_t, piece.max_t)
            && let Some((encoding, bytes)) = piece.bytes()?
        {
            chunks.push(BlockChunk::Whole { min_t: piece.min_t, max_t: piece.max_t, encoding, bytes });
            continue;
        }
        let mut samples = Vec::new();
        let mut encodings = ChunkEncodings::default();
        for piece in cluster {
            let Some((encoding, bytes)) = piece.bytes()? else { continue };
            encodings = encodings.and(encoding);
            let decoded = chunk_samples::samples(Chunk { encoding, data: &bytes })
                .map_err(|e| view.corruption(&piece.source, e.to_string()))?;
            let (first, last) = (piece.min_t.max(min_t), piece.max_t.min(max_t));
            samples
                .extend(decoded.into_iter().filter(|s| (first..=last).contains(&s.t) && !piece.deletes(s.t)));
        }
        samples.sort_by_key(|sample| sample.t);
        samples.dedup_by_key(|sample| sample.t);
        let recoded = chunk_samples::encode(samples.iter(), encodings)
            .map_err(|e| StorageError::Internal(format!("encoding a chunk: {e}")))?;
        chunks.extend(recoded.into_iter().map(BlockChunk::EncodedChunk));
    }
    Ok(chunks)
}
