//! `resets` and `changes`: how often one sample differs from the one before.

use model::Value;

use super::plan::Extent;
use super::rate::is_start_reset;
use super::window::{Window, WindowContext};

/// One sample of a window, of either kind.
#[derive(Clone, Copy)]
struct Sample<'a> {
    t: i64,
    start_t: i64,
    float: f64,
    histogram: Option<&'a model::histogram::FloatHistogram>,
}

/// `resets` of one window.
pub(crate) fn resets(context: &WindowContext<'_>, window: &Window<'_>) -> Option<Value> {
    count(context, window, |before, now| {
        let by_start = is_start_reset(before.start_t, before.t, now.start_t, now.t);
        match (before.histogram, now.histogram) {
            (None, None) => now.float < before.float || by_start,
            (Some(before), Some(now)) => by_start || now.detect_reset(before),
            _ => true,
        }
    })
}

/// `changes` of one window.
pub(crate) fn changes(context: &WindowContext<'_>, window: &Window<'_>) -> Option<Value> {
    count(context, window, |before, now| match (before.histogram, now.histogram) {
        (None, None) => now.float != before.float && !(now.float.is_nan() && before.float.is_nan()),
        (Some(before), Some(now)) => !now.equals(before),
        _ => true,
    })
}

fn count(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    is_one: impl Fn(&Sample<'_>, &Sample<'_>) -> bool,
) -> Option<Value> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    let (mut f, mut h) = first_samples(context, window)?;
    let mut before: Option<Sample<'_>> = None;
    let mut found = 0u32;
    loop {
        let (float_t, histogram_t) = (floats.t.get(f), histograms.t.get(h));
        let now = match (float_t, histogram_t) {
            (None, None) => break,
            (Some(t), other) if other.is_none_or(|other| t < other) => {
                f += 1;
                let start_t = floats.start_t.get(f - 1).copied().unwrap_or(0);
                Sample { t: *t, start_t, float: floats.v[f - 1], histogram: None }
            }
            (_, Some(t)) => {
                h += 1;
                let start_t = histograms.start_t.get(h - 1).copied().unwrap_or(0);
                Sample { t: *t, start_t, float: 0.0, histogram: Some(histograms.get(h - 1)) }
            }
            (Some(_), None) => break,
        };
        if let Some(before) = &before {
            found += u32::from(is_one(before, &now));
        }
        before = Some(now);
    }
    Some(Value::Float(f64::from(found)))
}

/// Where counting starts: anchored, with the newest sample at or before the window's start. `None` when no sample
/// lies after that.
fn first_samples(context: &WindowContext<'_>, window: &Window<'_>) -> Option<(usize, usize)> {
    let (floats, histograms) = (window.floats.t, window.histograms.t);
    if context.extent == Extent::Plain {
        return Some((0, 0));
    }
    let after = |t: &[i64]| t.partition_point(|t| *t <= window.start);
    let (f, h) = (after(floats), after(histograms));
    if f >= floats.len() && h >= histograms.len() {
        return None;
    }
    let float_anchor = f.checked_sub(1).map(|at| floats[at]);
    let histogram_anchor = h.checked_sub(1).map(|at| histograms[at]);
    Some(match (float_anchor, histogram_anchor) {
        (None, None) => (0, 0),
        (Some(float), other) if other.is_none_or(|other| float >= other) => (f - 1, h),
        _ => (f, h - 1),
    })
}
