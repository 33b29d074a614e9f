//! Random operations and crashes against a plain map.
//!
//! A run takes a seed: it drives a store on a simulated disk and keeps beside it what was acknowledged. After each
//! operation that could disturb anything, the store must hold exactly that. Crashes may take or leave what was not
//! acknowledged; power cuts also what was not synced.
//!
//! `MODEL_RUNS` sets how many seeds are run, `MODEL_SEED` the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::append::{Appendable, HistogramSample};
use model::histogram::{Histogram, Span};
use model::read::{Columns, Hints, Selection, SeriesSource};
use model::sample::STALE_NAN;
use model::{Labels, Matcher};

use crate::fs::SimDisk;
use crate::tests::{HOUR, Heard, MINUTE, begin, open_with, options};
use crate::{FloatEncoding, Limits, Options, Storage, StorageError};

/// How late samples may be.
const WINDOW: i64 = 3 * HOUR;

/// What is stored of a sample: the bits of its value, of a histogram's sum, and its start timestamp.
type Stored = (u64, i64);

/// What is stored of each series.
type Map = BTreeMap<String, BTreeMap<i64, Stored>>;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n` - 1.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

struct Run {
    random: Random,
    /// What encodings and start timestamps are drawn from.
    forms: Random,
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
    /// Deleted times of each series; nothing late is put there.
    deleted: Vec<(String, i64, i64)>,
    /// Deleted since the last sync: a power cut may bring them back.
    deleted_unsynced: Vec<(String, i64, i64)>,
    snapshots: Vec<(Arc<dyn SeriesSource>, Map)>,
    log: Vec<String>,
}

fn histogram(n: u64) -> HistogramSample {
    let buckets = 1 + n % 3;
    HistogramSample::Integer(Arc::new(Histogram {
        schema: 0,
        count: buckets * (n + 1),
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: buckets as u32 }],
        positive_buckets: (0..buckets).map(|b| if b == 0 { n as i64 + 1 } else { 0 }).collect(),
        ..Histogram::default()
    }))
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", name)])
}

/// Times and contents of all samples, floats before histograms.
fn samples(columns: &Columns) -> Vec<(i64, Stored)> {
    let starts = |of: &[i64], len: usize| {
        assert!(of.is_empty() || of.len() == len);
        of.iter().copied().chain(std::iter::repeat(0)).take(len).collect::<Vec<_>>()
    };
    let floats = columns.float_v.iter().map(|v| v.to_bits());
    let floats = floats.zip(starts(&columns.float_start_t, columns.float_t.len()));
    let sums = columns.histogram_v.iter().map(|h| h.sum.to_bits());
    let sums = sums.zip(starts(&columns.histogram_start_t, columns.histogram_t.len()));
    columns.float_t.iter().copied().zip(floats).chain(columns.histogram_t.iter().copied().zip(sums)).collect()
}

fn read(source: &dyn SeriesSource) -> Map {
    let selection = Selection {
        matchers: Vec::new(),
        min_t: i64::MIN,
        max_t: i64::MAX,
        limit: 0,
        hints: Hints::default(),
    };
    let newest = Selection { hints: Hints { newest: true, ..Hints::default() }, ..selection.clone() };
    let newest = source.select(&newest).unwrap().series;
    let mut map = Map::new();
    for (series, newest) in source.select(&selection).unwrap().series.into_iter().zip(newest) {
        let (mut columns, mut cursor) = (Columns::default(), series.cursor());
        while cursor.next_run(&mut columns).unwrap() {}
        let samples = samples(&columns);
        // The shorter ways give the same.
        series.read(&mut columns).unwrap();
        assert_eq!(self::samples(&columns), samples);
        newest.read(&mut columns).unwrap();
        assert_eq!(self::samples(&columns).into_iter().max(), samples.iter().copied().max());
        let count = samples.len();
        let samples: BTreeMap<_, _> = samples.into_iter().collect();
        assert_eq!(samples.len(), count, "a time twice in {}", series.labels());
        if !samples.is_empty() {
            map.insert(series.labels().get("n").unwrap().to_owned(), samples);
        }
    }
    map
}

/// Samples of `a` that `b` lacks, or has otherwise.
fn missing(a: &Map, b: &Map) -> Vec<(String, i64)> {
    let lacks =
        |name: &String, t: &i64, v: &Stored| b.get(name).and_then(|samples| samples.get(t)) != Some(v);
    a.iter()
        .flat_map(|(name, samples)| samples.iter().map(move |(t, v)| (name, t, v)))
        .filter(|(name, t, v)| lacks(name, t, v))
        .map(|(name, t, _)| (name.clone(), *t))
        .collect()
}

fn remove(map: &mut Map, name: &str, min_t: i64, max_t: i64) {
    if let Some(samples) = map.get_mut(name) {
        samples.retain(|t, _| !(min_t..=max_t).contains(t));
        if samples.is_empty() {
            map.remove(name);
        }
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let start_t = seed.is_multiple_of(2);
        let floats = if start_t { FloatEncoding::Xor2 } else { FloatEncoding::Xor };
        let options = Options {
            limits: Limits { out_of_order_window: WINDOW, floats, ..Limits::default() },
            start_t,
            histogram_start_t: start_t,
            late_chunk_samples: 5,
            samples_per_chunk: 12,
            ..options()
        };
        let (storage, heard) = open_with(&disk, options.clone());
        Self {
            random: Random(seed),
            forms: Random(!seed),
            disk,
            storage: Some(storage),
            heard,
            options,
            now: 100 * HOUR,
            acked: Map::new(),
            synced: Map::new(),
            in_flight: Map::new(),
            deleted: Vec::new(),
            deleted_unsynced: Vec::new(),
            snapshots: Vec::new(),
            log: Vec::new(),
        }
    }

    fn storage(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
        }
        self.reopen(true);
        self.check();
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
                    assert_eq!(read(&*snapshot), seen, "a snapshot changed\n{}", self.log.join("\n"));
                }
            }
            32 => {
                self.log.push("sync".into());
                self.storage().metrics.sync(true).unwrap();
                self.durable();
            }
            33 => {
                self.now += HOUR + self.random.below(2 * HOUR as u64) as i64;
            }
            34 => self.full_disk(),
            35 => {
                self.reopen(true);
                self.check();
            }
            36 => {
                self.reopen(false);
                self.check();
            }
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
        let mut added = Map::new();
        let storage = self.storage.as_ref().unwrap();
        let mut appender = storage.appender();
        for n in 0..1 + self.random.below(6) {
            let name = format!("s{}", self.random.below(8));
            // One of them late. No time is used twice, and none that was deleted.
            let late = n > 0 && self.random.one_in(4);
            let t = if late {
                self.now - self.random.below(WINDOW as u64 - HOUR as u64) as i64
            } else {
                self.now
            };
            let taken = |map: &Map| map.get(&name).is_some_and(|samples| samples.contains_key(&t));
            let gone = self.deleted.iter().any(|(of, a, b)| *of == name && (*a..=*b).contains(&t));
            // What is behind another sample of its commit is found late, and dropped when the disk is full.
            let behind = late && added.contains_key(&name);
            if behind || taken(&self.acked) || taken(&self.in_flight) || taken(&added) || gone {
                continue;
            }
            let n = self.random.below(1000);
            // Start timestamps are given in any case, and get lost where they are not stored.
            let start_t = if self.forms.one_in(2) { t - self.forms.below(HOUR as u64) as i64 } else { 0 };
            let (result, bits) = if name == "s7" {
                let result = appender.append_histogram(None, &labels(&name), t, histogram(n), start_t);
                (result, (n as f64).to_bits())
            } else {
                let v = if self.random.one_in(10) { STALE_NAN } else { n as f64 / 8.0 };
                (appender.append(None, &labels(&name), t, v, start_t), v.to_bits())
            };
            if result.is_ok() {
                let start_t = if self.options.start_t { start_t } else { 0 };
                added.entry(name).or_default().insert(t, (bits, start_t));
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
        for (name, samples) in added {
            into.entry(name).or_default().extend(samples);
        }
        ok
    }

    fn delete(&mut self) {
        let name = format!("s{}", self.random.below(8));
        let min_t = self.now - self.random.below(6 * HOUR as u64) as i64;
        let max_t = min_t + self.random.below(2 * HOUR as u64) as i64;
        self.log.push(format!("delete {name} {min_t} {max_t}"));
        self.storage().delete_series(&[Matcher::equal("n", &name)], min_t, max_t).unwrap();
        remove(&mut self.acked, &name, min_t, max_t);
        self.deleted.push((name.clone(), min_t, max_t));
        self.deleted_unsynced.push((name, min_t, max_t));
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
        self.in_flight.clear();
        let _ = self.storage().compact();
        self.check();
        self.disk.set_capacity(None);
        self.append_one();
        self.in_flight.clear();
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
    }

    fn open(&mut self) {
        let (storage, heard) = open_with(&self.disk, self.options.clone());
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
        let (storage, heard) = begin(&self.disk, self.options.clone(), Some(segments));
        self.log.extend(heard.problems());
        self.storage = Some(storage);
        self.heard = heard;
        let before = self.acked.clone();
        for _ in 0..self.random.below(8) {
            match self.random.below(6) {
                0..=2 => self.append(),
                3 => {
                    self.storage().metrics.sync(true).unwrap();
                    self.durable();
                }
                4 => {
                    let snapshot = self.storage().snapshot();
                    let seen = read(&*snapshot);
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
        let found = read(&*self.storage().snapshot());
        let new: Vec<_> = missing(&self.acked, before);
        let lost = missing(&self.acked, &found).into_iter().filter(|sample| new.contains(sample));
        self.compare("lost in replay", lost.collect());
        self.compare("from nowhere in replay", missing(&found, &self.acked));
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
        let found = read(&*self.storage().snapshot());
        let mut most = self.acked.clone();
        for (name, samples) in std::mem::take(&mut self.in_flight) {
            most.entry(name).or_default().extend(samples);
        }
        self.compare("lost by a crash", missing(&self.acked, &found));
        self.compare("from nowhere after a crash", missing(&found, &most));
        self.acked = found;
    }

    fn power_cut(&mut self) {
        self.log.push("power cut".into());
        self.snapshots.clear();
        self.disk.power_cut();
        self.storage = None;
        self.open();
        let found = read(&*self.storage().snapshot());
        let (mut least, most) = (self.synced.clone(), self.acked.clone());
        let mut extra = missing(&found, &most);
        for (name, min_t, max_t) in std::mem::take(&mut self.deleted_unsynced) {
            remove(&mut least, &name, min_t, max_t);
            extra.retain(|(of, t)| *of != name || !(min_t..=max_t).contains(t));
        }
        self.compare("lost by a power cut", missing(&least, &found));
        self.compare("from nowhere after a power cut", extra);
        self.acked = found;
        self.synced = self.acked.clone();
    }

    fn check(&mut self) {
        let found = read(&*self.storage().snapshot());
        self.compare("lost", missing(&self.acked, &found));
        self.compare("from nowhere", missing(&found, &self.acked));
    }

    fn compare(&self, what: &str, samples: Vec<(String, i64)>) {
        assert!(samples.is_empty(), "{what}: {samples:?}\n{}", self.log.join("\n"));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A failed run must not wait for ever.
        self.heard.release();
    }
}

#[test]
fn agrees_with_a_map() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, runs) = (number("MODEL_SEED", 1), number("MODEL_RUNS", 60));
    for seed in first..first + runs {
        let run = std::panic::catch_unwind(|| Run::new(seed).run(60));
        assert!(run.is_ok(), "failed with MODEL_SEED={seed} MODEL_RUNS=1");
    }
}
