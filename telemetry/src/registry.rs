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

/// One line of exposition.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// Appended to the family's name: ``, `_bucket`, `_sum`, `_count`.
    pub suffix: &'static str,
    /// In the order in which they are written.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// One family, ready to be written.
#[derive(Debug)]
pub struct Family {
    /// What the number means.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its lines.
    pub lines: Vec<Line>,
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
        let is = |line: &&Line| {
            line.suffix.is_empty()
                && line.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(labels.iter().copied())
        };
        self.families.get(name)?.lines.iter().find(is).map(|line| line.value)
    }

    /// A family without lines yet, so that it shows even when nothing was counted.
    fn family(&mut self, name: &'static str, help: &'static str, kind: Kind) -> &mut Family {
        self.families.entry(name).or_insert(Family { help, kind, lines: Vec::new() })
    }

    fn line(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.family(name, help, kind).lines.push(Line { suffix: "", labels: owned(labels), value });
    }

    /// A counter's value; integers are exact up to 2^53.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.line(name, help, Kind::Counter, labels, value);
    }

    /// A gauge's value.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.line(name, help, Kind::Gauge, labels, value);
    }

    /// A histogram's buckets, sum and count.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        h: &Histogram,
    ) {
        let family = self.family(name, help, Kind::Histogram);
        let (buckets, sum) = h.snapshot();
        let count = buckets.last().map_or(0, |(_, count)| *count);
        for (bound, count) in buckets {
            let mut labels = owned(labels);
            let bound = if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() };
            labels.push(("le".to_owned(), bound));
            family.lines.push(Line { suffix: "_bucket", labels, value: count as f64 });
        }
        family.lines.push(Line { suffix: "_sum", labels: owned(labels), value: sum });
        family.lines.push(Line { suffix: "_count", labels: owned(labels), value: count as f64 });
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
        let family = self.family(name, help, Kind::Histogram);
        let mut total = 0;
        for (bound, count) in bounds.iter().copied().chain([f64::INFINITY]).zip(counts) {
            total += count;
            let bound = if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() };
            let labels = vec![("le".to_owned(), bound)];
            family.lines.push(Line { suffix: "_bucket", labels, value: total as f64 });
        }
        family.lines.push(Line { suffix: "_sum", labels: Vec::new(), value: sum });
        family.lines.push(Line { suffix: "_count", labels: Vec::new(), value: total as f64 });
    }

    /// A sum and a count without quantiles.
    pub fn timing(&mut self, name: &'static str, help: &'static str, count: u64, seconds: f64) {
        let family = self.family(name, help, Kind::Summary);
        family.lines.push(Line { suffix: "_sum", labels: Vec::new(), value: seconds });
        family.lines.push(Line { suffix: "_count", labels: Vec::new(), value: count as f64 });
    }

    /// A summary's quantiles, sum and count.
    pub fn summary(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], s: &Summary) {
        let family = self.family(name, help, Kind::Summary);
        let (quantiles, count, sum) = s.snapshot();
        for (q, value) in quantiles {
            let mut labels = owned(labels);
            labels.push(("quantile".to_owned(), q.to_string()));
            family.lines.push(Line { suffix: "", labels, value });
        }
        family.lines.push(Line { suffix: "_sum", labels: owned(labels), value: sum });
        family.lines.push(Line { suffix: "_count", labels: owned(labels), value: count as f64 });
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

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
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
