//! Replay of what concerns whole series: they come, with the head chunks that were found of them, and go.

use crate::blocks::tombstones::Interval;
use crate::head::closed_chunks::ClosedChunk;
use crate::head::commit::widen;
use crate::head::out_of_order::OutOfOrderChunk;
use crate::head::series::Series;
use crate::head::table::slot_of;
use crate::record::{RefSeries, RefTombstone};
use crate::replay::Replay;

impl Replay<'_> {
    pub(crate) fn add_series(&mut self, RefSeries { series: number, labels }: &RefSeries) {
        let number = *number;
        self.head.table.reserve_log_ref(number);
        // A table of 2^32 series does not get this far.
        let Ok((series, created)) = self.head.table.get_or_create(labels, Some(number)) else { return };
        if created {
            self.head.figures.series_added();
        }
        if self.numbers.insert(number, slot_of(series)).is_some() {
            return;
        }
        if self.pages.lock(series).is_none() {
            self.pages = self.head.table.pages();
        }
        for interval in self.scan.deletions.remove(&number).unwrap_or_default() {
            // Nobody may see what was deleted, not even until its deletion is replayed.
            self.tombstones.add(series.0, interval);
            self.deleted = true;
        }
        let in_order = self.found.in_order.remove(&number).unwrap_or_default();
        let out_of_order = self.found.out_of_order.remove(&number).unwrap_or_default();
        let is_empty = || self.pages.lock(series).is_none_or(|series| series.is_empty());
        if !created && (!in_order.is_empty() || is_empty()) {
            // What the series has under another number comes first, and keeps it that number: all full chunks of a
            // series are under the one by which it goes.
            self.store();
        }
        let Some(mut guard) = self.pages.lock(series) else { return };
        guard.logged = true;
        if guard.is_empty() {
            guard.log_ref = number;
        }
        if in_order.is_empty() && out_of_order.is_empty() {
            return;
        }
        let last_t = guard.last_t();
        guard.versions.advance(self.commit, last_t);
        let span = self.attach(&mut guard, in_order, out_of_order);
        let last_t = guard.last_t();
        drop(guard);
        self.batch.skip_until(slot_of(series), last_t);
        if let Some((first, last)) = span {
            widen(&mut self.span, first);
            widen(&mut self.span, last);
        }
    }

    /// Gives a series the chunks found for one of its numbers. Returns what the in-order ones span.
    fn attach(
        &self,
        series: &mut Series,
        in_order: Vec<ClosedChunk>,
        out_of_order: Vec<ClosedChunk>,
    ) -> Option<(i64, i64)> {
        let chunks_before = series.chunks();
        let mut span = None;
        for chunk in in_order.into_iter().filter(|chunk| chunk.max_t >= self.min_valid_t) {
            if series.insert_closed(chunk, &self.head.chunks) {
                widen(&mut span, chunk.min_t.max(self.min_valid_t));
                widen(&mut span, chunk.max_t);
            }
        }
        for chunk in out_of_order.into_iter().filter(|chunk| chunk.at >= self.out_of_order_covered) {
            self.head.times.note_out_of_order(chunk.min_t, chunk.max_t);
            let commits = Some([self.commit.id].into());
            series.out_of_order.get_or_insert_default().closed.push(OutOfOrderChunk { chunk, commits });
        }
        self.head.figures.chunks_added((series.chunks() - chunks_before) as u64);
        span
    }

    /// Takes a deletion.
    pub(crate) fn delete(
        &mut self,
        RefTombstone { series: number, min_t, max_t }: RefTombstone,
        kind: &'static str,
    ) {
        self.head.table.reserve_log_ref(number);
        if (min_t, max_t) == (i64::MIN, i64::MAX) {
            // The series as a whole was dropped; what comes after belongs to another of the same labels.
            self.store();
            if let Some(slot) = self.numbers.remove(number) {
                self.batch.skip_until(slot, i64::MIN);
                let Some(mut guard) = self.series(slot) else { return };
                let before = guard.tail();
                self.head.figures.chunks_dropped(guard.chunks() as u64);
                guard.clear(&self.head.chunks);
                self.head.figures.tail_changed(before, guard.tail());
            }
            return;
        }
        // OutOfOrder samples may be older than any in-order one.
        if let Some(series) = self.find_reference(number, kind) {
            self.tombstones.add(series.0, Interval { min_t, max_t });
            self.deleted = true;
        }
    }
}
