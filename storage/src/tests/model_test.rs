//! Random operations and crashes against a plain map.
//!
//! A run takes a seed: it drives a store on a simulated disk and keeps beside it what was acknowledged. After each
//! operation that could disturb anything, the store must hold exactly that. Crashes may take or leave what was not
//! acknowledged; power cuts also what was not synced.
//!
//! Runs share the cores. Reading takes most of their time: after a restart all that is stored is read, and now and then
//! after other operations, otherwise two of the series; and now and then in every way there is to read, which must give
//! the same. A run that fails is repeated with all series read in all ways after each operation, so that the one that
//! did the harm is the last of those named.
//!
//! `MODEL_RUNS` sets how many seeds are run, `MODEL_SEED` the first, `MODEL_THREADS` how many at a time.

mod map;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::append::Appendable;
use model::histogram::{Histogram, Span};
use model::read::{Columns, Hints, Selection, SeriesSource};
use model::sample::STALE_NAN;
use model::{HistogramValue, Labels, MatchOp, Matcher};
use parking_lot::{Condvar, Mutex};
use storage_base::fs::SimDisk;
use storage_base::fs::sim::random::Random;
use storage_base::store::Store;

use self::map::{Map, SERIES, Samples};
use super::{HOUR, Heard, MINUTE, begin, open_with, options_with, series};
use crate::{FloatEncoding, Options, Storage, StorageError};

/// How out-of-order samples may be.
const WINDOW: i64 = 3 * HOUR;
/// Operations of a run.
const STEPS: u64 = 60;
/// The series of histograms; the others are of floats.
const HISTOGRAMS: usize = SERIES - 1;
/// How often long tests say how far they are.
const NEWS: Duration = Duration::from_secs(30);

struct Run {
    random: Random,
    /// What encodings and start timestamps are drawn from.
    forms: Random,
    /// What the ways of checking are drawn from; operations do not depend on it.
    checks: Random,
    /// Whether every way of reading is checked each time.
    strict: bool,
    labels: [Labels; SERIES],
    disk: SimDisk,
    storage: Option<Storage>,
    heard: Arc<Heard>,
    options: Options,
    now: i64,
    /// Acknowledged.
    acked: Map,
    /// Acknowledged and synced.
    synced: Map,
    /// Not acknowledged, because the disk failed meanwhile.
    in_flight: Map,
    /// Deleted times of each series; nothing is put there out of order.
    deleted: Vec<(usize, i64, i64)>,
    /// Deleted since the last sync: a power cut may bring them back.
    deleted_unsynced: Vec<(usize, i64, i64)>,
    snapshots: Vec<(Arc<dyn SeriesSource>, Map)>,
    log: Vec<String>,
}

fn histogram(n: u64) -> HistogramValue {
    let buckets = 1 + n % 3;
    HistogramValue::Integer(Arc::new(Histogram {
        schema: 0,
        count: buckets * (n + 1),
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: buckets as u32 }],
        positive_buckets: (0..buckets).map(|b| if b == 0 { n as i64 + 1 } else { 0 }).collect(),
        ..Histogram::default()
    }))
}

fn name(series: usize) -> String {
    format!("s{series}")
}

/// Times and contents of all samples, floats before histograms.
fn samples(columns: &Columns) -> Samples {
    let starts = |of: &[i64], len: usize| assert!(of.is_empty() || of.len() == len);
    starts(&columns.float_start_t, columns.float_t.len());
    starts(&columns.histogram_start_t, columns.histogram_t.len());
    let start_t = |of: &[i64], at: usize| of.get(at).copied().unwrap_or(0);
    let floats = columns.float_t.iter().zip(&columns.float_v).enumerate();
    let floats = floats.map(|(at, (t, v))| (*t, (v.to_bits(), start_t(&columns.float_start_t, at))));
    let sums = columns.histogram_t.iter().zip(&columns.histogram_v).enumerate();
    let sums = sums.map(|(at, (t, h))| (*t, (h.sum.to_bits(), start_t(&columns.histogram_start_t, at))));
    floats.chain(sums).collect()
}

/// How much of a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// All series, in all ways.
    Close,
    /// All series, in one way.
    Whole,
    /// Two series, in one way.
    Glance([usize; 2]),
}

/// What a source holds.
fn read(source: &dyn SeriesSource, look: Look) -> Map {
    let matchers = match look {
        Look::Close | Look::Whole => Vec::new(),
        Look::Glance(two) => {
            let pattern = two.map(name).join("|");
            vec![Matcher::new(MatchOp::Regex, "n", &pattern).unwrap()]
        }
    };
    let mut selection =
        Selection { matchers, min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints: Hints::default() };
    let found = source.select(&selection).unwrap().series;
    selection.hints.newest = true;
    let newest = if look == Look::Close { source.select(&selection).unwrap().series } else { Vec::new() };
    assert!(look != Look::Close || newest.len() == found.len());
    let (mut map, mut columns) = (Map::default(), Columns::default());
    for (at, series) in found.iter().enumerate() {
        series.read(&mut columns).unwrap();
        let samples = samples(&columns);
        assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "order in {}: {samples:?}", series.labels());
        if let Some(newest) = newest.get(at) {
            columns.clear();
            let mut cursor = series.cursor();
            while cursor.next_run(&mut columns).unwrap() {}
            assert_eq!(self::samples(&columns), samples);
            assert_eq!(newest.labels(), series.labels());
            newest.read(&mut columns).unwrap();
            assert_eq!(self::samples(&columns).last(), samples.last());
        }
        let number = series.labels().get("n").and_then(|name| name.strip_prefix('s'));
        map.set(number.unwrap().parse().unwrap(), samples);
    }
    map
}

impl Run {
    fn new(seed: u64, strict: bool) -> Self {
        let disk = SimDisk::new(seed);
        let start_t = seed.is_multiple_of(2);
        let floats = if start_t { FloatEncoding::Xor2 } else { FloatEncoding::Xor };
        let options = options_with(|options| {
            options.limits.metrics.out_of_order_window = WINDOW;
            options.limits.metrics.floats = floats;
            options.metrics.start_t = start_t;
            options.metrics.histogram_start_t = start_t;
            options.metrics.out_of_order_chunk_samples = 5;
            options.metrics.samples_per_chunk = 12;
        });
        let (storage, heard) = open_with(&disk, options);
        Self {
            random: Random::new(seed),
            forms: Random::new(!seed),
            checks: Random::new(seed.rotate_left(32)),
            strict,
            labels: std::array::from_fn(|number| series(&name(number))),
            disk,
            storage: Some(storage),
            heard,
            options,
            now: 100 * HOUR,
            acked: Map::default(),
            synced: Map::default(),
            in_flight: Map::default(),
            deleted: Vec::new(),
            deleted_unsynced: Vec::new(),
            snapshots: Vec::new(),
            log: Vec::new(),
        }
    }

    fn storage(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.reopen(true);
    }

    fn step(&mut self) {
        match self.random.below(43) {
            0..=19 => self.append(),
            20..=22 => self.delete(),
            23..=26 => {
                self.log.push("compact".into());
                self.storage().compact().unwrap();
                self.check();
            }
            27 => {
                self.log.push("clean".into());
                self.storage().clean_tombstones().unwrap();
                self.check();
            }
            28..=29 => self.snapshots.push((self.storage().snapshot(), self.acked.clone())),
            30..=31 => {
                if !self.snapshots.is_empty() {
                    let at = self.random.below(self.snapshots.len() as u64) as usize;
                    let (snapshot, seen) = self.snapshots.remove(at);
                    assert_eq!(
                        read(&*snapshot, Look::Close),
                        seen,
                        "a snapshot changed\n{}",
                        self.log.join("\n")
                    );
                }
            }
            32 => {
                self.log.push("sync".into());
                Store::sync(&*self.storage().metrics, true).unwrap();
                self.durable();
            }
            33 => {
                self.now += HOUR + self.random.below(2 * HOUR as u64) as i64;
            }
            34 => self.full_disk(),
            35 => self.reopen(true),
            36 => self.reopen(false),
            37 => self.crash(),
            38 => self.power_cut(),
            39..=42 => self.replay(),
            _ => self.check(),
        }
    }

    fn durable(&mut self) {
        self.synced = self.acked.clone();
        self.deleted_unsynced.clear();
    }

    /// Appends some commits. What the disk refuses is in flight.
    fn append(&mut self) {
        let commits = 1 + self.random.below(12);
        for _ in 0..commits {
            self.now += self.random.below(4 * MINUTE as u64) as i64 + 1;
            self.append_one();
        }
    }

    fn append_one(&mut self) -> bool {
        self.append_and(|_| {})
    }

    /// Appends one commit, and does something before it ends.
    fn append_and(&mut self, meanwhile: impl FnOnce(&Self)) -> bool {
        let mut added = Map::default();
        let storage = self.storage.as_ref().unwrap();
        let mut appender = storage.appender();
        for n in 0..1 + self.random.below(6) {
            let series = self.random.below(SERIES as u64) as usize;
            // One of them out of order. No time is used twice, and none that was deleted.
            let out_of_order = n > 0 && self.random.one_in(4);
            let t = if out_of_order {
                self.now - self.random.below(WINDOW as u64 - HOUR as u64) as i64
            } else {
                self.now
            };
            let taken = |map: &Map| map.contains(series, t);
            let gone = self.deleted.iter().any(|(of, a, b)| *of == series && (*a..=*b).contains(&t));
            // What is behind another sample of its commit is found to be out of order, and dropped when the disk is
            // full.
            let behind = out_of_order && !added.lacks(series);
            if behind || taken(&self.acked) || taken(&self.in_flight) || taken(&added) || gone {
                continue;
            }
            let n = self.random.below(1000);
            // Start timestamps are given in any case, and get lost where they are not stored.
            let start_t = if self.forms.one_in(2) { t - self.forms.below(HOUR as u64) as i64 } else { 0 };
            let labels = &self.labels[series];
            let (result, bits) = if series == HISTOGRAMS {
                let result = appender.append_histogram(None, labels, t, histogram(n), start_t);
                (result, (n as f64).to_bits())
            } else {
                let v = if self.random.one_in(10) { STALE_NAN } else { n as f64 / 8.0 };
                (appender.append(None, labels, t, v, start_t), v.to_bits())
            };
            if result.is_ok() {
                let start_t = if self.options.metrics.start_t { start_t } else { 0 };
                added.insert(series, t, (bits, start_t));
            }
        }
        let roll_back = self.random.one_in(10);
        meanwhile(self);
        if roll_back {
            appender.rollback();
            return true;
        }
        let committed = appender.commit();
        let ok = committed.is_ok();
        if let Ok(committed) = committed {
            assert_eq!(committed.dropped, 0, "{added:?} now {}\n{}", self.now, self.log.join("\n"));
        }
        let into = if ok { &mut self.acked } else { &mut self.in_flight };
        into.extend(&added);
        ok
    }

    fn delete(&mut self) {
        let series = self.random.below(SERIES as u64) as usize;
        let min_t = self.now - self.random.below(6 * HOUR as u64) as i64;
        let max_t = min_t + self.random.below(2 * HOUR as u64) as i64;
        self.log.push(format!("delete {} {min_t} {max_t}", name(series)));
        self.storage().delete_series(&[Matcher::equal("n", name(series))], min_t, max_t).unwrap();
        self.acked.remove(series, min_t, max_t);
        self.deleted.push((series, min_t, max_t));
        self.deleted_unsynced.push((series, min_t, max_t));
        self.now = self.now.max(max_t) + 1;
        self.check();
    }

    fn full_disk(&mut self) {
        self.log.push("full disk".into());
        self.disk.set_capacity(Some(self.disk.used() + self.random.below(200)));
        for _ in 0..3 {
            self.now += MINUTE;
            self.append_one();
        }
        // What was refused while the disk was full never appears.
        self.in_flight = Map::default();
        let _ = self.storage().compact();
        self.check();
        self.disk.set_capacity(None);
        self.append_one();
        self.in_flight = Map::default();
        self.check();
    }

    fn reopen(&mut self, close: bool) {
        self.log.push(format!("reopen {close}"));
        self.snapshots.clear();
        if let Some(storage) = self.storage.take() {
            if close {
                storage.close().unwrap();
                self.durable();
            } else {
                self.disk.kill();
            }
        }
        self.open();
        let found = self.read_all();
        self.compare("lost", &self.acked.missing_in(&found));
        self.compare("from nowhere", &found.missing_in(&self.acked));
    }

    fn open(&mut self) {
        let (storage, heard) = open_with(&self.disk, self.options);
        self.storage = Some(storage);
        self.log.extend(heard.problems());
        self.heard = heard;
    }

    /// The process ends and starts, and much happens before replay of the log has ended.
    fn replay(&mut self) {
        self.snapshots.clear();
        if let Some(storage) = self.storage.take() {
            match self.random.below(2) {
                0 => {
                    storage.close().unwrap();
                    self.durable();
                }
                _ => self.disk.kill(),
            }
        }
        let segments = self.random.below(8);
        self.log.push(format!("replay, held up after {segments} segments"));
        let (storage, heard) = begin(&self.disk, self.options, Some(segments));
        self.log.extend(heard.problems());
        self.storage = Some(storage);
        self.heard = heard;
        let before = self.acked.clone();
        for _ in 0..self.random.below(8) {
            match self.random.below(6) {
                0..=2 => self.append(),
                3 => {
                    Store::sync(&*self.storage().metrics, true).unwrap();
                    self.durable();
                }
                4 => {
                    let snapshot = self.storage().snapshot();
                    let seen = read(&*snapshot, Look::Whole);
                    self.snapshots.push((snapshot, seen));
                }
                _ => {
                    let refused = self.storage().compact();
                    let is_replaying = matches!(refused, Err(StorageError::Replaying(_)));
                    assert!(is_replaying || self.storage().replay_progress().is_none());
                }
            }
            self.check_part(&before);
        }
        match self.random.below(5) {
            0 => self.crash_in_replay(),
            1 => {
                // Told to end, it does so at once.
                self.snapshots.clear();
                self.heard.release();
                self.storage().close().unwrap();
                self.durable();
                self.log.push("closed in replay".into());
                self.open();
            }
            2 => {
                self.append_and(|run| {
                    run.heard.release();
                    run.storage().wait_replayed().unwrap();
                });
            }
            _ => {
                // The end of replay somewhere among these.
                self.heard.release();
                self.append();
                self.check_part(&before);
                self.append();
                self.storage().wait_replayed().unwrap();
            }
        }
        self.check();
    }

    /// What is there while the log is replayed: all that is new, of what is old nothing that was not.
    fn check_part(&mut self, before: &Map) {
        let (acked, found) = self.read();
        let mut lost = acked.missing_in(&found);
        if !lost.is_empty() {
            let new = acked.missing_in(before);
            lost.retain(|sample| new.contains(sample));
        }
        self.compare("lost in replay", &lost);
        self.compare("from nowhere in replay", &found.missing_in(&acked));
    }

    fn crash_in_replay(&mut self) {
        self.log.push("crash in replay".into());
        self.snapshots.clear();
        self.disk.fail_after(self.random.below(30));
        self.heard.release();
        for _ in 0..self.random.below(20) {
            self.now += MINUTE;
            if !self.append_one() {
                break;
            }
        }
        // What it does until it has ended fails.
        self.disk.fail_after(0);
        self.storage = None;
        self.disk.kill();
        self.reopened_after_crash();
    }

    /// The process dies somewhere in the middle of some work.
    fn crash(&mut self) {
        self.log.push("crash".into());
        self.snapshots.clear();
        let work = self.random.below(3);
        self.disk.fail_after(self.random.below(if work == 0 { 10 } else { 60 }));
        match work {
            0 => {
                for _ in 0..10 {
                    self.now += MINUTE;
                    if !self.append_one() {
                        break;
                    }
                }
            }
            1 => drop(self.storage().compact()),
            _ => drop(self.storage().clean_tombstones()),
        }
        self.disk.kill();
        self.storage = None;
        self.reopened_after_crash();
    }

    fn reopened_after_crash(&mut self) {
        self.open();
        let found = self.read_all();
        let mut most = self.acked.clone();
        most.extend(&std::mem::take(&mut self.in_flight));
        self.compare("lost by a crash", &self.acked.missing_in(&found));
        self.compare("from nowhere after a crash", &found.missing_in(&most));
        self.acked = found;
    }

    fn power_cut(&mut self) {
        self.log.push("power cut".into());
        self.snapshots.clear();
        self.disk.power_cut();
        self.storage = None;
        self.open();
        let found = self.read_all();
        let mut least = std::mem::take(&mut self.synced);
        let mut extra = found.missing_in(&self.acked);
        for (series, min_t, max_t) in std::mem::take(&mut self.deleted_unsynced) {
            least.remove(series, min_t, max_t);
            extra.retain(|&(of, t)| of != series || !(min_t..=max_t).contains(&t));
        }
        self.compare("lost by a power cut", &least.missing_in(&found));
        self.compare("from nowhere after a power cut", &extra);
        self.synced = found.clone();
        self.acked = found;
    }

    /// What must be there and what the store holds, of some of the series or all.
    fn read(&mut self) -> (Map, Map) {
        let look = if self.strict || self.checks.one_in(8) {
            Look::Close
        } else {
            Look::Glance([0; 2].map(|_| self.checks.below(SERIES as u64) as usize))
        };
        let acked = match look {
            Look::Glance(two) => self.acked.only(&two),
            _ => self.acked.clone(),
        };
        (acked, read(&*self.storage().snapshot(), look))
    }

    /// All that the store holds.
    fn read_all(&mut self) -> Map {
        let look = if self.strict || self.checks.one_in(4) { Look::Close } else { Look::Whole };
        read(&*self.storage().snapshot(), look)
    }

    fn check(&mut self) {
        let (acked, found) = self.read();
        self.compare("lost", &acked.missing_in(&found));
        self.compare("from nowhere", &found.missing_in(&acked));
    }

    fn compare(&self, what: &str, samples: &[(usize, i64)]) {
        assert!(samples.is_empty(), "{what}: {samples:?}\n{}", self.log.join("\n"));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A failed run must not wait for ever.
        self.heard.release();
    }
}

/// Runs seeds from `first` to below `end` on some threads until one fails, which is returned.
fn first_failure(first: u64, end: u64, threads: u64) -> Option<u64> {
    let next = AtomicU64::new(first);
    // The seed, and how many threads run.
    let (state, ended) = (Mutex::new((None, threads)), Condvar::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while state.lock().0.is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if catch_unwind(|| Run::new(seed, false).run()).is_err() {
                        state.lock().0 = Some(seed);
                    }
                }
                state.lock().1 -= 1;
                ended.notify_all();
            });
        }
        let mut running = state.lock();
        while running.1 > 0 {
            if ended.wait_for(&mut running, NEWS).timed_out() {
                eprintln!("model test: at seed {} of {end}", next.load(Ordering::Relaxed).min(end));
            }
        }
    });
    state.into_inner().0
}

#[test]
fn agrees_with_a_map() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, runs) = (number("MODEL_SEED", 1), number("MODEL_RUNS", 60));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let Some(seed) = first_failure(first, first + runs, number("MODEL_THREADS", cores)) else { return };
    eprintln!("seed {seed} failed; once more, with all checks after each operation");
    let again = catch_unwind(AssertUnwindSafe(|| Run::new(seed, true).run()));
    let repeats = if again.is_err() { "" } else { ", but not each time" };
    panic!("seed {seed} fails{repeats}: make model RUNS=1 SEED={seed}");
}
