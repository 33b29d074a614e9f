//! Native histograms in queries: sums and means of many, with their notes to the user.

use std::sync::Arc;

use model::histogram::{FloatHistogram, IncompatibleSchemas, ResetHint};
use query::matrix::SharedHistogram;
use query::{Annotations, Pos};

use crate::annotations::{Annotate, HistogramOp};

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
