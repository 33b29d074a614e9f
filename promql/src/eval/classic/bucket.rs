//! The buckets of one classic histogram at one step: quantiles and shares of what was observed.
//! Source: Prometheus `promql/quantile.go`.

use model::parse_float::parse_float;

use crate::annotations::MonotonicityFix;

/// A cumulative bucket of a classic histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// Its upper bound, inclusive.
    pub(super) upper: f64,
    /// Observations up to there.
    pub(super) count: f64,
}

/// A bound as Go's `ParseFloat` reads it.
pub(super) fn parse_bound(text: &str) -> Option<f64> {
    parse_float(text).ok()
}

/// The `q`-quantile, linear within a bucket. NaN without observations, without a bucket up to +Inf, or with that one
/// alone; the highest finite bound for what lies above it.
pub(super) fn bucket_quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<MonotonicityFix>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return (f64::NAN, None);
    }
    let fix = make_monotonic(buckets);
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, fix);
    }
    let mut rank = q * observations;
    // As Go's search does it: a NaN count or rank is never reached.
    let at =
        buckets[..last].partition_point(|bucket| bucket.count.partial_cmp(&rank).is_none_or(|o| o.is_lt()));
    let Bucket { upper, mut count } = buckets[at];
    let v = if at == last {
        buckets[last - 1].upper
    } else if at == 0 && upper <= 0.0 {
        upper
    } else {
        let mut start = 0.0;
        if at > 0 {
            start = buckets[at - 1].upper;
            count -= buckets[at - 1].count;
            rank -= buckets[at - 1].count;
        }
        start + (upper - start) * (rank / count)
    };
    (v, fix)
}

/// The share of observations between two values.
pub(super) fn bucket_fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets[buckets.len() - 1];
    if last.upper != f64::INFINITY || last.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let count = last.count;
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    let mut start = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets {
        let within = |v: f64| {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (v - start) / (bucket.upper - start)
            }
        };
        for (found, v) in [(&mut lower_rank, lower), (&mut upper_rank, upper)] {
            if found.is_none() && start >= v {
                *found = Some(rank);
            } else if found.is_none() && start < v && bucket.upper > v {
                *found = Some(within(v));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    let bounded = |rank: Option<f64>| rank.map_or(count, |rank| if rank > count { count } else { rank });
    (bounded(upper_rank) - bounded(lower_rank)) / count
}

/// Raises counts that are less than the one before. Differences that are mere rounding are evened out without a note.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<MonotonicityFix> {
    let mut fix: Option<MonotonicityFix> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let fix = fix.get_or_insert(MonotonicityFix {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            fix.min_bucket = fix.min_bucket.min(bucket.upper);
            fix.max_bucket = fix.max_bucket.max(bucket.upper);
            fix.max_diff = fix.max_diff.max(before - count);
        } else {
            before = count;
        }
    }
    fix
}

/// Equal up to a relative difference of 1e-12. Source: Prometheus `util/almost`.
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_of_buckets() {
        let plain = [(0.1, 10.0), (0.5, 30.0), (INF, 40.0)];
        for (q, pairs, want) in [
            (0.75, &plain[..], 0.5),
            (0.25, &plain[..], 0.1),
            (0.99, &plain[..], 0.5),
            (-0.1, &plain[..], f64::NEG_INFINITY),
            (1.1, &plain[..], INF),
            (0.5, &[(-1.0, 10.0), (INF, 10.0)][..], -1.0),
        ] {
            assert_eq!(bucket_quantile(q, &mut buckets(pairs)).0, want, "{q}");
        }
        for pairs in [&[(0.1, 10.0)][..], &[(INF, 10.0)], &[(0.1, 0.0), (INF, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(pairs)).0.is_nan());
        }
    }

    #[test]
    fn counts_are_made_monotonic() {
        let mut all = buckets(&[(1.0, 10.0), (2.0, 8.0), (3.0, 10.000_000_000_001), (4.0, 9.0), (INF, 12.0)]);
        let fix = make_monotonic(&mut all).unwrap();
        assert_eq!(all.iter().map(|b| b.count).collect::<Vec<_>>(), [10.0, 10.0, 10.0, 10.0, 12.0]);
        assert_eq!((fix.min_bucket, fix.max_bucket, fix.max_diff), (2.0, 4.0, 2.0));
        assert_eq!(make_monotonic(&mut all), None);
    }

    #[test]
    fn fractions_of_buckets() {
        let plain = buckets(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)]);
        for (lower, upper, want) in
            [(0.0, 1.0, 0.25), (0.5, 1.5, 0.375), (2.0, INF, 0.25), (-INF, INF, 1.0), (3.0, 2.0, 0.0)]
        {
            assert_eq!(bucket_fraction(lower, upper, &plain), want, "{lower} {upper}");
        }
        assert!(bucket_fraction(0.0, 1.0, &buckets(&[(1.0, 10.0)])).is_nan());
    }

    #[test]
    fn bounds_as_go_reads_them() {
        assert_eq!(parse_bound("+Inf"), Some(INF));
        assert_eq!(parse_bound("1e-3"), Some(0.001));
        assert_eq!((parse_bound(""), parse_bound("x"), parse_bound("1 ")), (None, None, None));
    }
}
