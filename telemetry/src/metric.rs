//! The kinds of numbers a component keeps. All are updated without locks but [`Summary`] and new [`Labeled`] children.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

/// A float that threads may change together.
#[derive(Default)]
struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, v: f64) {
        self.0.store(v.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, v: f64) {
        let add = |bits| Some((f64::from_bits(bits) + v).to_bits());
        // The closure never gives None, so the update always succeeds.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicF64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, v: f64) {
        self.0.set(v);
    }

    /// Adds, or with a negative number subtracts.
    pub fn add(&self, v: f64) {
        self.0.add(v);
    }

    /// The value now.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A whole number that goes up and down; changing it is as cheap as counting.
#[derive(Debug, Default)]
pub struct IntGauge(AtomicI64);

impl IntGauge {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Adds, or with a negative number subtracts.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    #[inline]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Observations counted in fixed buckets.
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than `bounds`: the last is +Inf.
    buckets: Box<[AtomicU64]>,
    sum: AtomicF64,
}

impl Histogram {
    /// `bounds` are inclusive upper bounds, ascending, without +Inf.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicF64::default(),
        }
    }

    /// Counts one observation.
    pub fn observe(&self, v: f64) {
        let at = self.bounds.partition_point(|bound| *bound < v);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.add(v);
    }

    /// Upper bound and cumulative count of every bucket, +Inf last; and the sum.
    pub fn snapshot(&self) -> (Vec<(f64, u64)>, f64) {
        let mut total = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds
            .zip(self.buckets.iter())
            .map(|(bound, count)| {
                total += count.load(Ordering::Relaxed);
                (bound, total)
            })
            .collect();
        (buckets, self.sum.get())
    }
}

const SUMMARY_AGE: Duration = Duration::from_secs(600);
const SUMMARY_SLOTS: usize = 5;
const SUMMARY_SLOT_CAP: usize = 500;

/// Count, sum, and quantiles over the last ten minutes, as the Go client's summaries have them. Memory is bounded:
/// of more than 500 observations in two minutes the quantiles see every 2nd, 4th, 8th.
pub struct Summary {
    quantiles: &'static [f64],
    state: Mutex<SummaryState>,
}

struct SummaryState {
    count: u64,
    sum: f64,
    slots: [Slot; SUMMARY_SLOTS],
    current: usize,
    current_since: Instant,
}

#[derive(Clone)]
struct Slot {
    values: Vec<f64>,
    stride: u64,
    seen: u64,
}

impl Default for Slot {
    fn default() -> Self {
        Self { values: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Summary {
    /// A summary that reports these quantiles, each between 0 and 1.
    pub fn new(quantiles: &'static [f64]) -> Self {
        Self {
            quantiles,
            state: Mutex::new(SummaryState {
                count: 0,
                sum: 0.0,
                slots: Default::default(),
                current: 0,
                current_since: Instant::now(),
            }),
        }
    }

    /// Counts one observation.
    pub fn observe(&self, v: f64) {
        let mut state = self.state.lock();
        state.rotate();
        state.count += 1;
        state.sum += v;
        if self.quantiles.is_empty() {
            return;
        }
        let current = state.current;
        let slot = &mut state.slots[current];
        if slot.seen.is_multiple_of(slot.stride) {
            if slot.values.len() == SUMMARY_SLOT_CAP {
                let mut keep = false;
                slot.values.retain(|_| {
                    keep = !keep;
                    keep
                });
                slot.stride *= 2;
            }
            slot.values.push(v);
        }
        slot.seen += 1;
    }

    /// Quantile and value (NaN without observations) pairs, count and sum.
    pub fn snapshot(&self) -> (Vec<(f64, f64)>, u64, f64) {
        let mut state = self.state.lock();
        state.rotate();
        let mut weighted: Vec<(f64, u64)> =
            state.slots.iter().flat_map(|s| s.values.iter().map(|v| (*v, s.stride))).collect();
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
        let quantiles =
            self.quantiles.iter().map(|q| (*q, weighted_quantile(&weighted, total, *q))).collect();
        (quantiles, state.count, state.sum)
    }
}

/// A summary without quantiles: sum and count.
impl Default for Summary {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl SummaryState {
    fn rotate(&mut self) {
        let slot_age = SUMMARY_AGE / SUMMARY_SLOTS as u32;
        let mut passed = 0;
        while self.current_since.elapsed() >= slot_age && passed < SUMMARY_SLOTS {
            self.current = (self.current + 1) % SUMMARY_SLOTS;
            self.slots[self.current] = Slot::default();
            self.current_since += slot_age;
            passed += 1;
        }
        if passed == SUMMARY_SLOTS {
            self.current_since = Instant::now();
        }
    }
}

fn weighted_quantile(sorted: &[(f64, u64)], total: u64, q: f64) -> f64 {
    let rank = (q * total as f64).ceil() as u64;
    let mut seen = 0;
    for (v, weight) in sorted {
        seen += weight;
        if seen >= rank {
            return *v;
        }
    }
    f64::NAN
}

/// Numbers of one kind told apart by label values.
pub struct Labeled<T> {
    names: &'static [&'static str],
    make: Box<dyn Fn() -> T + Send + Sync>,
    children: RwLock<BTreeMap<Vec<String>, Arc<T>>>,
}

impl<T> Labeled<T> {
    /// `names` are the label names; `make` makes a new child.
    pub fn new(names: &'static [&'static str], make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { names, make: Box::new(make), children: RwLock::default() }
    }

    /// The child with these label values, one for each name, made when it is new. Keep the `Arc` on hot paths.
    pub fn with(&self, values: &[&str]) -> Arc<T> {
        debug_assert_eq!(values.len(), self.names.len());
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        if let Some(child) = self.children.read().get(&key) {
            return child.clone();
        }
        self.children.write().entry(key).or_insert_with(|| Arc::new((self.make)())).clone()
    }

    /// Forgets a child.
    pub fn remove(&self, values: &[&str]) {
        self.children.write().retain(|key, _| !key.iter().map(String::as_str).eq(values.iter().copied()));
    }

    /// Forgets the children whose values `keep` refuses.
    pub fn retain(&self, mut keep: impl FnMut(&[String]) -> bool) {
        self.children.write().retain(|key, _| keep(key));
    }

    /// Calls `each` with the labels and the number of every child, in order of label values.
    pub fn for_each(&self, mut each: impl FnMut(&[(&str, &str)], &T)) {
        for (values, child) in self.children.read().iter() {
            let labels: Vec<(&str, &str)> =
                self.names.iter().copied().zip(values.iter().map(String::as_str)).collect();
            each(&labels, child);
        }
    }
}

impl<T: Default + 'static> Labeled<T> {
    /// Children that start from their default.
    pub fn of(names: &'static [&'static str]) -> Self {
        Self::new(names, T::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_buckets_are_inclusive_and_cumulative() {
        let h = Histogram::new(&[1.0, 2.0]);
        for v in [0.5, 1.0, 1.5, 2.0, 9.0] {
            h.observe(v);
        }
        assert_eq!(h.snapshot(), (vec![(1.0, 2), (2.0, 4), (f64::INFINITY, 5)], 14.0));
    }

    #[test]
    fn summary_quantiles_stay_close_when_thinned() {
        let s = Summary::new(&[0.5, 0.99]);
        assert!(s.snapshot().0.iter().all(|(_, v)| v.is_nan()));
        for i in 1..=10_000 {
            s.observe(f64::from(i));
        }
        let (quantiles, count, sum) = s.snapshot();
        assert_eq!((count, sum), (10_000, 50_005_000.0));
        assert!((quantiles[0].1 - 5_000.0).abs() < 200.0, "{quantiles:?}");
        assert!((quantiles[1].1 - 9_900.0).abs() < 200.0, "{quantiles:?}");
    }

    #[test]
    fn labeled_children_come_and_go() {
        let l: Labeled<Counter> = Labeled::of(&["a"]);
        l.with(&["x"]).add(2);
        l.with(&["y"]).inc();
        l.with(&["x"]).inc();
        l.remove(&["y"]);
        let mut seen = Vec::new();
        l.for_each(|labels, c| seen.push((labels[0].1.to_owned(), c.get())));
        assert_eq!(seen, [("x".to_owned(), 3)]);
    }
}
