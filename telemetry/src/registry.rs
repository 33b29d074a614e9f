//! The components that have figures, and the figures gathered for one reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::metric::{Counter, Gauge, Histogram, Labeled, Summary};

/// Kind of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Quantiles, sum and count.
    Summary,
}

/// The value of one child of a family.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: upper bounds, ascending and ending with +Inf, with cumulative counts.
    Histogram {
        /// Bound and observations at or below it.
        buckets: Vec<(f64, u64)>,
        /// Of all observations.
        sum: f64,
    },
    /// Of a summary.
    Summary {
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
        /// Observations.
        count: u64,
        /// Of all observations.
        sum: f64,
    },
}

/// One child of a family.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// In the order in which they are written.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: Value,
}

/// One line of text exposition.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// Appended to the family's name: ``, `_bucket`, `_sum`, `_count`.
    pub suffix: &'static str,
    /// The child's labels.
    pub labels: &'a [(String, String)],
    /// `le` or `quantile` with its text.
    pub bound: Option<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// Its lines: one for a number, else those of buckets or quantiles, then sum and count.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let line = |suffix, bound, value| Line { suffix, labels: &self.labels, bound, value };
        let bound_text =
            |bound: f64| if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() };
        let mut lines = Vec::new();
        let (count, sum) = match &self.value {
            Value::Number(value) => return vec![line("", None, *value)],
            Value::Histogram { buckets, sum } => {
                lines.extend(
                    buckets.iter().map(|(b, n)| line("_bucket", Some(("le", bound_text(*b))), *n as f64)),
                );
                (buckets.last().map_or(0, |(_, count)| *count), *sum)
            }
            Value::Summary { quantiles, count, sum } => {
                lines.extend(
                    quantiles.iter().map(|(q, value)| line("", Some(("quantile", q.to_string())), *value)),
                );
                (*count, *sum)
            }
        };
        lines.extend([line("_sum", None, sum), line("_count", None, count as f64)]);
        lines
    }
}

/// One family, ready to be written.
#[derive(Debug)]
pub struct Family {
    /// What the number means.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its children.
    pub metrics: Vec<Metric>,
}

impl Family {
    /// The lines of all children.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.metrics.iter().flat_map(Metric::lines)
    }
}

/// Gathers the families of one reading, sorted by name.
#[derive(Debug, Default)]
pub struct Gather {
    families: BTreeMap<&'static str, Family>,
}

impl Gather {
    /// The families, in order of their names.
    pub fn families(&self) -> impl Iterator<Item = (&'static str, &Family)> {
        self.families.iter().map(|(name, family)| (*name, family))
    }

    /// The value of a counter or gauge with these labels, if it was gathered.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is = |metric: &&Metric| {
            metric.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(labels.iter().copied())
        };
        match self.families.get(name)?.metrics.iter().find(is)?.value {
            Value::Number(value) => Some(value),
            Value::Histogram { .. } | Value::Summary { .. } => None,
        }
    }

    /// A family without children yet, so that it shows even when nothing was counted.
    fn family(&mut self, name: &'static str, help: &'static str, kind: Kind) -> &mut Family {
        self.families.entry(name).or_insert(Family { help, kind, metrics: Vec::new() })
    }

    fn child(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&str, &str)],
        value: Value,
    ) {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.family(name, help, kind).metrics.push(Metric { labels, value });
    }

    /// A counter's value; integers are exact up to 2^53.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.child(name, help, Kind::Counter, labels, Value::Number(value));
    }

    /// A gauge's value.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.child(name, help, Kind::Gauge, labels, Value::Number(value));
    }

    /// A histogram's buckets, sum and count.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        h: &Histogram,
    ) {
        let (buckets, sum) = h.snapshot();
        self.child(name, help, Kind::Histogram, labels, Value::Histogram { buckets, sum });
    }

    /// Buckets that somebody else counted, each for itself; one count more than bounds, the last for +Inf.
    pub fn buckets(
        &mut self,
        name: &'static str,
        help: &'static str,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let mut total = 0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let cumulative = bounds.zip(counts).map(|(bound, count)| {
            total += count;
            (bound, total)
        });
        let buckets = cumulative.collect();
        self.child(name, help, Kind::Histogram, &[], Value::Histogram { buckets, sum });
    }

    /// A sum and a count without quantiles.
    pub fn timing(&mut self, name: &'static str, help: &'static str, count: u64, seconds: f64) {
        let value = Value::Summary { quantiles: Vec::new(), count, sum: seconds };
        self.child(name, help, Kind::Summary, &[], value);
    }

    /// A summary's quantiles, sum and count.
    pub fn summary(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], s: &Summary) {
        let (quantiles, count, sum) = s.snapshot();
        self.child(name, help, Kind::Summary, labels, Value::Summary { quantiles, count, sum });
    }

    /// Every child of labelled counters.
    pub fn counters(&mut self, name: &'static str, help: &'static str, children: &Labeled<Counter>) {
        self.family(name, help, Kind::Counter);
        children.for_each(|labels, c| self.counter(name, help, labels, c.get() as f64));
    }

    /// Every child of labelled gauges.
    pub fn gauges(&mut self, name: &'static str, help: &'static str, children: &Labeled<Gauge>) {
        self.family(name, help, Kind::Gauge);
        children.for_each(|labels, g| self.gauge(name, help, labels, g.get()));
    }

    /// Every child of labelled histograms.
    pub fn histograms(&mut self, name: &'static str, help: &'static str, children: &Labeled<Histogram>) {
        self.family(name, help, Kind::Histogram);
        children.for_each(|labels, h| self.histogram(name, help, labels, h));
    }

    /// Every child of labelled summaries.
    pub fn summaries(&mut self, name: &'static str, help: &'static str, children: &Labeled<Summary>) {
        self.family(name, help, Kind::Summary);
        children.for_each(|labels, s| self.summary(name, help, labels, s));
    }
}

/// Something with numbers to show.
pub trait Collect: Send + Sync {
    /// Adds its numbers. Called for every reading of `/metrics`; must be quick and must not block.
    fn collect(&self, out: &mut Gather);
}

/// All that have numbers to show. Cloning shares.
#[derive(Clone, Default)]
pub struct Registry {
    collectors: Arc<Mutex<Vec<Arc<dyn Collect>>>>,
}

impl Registry {
    /// Adds a component for as long as the server lives.
    pub fn register(&self, collector: Arc<dyn Collect>) {
        self.collectors.lock().push(collector);
    }

    /// Asks every component.
    pub fn gather(&self) -> Gather {
        let collectors = self.collectors.lock().clone();
        let mut out = Gather::default();
        for collector in collectors {
            collector.collect(&mut out);
        }
        out
    }
}
