//! Head and blocks as one source of series.
//!
//! A [`Snapshot`] is made of immutable parts: a list of blocks, the head's deletions, and a number of commits up to
//! which the head is seen. While the log is replayed there are two heads. Selecting looks at indexes alone; a series'
//! chunks are found when a cursor is asked for. While a snapshot lives, nothing that it may need leaves the head.

use crate::record::LogRef;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::append::SeriesRef;
use model::read::{Columns, Cursor, ReadError, Selection, Series as SelectedSeries, SeriesSet, SeriesSource};
use model::{Labels, Matcher};
use parking_lot::{Mutex, MutexGuard, RwLockReadGuard};
use rayon::prelude::*;

use crate::blocks::block::{BlockSeries, MetricsBlock, SharedBlock};
use crate::blocks::tombstones::{Intervals, Tombstones};
use crate::codec::chunk::{self, Encoding};
use crate::head::Head;
use crate::head::closed_chunks::ClosedChunk;
use crate::head::constant_run::ConstantRun;
use crate::head::head_chunks::ChunkBytes;
use crate::head::head_index::HeadIndex;
use crate::head::isolation::View;
use crate::head::out_of_order::{OutOfOrderChunk, OutOfOrderSample};
use crate::head::series::{Open, Series};
use crate::head::table::Pages;
use crate::read::search::{FEW, FoundSeries};
use crate::read::series_cursor::{Piece, SeriesCursor, Source};
use storage_base::StorageError;
use storage_base::block::set::BlockSet;
use storage_base::index::ChunkMeta;
use storage_base::index::mem::MemIndex;
use storage_base::index::projection::Projection;
use storage_base::index::select;

thread_local! {
    /// Memory for the places of a series' chunks and the bytes of its open one, kept from one series to the next.
    static SCRATCH: Cell<(Vec<u64>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Which samples of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// All.
    All,
    /// Those that came in order.
    InOrder,
    /// Those that came out of order and are in full chunks below a place.
    OutOfOrder {
        /// The place.
        below: u64,
    },
}

/// The head as one snapshot sees it.
pub struct HeadView {
    head: Arc<Head>,
    view: View,
    pages: Pages,
    tombstones: Arc<Tombstones>,
    /// In-order samples before this are in blocks.
    from: i64,
    /// Oldest in-order sample of the head, be it in blocks too or not.
    first_t: i64,
    /// What in-order and out-of-order samples span; never less, but maybe more.
    spans: [(i64, i64); 2],
}

/// What was stored when it was taken.
pub struct Snapshot {
    blocks: Arc<BlockSet<MetricsBlock>>,
    /// What one head has comes before what the next has of the same time.
    heads: Vec<Arc<HeadView>>,
    /// What is missing, if anything is.
    notice: Option<String>,
}

impl Snapshot {
    /// A snapshot of a list of blocks and some heads. The caller takes all at the same moment. `notice` is a warning
    /// that goes with every selection.
    pub fn new(
        blocks: Arc<BlockSet<MetricsBlock>>,
        heads: impl IntoIterator<Item = HeadView>,
        notice: Option<String>,
    ) -> Self {
        Self { blocks, heads: heads.into_iter().map(Arc::new).collect(), notice }
    }

    fn heads(&self, selection: &Selection) -> impl Iterator<Item = &Arc<HeadView>> {
        self.heads.iter().filter(|head| head.covers(selection.min_t, selection.max_t))
    }

    fn blocks(&self, selection: &Selection) -> impl Iterator<Item = &Arc<MetricsBlock>> {
        self.blocks.overlapping(selection.min_t, selection.max_t)
    }
}

impl HeadView {
    /// A view of everything committed so far.
    pub fn new(head: Arc<Head>, from: i64) -> Self {
        // The view first: what it sees is in the pages and the tombstones taken later.
        let view = head.isolation.view();
        let pages = head.table.pages();
        let tombstones = head.tombstones.read().clone();
        let times = &head.times;
        let first_t = times.min_t.load(SeqCst);
        let spans = [
            (first_t.min(from), times.max_t.load(SeqCst)),
            (times.out_of_order_min_t.load(SeqCst), times.out_of_order_max_t.load(SeqCst)),
        ];
        Self { head, view, pages, tombstones, from, first_t, spans }
    }

    /// Matching series with chunks in the selected time, ascending by labels.
    pub fn select(&self, selection: &Selection) -> Result<Vec<(Labels, SeriesRef)>, StorageError> {
        self.select_of(selection, Subset::All)
    }

    /// As [`HeadView::select`], of some samples only.
    pub fn select_of(
        &self,
        selection: &Selection,
        subset: Subset,
    ) -> Result<Vec<(Labels, SeriesRef)>, StorageError> {
        let found = self.found(selection, subset, Projection::ALL)?;
        Ok(found.into_iter().map(|found| (found.labels, found.series)).collect())
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, MemIndex> {
        self.head.table.index().read()
    }

    /// The index, which is locked already, with the series.
    pub(crate) fn labelled<'i>(&'i self, index: &'i MemIndex) -> HeadIndex<'i> {
        HeadIndex { index, pages: &self.pages }
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<&Mutex<Series>> {
        self.pages.slot(slot)
    }

    /// A series, locked.
    pub(crate) fn series(&self, series: SeriesRef) -> Option<MutexGuard<'_, Series>> {
        self.pages.lock(series)
    }

    /// Whether any samples of a series were deleted.
    pub(crate) fn deletes_of(&self, series: SeriesRef) -> bool {
        self.tombstones.get(series.0).is_some()
    }

    /// Appends a series' samples to `out`. False when its in-order samples are not all there is to it; then nothing
    /// was appended.
    fn read(
        &self,
        reference: SeriesRef,
        min_t: i64,
        max_t: i64,
        out: &mut Columns,
    ) -> Result<bool, StorageError> {
        if self.deletes_of(reference) {
            return Ok(false);
        }
        /// What is still to be decoded of the open chunk.
        enum Rest {
            None,
            ConstantRun(ConstantRun),
            Bytes(Encoding),
        }
        let (closed, bytes, rest, min_t, max_t) = {
            let Some(series) = self.pages.lock(reference) else { return Ok(true) };
            if series.out_of_order.is_some() {
                return Ok(false);
            }
            let Some((min_t, max_t)) = self.in_order(&series, min_t, max_t) else { return Ok(true) };
            let wanted = |chunk: &ClosedChunk| chunk.min_t <= max_t && chunk.max_t >= min_t;
            let (mut closed, mut bytes) = SCRATCH.take();
            closed.clear();
            closed.extend(series.closed.iter().filter(wanted).map(|chunk| chunk.at));
            let rest = match series.open() {
                _ if series.open_min_t() > max_t || series.last_t() < min_t => Rest::None,
                Open::Floats(chunk) if let Some(repeats) = chunk.repeats() => Rest::ConstantRun(repeats),
                _ => match series.put_open_bytes(&self.head.chunks, &mut bytes) {
                    Some(encoding) => Rest::Bytes(encoding),
                    None => Rest::None,
                },
            };
            (closed, bytes, rest, min_t, max_t)
        };
        self.head.chunks.decode(&closed, min_t, max_t, out)?;
        match rest {
            Rest::None => {}
            Rest::ConstantRun(repeats) => repeats.read(min_t, max_t, out),
            Rest::Bytes(encoding) => chunk::decode(encoding, &bytes, min_t, max_t, out)
                .map_err(|e| StorageError::Internal(format!("an open chunk cannot be decoded: {e}")))?,
        }
        SCRATCH.set((closed, bytes));
        Ok(true)
    }

    /// First and last time of the in-order samples to be seen.
    pub(crate) fn in_order(&self, series: &Series, min_t: i64, max_t: i64) -> Option<(i64, i64)> {
        let bound = series.versions.bound(self.view.at())?;
        let range = (min_t.max(self.from), max_t.min(bound));
        (range.0 <= range.1).then_some(range)
    }

    pub(crate) fn overlaps(&self, series: &Series, min_t: i64, max_t: i64, subset: Subset) -> bool {
        let bounds = match subset {
            Subset::All | Subset::InOrder => self.in_order(series, min_t, max_t),
            Subset::OutOfOrder { .. } => None,
        };
        let in_order = bounds.is_some_and(|(min_t, max_t)| {
            let open = !matches!(series.open(), Open::None);
            let mut closed = series.closed.iter().rev();
            (open && series.open_min_t() <= max_t && series.last_t() >= min_t)
                || closed.any(|chunk| chunk.min_t <= max_t && chunk.max_t >= min_t)
        });
        let (open, below) = match subset {
            Subset::All => (true, u64::MAX),
            Subset::InOrder => return in_order,
            Subset::OutOfOrder { below } => (false, below),
        };
        in_order
            || series.out_of_order.as_ref().is_some_and(|out_of_order| {
                let view = self.view.at();
                let seen = |s: &OutOfOrderSample| s.commit <= view && (min_t..=max_t).contains(&s.t);
                let overlaps = |out_of_order: &OutOfOrderChunk| {
                    let OutOfOrderChunk { chunk, .. } = out_of_order;
                    chunk.at < below
                        && chunk.min_t <= max_t
                        && chunk.max_t >= min_t
                        && out_of_order.visible(view)
                };
                (open && out_of_order.open.iter().any(seen)) || out_of_order.closed.iter().any(overlaps)
            })
    }

    /// A series' samples as pieces.
    pub fn pieces(&self, reference: SeriesRef, min_t: i64, max_t: i64, out: &mut Vec<Piece>) {
        self.pieces_of(reference, min_t, max_t, Subset::All, out);
    }

    /// As [`HeadView::pieces`], of some samples only.
    pub fn pieces_of(
        &self,
        reference: SeriesRef,
        min_t: i64,
        max_t: i64,
        subset: Subset,
        out: &mut Vec<Piece>,
    ) {
        let Some(series) = self.pages.lock(reference) else {
            self.head.traffic.series_not_found.inc();
            return;
        };
        let deleted = self.tombstones.get(reference.0).map(|deleted| Arc::new(deleted.clone()));
        let mut add = |of: (i64, i64), min_t: i64, max_t: i64, source| {
            let (first, last) = (of.0.max(min_t), of.1.min(max_t));
            if first <= last {
                let whole = (first, last) == of;
                out.push(Piece { min_t: first, max_t: last, whole, deleted: deleted.clone(), source });
            }
        };
        let in_order = match subset {
            Subset::All | Subset::InOrder => self.in_order(&series, min_t, max_t),
            Subset::OutOfOrder { .. } => None,
        };
        if let Some((min_t, max_t)) = in_order {
            for chunk in series.closed.iter() {
                let source = Source::Head(self.head.chunks.clone(), chunk.at, None);
                add((chunk.min_t, chunk.max_t), min_t, max_t, source);
            }
            let of = (series.open_min_t(), series.last_t());
            if of.0 <= max_t
                && of.1 >= min_t
                && let Some((encoding, bytes)) = series.open_bytes(&self.head.chunks)
            {
                add(of, min_t, max_t, Source::Open(encoding, ChunkBytes::Owned(Arc::from(bytes))));
            }
        }
        let below = match subset {
            Subset::All => u64::MAX,
            Subset::InOrder => return,
            Subset::OutOfOrder { below } => below,
        };
        let Some(out_of_order) = &series.out_of_order else { return };
        let view = self.view.at();
        for out_of_order in &out_of_order.closed {
            let chunk = &out_of_order.chunk;
            if chunk.at >= below || !out_of_order.visible(view) {
                continue;
            }
            let unseen = |commits: &&Arc<[u64]>| commits.iter().any(|commit| *commit > view);
            let seen = out_of_order
                .commits
                .as_ref()
                .filter(unseen)
                .map(|commits| commits.iter().map(|c| *c <= view).collect());
            let source = Source::Head(self.head.chunks.clone(), chunk.at, seen);
            add((chunk.min_t, chunk.max_t), min_t, max_t, source);
        }
        if subset != Subset::All {
            return;
        }
        let columns = out_of_order.open_columns(view);
        let times = columns.float_t.iter().chain(&columns.histogram_t);
        if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
            let of = (*first, *last);
            add(of, min_t, max_t, Source::Plain(Arc::new(columns)));
        }
    }

    fn at_most(&self, matchers: &[Matcher], closely: bool) -> Result<u64, StorageError> {
        let index = self.index();
        select::at_most(&self.labelled(&index), matchers, closely)
    }

    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, StorageError> {
        let index = self.index();
        let index = self.labelled(&index);
        let selected = select::select(&index, &selection.matchers)?;
        select::label_names(&index, &selected, selection.limit)
    }

    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, StorageError> {
        let index = self.index();
        select::label_values(&self.labelled(&index), name, &selection.matchers, selection.limit)
    }

    /// First and last time of all samples; `None` without any.
    pub fn span(&self) -> Option<(i64, i64)> {
        let [in_order, out_of_order] = self.spans;
        let span = (self.first_t.max(self.from).min(out_of_order.0), in_order.1.max(out_of_order.1));
        (span.0 <= span.1).then_some(span)
    }

    /// Whether the head has samples in a time at all.
    fn covers(&self, min_t: i64, max_t: i64) -> bool {
        self.spans.iter().any(|(first, last)| *first <= max_t && *last >= min_t)
    }

    /// Says that a chunk of the head cannot be decoded.
    pub(crate) fn corruption(&self, source: &Source, reason: String) -> StorageError {
        match source {
            Source::Head(chunks, at, _) => chunks.corruption(*at, reason).into(),
            _ => StorageError::Internal(format!("an open chunk cannot be decoded: {reason}")),
        }
    }
}

/// One part of a selected series.
enum Part {
    Block { block: SharedBlock, chunks: Box<[ChunkMeta]>, deleted: Option<Arc<Intervals>> },
    Head(Arc<HeadView>, SeriesRef),
}

/// A selected series: its labels, and where its samples are.
pub(crate) struct Selected {
    labels: Labels,
    /// Blocks by time, then heads.
    first: Part,
    more: Vec<Part>,
    newest: Option<(i64, f64)>,
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
                Part::Block { block, chunks, deleted } => pieces.extend(chunks.iter().map(|chunk| Piece {
                    min_t: chunk.min_t,
                    max_t: chunk.max_t,
                    whole: true,
                    deleted: None,
                    source: Source::Block(block.clone(), *chunk, deleted.clone()),
                })),
                Part::Head(head, series) => head.pieces(*series, self.min_t, self.max_t, &mut pieces),
            }
        }
        SeriesCursor::new(pieces, self.min_t, self.max_t)
    }

    /// Its number in the log, if any of its samples are in the head.
    pub(crate) fn log_ref(&self) -> Option<LogRef> {
        self.parts().find_map(|part| match part {
            Part::Block { .. } => None,
            Part::Head(head, series) => head.pages.lock(*series).map(|series| series.log_ref),
        })
    }
}

impl Selected {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// Whether the parts and their chunks follow each other in time without overlap.
    fn ascends(&self) -> bool {
        let mut last = None;
        self.parts().all(|part| match part {
            Part::Block { chunks, .. } => {
                chunks.iter().all(|chunk| last.replace(chunk.max_t).is_none_or(|last| last < chunk.min_t))
            }
            // Two heads may have the same times.
            Part::Head(head, _) => last.replace(i64::MAX).is_none_or(|last| last < head.from),
        })
    }

    /// Reads the parts one after the other. False when that is not all there is to the series.
    fn read_in_order(&self, out: &mut Columns) -> Result<bool, StorageError> {
        for part in self.parts() {
            match part {
                Part::Block { block, chunks, deleted } => {
                    for chunk in chunks {
                        block.read_chunk(chunk, deleted.as_deref(), self.min_t, self.max_t, out)?;
                    }
                }
                Part::Head(head, series) => {
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
    fn new(labels: Labels, part: Part, newest: Option<(i64, f64)>, selection: &Selection) -> Self {
        Self { labels, first: part, more: Vec::new(), newest, min_t: selection.min_t, max_t: selection.max_t }
    }

    /// Adds what another source has of the same series.
    fn add(&mut self, other: Self) {
        self.more.push(other.first);
        self.more.extend(other.more);
        // Which of the newest samples is the newest shows when they are read.
        self.newest = None;
    }
}

/// Merges series in label order, each label set once; what the first list has comes first.
#[expect(
    clippy::vec_box,
    reason = "series are large and end up in boxes, so that moving them means copying pointers"
)]
fn merge(first: Vec<Box<Selected>>, second: Vec<Box<Selected>>) -> Vec<Box<Selected>> {
    if first.is_empty() || second.is_empty() {
        return if first.is_empty() { second } else { first };
    }
    let mut merged: Vec<Box<Selected>> = Vec::with_capacity(first.len().max(second.len()));
    let mut second = second.into_iter().peekable();
    for mut series in first {
        while let Some(before) = second.next_if(|other| other.labels < series.labels) {
            merged.push(before);
        }
        if let Some(same) = second.next_if(|other| other.labels == series.labels) {
            series.add(*same);
        }
        merged.push(series);
    }
    merged.extend(second);
    merged
}

impl Snapshot {
    /// The series that match; with all labels and ascending by them, unless the hints want less.
    #[expect(clippy::vec_box, reason = "as for `merge`")]
    pub(crate) fn selected(&self, selection: &Selection) -> Result<Vec<Box<Selected>>, StorageError> {
        let mut selected = Vec::new();
        // Series of several sources are distinguished by all of their labels, and are put together in their order.
        let sources = self.blocks(selection).count() + self.heads(selection).count();
        let sole = sources == 1 && selection.limit == 0;
        let wanted = if sole { Projection::of(&selection.hints) } else { Projection::ALL };
        for block in self.blocks(selection) {
            let found = block.select_all(selection, wanted, || {
                let block = Arc::new(block.clone());
                move |series| {
                    let BlockSeries { labels, chunks, deleted, newest, .. } = series;
                    let part = Part::Block { block: block.clone(), chunks, deleted };
                    Box::new(Selected::new(labels, part, newest, selection))
                }
            })?;
            selected = merge(selected, found);
        }
        for head in self.heads(selection) {
            let found = head.found(selection, Subset::All, wanted)?;
            let part = |found: FoundSeries| {
                let part = Part::Head(head.clone(), found.series);
                Box::new(Selected::new(found.labels, part, found.newest, selection))
            };
            let found = match found.len() > FEW {
                true => found.into_par_iter().map(part).collect(),
                false => found.into_iter().map(part).collect(),
            };
            selected = merge(selected, found);
        }
        if selection.limit > 0 {
            selected.truncate(selection.limit);
        }
        Ok(selected)
    }
}

impl SeriesSource for Snapshot {
    fn warnings(&self) -> Vec<String> {
        let quarantined = self.blocks.quarantined().iter();
        let unreadable =
            quarantined.map(|block| format!("block {} cannot be read: {}", block.id, block.reason));
        self.notice.iter().cloned().chain(unreadable).collect()
    }

    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        let selected = self.selected(selection)?.into_iter();
        let series = selected.map(|series| series as Box<dyn SelectedSeries>).collect();
        Ok(SeriesSet { series, warnings: self.warnings() })
    }

    fn may_wait(&self, selection: &Selection) -> bool {
        self.blocks(selection).next().is_some()
    }

    fn at_most(&self, selection: &Selection, closely: bool) -> Option<u64> {
        let matchers = &selection.matchers;
        let of_blocks = self.blocks(selection).map(|block| select::at_most(block.index(), matchers, closely));
        let of_heads = self.heads(selection).map(|head| head.at_most(matchers, closely));
        of_blocks.chain(of_heads).map(Result::ok).sum()
    }

    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let mut names = BTreeSet::new();
        for block in self.blocks(selection) {
            names.extend(block.label_names(selection)?);
        }
        for head in self.heads(selection) {
            names.extend(head.label_names(selection)?);
        }
        Ok(limited(names, selection.limit))
    }

    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let mut values = BTreeSet::new();
        for block in self.blocks(selection) {
            values.extend(block.label_values(name, selection)?);
        }
        for head in self.heads(selection) {
            values.extend(head.label_values(name, selection)?);
        }
        Ok(limited(values, selection.limit))
    }
}

fn limited(found: BTreeSet<String>, limit: usize) -> Vec<String> {
    found.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}
