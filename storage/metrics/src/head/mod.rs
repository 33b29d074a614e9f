//! The head: recent samples of all series, in memory, behind the write-ahead log.
//!
//! Three kinds of work meet here. Appenders commit one after the other under the commit lock, which orders log, memory
//! and numbers of commits alike. Readers take a [`View`](crate::head::isolation::View) and lock one series at a time
//! for as long as it takes to copy its open chunk. The worker moves what is old into blocks and then truncates.
//!
//! A series lives in a slot of the [`table`]; its samples are in an open chunk, in full chunks written to
//! [`head_chunks`], and, when they came out of order, in [`out_of_order`] chunks. Commits are numbered by
//! [`isolation`].

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use model::append::SeriesRef;
use model::metadata::Metadata;
use model::read::Columns;
use parking_lot::{Mutex, RwLock};

use crate::blocks::chunk_samples::ChunkEncodings;
use crate::blocks::tombstones::Tombstones;
use crate::codec::chunk;
use crate::exemplars::ExemplarRing;
use crate::head::closed_chunks::ClosedChunk;
use crate::head::figures::{SeriesFigures, TrafficFigures};
use crate::head::head_chunks::HeadChunks;
use crate::head::isolation::Isolation;
use crate::head::log::Logs;
use crate::head::open_chunk::CutRule;
use crate::head::series::Bounds;
use crate::head::table::SeriesTable;
use crate::head::translation::Translation;
use crate::options::FloatEncoding;
use crate::record::LogRef;

pub mod append;
pub mod bit_store;
pub mod closed_chunks;
pub mod commit;
pub(crate) mod constant_run;
pub mod figures;
mod head_chunk_file;
pub mod head_chunks;
pub(crate) mod head_index;
pub mod isolation;
pub mod log;
pub mod open_chunk;
pub mod open_floats;
pub mod open_histogram;
pub mod out_of_order;
pub mod series;
pub mod table;
pub mod translation;

/// The head.
pub struct Head {
    pub(crate) table: SeriesTable,
    pub(crate) chunks: Arc<HeadChunks>,
    pub(crate) isolation: Arc<Isolation>,
    /// The commit lock, and what it guards.
    pub(crate) logs: Mutex<Logs>,
    pub(crate) tombstones: RwLock<Arc<Tombstones>>,
    pub(crate) exemplars: Mutex<ExemplarRing>,
    pub(crate) metadata: Mutex<HashMap<SeriesRef, Arc<Metadata>>>,
    /// Series that have out-of-order samples. Taken before any series' lock.
    pub(crate) out_of_order_series: Mutex<HashSet<SeriesRef>>,
    pub(crate) times: Times,
    pub(crate) figures: SeriesFigures,
    pub(crate) traffic: Arc<TrafficFigures>,
    pub(crate) rule: CutRule,
    pub(crate) out_of_order_chunk_samples: usize,
    pub(crate) log_metadata: bool,
    /// Whether a sample of 0 is stored where a cumulative series began.
    pub(crate) zero_at_start: bool,
    /// Milliseconds; changes at reload.
    pub(crate) window: AtomicI64,
    /// Whether new float chunks are XOR2; changes at reload.
    xor2: AtomicBool,
    /// Set under the commit lock when another head has taken over.
    pub(crate) successor: OnceLock<Arc<Head>>,
    /// For references that come from the head before this one.
    pub(crate) translation: RwLock<Option<Translation>>,
}

/// Bounds of the head's time.
#[derive(Debug)]
pub struct Times {
    /// Oldest in-order sample; `i64::MAX` while there is none.
    pub min_t: AtomicI64,
    /// Oldest in-order sample since a truncation began to look at all series.
    since_min_t: AtomicI64,
    /// Newest in-order sample; `i64::MIN` while there is none.
    pub max_t: AtomicI64,
    /// In-order samples before this belong to blocks.
    pub min_valid_t: AtomicI64,
    /// Oldest out-of-order sample; `i64::MAX` while there is none.
    pub out_of_order_min_t: AtomicI64,
    /// Newest out-of-order sample; `i64::MIN` while there is none.
    pub out_of_order_max_t: AtomicI64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            min_t: AtomicI64::new(i64::MAX),
            since_min_t: AtomicI64::new(i64::MAX),
            max_t: AtomicI64::new(i64::MIN),
            min_valid_t: AtomicI64::new(i64::MIN),
            out_of_order_min_t: AtomicI64::new(i64::MAX),
            out_of_order_max_t: AtomicI64::new(i64::MIN),
        }
    }
}

impl Times {
    /// Takes in-order samples into account.
    pub fn note(&self, min_t: i64, max_t: i64) {
        // The newest first: where an oldest time is found, there is a newest one too.
        self.max_t.fetch_max(max_t, Ordering::SeqCst);
        self.since_min_t.fetch_min(min_t, Ordering::SeqCst);
        self.min_t.fetch_min(min_t, Ordering::SeqCst);
    }

    /// Takes out-of-order samples into account.
    pub fn note_out_of_order(&self, min_t: i64, max_t: i64) {
        self.out_of_order_min_t.fetch_min(min_t, Ordering::SeqCst);
        self.out_of_order_max_t.fetch_max(max_t, Ordering::SeqCst);
    }

    /// A truncation begins to look at all series. Called under the commit lock.
    pub(crate) fn begin_truncation(&self) {
        self.since_min_t.store(i64::MAX, Ordering::SeqCst);
    }

    /// Notes that in-order samples before `cut` are in blocks, and that `min_t` is the oldest found after that. Called
    /// under the commit lock.
    pub(crate) fn truncated(&self, cut: i64, min_t: i64) {
        // A head without samples begins where the blocks end.
        let min_t = min_t.min(self.since_min_t.load(Ordering::SeqCst));
        let found = if min_t == i64::MAX { cut } else { min_t.max(cut) };
        self.min_t.store(found, Ordering::SeqCst);
        self.max_t.fetch_max(found, Ordering::SeqCst);
    }

    /// Notes what out-of-order samples span. Called under the commit lock.
    pub(crate) fn set_out_of_order(&self, out_of_order_t: Option<(i64, i64)>) {
        let (first, last) = out_of_order_t.unwrap_or((i64::MAX, i64::MIN));
        self.out_of_order_min_t.store(first, Ordering::SeqCst);
        self.out_of_order_max_t.store(last, Ordering::SeqCst);
    }

    /// Whether the head has ever had a sample.
    pub fn known(&self) -> bool {
        self.min_t.load(Ordering::SeqCst) != i64::MAX
    }
}

/// What a head is made with.
#[derive(Clone, Copy, Debug)]
pub struct HeadOptions {
    /// When chunks are cut.
    pub rule: CutRule,
    /// Samples of an open out-of-order chunk.
    pub out_of_order_chunk_samples: usize,
    /// Whether metadata goes into the log.
    pub log_metadata: bool,
    /// Whether a sample of 0 is stored where a cumulative series began.
    pub zero_at_start: bool,
    /// Out-of-order window in milliseconds.
    pub window: i64,
    /// How many exemplars are kept.
    pub exemplars: usize,
}

impl Head {
    /// An empty head whose logs are open. In-order samples before `min_valid_t` are refused.
    pub fn new(chunks: HeadChunks, logs: Logs, min_valid_t: i64, options: HeadOptions) -> Self {
        let head = Self {
            table: SeriesTable::default(),
            chunks: Arc::new(chunks),
            isolation: Arc::default(),
            logs: Mutex::new(logs),
            tombstones: RwLock::default(),
            exemplars: Mutex::new(ExemplarRing::new(options.exemplars, options.window)),
            metadata: Mutex::default(),
            out_of_order_series: Mutex::default(),
            times: Times::default(),
            figures: SeriesFigures::default(),
            traffic: Arc::default(),
            rule: options.rule,
            out_of_order_chunk_samples: options.out_of_order_chunk_samples,
            log_metadata: options.log_metadata,
            zero_at_start: options.zero_at_start,
            window: AtomicI64::new(options.window),
            xor2: AtomicBool::new(options.rule.encodings.xor2),
            successor: OnceLock::new(),
            translation: RwLock::default(),
        };
        head.times.min_valid_t.store(min_valid_t, Ordering::SeqCst);
        head
    }

    /// When chunks are cut, and what new ones are.
    pub(crate) fn cut_rule(&self) -> CutRule {
        let encodings = ChunkEncodings { xor2: self.xor2.load(Ordering::Relaxed), ..self.rule.encodings };
        CutRule { encodings, ..self.rule }
    }

    /// Changes what new float chunks are.
    pub(crate) fn set_float_encoding(&self, floats: FloatEncoding) {
        self.xor2.store(floats == FloatEncoding::Xor2, Ordering::Relaxed);
    }

    /// Lets the head begin at its oldest in-order sample that is not before `cut`.
    pub(crate) fn advance(&self, cut: i64) {
        {
            let _commits = self.logs.lock();
            self.times.begin_truncation();
        }
        let pages = self.table.pages();
        let mut min_t = i64::MAX;
        for reference in self.table.references() {
            if let Some(series) = pages.lock(reference) {
                min_t = min_t.min(series.first_t_from(cut));
            }
        }
        let _commits = self.logs.lock();
        self.times.truncated(cut, min_t);
    }

    /// Whether any series has out-of-order samples.
    pub(crate) fn has_out_of_order(&self) -> bool {
        !self.out_of_order_series.lock().is_empty()
    }

    /// Writes all open out-of-order chunks out. Called under the commit lock.
    pub(crate) fn close_out_of_order(&self) {
        let pages = self.table.pages();
        let encodings = self.cut_rule().encodings;
        for reference in self.out_of_order_series.lock().iter() {
            let Some(mut series) = pages.lock(*reference) else { continue };
            let log_ref = series.log_ref;
            if let Some(out_of_order) = &mut series.out_of_order
                && !out_of_order.open.is_empty()
            {
                let chunks = out_of_order.close(log_ref, encodings, &self.chunks).len() as u64;
                self.figures.chunks_added(chunks.saturating_sub(1));
            }
        }
    }

    /// Time of the oldest out-of-order sample at or after `from` in full chunks below a place. A chunk that cannot be
    /// read counts as one at `from`: reading it reports the damage.
    pub(crate) fn next_out_of_order(&self, from: i64, below: u64) -> Option<i64> {
        let pages = self.table.pages();
        let out_of_order = self.out_of_order_series.lock();
        let next_in = |chunk: &ClosedChunk| {
            if chunk.min_t >= from || chunk.max_t < from {
                return (chunk.max_t >= from).then_some(chunk.min_t);
            }
            let Ok((encoding, bytes)) = self.chunks.read(chunk.at) else { return Some(from) };
            let mut columns = Columns::default();
            match chunk::decode(encoding, &bytes, from, i64::MAX, &mut columns) {
                Ok(()) => {
                    columns.float_t.first().into_iter().chain(columns.histogram_t.first()).min().copied()
                }
                Err(_) => Some(from),
            }
        };
        let next_of = |series: &SeriesRef| {
            let series = pages.lock(*series)?;
            let chunks = series.out_of_order.as_ref()?.closed.iter().map(|out_of_order| &out_of_order.chunk);
            chunks.filter(|chunk| chunk.at < below).filter_map(next_in).min()
        };
        out_of_order.iter().filter_map(next_of).min()
    }

    /// First and last time of out-of-order samples.
    pub(crate) fn out_of_order_range(&self) -> Option<(i64, i64)> {
        let pages = self.table.pages();
        let out_of_order = self.out_of_order_series.lock();
        let ranges =
            out_of_order.iter().filter_map(|series| pages.lock(*series)?.out_of_order.as_ref()?.range());
        ranges.reduce(|(a, b), (first, last)| (a.min(first), b.max(last)))
    }

    /// Forgets which series had out-of-order samples, where they have none any more or are gone.
    pub(crate) fn forget_out_of_order(&self, removed: &[(SeriesRef, LogRef)]) {
        let pages = self.table.pages();
        let mut out_of_order = self.out_of_order_series.lock();
        for (series, _) in removed {
            out_of_order.remove(series);
        }
        out_of_order.retain(|series| pages.lock(*series).is_some_and(|series| series.out_of_order.is_some()));
    }

    /// The numbers of all series in the log, ascending.
    pub(crate) fn log_refs(&self) -> Vec<LogRef> {
        let pages = self.table.pages();
        let references = self.table.references();
        let mut refs: Vec<_> =
            references.into_iter().filter_map(|series| Some(pages.lock(series)?.log_ref)).collect();
        refs.sort_unstable();
        refs
    }

    /// What an appender measures samples against, with `t` the first sample's time.
    pub(crate) fn bounds(&self, t: i64) -> Bounds {
        if !self.times.known() {
            self.times.note(t, t);
        }
        let max_t = self.times.max_t.load(Ordering::SeqCst);
        // Half a range is left to slow commits, so that what is being written to a block takes no more samples.
        let ahead_of_flush = max_t.saturating_sub(self.rule.range / 2);
        Bounds {
            min_valid_t: ahead_of_flush.max(self.times.min_valid_t.load(Ordering::SeqCst)),
            head_max_t: max_t,
            window: self.window.load(Ordering::Relaxed),
            refuse_late: false,
        }
    }
}
