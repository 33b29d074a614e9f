//! Counter resets between two histograms of one series.

use super::bounds::{exponential_bound, index_in, is_exponential};
use super::cells::cells;
use super::custom::{map_onto, shared_bounds};
use super::zero::zero_count_at;
use super::{FloatHistogram, ResetHint, Span};

impl FloatHistogram {
    /// Whether a counter reset lies between `previous` and this histogram. The hint decides when it says so; else any
    /// count that shrank (not the sum) or a populated bucket that vanished is a reset, and so is a change of layout
    /// that only a restart explains: finer resolution, a narrower zero bucket, or one that ends inside a bucket that
    /// was populated.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            // A gauge should not be asked; treat it as the counter that the caller takes it for.
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_buckets() {
            if !previous.has_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.custom_bucket_shrank(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (previous_zero, threshold) = zero_count_at(previous, self.zero_threshold, |count| count);
        if threshold != self.zero_threshold || self.zero_count < previous_zero {
            return true;
        }
        // The zero counts have these. Seen in each histogram's own resolution: a coarser bucket that reaches beyond the
        // zero bucket may hold some of them.
        let covered = |index: i32, schema: i32| {
            is_exponential(schema) && exponential_bound(index, schema) <= self.zero_threshold
        };
        let shrank = |spans: &[Span], buckets: &[f64], previous_spans: &[Span], previous_buckets: &[f64]| {
            // The same layout compares one by one.
            if self.schema == previous.schema
                && spans == previous_spans
                && buckets.len() == previous_buckets.len()
                && spans.first().is_none_or(|s| !covered(s.offset, self.schema))
            {
                return buckets.iter().zip(previous_buckets).any(|(now, before)| now < before);
            }
            let now = cells(spans, buckets).skip_while(|(i, _)| covered(*i, self.schema));
            let before =
                cells(previous_spans, previous_buckets).skip_while(|(i, _)| covered(*i, previous.schema));
            bucket_shrank(now, reduced(before, previous.schema, self.schema))
        };
        shrank(
            &self.positive_spans,
            &self.positive_buckets,
            &previous.positive_spans,
            &previous.positive_buckets,
        ) || shrank(
            &self.negative_spans,
            &self.negative_buckets,
            &previous.negative_spans,
            &previous.negative_buckets,
        )
    }

    fn custom_bucket_shrank(&self, previous: &Self) -> bool {
        let bounds = shared_bounds(&self.custom_values, &previous.custom_values);
        let counts = |h: &Self| {
            let mut counts = vec![0.0; bounds.len() + 1];
            map_onto(&h.positive_spans, &h.positive_buckets, &h.custom_values, &bounds, &mut counts, |n| n);
            counts
        };
        counts(self).iter().zip(counts(previous)).any(|(now, before)| *now < before)
    }
}

/// Cells in a coarser (or the same) schema, merged on the way.
fn reduced(cells: impl Iterator<Item = (i32, f64)>, from: i32, to: i32) -> impl Iterator<Item = (i32, f64)> {
    let index = move |i| if from == to { i } else { index_in(i, from, to) };
    let mut fine = cells.map(move |(i, count)| (index(i), count)).peekable();
    std::iter::from_fn(move || {
        let (at, mut count) = fine.next()?;
        while let Some((_, more)) = fine.next_if(|(i, _)| *i == at) {
            count += more;
        }
        Some((at, count))
    })
}

/// Whether a count is lower than before, or a populated bucket is gone.
fn bucket_shrank(now: impl Iterator<Item = (i32, f64)>, before: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count) in before {
        while now.next_if(|(i, _)| *i < index).is_some() {}
        let shrank = match now.peek() {
            Some((i, current)) if *i == index => *current < count,
            _ => count != 0.0,
        };
        if shrank {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_BUCKETS_SCHEMA;
    use super::*;

    fn exponential(schema: i32, threshold: f64, zero: f64, first: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            zero_threshold: threshold,
            zero_count: zero,
            count: 100.0,
            positive_spans: vec![Span { offset: first, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            negative_spans: vec![Span { offset: first, length: counts.len() as u32 }],
            negative_buckets: counts.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn exponential_histograms() {
        let base = || exponential(1, 0.01, 2.0, 0, &[1.0, 2.0, 3.0]);
        let with = |f: &dyn Fn(&mut FloatHistogram)| {
            let mut h = base();
            f(&mut h);
            h
        };
        for (name, now, before, want) in [
            ("equal", base(), base(), false),
            ("grown", exponential(1, 0.01, 2.0, 0, &[1.0, 2.0, 4.0]), base(), false),
            ("new bucket", exponential(1, 0.01, 2.0, -1, &[9.0, 1.0, 2.0, 3.0]), base(), false),
            ("bucket shrank", exponential(1, 0.01, 2.0, 0, &[1.0, 1.0, 9.0]), base(), true),
            ("bucket gone", exponential(1, 0.01, 2.0, 0, &[1.0, 2.0]), base(), true),
            ("empty bucket gone", base(), exponential(1, 0.01, 2.0, -1, &[0.0, 1.0, 2.0, 3.0]), false),
            ("count shrank", with(&|h| h.count = 99.0), base(), true),
            ("sum shrank", with(&|h| h.sum = -9.0), base(), false),
            ("zero shrank", with(&|h| h.zero_count = 1.0), base(), true),
            ("zero narrower", with(&|h| h.zero_threshold = 0.001), base(), true),
            ("zero wider", with(&|h| h.zero_threshold = 0.02), base(), false),
            ("zero inside populated", with(&|h| h.zero_threshold = 0.9), base(), true),
            // Covers bucket 0 on both sides, which had one observation each.
            ("zero covers", exponential(1, 1.0, 4.0, 1, &[2.0, 3.0]), base(), false),
            ("zero covers, too few", exponential(1, 1.0, 3.0, 1, &[2.0, 3.0]), base(), true),
            ("finer", with(&|h| h.schema = 2), base(), true),
            ("coarser", exponential(0, 0.01, 2.0, 0, &[1.0, 5.0]), base(), false),
            ("coarser, fewer", exponential(0, 0.01, 2.0, 0, &[1.0, 4.0]), base(), true),
            ("hint reset", with(&|h| h.reset_hint = ResetHint::Reset), base(), true),
            (
                "hint none",
                with(&|h| {
                    h.reset_hint = ResetHint::NotReset;
                    h.count = 0.0
                }),
                base(),
                false,
            ),
            ("to custom", with(&|h| h.schema = CUSTOM_BUCKETS_SCHEMA), base(), true),
            ("from custom", base(), with(&|h| h.schema = CUSTOM_BUCKETS_SCHEMA), true),
        ] {
            assert_eq!(now.detect_reset(&before), want, "{name}");
        }
    }

    #[test]
    fn custom_histograms() {
        let custom = |bounds: &[f64], counts: &[f64]| FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            custom_values: bounds.to_vec(),
            ..Default::default()
        };
        let base = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        for (now, want) in [
            (custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]), false),
            (custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 3.0, 4.0]), true),
            (custom(&[1.0, 3.0], &[1.0, 5.0, 4.0]), false),
            (custom(&[1.0, 3.0], &[1.0, 4.0, 4.0]), true),
            (custom(&[0.5, 2.0, 9.0], &[3.0, 0.0, 7.0, 0.0]), false),
            (custom(&[0.5, 2.0, 9.0], &[2.0, 0.0, 7.0, 0.0]), true),
        ] {
            assert_eq!(now.detect_reset(&base), want, "{now:?}");
        }
    }
}
