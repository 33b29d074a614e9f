//! Native histograms in queries: sums and means of many, with their notes to the user.

use std::sync::Arc;

use model::histogram::{FloatHistogram, IncompatibleSchemas, KahanHistogram, ResetHint};

use super::row::SharedHistogram;
use crate::annotations::{Annotations, HistogramOp};
use crate::ast::Pos;

/// The histogram with nothing said about resets, unless it is a gauge.
pub(crate) fn without_reset_hint(h: SharedHistogram) -> SharedHistogram {
    match h.reset_hint {
        ResetHint::Reset | ResetHint::NotReset => {
            let mut h = FloatHistogram::clone(&h);
            h.reset_hint = ResetHint::Unknown;
            Arc::new(h)
        }
        ResetHint::Unknown | ResetHint::Gauge => h,
    }
}

/// Functions of a vector that look at nothing but count and sum of histograms.
pub(crate) fn takes_figures_only(function: &str) -> bool {
    matches!(function, "histogram_count" | "histogram_sum" | "histogram_avg")
}

/// Functions of a vector that look at the buckets.
pub(crate) fn takes_buckets(function: &str) -> bool {
    matches!(function, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction")
}

/// Takes the buckets off successive histograms. Resets that only buckets show are noted as hints first.
/// Source: Prometheus `HistogramStatsIterator`.
pub(crate) fn reduce_to_stats(histograms: &mut [SharedHistogram]) {
    let mut previous: Option<SharedHistogram> = None;
    for place in histograms {
        let mut stats = place.stats();
        if !place.is_stale() {
            if let Some(previous) = previous.as_ref().filter(|_| stats.reset_hint == ResetHint::Unknown) {
                let reset = place.detect_reset(previous);
                stats.reset_hint = if reset { ResetHint::Reset } else { ResetHint::NotReset };
            }
            previous = Some(Arc::clone(place));
        }
        *place = Arc::new(stats);
    }
}

/// Adds in place and tells the user what there is to tell. False when the histograms do not go together.
pub(crate) fn add(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    metric: &str,
    pos: Pos,
    annotations: &mut Annotations,
) -> bool {
    let combined = base.add(other).map(|combined| combined.bounds_reconciled);
    note_combined(combined, HistogramOp::Addition, metric, pos, annotations)
}

/// As [`add`], but subtracts.
pub(crate) fn sub(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    metric: &str,
    pos: Pos,
    annotations: &mut Annotations,
) -> bool {
    let combined = base.sub(other).map(|combined| combined.bounds_reconciled);
    note_combined(combined, HistogramOp::Subtraction, metric, pos, annotations)
}

fn note_combined(
    reconciled: Result<bool, IncompatibleSchemas>,
    op: HistogramOp,
    metric: &str,
    pos: Pos,
    annotations: &mut Annotations,
) -> bool {
    match reconciled {
        Ok(reconciled) => {
            if reconciled {
                annotations.mismatched_custom_buckets(op, pos);
            }
            true
        }
        Err(IncompatibleSchemas) => {
            annotations.mixed_exponential_custom(metric, pos);
            false
        }
    }
}

/// A running sum or mean of histograms.
#[derive(Clone, Debug)]
pub(crate) struct HistogramTotal {
    state: KahanHistogram,
    count: f64,
    /// The state is a mean already, because the sum would overflow.
    incremental: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    /// Custom bounds had to be brought together.
    pub(crate) reconciled: bool,
}

impl HistogramTotal {
    /// Starts with a first histogram.
    pub(crate) fn new(first: &FloatHistogram) -> Self {
        let mut total = Self {
            state: KahanHistogram::new(first),
            count: 1.0,
            incremental: false,
            reset_seen: false,
            no_reset_seen: false,
            reconciled: false,
        };
        total.see_hint(first.reset_hint);
        total
    }

    fn see_hint(&mut self, hint: ResetHint) {
        self.reset_seen |= hint == ResetHint::Reset;
        self.no_reset_seen |= hint == ResetHint::NotReset;
    }

    /// Whether some histograms said that they follow a reset and others that they do not.
    pub(crate) fn hints_collide(&self) -> bool {
        self.reset_seen && self.no_reset_seen
    }

    /// Adds a histogram to a sum.
    pub(crate) fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.see_hint(h.reset_hint);
        self.reconciled |= self.state.add(h)?.bounds_reconciled;
        Ok(())
    }

    /// Adds a histogram to a mean.
    pub(crate) fn add_to_mean(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.see_hint(h.reset_hint);
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.state.clone();
            self.reconciled |= sum.add(h)?.bounds_reconciled;
            if !sum.has_overflow() {
                self.state = sum;
                return Ok(());
            }
            self.incremental = true;
            self.state.div(self.count - 1.0);
        }
        self.state.mul((self.count - 1.0) / self.count);
        let mut share = h.clone();
        share.div(self.count);
        self.reconciled |= self.state.add(&share)?.bounds_reconciled;
        Ok(())
    }

    /// The sum.
    pub(crate) fn sum(self) -> FloatHistogram {
        self.state.finish()
    }

    /// The mean.
    pub(crate) fn mean(mut self) -> FloatHistogram {
        if !self.incremental {
            self.state.div(self.count);
        }
        self.state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h(count: f64, hint: ResetHint) -> FloatHistogram {
        FloatHistogram { count, sum: count * 2.0, reset_hint: hint, ..Default::default() }
    }

    #[test]
    fn sums_and_means() {
        let mut sum = HistogramTotal::new(&h(1.0, ResetHint::Reset));
        sum.add(&h(2.0, ResetHint::Unknown)).unwrap();
        assert!(!sum.hints_collide());
        sum.add(&h(3.0, ResetHint::NotReset)).unwrap();
        assert!(sum.hints_collide());
        assert_eq!(sum.sum().count, 6.0);
        let mut mean = HistogramTotal::new(&h(f64::MAX, ResetHint::Unknown));
        mean.add_to_mean(&h(f64::MAX, ResetHint::Unknown)).unwrap();
        assert_eq!(mean.mean().count, f64::MAX);
    }
}
