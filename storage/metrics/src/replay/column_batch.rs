//! Samples of the log that are stored together.
//!
//! Of records whose layout is known only the values are kept, one row behind the other in a [`Column`] of their layout,
//! and they are stored series by series. The samples of all others are [`SamplesBySeries`]. What is gathered is stored
//! first: a series that has a column gets no sample any other way before that column is given up and its samples are
//! gathered too. So each series gets its samples in the order of the log.

use std::ops::Range;
use std::sync::Arc;

use model::HistogramValue;
use model::sample::is_stale;
use rayon::prelude::*;
use storage_base::bytes::prefetch::prefetch;

use crate::head::Head;
use crate::head::commit::widen;
use crate::head::isolation::Commit;
use crate::head::open_chunk::CutRule;
use crate::head::series::Series;
use crate::head::table::Pages;
use crate::replay::log_slots::LogSlots;
use crate::replay::record_layout::RecordLayout;
use crate::replay::samples_by_series::{SamplesBySeries, Tally, push_float};

/// Values of records that are kept until they are stored, 16 MiB; one block may exceed it. Tests have less data.
const VALUES_MAX: usize = if cfg!(test) { 1500 } else { 2 << 20 };
/// Series of a column that are stored in one piece of work.
const PIECE: usize = 256;
/// Values of a record that the processor's cache loads at once.
const LINE: usize = 8;
/// No column, in the place of one.
const NONE: u32 = 0;

/// A float sample.
#[derive(Clone, Copy, Debug)]
pub struct FloatOf {
    /// Slot of the series.
    pub slot: u32,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Start timestamp; 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub v: f64,
}

/// Samples of the log, by the columns of their layouts or gathered.
#[derive(Debug, Default)]
pub struct ColumnBatch {
    gathered: SamplesBySeries,
    columns: Vec<Column>,
    /// What the columns' rows are in.
    blocks: Vec<Arc<Vec<u64>>>,
    /// Values in these.
    values: usize,
    /// By slot: the column that has its samples, counted from 1.
    owners: Vec<u32>,
    /// How many batches there were before.
    number: u64,
}

/// Records of one layout.
#[derive(Debug)]
struct Column {
    layout: Arc<RecordLayout>,
    /// Slots of the layout's series.
    slots: Arc<[u32]>,
    rows: Vec<Row>,
    /// Nothing up to this time would be stored.
    passed_over: i64,
    /// It has been given up: the samples were gathered.
    dissolved: bool,
}

/// Where a record's values are.
#[derive(Clone, Copy, Debug)]
struct Row {
    base_t: i64,
    block: u32,
    at: u32,
}

impl ColumnBatch {
    /// Samples of a slot up to a time need not be taken: they would not be stored.
    pub fn skip_until(&mut self, slot: u32, until: i64) {
        self.gathered.skip_until(slot, until);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.columns.is_empty()
    }

    /// Whether it should be stored before another record of `more` samples is added.
    pub fn is_full(&self, more: usize) -> bool {
        self.values > VALUES_MAX || self.gathered.is_full(more)
    }

    /// Takes a record of a layout with its base time and its greatest time. Its values begin at `at` of a block. False
    /// when they must go another way, because a series is unknown or has two samples.
    pub fn take(
        &mut self,
        layout: &Arc<RecordLayout>,
        numbers: &LogSlots,
        (base_t, last_t): (i64, i64),
        block: &Arc<Vec<u64>>,
        at: usize,
    ) -> bool {
        let Some(column) = self.column(layout, numbers) else { return false };
        let column = &mut self.columns[column];
        if last_t <= column.passed_over {
            return true;
        }
        if self.blocks.last().is_none_or(|last| !Arc::ptr_eq(last, block)) {
            self.blocks.push(block.clone());
            self.values += block.len();
        }
        column.rows.push(Row { base_t, block: self.blocks.len() as u32 - 1, at: at as u32 });
        true
    }

    /// The column of a layout.
    fn column(&mut self, layout: &Arc<RecordLayout>, numbers: &LogSlots) -> Option<usize> {
        let mut state = layout.state.lock();
        let slots = layout.slots(&mut state, numbers);
        let known = state.column.filter(|(batch, _)| *batch == self.number).map(|(_, column)| column);
        if let Some(known) = known
            && let Some(column) = self.columns.get(known)
            && !column.dissolved
            && slots.as_ref().is_some_and(|slots| Arc::ptr_eq(slots, &column.slots) || *slots == column.slots)
        {
            return Some(known);
        }
        let slots = slots?;
        let owner = self.columns.len() as u32 + 1;
        for &slot in &*slots {
            self.dissolve_owner(slot);
            let slot = slot as usize;
            if slot >= self.owners.len() {
                self.owners.resize((slot + 1).next_power_of_two(), NONE);
            }
            self.owners[slot] = owner;
        }
        let passed_over = slots.iter().map(|slot| self.gathered.passed_over(*slot)).min().unwrap_or(i64::MIN);
        let layout = layout.clone();
        self.columns.push(Column { layout, slots, rows: Vec::new(), passed_over, dissolved: false });
        state.column = Some((self.number, self.columns.len() - 1));
        Some(self.columns.len() - 1)
    }

    /// Gives the column up that has a slot.
    #[inline]
    fn dissolve_owner(&mut self, slot: u32) {
        if let Some(&owner) = self.owners.get(slot as usize)
            && owner != NONE
        {
            self.dissolve(owner as usize - 1);
        }
    }

    #[cold]
    fn dissolve(&mut self, column: usize) {
        let Some(column) = self.columns.get_mut(column).filter(|column| !column.dissolved) else { return };
        column.dissolved = true;
        for row in std::mem::take(&mut column.rows) {
            let samples = column.slots.iter().zip(row.values(&self.blocks, &column.layout)).enumerate();
            for (sample, (&slot, &bits)) in samples {
                let t = row.base_t + column.layout.dt(sample);
                self.gathered.push_float(slot, t, f64::from_bits(bits));
            }
        }
    }

    /// Adds a float.
    #[inline]
    pub fn push_float(&mut self, FloatOf { slot, t, start_t, v }: FloatOf) {
        self.dissolve_owner(slot);
        self.gathered.push_with_start_t(slot, t, start_t, v);
    }

    /// Adds a histogram; `start_t` 0 for unknown.
    pub fn push_histogram(&mut self, slot: u32, t: i64, start_t: i64, v: HistogramValue) {
        self.dissolve_owner(slot);
        self.gathered.push_histogram(slot, t, start_t, v);
    }

    /// Stores everything that is newer than its series, and forgets it. Returns what the stored samples span. `free`
    /// gets the blocks that nobody else has.
    pub fn store(
        &mut self,
        head: &Head,
        pages: &Pages,
        commit: Commit,
        free: impl FnMut(Vec<u64>),
    ) -> Option<(i64, i64)> {
        let mut tally = Tally::default();
        if !self.gathered.is_empty() {
            tally = self.gathered.store(head, pages, commit);
        }
        let rows: Vec<Rows<'_>> = self.columns.iter().map(|column| Rows::new(column, &self.blocks)).collect();
        let pieces: Vec<(&Rows<'_>, Range<usize>)> = rows
            .iter()
            .filter(|rows| !rows.values.is_empty())
            .flat_map(|rows| {
                let all = rows.column.slots.len();
                (0..all).step_by(PIECE).map(move |first| (rows, first..all.min(first + PIECE)))
            })
            .collect();
        let rule = head.cut_rule();
        let store = |room: &mut Room, (rows, range): &(&Rows<'_>, Range<usize>)| {
            rows.store(head, pages, rule, commit, range.clone(), room)
        };
        let tally = match &pieces[..] {
            [one] => tally.with(store(&mut Room::default(), one)),
            pieces => {
                let tallies = pieces.par_iter().with_max_len(1).map_init(Room::default, store);
                tally.with(tallies.reduce(Tally::default, Tally::with))
            }
        };
        head.figures.chunks_added(tally.chunks);
        drop(rows);
        for column in self.columns.drain(..) {
            column.slots.iter().for_each(|slot| self.owners[*slot as usize] = NONE);
        }
        self.blocks.drain(..).filter_map(Arc::into_inner).for_each(free);
        self.values = 0;
        self.number += 1;
        tally.span
    }
}

impl Row {
    fn values<'b>(&self, blocks: &'b [Arc<Vec<u64>>], layout: &RecordLayout) -> &'b [u64] {
        let (block, at) = (blocks.get(self.block as usize), self.at as usize);
        block.and_then(|block| block.get(at..at + layout.samples())).unwrap_or(&[])
    }
}

/// A column ready to be stored.
struct Rows<'b> {
    column: &'b Column,
    /// Those of each record.
    values: Vec<&'b [u64]>,
    base_times: Vec<i64>,
    /// Whether each is later than the one before.
    ascending: bool,
}

/// One series' samples.
#[derive(Default)]
struct Room {
    times: Vec<i64>,
    values: Vec<u64>,
}

impl<'b> Rows<'b> {
    fn new(column: &'b Column, blocks: &'b [Arc<Vec<u64>>]) -> Self {
        let values = column.rows.iter().map(|row| row.values(blocks, &column.layout)).collect();
        let base_times: Vec<i64> = column.rows.iter().map(|row| row.base_t).collect();
        let ascending = base_times.is_sorted_by(|a, b| a < b);
        Self { column, values, base_times, ascending }
    }

    /// Stores some of the series.
    fn store(
        &self,
        head: &Head,
        pages: &Pages,
        rule: CutRule,
        commit: Commit,
        range: Range<usize>,
        room: &mut Room,
    ) -> Tally {
        let mut tally = Tally::default();
        let slots = &self.column.slots[range.clone()];
        for (sample, &slot) in range.zip(slots) {
            if sample.is_multiple_of(LINE) {
                // Another core made them.
                self.values.iter().filter_map(|row| row.get(sample + LINE)).for_each(prefetch);
            }
            let Some(mut series) = pages.lock_ahead(slot) else { continue };
            let last_t = series.last_t();
            self.read(sample, last_t, room);
            if !room.times.is_empty() {
                let before = series.tail();
                room.store(head, rule, &mut series, commit, &mut tally);
                head.figures.tail_changed(before, series.tail());
            }
        }
        tally
    }

    /// Reads one series' samples behind a time.
    fn read(&self, sample: usize, last_t: i64, Room { times, values }: &mut Room) {
        let dt = self.column.layout.dt(sample);
        let all_times = self.base_times.iter().map(|base_t| base_t + dt);
        let all_values = self.values.iter().map(|row| row.get(sample).copied().unwrap_or(0));
        times.clear();
        values.clear();
        if self.ascending && all_times.clone().next().is_some_and(|t| t > last_t) {
            times.extend(all_times);
            values.extend(all_values);
            return;
        }
        let mut last_t = last_t;
        for (t, bits) in all_times.zip(all_values) {
            if t > last_t {
                last_t = t;
                times.push(t);
                values.push(bits);
            }
        }
    }
}

impl Room {
    fn store(&self, head: &Head, rule: CutRule, series: &mut Series, commit: Commit, tally: &mut Tally) {
        let Self { times, values } = self;
        if values.iter().any(|bits| is_stale(f64::from_bits(*bits))) {
            for (&t, &bits) in times.iter().zip(values) {
                let made = push_float(head, rule, series, commit, (t, 0), f64::from_bits(bits));
                tally.note(made, t);
            }
            return;
        }
        tally.chunks += series.push_floats(commit, times, values, rule, &head.chunks);
        for t in times.first().into_iter().chain(times.last()) {
            widen(&mut tally.span, *t);
        }
    }
}
