//! The newest exemplars of all series, in one ring: a new one takes the place of the oldest arrival.
//! Source of the rules: Prometheus `tsdb/exemplar.go`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};

use model::append::AppendError;
use model::sample::Exemplar;
use model::{Labels, Matcher};
use telemetry::{Collect, Counter, Gather, figures};

/// The most characters that names and values of an exemplar's labels have together. Source: OpenMetrics 1.0.
const LABEL_CHARS_MAX: usize = 128;

/// Which exemplars: of series that match any of the matcher sets, within bounds.
#[derive(Clone, Debug)]
pub struct ExemplarQuery {
    /// A series is chosen when all matchers of one set match it.
    pub matchers: Vec<Vec<Matcher>>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
}

/// One series' exemplars, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// The ring.
#[derive(Debug, Default)]
pub struct ExemplarRing {
    capacity: usize,
    /// How much older than its series' newest an exemplar may be, in milliseconds.
    window: i64,
    /// The series of each exemplar kept, in order of arrival; the first has number `first`.
    arrivals: VecDeque<Labels>,
    first: u64,
    series: HashMap<Labels, Vec<Kept>>,
    figures: ExemplarFigures,
}

/// An exemplar and the number of its arrival. Those of a series ascend in time.
#[derive(Debug)]
struct Kept {
    arrival: u64,
    exemplar: Exemplar,
}

figures! {
    /// What the ring counts.
    #[derive(Debug)]
    struct ExemplarFigures {
        appended: Counter = "prometheus_tsdb_exemplar_exemplars_appended_total", "Total number of appended exemplars.";
        out_of_order: Counter = "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
            "Total number of out of order exemplar ingestion failed attempts.";
    }
}

impl ExemplarRing {
    /// A ring for this many exemplars.
    pub fn new(capacity: usize, window: i64) -> Self {
        Self { capacity, window, ..Self::default() }
    }

    /// Changes capacity and window; the oldest arrivals go when there are too many.
    pub fn set_limits(&mut self, capacity: usize, window: i64) {
        self.capacity = capacity;
        self.window = window;
        while self.arrivals.len() > capacity {
            self.drop_oldest();
        }
    }

    /// Whether an exemplar would be taken.
    pub fn check(&self, labels: &Labels, exemplar: &Exemplar) -> Result<(), AppendError> {
        if self.capacity == 0 {
            return Err(AppendError::ExemplarsDisabled);
        }
        let chars: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > LABEL_CHARS_MAX {
            return Err(AppendError::ExemplarTooLong);
        }
        let Some(newest) = self.series.get(labels).and_then(|kept| kept.last()) else { return Ok(()) };
        let newest = &newest.exemplar;
        if exemplar.repeats(newest) {
            return Err(AppendError::ExemplarDuplicate);
        }
        let (t, newest_t) = (exemplar.time(), newest.time());
        // At one time, value and labels order exemplars, so that duplicates are found without a search.
        let order = t
            .cmp(&newest_t)
            .then(exemplar.v.partial_cmp(&newest.v).unwrap_or(Ordering::Equal))
            .then_with(|| exemplar.labels.cmp(&newest.labels));
        match order {
            Ordering::Equal => Err(AppendError::ExemplarDuplicate),
            Ordering::Less if t == newest_t || t <= newest_t.saturating_sub(self.window) => {
                Err(AppendError::ExemplarOutOfOrder)
            }
            _ => Ok(()),
        }
    }

    /// Takes an exemplar; refuses it as [`ExemplarRing::check`] says.
    pub fn add(&mut self, labels: &Labels, exemplar: Exemplar) -> Result<(), AppendError> {
        self.check(labels, &exemplar).inspect_err(|e| {
            if *e == AppendError::ExemplarOutOfOrder {
                self.figures.out_of_order.inc();
            }
        })?;
        let t = exemplar.time();
        if let Some(kept) = self.series.get(labels)
            && kept.last().is_some_and(|newest| t < newest.exemplar.time())
            && kept.binary_search_by_key(&t, |kept| kept.exemplar.time()).is_ok()
        {
            // An out-of-order one at a time that is taken counts as a duplicate.
            return Err(AppendError::ExemplarDuplicate);
        }
        if self.arrivals.len() >= self.capacity {
            self.drop_oldest();
        }
        let arrival = self.first + self.arrivals.len() as u64;
        self.arrivals.push_back(labels.clone());
        let kept = self.series.entry(labels.clone()).or_default();
        let at = kept.partition_point(|kept| kept.exemplar.time() <= t);
        kept.insert(at, Kept { arrival, exemplar });
        self.figures.appended.inc();
        Ok(())
    }

    fn drop_oldest(&mut self) {
        let Some(labels) = self.arrivals.pop_front() else { return };
        if let Some(kept) = self.series.get_mut(&labels) {
            kept.retain(|kept| kept.arrival != self.first);
            if kept.is_empty() {
                self.series.remove(&labels);
            }
        }
        self.first += 1;
    }

    /// Exemplars that answer a query, series in label order.
    pub fn select(&self, query: &ExemplarQuery) -> Vec<SeriesExemplars> {
        let mut found: Vec<_> = self
            .series
            .iter()
            .filter(|(labels, _)| {
                query.matchers.iter().any(|set| set.iter().all(|matcher| matcher.matches_labels(labels)))
            })
            .filter_map(|(labels, kept)| {
                let exemplars: Vec<_> = kept
                    .iter()
                    .map(|kept| &kept.exemplar)
                    .filter(|exemplar| (query.min_t..=query.max_t).contains(&exemplar.time()))
                    .cloned()
                    .collect();
                (!exemplars.is_empty()).then(|| SeriesExemplars { labels: labels.clone(), exemplars })
            })
            .collect();
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// Time of the oldest arrival; 0 without one.
    fn oldest_t(&self) -> i64 {
        let oldest = self.arrivals.front().and_then(|labels| {
            let kept = self.series.get(labels)?;
            kept.iter().find(|kept| kept.arrival == self.first).map(|kept| kept.exemplar.time())
        });
        oldest.unwrap_or(0)
    }
}

impl Collect for ExemplarRing {
    fn collect(&self, out: &mut Gather) {
        self.figures.collect(out);
        let mut gauge =
            |name: &'static str, help: &'static str, value: f64| out.gauge(name, help, &[], value);
        gauge(
            "prometheus_tsdb_exemplar_exemplars_in_storage",
            "Number of exemplars currently in circular storage.",
            self.arrivals.len() as f64,
        );
        gauge(
            "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
            "Number of series with exemplars currently in circular storage.",
            self.series.len() as f64,
        );
        gauge(
            "prometheus_tsdb_exemplar_max_exemplars",
            "Total number of exemplars the exemplar storage can store, resizeable.",
            self.capacity as f64,
        );
        gauge(
            "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
            "The timestamp of the oldest exemplar stored in circular storage.",
            self.oldest_t() as f64 / 1000.0,
        );
    }
}

/// What two rings have, the second newer; what both have, once.
pub(crate) fn merge(older: Vec<SeriesExemplars>, newer: Vec<SeriesExemplars>) -> Vec<SeriesExemplars> {
    let mut merged: BTreeMap<Labels, Vec<Exemplar>> =
        older.into_iter().map(|series| (series.labels, series.exemplars)).collect();
    for SeriesExemplars { labels, exemplars } in newer {
        let all = merged.entry(labels).or_default();
        for exemplar in exemplars {
            // The log does not say whether a time was the exemplar's own.
            let same = |other: &Exemplar| other.time() == exemplar.time() && exemplar.repeats(other);
            if !all.iter().any(same) {
                all.push(exemplar);
            }
        }
        all.sort_by_key(Exemplar::time);
    }
    merged.into_iter().map(|(labels, exemplars)| SeriesExemplars { labels, exemplars }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::figure;

    fn series(n: u8) -> Labels {
        Labels::from_pairs([("s", n.to_string())])
    }

    fn exemplar(t: i64, v: f64) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", format!("{t}"))]), v, t: Some(t), sample_t: t }
    }

    fn times(ring: &ExemplarRing, n: u8) -> Vec<i64> {
        let matchers = vec![vec![Matcher::equal("s", n.to_string())]];
        let found = ring.select(&ExemplarQuery { matchers, min_t: 0, max_t: 1000 });
        found.iter().flat_map(|found| found.exemplars.iter().map(Exemplar::time)).collect()
    }

    #[test]
    fn the_oldest_arrival_makes_room() {
        let mut ring = ExemplarRing::new(3, 0);
        for t in [10, 20, 30] {
            ring.add(&series(0), exemplar(t, 1.0)).unwrap();
        }
        ring.add(&series(1), exemplar(5, 1.0)).unwrap();
        assert_eq!((times(&ring, 0), times(&ring, 1)), (vec![20, 30], vec![5]));
        ring.set_limits(1, 0);
        assert_eq!((times(&ring, 0), times(&ring, 1)), (vec![], vec![5]));
        let figure = |name: &str| figure(&ring, &format!("prometheus_tsdb_exemplar_{name}"));
        let names = [
            "exemplars_appended_total",
            "out_of_order_exemplars_total",
            "exemplars_in_storage",
            "series_with_exemplars_in_storage",
            "max_exemplars",
            "last_exemplars_timestamp_seconds",
        ];
        assert_eq!(names.map(figure), [4.0, 0.0, 1.0, 1.0, 1.0, 0.005]);
        ring.set_limits(0, 0);
        assert_eq!(ring.add(&series(1), exemplar(6, 1.0)), Err(AppendError::ExemplarsDisabled));
    }

    #[test]
    fn refusals() {
        let mut ring = ExemplarRing::new(10, 15);
        ring.add(&series(0), exemplar(100, 2.0)).unwrap();
        assert_eq!(ring.add(&series(0), exemplar(100, 2.0)), Err(AppendError::ExemplarDuplicate));
        assert_eq!(ring.add(&series(0), exemplar(100, 1.0)), Err(AppendError::ExemplarOutOfOrder));
        assert_eq!(ring.add(&series(0), exemplar(85, 2.0)), Err(AppendError::ExemplarOutOfOrder));
        ring.add(&series(0), exemplar(100, 3.0)).unwrap();
        ring.add(&series(0), exemplar(86, 2.0)).unwrap();
        assert_eq!(ring.add(&series(0), exemplar(86, 7.0)), Err(AppendError::ExemplarDuplicate));
        assert_eq!(times(&ring, 0), [86, 100, 100]);
        let long = Exemplar {
            labels: Labels::from_pairs([("n", "é".repeat(128))]),
            v: 1.0,
            t: Some(200),
            sample_t: 0,
        };
        assert_eq!(ring.add(&series(0), long), Err(AppendError::ExemplarTooLong));
        assert_eq!(ring.figures.out_of_order.get(), 2);
    }

    #[test]
    fn an_exemplar_without_timestamp_is_kept_once_while_it_is_shown() {
        let mut ring = ExemplarRing::new(10, 0);
        let shown = |sample_t, v| Exemplar { t: None, sample_t, ..exemplar(7, v) };
        ring.add(&series(0), shown(100, 1.0)).unwrap();
        assert_eq!(ring.add(&series(0), shown(110, 1.0)), Err(AppendError::ExemplarDuplicate));
        ring.add(&series(0), shown(120, 2.0)).unwrap();
        // Another came between: it is new again.
        ring.add(&series(0), shown(130, 1.0)).unwrap();
        // One with a timestamp is told apart by it.
        ring.add(&series(0), exemplar(140, 1.0)).unwrap();
        ring.add(&series(0), exemplar(150, 1.0)).unwrap();
        assert_eq!(times(&ring, 0), [100, 120, 130, 140, 150]);
    }
}
