//! Addition and subtraction, with schemas, zero buckets and custom bounds brought together first.

use super::bounds::{exponential_bound, index_in};
use super::cells::{Count, Side, cells};
use super::custom::{map_onto, shared_bounds};
use super::zero::reconcile_zero_buckets;
use super::{FloatHistogram, HistogramOf, ResetHint, Span};

/// One histogram has exponential buckets, the other custom ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchemas;

/// What a query should tell its user about an addition or subtraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One histogram was marked as following a reset, the other as not following one.
    pub reset_hint_collision: bool,
    /// Custom bounds differed; the result has the bounds that both had.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds another histogram. Different resolutions meet at the lower one, different zero thresholds at the first that
    /// cuts no populated bucket of either, different custom bounds at those that both have. Buckets may be left
    /// empty; see [`Self::compact`]. Nothing changes on error.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        let combined = combine(self, other, |count| count)?;
        self.sum += other.sum;
        Ok(combined)
    }

    /// Subtracts another histogram; otherwise as [`Self::add`]. PromQL's `-` must also make the result a gauge.
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        let combined = combine(self, other, |count: f64| -count)?;
        self.sum -= other.sum;
        Ok(combined)
    }
}

/// Merges all counts of `other`, each passed through `convert`, into `h`; leaves the sum to the caller.
pub(super) fn combine<T: Count>(
    h: &mut HistogramOf<T, T>,
    other: &FloatHistogram,
    convert: impl Fn(f64) -> T + Copy,
) -> Result<Combined, IncompatibleSchemas> {
    if h.has_custom_buckets() != other.has_custom_buckets() {
        return Err(IncompatibleSchemas);
    }
    let (hint, reset_hint_collision) = combined_hint(h.reset_hint, other.reset_hint);
    h.reset_hint = hint;
    h.count.merge(convert(other.count));
    let bounds_reconciled = if h.has_custom_buckets() {
        combine_custom(h, other, convert)
    } else {
        combine_exponential(h, other, convert);
        false
    };
    Ok(Combined { reset_hint_collision, bounds_reconciled })
}

/// A gauge stays a gauge; otherwise what is not known of either is not known of both. The second says that the hints
/// contradict each other.
fn combined_hint(a: ResetHint, b: ResetHint) -> (ResetHint, bool) {
    match (a, b) {
        (a, b) if a == b => (a, false),
        (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => (ResetHint::Gauge, false),
        (ResetHint::Unknown, _) | (_, ResetHint::Unknown) => (ResetHint::Unknown, false),
        _ => (ResetHint::Unknown, true),
    }
}

/// Whether the bounds had to be reconciled.
fn combine_custom<T: Count>(
    h: &mut HistogramOf<T, T>,
    other: &FloatHistogram,
    convert: impl Fn(f64) -> T + Copy,
) -> bool {
    if h.custom_values == other.custom_values {
        let side = SideRef { spans: &other.positive_spans, buckets: &other.positive_buckets };
        merge_side(&mut h.positive_spans, &mut h.positive_buckets, side, convert, |_| false);
        return false;
    }
    let bounds = shared_bounds(&h.custom_values, &other.custom_values);
    let mut counts = vec![T::default(); bounds.len() + 1];
    map_onto(&h.positive_spans, &h.positive_buckets, &h.custom_values, &bounds, &mut counts, |n| n);
    map_onto(
        &other.positive_spans,
        &other.positive_buckets,
        &other.custom_values,
        &bounds,
        &mut counts,
        convert,
    );
    let populated = (0..).zip(counts).filter(|(_, count)| !count.is_empty());
    Side::collect(populated, bounds.len() + 1).store(&mut h.positive_spans, &mut h.positive_buckets);
    h.custom_values = bounds;
    true
}

fn combine_exponential<T: Count>(
    h: &mut HistogramOf<T, T>,
    other: &FloatHistogram,
    convert: impl Fn(f64) -> T + Copy,
) {
    let other_zero = reconcile_zero_buckets(h, other, convert);
    h.zero_count.merge(other_zero);
    if other.schema < h.schema {
        h.reduce_to(other.schema);
    }
    let (schema, threshold) = (h.schema, h.zero_threshold);
    // The zero count has these already. Seen in the other's own resolution: a coarser bucket that reaches beyond the
    // zero bucket may hold some of them.
    let in_zero_bucket = |index| exponential_bound(index, other.schema) <= threshold;
    for (spans, buckets, other_spans, other_buckets) in [
        (&mut h.positive_spans, &mut h.positive_buckets, &other.positive_spans, &other.positive_buckets),
        (&mut h.negative_spans, &mut h.negative_buckets, &other.negative_spans, &other.negative_buckets),
    ] {
        if other.schema == schema {
            let side = SideRef { spans: other_spans, buckets: other_buckets };
            merge_side(spans, buckets, side, convert, in_zero_bucket);
        } else {
            let outside = cells(other_spans, other_buckets).skip_while(|(index, _)| in_zero_bucket(*index));
            let reduced =
                outside.map(|(index, count)| (index_in(index, other.schema, schema), convert(count)));
            let reduced = Side::collect(reduced, other_buckets.len());
            let side = SideRef { spans: &reduced.spans, buckets: &reduced.buckets };
            merge_side(spans, buckets, side, |count| count, |_| false);
        }
    }
}

struct SideRef<'a, B> {
    spans: &'a [Span],
    buckets: &'a [B],
}

/// Merges the cells of `other` into a side, except its first ones for as long as `skip` wants.
fn merge_side<T: Count, B: Copy>(
    spans: &mut Vec<Span>,
    buckets: &mut Vec<T>,
    other: SideRef<'_, B>,
    convert: impl Fn(B) -> T,
    skip: impl Fn(i32) -> bool,
) {
    if other.buckets.is_empty() {
        return;
    }
    let starts_inside = other.spans.first().is_some_and(|span| skip(span.offset));
    if !starts_inside && *spans == other.spans && buckets.len() == other.buckets.len() {
        for (count, other) in buckets.iter_mut().zip(other.buckets) {
            count.merge(convert(*other));
        }
        return;
    }
    let mut side = Side::with_capacity(buckets.len() + other.buckets.len());
    let mut ours = cells(spans, buckets).peekable();
    for (index, count) in cells(other.spans, other.buckets).skip_while(|(index, _)| skip(*index)) {
        while let Some((before, count)) = ours.next_if(|(ours, _)| *ours <= index) {
            side.push(before, count);
        }
        side.push_or_merge(index, convert(count));
    }
    for (index, count) in ours {
        side.push(index, count);
    }
    side.store(spans, buckets);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::bounds::bound;
    use super::super::kahan::KahanHistogram;
    use super::super::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
    use super::*;

    /// A histogram as a table: side and index to count.
    #[derive(Clone, Debug, PartialEq)]
    struct Naive {
        schema: i32,
        threshold: f64,
        zero: f64,
        count: f64,
        sum: f64,
        cells: BTreeMap<(bool, i32), f64>,
    }

    impl Naive {
        fn of(h: &FloatHistogram) -> Self {
            let side = |positive, spans, buckets| {
                cells(spans, buckets).map(move |(i, n): (i32, f64)| ((positive, i), n))
            };
            let mut all: BTreeMap<_, _> = side(true, &h.positive_spans, &h.positive_buckets).collect();
            all.extend(side(false, &h.negative_spans, &h.negative_buckets));
            all.retain(|_, n| *n != 0.0);
            Self {
                schema: h.schema,
                threshold: h.zero_threshold,
                zero: h.zero_count,
                count: h.count,
                sum: h.sum,
                cells: all,
            }
        }

        /// The first threshold from `threshold` on that lies inside no populated bucket, or the one it has.
        fn widened(&self, mut threshold: f64) -> f64 {
            while threshold > self.threshold
                && let Some(((_, i), _)) = self.cells.iter().find(|((_, i), _)| {
                    exponential_bound(i - 1, self.schema) < threshold
                        && threshold < exponential_bound(*i, self.schema)
                })
            {
                threshold = exponential_bound(*i, self.schema);
            }
            threshold
        }

        fn at(&self, threshold: f64, schema: i32) -> Self {
            let mut out = Self { threshold, schema, cells: BTreeMap::new(), ..self.clone() };
            for ((positive, i), n) in &self.cells {
                if exponential_bound(*i, self.schema) <= threshold {
                    out.zero += n;
                } else {
                    *out.cells.entry((*positive, index_in(*i, self.schema, schema))).or_default() += n;
                }
            }
            out
        }

        fn combine(&self, other: &Self, sign: f64) -> Self {
            let mut threshold = self.threshold.max(other.threshold);
            loop {
                let wider = other.widened(self.widened(threshold));
                if wider == threshold {
                    break;
                }
                threshold = wider;
            }
            let schema = self.schema.min(other.schema);
            let mut out = self.at(threshold, schema);
            let other = other.at(threshold, schema);
            out.zero += sign * other.zero;
            out.count += sign * other.count;
            out.sum += sign * other.sum;
            for (key, n) in other.cells {
                *out.cells.entry(key).or_default() += sign * n;
            }
            out.cells.retain(|_, n| *n != 0.0);
            out
        }
    }

    fn side() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
        let span = (0i32..4, 0u32..4).prop_map(|(offset, length)| Span { offset, length });
        (-6i32..3, prop::collection::vec(span, 0..4), prop::collection::vec(0u8..4, 12)).prop_map(
            |(first, mut spans, counts)| {
                if let Some(span) = spans.first_mut() {
                    span.offset = first;
                }
                let len: u32 = spans.iter().map(|s| s.length).sum();
                (spans, counts[..len as usize].iter().map(|n| f64::from(*n)).collect())
            },
        )
    }

    fn exponential() -> impl Strategy<Value = FloatHistogram> {
        let thresholds = prop::sample::select(vec![0.0f64, 1e-128, 0.001, 0.1, 0.25, 0.5, 0.7, 1.0, 3.0]);
        let schemas = EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX;
        (schemas, thresholds, 0u8..9, 0u8..9, -9i8..9, side(), side()).prop_map(
            |(schema, zero_threshold, zero, count, sum, positive, negative)| {
                // A bucket below the zero bucket's edge cannot be, so the threshold gives way.
                let lowest = positive.0.iter().chain(&negative.0).map(|s| s.offset).min();
                let edge = lowest.map_or(f64::MAX, |i| exponential_bound(i, schema));
                FloatHistogram {
                    schema,
                    zero_threshold: zero_threshold.min(edge / 1.5),
                    zero_count: zero.into(),
                    count: count.into(),
                    sum: sum.into(),
                    positive_spans: positive.0,
                    positive_buckets: positive.1,
                    negative_spans: negative.0,
                    negative_buckets: negative.1,
                    ..Default::default()
                }
            },
        )
    }

    fn custom() -> impl Strategy<Value = FloatHistogram> {
        let bounds = prop::sample::subsequence(vec![-1.0, 0.0, 0.5, 2.0, 8.0, 64.0], 0..6);
        (bounds, prop::collection::vec(0u8..5, 7), 0u8..9).prop_map(|(custom_values, counts, count)| {
            let n = custom_values.len() + 1;
            FloatHistogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count: count.into(),
                positive_spans: vec![Span { offset: 0, length: n as u32 }],
                positive_buckets: counts[..n].iter().map(|n| f64::from(*n)).collect(),
                custom_values,
                ..Default::default()
            }
        })
    }

    proptest! {
        #[test]
        fn exponential_sums_agree_with_tables(a in exponential(), b in exponential()) {
            let naive = (Naive::of(&a), Naive::of(&b));
            let mut sum = a.clone();
            prop_assert_eq!(sum.add(&b), Ok(Combined::default()));
            prop_assert_eq!(Naive::of(&sum), naive.0.combine(&naive.1, 1.0));
            prop_assert_eq!(super::super::validate::check_spans(&sum.positive_spans, sum.positive_buckets.len()), Ok(()));
            let mut difference = a.clone();
            prop_assert_eq!(difference.sub(&b), Ok(Combined::default()));
            prop_assert_eq!(Naive::of(&difference), naive.0.combine(&naive.1, -1.0));
            let mut kahan = KahanHistogram::new(&a);
            prop_assert_eq!(kahan.add(&b), Ok(Combined::default()));
            prop_assert_eq!(Naive::of(&kahan.finish()), Naive::of(&sum));
            let before = Naive::of(&sum);
            let mut compact = sum.clone();
            compact.compact(0);
            prop_assert!(compact.positive_buckets.iter().chain(&compact.negative_buckets).all(|n| *n != 0.0));
            prop_assert_eq!(Naive::of(&compact), before.clone());
            compact.compact(2);
            prop_assert_eq!(Naive::of(&compact), before);
        }

        #[test]
        fn custom_sums_agree_with_tables(a in custom(), b in custom()) {
            // Cumulative counts at each bound, which is what reconciliation must not change.
            let below = |h: &FloatHistogram, at: f64| -> f64 {
                cells(&h.positive_spans, &h.positive_buckets)
                    .filter(|(i, _)| bound(*i, h.schema, &h.custom_values) <= at)
                    .map(|(_, n): (i32, f64)| n)
                    .sum()
            };
            let mut sum = a.clone();
            let combined = sum.add(&b).unwrap();
            prop_assert_eq!(combined.bounds_reconciled, a.custom_values != b.custom_values);
            let shared: Vec<f64> = a.custom_values.iter().copied().filter(|v| b.custom_values.contains(v)).collect();
            prop_assert_eq!(&sum.custom_values, &shared);
            for at in shared.into_iter().chain([f64::INFINITY]) {
                prop_assert_eq!(below(&sum, at), below(&a, at) + below(&b, at));
            }
        }
    }

    #[test]
    fn hints() {
        use ResetHint::*;
        for (a, b, want) in [
            (Unknown, Unknown, (Unknown, false)),
            (Reset, Reset, (Reset, false)),
            (Reset, NotReset, (Unknown, true)),
            (NotReset, Reset, (Unknown, true)),
            (Gauge, Reset, (Gauge, false)),
            (NotReset, Gauge, (Gauge, false)),
            (Unknown, NotReset, (Unknown, false)),
            (Reset, Unknown, (Unknown, false)),
        ] {
            assert_eq!(combined_hint(a, b), want, "{a:?} {b:?}");
        }
    }

    #[test]
    fn mixed_schemas_and_wild_thresholds() {
        let custom = FloatHistogram { schema: CUSTOM_BUCKETS_SCHEMA, ..Default::default() };
        let mut h = FloatHistogram::default();
        assert_eq!(h.add(&custom), Err(IncompatibleSchemas));
        assert_eq!(h.add(&FloatHistogram { zero_threshold: f64::NAN, ..h.clone() }), Ok(Combined::default()));
    }
}
