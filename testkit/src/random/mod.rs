//! Random data and random valid queries over it, for tests that compare two evaluators. The same seed gives the same
//! data and queries on every machine.
//!
//! A [`Vocabulary`] names the metrics; [`data::series`] makes samples for them, [`Queries`] asks about them.

pub mod data;
mod queries;

pub use queries::{Dialect, Queries};

/// A source of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The bias is far below what tests could see.
        let bound = (bound as u64).max(1);
        (self.number() % bound) as usize
    }

    /// True `percent` times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A float in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of some items, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// What a metric's samples are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Floats that grow and sometimes begin anew.
    Counter,
    /// Floats of any size, with NaN and infinities among them.
    Gauge,
    /// The buckets of a classic histogram; the label `le` is added.
    Buckets,
    /// Native histograms.
    Native,
    /// Native histograms with custom bounds, which change now and then.
    Custom,
    /// Native histograms and floats in turns.
    Mixed,
}

/// A metric and the labels of its series: one series for each combination of values.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its samples are like.
    pub kind: MetricKind,
    /// Label names, each with its values; an empty value leaves the label out.
    pub labels: &'static [(&'static str, &'static [&'static str])],
}

/// The metrics that data and queries are about.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// At least one metric of each kind.
    pub metrics: Vec<Metric>,
}

impl Default for Vocabulary {
    /// A few metrics whose labels meet in part.
    fn default() -> Self {
        let metric = |name, kind, labels| Metric { name, kind, labels };
        Self {
            metrics: vec![
                metric(
                    "requests_total",
                    MetricKind::Counter,
                    &[("job", &["api", "web"]), ("instance", &["1", "2", "3"])],
                ),
                metric(
                    "errors_total",
                    MetricKind::Counter,
                    &[("job", &["api", "db"]), ("instance", &["1", "2"])],
                ),
                metric(
                    "temperature",
                    MetricKind::Gauge,
                    &[("job", &["api", "web"]), ("zone", &["", "eu", "us"])],
                ),
                metric("weight", MetricKind::Gauge, &[("job", &["api", "web", "db"])]),
                metric("duration_bucket", MetricKind::Buckets, &[("job", &["api", "web"])]),
                metric("size", MetricKind::Custom, &[("job", &["api", "db"])]),
                metric("migrated", MetricKind::Mixed, &[("job", &["web", "db"])]),
                metric("latency", MetricKind::Native, &[("job", &["api", "web"]), ("instance", &["1", "2"])]),
            ],
        }
    }
}
