//! The hot functions on windows of plain floats. What can be known of the whole series, such as where its counter
//! resets lie, is found once; a window then costs little or nothing for each of its samples.

use super::kahan::{Kahan, Mean};
use super::range::{Floats, RangeFn};
use super::rate::{Observed, extrapolation, is_counter, seconds};
use crate::value::ABSENT;

/// A function ready for the windows of one series.
pub(crate) enum FloatKernel {
    /// `rate`, `increase`, `delta`; positions of samples less than the one before, where they matter.
    Rate {
        is_counter: bool,
        divisor: f64,
        resets: Vec<usize>,
    },
    /// `resets`, `changes`: how many there are up to and including each sample.
    Transitions(Vec<u32>),
    Sum,
    Avg,
    Min,
    Max,
    Count,
    First,
    Last,
    Present,
    /// Evaluated window by window elsewhere.
    Other,
}

impl FloatKernel {
    pub(crate) fn new(func: RangeFn, range: i64, floats: Floats<'_>) -> Self {
        match func {
            RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
                let is_counter = is_counter(func);
                let drops = |at: &usize| floats.v[*at] < floats.v[*at - 1];
                let resets = if is_counter { (1..floats.len()).filter(drops).collect() } else { Vec::new() };
                let divisor = if func == RangeFn::Rate { seconds(range) } else { 1.0 };
                Self::Rate { is_counter, divisor, resets }
            }
            RangeFn::Resets => Self::transitions(floats, |before, now| now < before),
            RangeFn::Changes => {
                Self::transitions(floats, |before, now| now != before && !(now.is_nan() && before.is_nan()))
            }
            RangeFn::Sum => Self::Sum,
            RangeFn::Avg => Self::Avg,
            RangeFn::Min => Self::Min,
            RangeFn::Max => Self::Max,
            RangeFn::Count => Self::Count,
            RangeFn::First => Self::First,
            RangeFn::Last => Self::Last,
            RangeFn::Present => Self::Present,
            _ => Self::Other,
        }
    }

    fn transitions(floats: Floats<'_>, is_one: impl Fn(f64, f64) -> bool) -> Self {
        let mut seen = 0;
        let mut counts = vec![0];
        for pair in floats.v.windows(2) {
            seen += u32::from(is_one(pair[0], pair[1]));
            counts.push(seen);
        }
        Self::Transitions(counts)
    }

    /// The function's value for the samples from `lo` up to `hi`, of which there is one at least; absent for no
    /// result. `None` when the window must be looked at elsewhere.
    #[inline]
    pub(crate) fn evaluate(
        &self,
        floats: Floats<'_>,
        lo: usize,
        hi: usize,
        start: i64,
        end: i64,
    ) -> Option<f64> {
        let v = &floats.v[lo..hi];
        Some(match self {
            Self::Rate { is_counter, divisor, resets } => {
                if v.len() < 2 {
                    return Some(ABSENT);
                }
                let mut increase = v[v.len() - 1] - v[0];
                if let Some(last) = resets.last()
                    && *last > lo
                {
                    for reset in &resets[resets.partition_point(|at| *at <= lo)..] {
                        if *reset >= hi {
                            break;
                        }
                        increase += floats.v[*reset - 1];
                    }
                }
                let observed = Observed {
                    first_t: floats.t[lo],
                    last_t: floats.t[hi - 1],
                    intervals: v.len() - 1,
                    first: v[0],
                    increase,
                    zero_at: None,
                };
                increase * (extrapolation(&observed, start, end, *is_counter) / divisor)
            }
            Self::Transitions(counts) => f64::from(counts[hi - 1] - counts[lo]),
            Self::Sum => v.iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total(),
            Self::Avg => v[1..].iter().fold(Mean::of(v[0]), |mean, v| mean.plus(*v)).total(),
            Self::Min => v.iter().fold(v[0], |min, v| if *v < min || min.is_nan() { *v } else { min }),
            Self::Max => v.iter().fold(v[0], |max, v| if *v > max || max.is_nan() { *v } else { max }),
            Self::Count => v.len() as f64,
            Self::First => v[0],
            Self::Last => v[v.len() - 1],
            Self::Present => 1.0,
            Self::Other => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::{Histograms, Window, WindowContext};
    use super::super::{over_time, rate, transitions};
    use super::*;
    use crate::annotations::Annotations;
    use crate::ast::Pos;
    use crate::eval::plan::Extent;
    use crate::value::{Point, is_absent};
    use model::Labels;
    use proptest::prelude::*;

    const FAST: [RangeFn; 13] = [
        RangeFn::Rate,
        RangeFn::Increase,
        RangeFn::Delta,
        RangeFn::Resets,
        RangeFn::Changes,
        RangeFn::Sum,
        RangeFn::Avg,
        RangeFn::Min,
        RangeFn::Max,
        RangeFn::Count,
        RangeFn::First,
        RangeFn::Last,
        RangeFn::Present,
    ];

    proptest! {
        #[test]
        fn same_bits_as_window_by_window(
            values in prop::collection::vec(
                prop_oneof![
                    8 => -2i32..20,
                    1 => Just(i32::MAX),
                    1 => Just(i32::MIN),
                ],
                1..30,
            ),
            lo in 0usize..30,
            len in 1usize..30,
        ) {
            let value = |v: i32| match v {
                i32::MAX => f64::INFINITY,
                i32::MIN => f64::NAN,
                v => f64::from(v) / 3.0,
            };
            let v: Vec<f64> = values.into_iter().map(value).collect();
            let t: Vec<i64> = (0..v.len() as i64).map(|i| i * 10_000 + i * i % 7).collect();
            let lo = lo.min(v.len() - 1);
            let hi = (lo + len).min(v.len());
            let floats = Floats { t: &t, v: &v, start_t: &[] };
            let (start, end) = (t[lo] - 4_000, t[hi - 1] + 13_000);
            let labels = Labels::empty();
            for func in FAST {
                let context = WindowContext {
                    func,
                    labels: &labels,
                    pos: Pos::default(),
                    range: end - start,
                    extent: Extent::Plain,
                };
                let window = Window {
                    t: end,
                    start,
                    end,
                    floats: floats.slice(lo, hi),
                    histograms: Histograms::default(),
                };
                let mut notes = Annotations::default();
                let slow = match func {
                    RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => rate::rate(&context, &window, &mut notes),
                    RangeFn::Resets => transitions::resets(&context, &window),
                    RangeFn::Changes => transitions::changes(&context, &window),
                    _ => over_time::evaluate(&context, &window, &mut notes),
                };
                let slow = match slow {
                    Some(Point::Float(v)) => v,
                    _ => ABSENT,
                };
                let fast = FloatKernel::new(func, end - start, floats).evaluate(floats, lo, hi, start, end);
                let fast = fast.unwrap_or(ABSENT);
                prop_assert!(
                    fast.to_bits() == slow.to_bits() || (fast.is_nan() && slow.is_nan() && is_absent(fast) == is_absent(slow)),
                    "{:?}: {} {}", func, fast, slow
                );
            }
        }
    }
}
