//! Start timestamps for cumulative series whose target exposes none (`st-synthesis`): counting begins at the first sample
//! that is seen. That sample is not stored, and later ones are reduced by it, until the counter is reset.
//! Source: Prometheus `scrape/st_synthesis.go`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::metadata::MetricType;
use model::{HistogramValue, SampleValue};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What is known of the series of one target, by the hash of their text.
#[derive(Debug)]
pub struct StartSynthesis {
    series: HashMap<u128, Counting>,
    /// Random, so that no target can prepare texts of equal hash.
    seed: u64,
}

/// A cumulative series.
#[derive(Debug)]
struct Counting {
    start_t: i64,
    /// The scrape that last had it.
    seen: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The last value, and the one at which counting began.
    Float { last: f64, from: f64 },
    /// The same; `None` when counting began at nothing.
    Histogram { last: Arc<FloatHistogram>, from: Option<Arc<FloatHistogram>> },
}

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// It is the first, and not stored.
    First,
    /// It is stored with this start timestamp, 0 for none.
    From(i64),
}

impl Default for StartSynthesis {
    fn default() -> Self {
        Self { series: HashMap::new(), seed: RandomState::new().hash_one(0) }
    }
}

impl StartSynthesis {
    fn key(&self, text: &[u8]) -> u128 {
        xxh3_128_with_seed(text, self.seed)
    }

    /// Adjusts the value of a series without start timestamp, sampled at `t` in scrape number `scrape`.
    /// `is_cumulative` is asked about a series that is not known yet.
    pub fn adjust(
        &mut self,
        text: &[u8],
        scrape: u64,
        t: i64,
        value: &mut SampleValue,
        is_cumulative: impl FnOnce() -> bool,
    ) -> Adjusted {
        let key = self.key(text);
        let Some(counting) = self.series.get_mut(&key) else {
            if !is_cumulative() {
                return Adjusted::From(0);
            }
            self.series.insert(key, Counting::begin(t, scrape, value));
            return Adjusted::First;
        };
        counting.seen = scrape;
        counting.adjust(t, value)
    }

    /// The scrape that last had a series which is being adjusted.
    pub fn last_seen(&self, text: &[u8]) -> Option<u64> {
        self.series.get(&self.key(text)).map(|counting| counting.seen)
    }

    /// Forgets a series: it has a start timestamp of its own now, or its sample was refused.
    pub fn forget(&mut self, text: &[u8]) {
        self.series.remove(&self.key(text));
    }

    /// Ends a successful scrape: series that it did not have are forgotten.
    pub fn end(&mut self, scrape: u64) {
        self.series.retain(|_, counting| counting.seen == scrape);
    }
}

impl Counting {
    fn begin(t: i64, scrape: u64, value: &SampleValue) -> Self {
        let kind = match value {
            SampleValue::Float(v) => Kind::Float { last: *v, from: *v },
            SampleValue::Histogram(h) => {
                let h = h.to_float();
                Kind::Histogram { from: Some(h.clone()), last: h }
            }
        };
        Self { start_t: t, seen: scrape, kind }
    }

    fn adjust(&mut self, t: i64, value: &mut SampleValue) -> Adjusted {
        match (&mut self.kind, &mut *value) {
            (Kind::Float { last, from }, SampleValue::Float(v)) => {
                if *v < *last {
                    *from = 0.0;
                    self.start_t = just_before(t);
                }
                *last = *v;
                *v -= *from;
            }
            (Kind::Histogram { last, from }, SampleValue::Histogram(sample)) => {
                let now = sample.to_float();
                let reset = now.detect_reset(last);
                *last = now;
                if reset {
                    *from = None;
                    self.start_t = just_before(t);
                } else if let Some(from) = from {
                    *sample = difference(sample, last, from);
                }
            }
            // A series that was a float and is a histogram now, or the other way round.
            _ => {
                *self = Self::begin(t, self.seen, value);
                return Adjusted::First;
            }
        }
        Adjusted::From(self.start_t)
    }
}

/// A reset lies between two samples: the least risky guess.
fn just_before(t: i64) -> i64 {
    t.saturating_sub(1)
}

/// `now` less what it was, in the form of `sample`.
fn difference(sample: &HistogramValue, now: &FloatHistogram, from: &FloatHistogram) -> HistogramValue {
    let mut less = now.clone();
    // Histograms of schemas that do not go together would have been a reset.
    if less.sub(from).is_err() {
        return sample.clone();
    }
    less.compact(0);
    match sample {
        HistogramValue::Float(_) => HistogramValue::Float(Arc::new(less)),
        HistogramValue::Integer(h) => match less.to_integer() {
            Some(mut less) => {
                less.reset_hint = h.reset_hint;
                HistogramValue::Integer(Arc::new(less))
            }
            // Counts beyond 2^53 lose their units.
            None => sample.clone(),
        },
    }
}

/// Whether a series of this name in a family of this kind counts up from its start.
pub fn is_cumulative(kind: MetricType, name: &str) -> bool {
    match kind {
        MetricType::Counter | MetricType::Histogram => true,
        MetricType::Summary => name.ends_with("_count") || name.ends_with("_sum"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use model::histogram::{Histogram, Span};

    use super::*;

    fn float(starts: &mut StartSynthesis, scrape: u64, v: f64) -> (Adjusted, f64) {
        let mut value = SampleValue::Float(v);
        let adjusted = starts.adjust(b"a", scrape, scrape as i64 * 10, &mut value, || true);
        let SampleValue::Float(v) = value else { panic!("no float") };
        (adjusted, v)
    }

    #[test]
    fn floats_count_from_their_first_sample() {
        let mut starts = StartSynthesis::default();
        assert_eq!(float(&mut starts, 1, 100.0), (Adjusted::First, 100.0));
        assert_eq!(float(&mut starts, 2, 103.0), (Adjusted::From(10), 3.0));
        assert_eq!(float(&mut starts, 3, 103.0), (Adjusted::From(10), 3.0));
        // A reset: counting began anew, a moment ago.
        assert_eq!(float(&mut starts, 4, 5.0), (Adjusted::From(39), 5.0));
        assert_eq!(float(&mut starts, 5, 6.0), (Adjusted::From(39), 6.0));
        starts.end(5);
        assert_eq!(starts.last_seen(b"a"), Some(5));
        starts.end(6);
        assert_eq!(starts.last_seen(b"a"), None);
        assert_eq!(float(&mut starts, 7, 6.0), (Adjusted::First, 6.0));
        starts.forget(b"a");
        let mut gauge = SampleValue::Float(1.0);
        assert_eq!(starts.adjust(b"a", 8, 80, &mut gauge, || false), Adjusted::From(0));
    }

    #[test]
    fn histograms_count_from_their_first_sample() {
        let of = |counts: [i64; 2]| Histogram {
            count: (counts[0] + counts[1]) as u64,
            sum: counts[1] as f64,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![counts[0], counts[1] - counts[0]],
            ..Histogram::default()
        };
        for integer in [true, false] {
            let mut starts = StartSynthesis::default();
            let mut seen = Vec::new();
            for (scrape, counts) in [[1, 5], [1, 7], [4, 8], [0, 2], [1, 2]].into_iter().enumerate() {
                let h = of(counts);
                let mut value = SampleValue::Histogram(match integer {
                    true => HistogramValue::Integer(Arc::new(h)),
                    false => HistogramValue::Float(Arc::new(h.to_float())),
                });
                let adjusted = starts.adjust(b"h", scrape as u64, scrape as i64 * 10, &mut value, || true);
                let SampleValue::Histogram(value) = value else { panic!("no histogram") };
                assert_eq!(matches!(value, HistogramValue::Integer(_)), integer);
                let value = value.to_float();
                seen.push((adjusted, value.count, value.sum, value.positive_buckets.clone()));
            }
            assert_eq!(
                seen,
                [
                    (Adjusted::First, 6.0, 5.0, vec![1.0, 5.0]),
                    (Adjusted::From(0), 2.0, 2.0, vec![2.0]),
                    (Adjusted::From(0), 6.0, 3.0, vec![3.0, 3.0]),
                    (Adjusted::From(29), 2.0, 2.0, vec![0.0, 2.0]),
                    (Adjusted::From(29), 3.0, 2.0, vec![1.0, 2.0]),
                ]
            );
        }
    }

    #[test]
    fn what_counts_up() {
        for (kind, name, want) in [
            (MetricType::Counter, "a_total", true),
            (MetricType::Histogram, "a_bucket", true),
            (MetricType::Summary, "a_sum", true),
            (MetricType::Summary, "a", false),
            (MetricType::Gauge, "a", false),
            (MetricType::GaugeHistogram, "a", false),
        ] {
            assert_eq!(is_cumulative(kind, name), want, "{name}");
        }
    }
}
