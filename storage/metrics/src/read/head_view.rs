//! The head as one snapshot sees it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::append::SeriesRef;
use model::read::{Columns, Selection, Unwatched};
use model::{Labels, Matcher};
use parking_lot::{Mutex, MutexGuard, RwLockReadGuard};
use storage_base::StorageError;
use storage_base::index::mem::MemIndex;
use storage_base::index::projection::Projection;
use storage_base::index::select;

use crate::blocks::tombstones::Tombstones;
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
use crate::read::series_cursor::{Piece, Source};

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
    pub(super) pages: Pages,
    tombstones: Arc<Tombstones>,
    /// In-order samples before this are in blocks.
    pub(super) from: i64,
    /// Oldest in-order sample of the head, be it in blocks too or not.
    first_t: i64,
    /// What in-order and out-of-order samples span; never less, but maybe more.
    spans: [(i64, i64); 2],
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
        // Without blocks nothing is before the head.
        let start = if from == i64::MIN { first_t } else { first_t.min(from) };
        let spans = [
            (start, times.max_t.load(SeqCst)),
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
        let found = self.found(selection, subset, Projection::ALL, &Unwatched)?;
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
    pub(super) fn read(
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

    pub(super) fn at_most(&self, matchers: &[Matcher], closely: bool) -> Result<u64, StorageError> {
        let index = self.index();
        select::at_most(&self.labelled(&index), matchers, closely)
    }

    pub(super) fn label_names(&self, selection: &Selection) -> Result<Vec<String>, StorageError> {
        let index = self.index();
        let index = self.labelled(&index);
        let selected = select::select(&index, &selection.matchers)?;
        select::label_names(&index, &selected, selection.limit)
    }

    pub(super) fn label_values(
        &self,
        name: &str,
        selection: &Selection,
    ) -> Result<Vec<String>, StorageError> {
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
    pub(super) fn covers(&self, min_t: i64, max_t: i64) -> bool {
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
