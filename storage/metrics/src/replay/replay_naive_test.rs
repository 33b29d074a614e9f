//! Any log of floats is replayed as if it were replayed sample by sample.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use model::histogram::Histogram;
use model::sample::STALE_NAN;
use proptest::prelude::*;
use storage_base::fs::SimDisk;
use storage_base::wal::Batch;
use storage_base::wal::writer::{Writer, WriterOptions};

use crate::record::{self, LogRef, RefHistogram, RefSample, RefSeries, RefTombstone};
use crate::testing::{HOUR, Samples, all, open_with, options, series};

/// Numbers that the log uses; the last ones are unknown at first.
const NUMBERS: u64 = 60;
const KNOWN: u64 = 50;
/// Fewer names than numbers: some series have two.
const NAMES: u64 = 45;

#[derive(Clone, Debug)]
enum Step {
    /// A record of a target's series, so much later than its last, `jitter` milliseconds between the samples.
    Scrape { target: usize, later: i64, jitter: i64, start_t: bool, seed: u64 },
    /// A record of some of them.
    Part { target: usize, later: i64, from: usize, len: usize, seed: u64 },
    /// A histogram of a target's series.
    Histogram { target: usize, later: i64, place: usize },
    /// A target shows another series in a place.
    Change { target: usize, place: usize, number: u64 },
    /// A target shows a series more.
    More { target: usize, number: u64 },
    /// A number gets a series, maybe another one.
    Name { number: u64, name: u64 },
    /// A series is dropped.
    Drop { number: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let target = 0usize..4;
    let number = 1..=NUMBERS;
    let later =
        || prop_oneof![12 => Just(15_000i64), 2 => 1i64..40_000, 1 => -40_000i64..1, 1 => Just(2 * HOUR)];
    let scrape = (
        target.clone(),
        later(),
        prop_oneof![9 => Just(0i64), 1 => -3i64..4],
        prop::bool::weighted(0.04),
        any::<u64>(),
    )
        .prop_map(|(target, later, jitter, start_t, seed)| Step::Scrape {
            target,
            later,
            jitter,
            start_t,
            seed,
        });
    let part = (target.clone(), later(), 0usize..20, 1usize..20, any::<u64>())
        .prop_map(|(target, later, from, len, seed)| Step::Part { target, later, from, len, seed });
    let histogram = (target.clone(), later(), 0usize..20)
        .prop_map(|(target, later, place)| Step::Histogram { target, later, place });
    let change = (target.clone(), 0usize..20, number.clone())
        .prop_map(|(target, place, number)| Step::Change { target, place, number });
    let more = (target, number.clone()).prop_map(|(target, number)| Step::More { target, number });
    let name = (number.clone(), 0..NAMES).prop_map(|(number, name)| Step::Name { number, name });
    let drop = number.prop_map(|number| Step::Drop { number });
    let one =
        prop_oneof![60 => scrape, 3 => part, 3 => histogram, 1 => change, 1 => more, 2 => name, 1 => drop];
    prop::collection::vec(one, 1..250)
}

/// Recorded values are of few kinds: they stay, or count, or wobble; some end, and now and then all of a target.
fn value(number: u64, seed: u64) -> f64 {
    if seed.is_multiple_of(10) {
        return STALE_NAN;
    }
    let random =
        (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd134_2543_de82_ef95) >> 40;
    match (number % 4, random % 97) {
        (_, 0) => STALE_NAN,
        (_, 1) => f64::NAN,
        (0 | 1, _) => number as f64,
        (2, _) => (random % 50) as f64,
        _ => random as f64 / 7.0,
    }
}

/// What replay should come to.
#[derive(Default)]
struct Naive {
    names: HashMap<u64, String>,
    /// Floats, and histograms without their value.
    samples: BTreeMap<String, Vec<(i64, Option<u64>)>>,
}

impl Naive {
    fn take(&mut self, number: u64, t: i64, v: Option<f64>) {
        let Some(name) = self.names.get(&number) else { return };
        let samples = self.samples.entry(name.clone()).or_default();
        let last = samples.last().copied();
        if last.is_none_or(|(last, _)| last < t) {
            // A mark that ends a series of histograms becomes one.
            let after_histogram = last.is_some_and(|(_, bits)| bits.is_none());
            samples.push((
                t,
                v.map(f64::to_bits).filter(|bits| !after_histogram || *bits != STALE_NAN.to_bits()),
            ));
        }
    }

    fn floats(self) -> Samples {
        let floats =
            |samples: Vec<(i64, Option<u64>)>| samples.into_iter().filter_map(|(t, v)| Some((t, v?)));
        let series = self.samples.into_iter().filter(|(_, samples)| !samples.is_empty());
        series.map(|(name, samples)| (name, floats(samples).collect())).collect()
    }

    fn forget(&mut self, number: u64) {
        if let Some(name) = self.names.remove(&number) {
            self.samples.remove(&name);
        }
    }
}

/// Writes a log, and says what is in it.
fn write(disk: &SimDisk, targets: Vec<Vec<u64>>, steps: Vec<Step>) -> Samples {
    let disk = Arc::new(disk.clone());
    let options =
        WriterOptions { compression: storage_base::wal::Compression::Snappy, segment_len: 64 << 10 };
    let mut writer = Writer::open(disk, Path::new("wal"), options).unwrap();
    let mut naive = Naive::default();
    let mut log = |put: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        put(&mut batch);
        writer.log(&batch).unwrap();
    };
    let named =
        |number: u64, name: u64| RefSeries { series: LogRef(number), labels: series(&format!("s{name}")) };
    let known: Vec<_> = (1..=KNOWN).map(|number| named(number, number % NAMES)).collect();
    log(&|batch| batch.push(|out| record::put_series(out, &known)));
    naive.names = (1..=KNOWN).map(|number| (number, format!("s{}", number % NAMES))).collect();
    let mut targets: Vec<(i64, Vec<u64>)> = targets.into_iter().map(|numbers| (HOUR, numbers)).collect();
    for step in steps {
        let (samples, start_t) = match step {
            Step::Scrape { target, later, jitter, start_t, seed } => {
                let (t, numbers) = &mut targets[target];
                *t += later;
                let samples = numbers.iter().zip(0..).map(|(number, n)| RefSample {
                    series: LogRef(*number),
                    t: *t + n * jitter,
                    start_t: if start_t { *t - 1 } else { 0 },
                    v: value(*number, seed),
                });
                (samples.collect(), start_t)
            }
            Step::Part { target, later, from, len, seed } => {
                let (t, numbers) = &mut targets[target];
                *t += later;
                let some = numbers.iter().skip(from).take(len);
                let of = |number: &u64| RefSample {
                    series: LogRef(*number),
                    t: *t,
                    start_t: 0,
                    v: value(*number, seed),
                };
                (some.map(of).collect::<Vec<_>>(), false)
            }
            Step::Histogram { target, later, place } => {
                let (t, numbers) = &mut targets[target];
                *t += later;
                let series = LogRef(numbers[place % numbers.len()]);
                let v = Arc::new(Histogram { sum: 1.0, ..Histogram::default() });
                let histogram = RefHistogram { series, t: *t, start_t: 0, v };
                log(&|batch| record::put_histograms(batch, std::slice::from_ref(&histogram), false));
                naive.take(series.0, *t, None);
                continue;
            }
            Step::Change { target, place, number } => {
                let numbers = &mut targets[target].1;
                let place = place % numbers.len();
                numbers[place] = number;
                continue;
            }
            Step::More { target, number } => {
                targets[target].1.push(number);
                continue;
            }
            Step::Name { number, name } => {
                log(&|batch| batch.push(|out| record::put_series(out, &[named(number, name)])));
                naive.names.insert(number, format!("s{name}"));
                continue;
            }
            Step::Drop { number } => {
                let all = RefTombstone { series: LogRef(number), min_t: i64::MIN, max_t: i64::MAX };
                log(&|batch| batch.push(|out| record::put_tombstones(out, &[all])));
                naive.forget(number);
                continue;
            }
        };
        log(&|batch| batch.push(|out| record::put_samples(out, &samples, start_t)));
        samples.iter().for_each(|sample| naive.take(sample.series.0, sample.t, Some(sample.v)));
    }
    naive.floats()
}

/// Targets show series of their own, but for one or two.
fn targets() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let target = |n: u64| {
        let own = (12 * n + 1..=12 * n + 14).collect::<Vec<_>>();
        prop_oneof![4 => Just(own.clone()), 1 => Just(own).prop_shuffle(), 1 => prop::collection::vec(1..=NUMBERS, 11..20)]
    };
    (target(0), target(1), target(2), target(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replay_takes_what_a_look_at_each_sample_takes(targets in targets(), steps in steps()) {
        let disk = SimDisk::new(1);
        let want = write(&disk, targets, steps);
        let (storage, heard) = open_with(&disk, options());
        prop_assert!(heard.problems().iter().all(|problem| problem.contains("unknown")), "{:?}", heard.problems());
        prop_assert_eq!(all(&storage), want);
    }
}
