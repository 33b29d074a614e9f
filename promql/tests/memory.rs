//! What a query holds at most, counted by the allocator: its result and one series for each worker, however many
//! samples it reads.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use model::Labels;
use model::read::{Columns, Cursor, ReadError, Selection, Series, SeriesSet, SeriesSource};
use promql::parse::{Features, parse};
use promql::{Engine, EngineOptions, QueryContext};
use query::{QueryValue, RangeTimes};

/// Counts what is allocated.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by definition; this one passes everything on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Samples of one chunk.
const RUN: usize = 120;
const INTERVAL: i64 = 15_000;

/// Counters that are made up when they are read.
struct Counters {
    series: usize,
    samples: usize,
}

struct Counter {
    labels: Labels,
    samples: usize,
}

struct Runs {
    next: usize,
    samples: usize,
}

impl SeriesSource for Counters {
    fn select(&self, _: &Selection) -> Result<SeriesSet, ReadError> {
        let counter = |i: usize| -> Box<dyn Series> {
            let i = format!("{i:06}");
            Box::new(Counter {
                labels: Labels::from_pairs([("__name__", "x"), ("i", &i)]),
                samples: self.samples,
            })
        };
        Ok(SeriesSet { series: (0..self.series).map(counter).collect(), warnings: Vec::new() })
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

impl Series for Counter {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(Runs { next: 0, samples: self.samples })
    }
}

impl Cursor for Runs {
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError> {
        let run = self.next..self.samples.min(self.next + RUN);
        for n in run.clone() {
            out.push_float(n as i64 * INTERVAL, n as f64, 0);
        }
        self.next = run.end;
        Ok(!run.is_empty())
    }
}

/// Bytes that a query held at most beyond the selected series, and how many series it gave.
fn peak(query: &str, counters: &Counters) -> (usize, usize) {
    let expr = parse(query, &Features::ALL).unwrap();
    let cancel = AtomicBool::new(false);
    let context = QueryContext::unbounded(&cancel, &|| Duration::ZERO);
    let end = counters.samples as i64 * INTERVAL;
    let times = RangeTimes { start: end / 50, end, step: end / 50 };
    let engine = Engine::new(EngineOptions { max_samples: usize::MAX, ..EngineOptions::default() });
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = engine.range(&expr, counters, times, &context).unwrap();
    let peak = PEAK.load(Relaxed) - before;
    let QueryValue::Matrix(series) = result.value else { unreachable!("a range query") };
    (peak, series.len())
}

/// One test: the counts are of the whole process.
#[test]
fn a_query_holds_its_result_and_a_series_for_each_worker() {
    // What a series takes that is selected, its labels included.
    const SELECTED: usize = 400;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    // The threads' own.
    peak("sum(rate(x[5m]))", &Counters { series: 64, samples: 500 });

    for (series, samples) in [(100, 2_000), (100, 8_000), (800, 2_000)] {
        let counters = Counters { series, samples };
        let read = series * samples * 16;
        let one = 2 * samples * 16;
        let (held, groups) = peak("sum(rate(x[5m]))", &counters);
        let bound = workers * 2 * one + series * SELECTED + (512 << 10);
        assert_eq!(groups, 1);
        assert!(held < bound, "{held} bytes for {read} bytes of samples, at most {bound} expected");
        assert!(bound < read, "a bound of {bound} tells nothing about {read}");

        // A result of every series, and not of every sample.
        let (held, rows) = peak("rate(x[5m])", &counters);
        assert_eq!(rows, series);
        let bound = bound + 2 * series * 50 * 8;
        assert!(held < bound, "{held} bytes for {read} bytes of samples, at most {bound} expected");
    }
}
