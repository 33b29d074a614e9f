//! A selected series, and where its samples are.

use std::sync::Arc;

use model::Labels;
use model::append::SeriesRef;
use model::read::{Columns, Cursor, ReadError, Selection, Series as SelectedSeries};
use storage_base::StorageError;
use storage_base::index::ChunkMeta;

use super::head_view::HeadView;
use crate::blocks::block::SharedBlock;
use crate::blocks::tombstones::Intervals;
use crate::read::series_cursor::{Piece, SeriesCursor, Source};
use crate::record::LogRef;

/// One part of a selected series.
pub(super) enum SeriesPart {
    Block { block: SharedBlock, chunks: Box<[ChunkMeta]>, deleted: Option<Arc<Intervals>> },
    Head(Arc<HeadView>, SeriesRef),
}

/// What a selected series takes beside its labels, about.
pub(crate) const SELECTED_BYTES: usize = size_of::<Selected>() + 64;

/// A selected series: its labels, and where its samples are.
pub(crate) struct Selected {
    pub(super) labels: Labels,
    /// Blocks by time, then heads.
    first: SeriesPart,
    more: Vec<SeriesPart>,
    pub(super) newest: Option<(i64, f64)>,
    min_t: i64,
    max_t: i64,
}

impl SelectedSeries for Selected {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(self.pieces())
    }

    fn read(&self, out: &mut Columns) -> Result<(), ReadError> {
        out.clear();
        if let Some((t, v)) = self.newest {
            out.push_float(t, v, 0);
            return Ok(());
        }
        if self.ascends() && self.read_in_order(out)? {
            return Ok(());
        }
        out.clear();
        let mut cursor = self.cursor();
        while cursor.next_run(out)? {}
        Ok(())
    }
}

impl Selected {
    /// Its samples.
    pub(crate) fn pieces(&self) -> SeriesCursor {
        let mut pieces = Vec::new();
        for part in self.parts() {
            match part {
                SeriesPart::Block { block, chunks, deleted } => {
                    pieces.extend(chunks.iter().map(|chunk| Piece {
                        min_t: chunk.min_t,
                        max_t: chunk.max_t,
                        whole: true,
                        deleted: None,
                        source: Source::Block(block.clone(), *chunk, deleted.clone()),
                    }))
                }
                SeriesPart::Head(head, series) => head.pieces(*series, self.min_t, self.max_t, &mut pieces),
            }
        }
        SeriesCursor::new(pieces, self.min_t, self.max_t)
    }

    /// Its number in the log, if any of its samples are in the head.
    pub(crate) fn log_ref(&self) -> Option<LogRef> {
        self.parts().find_map(|part| match part {
            SeriesPart::Block { .. } => None,
            SeriesPart::Head(head, series) => head.pages.lock(*series).map(|series| series.log_ref),
        })
    }
}

impl Selected {
    fn parts(&self) -> impl Iterator<Item = &SeriesPart> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// Whether the parts and their chunks follow each other in time without overlap.
    fn ascends(&self) -> bool {
        let mut last = None;
        self.parts().all(|part| match part {
            SeriesPart::Block { chunks, .. } => {
                chunks.iter().all(|chunk| last.replace(chunk.max_t).is_none_or(|last| last < chunk.min_t))
            }
            // Two heads may have the same times.
            SeriesPart::Head(head, _) => last.replace(i64::MAX).is_none_or(|last| last < head.from),
        })
    }

    /// Reads the parts one after the other. False when that is not all there is to the series.
    fn read_in_order(&self, out: &mut Columns) -> Result<bool, StorageError> {
        for part in self.parts() {
            match part {
                SeriesPart::Block { block, chunks, deleted } => {
                    for chunk in chunks {
                        block.read_chunk(chunk, deleted.as_deref(), self.min_t, self.max_t, out)?;
                    }
                }
                SeriesPart::Head(head, series) => {
                    if !head.read(*series, self.min_t, self.max_t, out)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

impl Selected {
    pub(super) fn new(
        labels: Labels,
        part: SeriesPart,
        newest: Option<(i64, f64)>,
        selection: &Selection,
    ) -> Self {
        Self { labels, first: part, more: Vec::new(), newest, min_t: selection.min_t, max_t: selection.max_t }
    }

    /// Adds what another source has of the same series.
    pub(super) fn add(&mut self, other: Self) {
        self.more.push(other.first);
        self.more.extend(other.more);
        // Which of the newest samples is the newest shows when they are read.
        self.newest = None;
    }
}
