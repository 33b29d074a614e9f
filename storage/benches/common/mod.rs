//! What the benches share: recorded samples, CPU time as criterion's measure, stores in temporary directories.
//!
//! `BENCH_RECORDING`: a recording to use instead of the small one beside this file, which comes from one idle
//! node_exporter. CPU time is that of the whole process: a benched store does its work on one thread.
#![allow(dead_code, reason = "no bench uses all of it")]
#![allow(clippy::expect_used, clippy::panic, reason = "a bench that cannot run should say so and end")]

#[path = "../../../benches/peers/recording.rs"]
pub mod recording;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use model::Labels;
use model::append::{Appendable, SeriesRef};
use model::time::Clock;
use recording::Scrapes;
use rustix::time::{ClockId, clock_gettime};
use storage::fs::RealDisk;
use storage::observer::Silent;
use storage::{Options, Storage};

/// Milliseconds between two scrapes.
pub const INTERVAL: i64 = 15_000;
/// The first scrape's time: the start of a block.
pub const START: i64 = 1_800_000_000_000 / 7_200_000 * 7_200_000;

/// The recording to use.
pub fn recording() -> Scrapes {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/common/node.rec.gz");
    recording::read(&std::env::var("BENCH_RECORDING").unwrap_or_else(|_| own.to_owned()))
}

/// CPU time of the process.
pub struct CpuTime;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu()
    }

    fn end(&self, start: Duration) -> Duration {
        cpu().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Criterion with CPU time.
pub fn criterion() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).configure_from_args()
}

struct Manual(AtomicI64);

impl Clock for Manual {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store without background work.
pub fn open(dir: &Path) -> Storage {
    let options = Options { background: false, ..Options::default() };
    let clock = Arc::new(Manual(AtomicI64::new(START)));
    let storage =
        Storage::open(Arc::new(RealDisk::new(dir)), clock, options, Arc::new(Silent)).expect("a store");
    storage.wait_replayed().expect("a sound log");
    storage
}

/// Label sets with ten labels, `count` of them, as many hosts show them.
pub fn label_sets(scrapes: &Scrapes, count: usize) -> Vec<Labels> {
    label_sets_from(scrapes, 0, count)
}

/// As [`label_sets`], without the first `from`.
pub fn label_sets_from(scrapes: &Scrapes, from: usize, count: usize) -> Vec<Labels> {
    let series = scrapes.series();
    (from..from + count).map(|i| Labels::from_pairs(scrapes.ten_labels(i % series, i / series))).collect()
}

/// A writer of recorded samples, series by series and round by round.
pub struct Feed<'a> {
    scrapes: &'a Scrapes,
    labels: Vec<Labels>,
    refs: Vec<Option<SeriesRef>>,
    next: usize,
    step: usize,
}

impl<'a> Feed<'a> {
    /// Number of series.
    pub fn new(scrapes: &'a Scrapes, series: usize) -> Self {
        let labels = label_sets(scrapes, series);
        Self { scrapes, refs: vec![None; labels.len()], labels, next: 0, step: 0 }
    }

    /// Which round of samples is next.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Appends and commits the next `count` samples, at most to the end of a round; gaps hold the last value.
    pub fn append(&mut self, storage: &Storage, count: usize) -> usize {
        let t = START + self.step as i64 * INTERVAL;
        let end = (self.next + count).min(self.labels.len());
        let mut appender = storage.appender();
        for i in self.next..end {
            let per_host = self.scrapes.series();
            let v = self.scrapes.at(i / per_host, self.step)[i % per_host].unwrap_or(0.0);
            let appended = appender.append(self.refs[i], &self.labels[i], t, v, 0);
            self.refs[i] = Some(appended.unwrap_or_else(|e| panic!("{}: {e}", self.labels[i])));
        }
        appender.commit().expect("a commit");
        let done = end - self.next;
        self.next = end;
        if end == self.labels.len() {
            self.next = 0;
            self.step += 1;
        }
        done
    }

    /// Appends whole rounds until `step` is next.
    pub fn run_to(&mut self, storage: &Storage, step: usize) {
        while self.step < step {
            self.append(storage, 1000);
        }
    }
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
