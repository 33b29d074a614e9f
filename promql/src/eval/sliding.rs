//! The hot functions on windows of plain floats. What can be known of the whole series, such as where its counter
//! resets lie, is found once; a window then costs little or nothing for each of its samples. Sums that must be taken
//! in order go through four windows at a time, so that their additions overlap.

use query::value::ABSENT;
use query::window::{Windows, extremes, quantiles, sums};

use super::range::RangeFn;
use super::rate::{Observed, extrapolation, is_counter, seconds};
use super::regression::{self, Times, ValueSums};
use super::samples::Floats;

/// A function ready for the windows of one series.
pub(crate) enum SlidingFn {
    /// `rate`, `increase`, `delta`; positions of samples less than the one before, where they matter.
    Rate {
        is_counter: bool,
        divisor: f64,
        resets: Vec<usize>,
    },
    /// `irate` (true), `idelta`
    LastTwo {
        is_rate: bool,
    },
    /// `resets`, `changes`: how many there are up to and including each sample.
    Transitions(Vec<u32>),
    /// `sum_over_time`, `avg_over_time`
    Total {
        is_mean: bool,
    },
    /// `max_over_time` (true), `min_over_time`
    Extreme {
        is_max: bool,
    },
    /// `quantile_over_time`, from 0 to 1.
    Quantile(f64),
    /// `stddev_over_time` (true), `stdvar_over_time`
    Spread {
        is_deviation: bool,
    },
    /// `deriv` of samples that are this number of milliseconds apart.
    Slope(i64),
    Count,
    First,
    Last,
    Present,
}

impl SlidingFn {
    /// The kernel of a function, if it is a hot one, with its first argument if that is the same at all steps.
    pub(crate) fn new(func: RangeFn, range: i64, floats: Floats<'_>, param: Option<f64>) -> Option<Self> {
        Some(match func {
            RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
                let is_counter = is_counter(func);
                let resets = if is_counter { drops(floats.v) } else { Vec::new() };
                let divisor = if func == RangeFn::Rate { seconds(range) } else { 1.0 };
                Self::Rate { is_counter, divisor, resets }
            }
            RangeFn::Irate => Self::LastTwo { is_rate: true },
            RangeFn::Idelta => Self::LastTwo { is_rate: false },
            RangeFn::Resets => Self::transitions(floats, |before, now| now < before),
            RangeFn::Changes => {
                Self::transitions(floats, |before, now| now != before && !(now.is_nan() && before.is_nan()))
            }
            RangeFn::Sum => Self::Total { is_mean: false },
            RangeFn::Avg => Self::Total { is_mean: true },
            RangeFn::Min | RangeFn::Max => Self::Extreme { is_max: func == RangeFn::Max },
            RangeFn::Quantile => Self::Quantile(param.filter(|q| (0.0..=1.0).contains(q))?),
            RangeFn::Stddev => Self::Spread { is_deviation: true },
            RangeFn::Stdvar => Self::Spread { is_deviation: false },
            RangeFn::Deriv => Self::Slope(regression::distance(floats.t)?),
            RangeFn::Count => Self::Count,
            RangeFn::First => Self::First,
            RangeFn::Last => Self::Last,
            RangeFn::Present | RangeFn::Absent => Self::Present,
            _ => return None,
        })
    }

    fn transitions(floats: Floats<'_>, is_one: impl Fn(f64, f64) -> bool) -> Self {
        let mut seen = 0;
        let mut counts = Vec::with_capacity(floats.len());
        counts.push(0);
        counts.extend(floats.v.windows(2).map(|pair| {
            seen += u32::from(is_one(pair[0], pair[1]));
            seen
        }));
        Self::Transitions(counts)
    }

    /// Appends the results of windows; absent for no result.
    pub(crate) fn run(&self, floats: Floats<'_>, windows: &Windows<'_>, out: &mut Vec<f64>) {
        let Floats { t, v, .. } = floats;
        match self {
            Self::Rate { is_counter, divisor, resets } => {
                rates(t, v, windows, *is_counter, *divisor, resets, out);
            }
            Self::LastTwo { is_rate } => windows.each(out, |lo, hi, _| {
                if hi - lo < 2 {
                    return ABSENT;
                }
                let (before, now) = (v[hi - 2], v[hi - 1]);
                let difference = if *is_rate && now < before { now } else { now - before };
                if *is_rate { difference / ((t[hi - 1] - t[hi - 2]) as f64 / 1000.0) } else { difference }
            }),
            Self::Transitions(counts) => {
                windows.each(out, |lo, hi, _| f64::from(counts[hi - 1] - counts[lo]));
            }
            Self::Total { is_mean } => sums::totals(v, windows, *is_mean, out),
            Self::Extreme { is_max: true } => {
                extremes::slide(v, windows, f64::NEG_INFINITY, |v, max| v > max, out);
            }
            Self::Extreme { is_max: false } => {
                extremes::slide(v, windows, f64::INFINITY, |v, min| v < min, out);
            }
            Self::Quantile(q) => quantiles::slide(v, windows, *q, out),
            Self::Spread { is_deviation } => sums::spreads(v, windows, *is_deviation, out),
            Self::Slope(distance) => slopes(v, windows, *distance, out),
            Self::Count => windows.each(out, |lo, hi, _| (hi - lo) as f64),
            Self::First => windows.each(out, |lo, _, _| v[lo]),
            Self::Last => windows.each(out, |_, hi, _| v[hi - 1]),
            Self::Present => windows.each(out, |_, _, _| 1.0),
        }
    }
}

/// The positions of values that are less than the one before.
fn drops(v: &[f64]) -> Vec<usize> {
    const BLOCK: usize = 64;
    let mut drops = Vec::new();
    for (block, now) in v.get(1..).unwrap_or_default().chunks(BLOCK).enumerate() {
        // They are rare: without an exit in its middle the search takes several at a time.
        let pairs = v[block * BLOCK..].iter().zip(now);
        if pairs.clone().fold(false, |any, (before, now)| any | (now < before)) {
            let found = pairs.enumerate().filter(|(_, (before, now))| now < before);
            drops.extend(found.map(|(at, _)| block * BLOCK + at + 1));
        }
    }
    drops
}

/// How a window's samples lie in it. Scrapes and steps are mostly regular, and the window before had the same shape.
#[derive(Clone, Copy, PartialEq)]
struct Shape {
    /// Milliseconds before the first sample, and behind the last one.
    before: i64,
    after: i64,
    intervals: usize,
}

/// `rate`, `increase`, `delta`.
fn rates(
    t: &[i64],
    v: &[f64],
    windows: &Windows<'_>,
    is_counter: bool,
    divisor: f64,
    resets: &[usize],
    out: &mut Vec<f64>,
) {
    let t = &t[..v.len()];
    let range = windows.range;
    let mut shape = Shape { before: -1, after: -1, intervals: 0 };
    let (mut factor, mut is_dense) = (0.0, false);
    windows.each(out, |lo, hi, end| {
        let last = hi - 1;
        if lo >= last || last >= v.len() {
            return ABSENT;
        }
        let (first, start) = (v[lo], end - range);
        let increase = with_resets(v[last] - first, v, resets, lo, hi);
        let observed = || Observed {
            first_t: t[lo],
            last_t: t[last],
            intervals: last - lo,
            first,
            increase,
            zero_at: None,
        };
        let now = Shape { before: t[lo] - start, after: end - t[last], intervals: last - lo };
        if now != shape {
            shape = now;
            factor = extrapolation(&observed(), start, end, false) / divisor;
            // A counter that was not less than its increase at the first sample cannot have been zero since the
            // window's start then.
            is_dense = now.before <= t[last] - t[lo];
        }
        if is_counter && increase > 0.0 && first >= 0.0 && !(first >= increase && is_dense) {
            // Zero may be nearer than the window's start.
            return increase * (extrapolation(&observed(), start, end, true) / divisor);
        }
        increase * factor
    });
}

/// Makes good what counter resets within a window took away.
#[inline]
fn with_resets(mut increase: f64, v: &[f64], resets: &[usize], lo: usize, hi: usize) -> f64 {
    if resets.last().is_some_and(|last| *last > lo) {
        for reset in &resets[resets.partition_point(|at| *at <= lo)..] {
            if *reset >= hi {
                break;
            }
            increase += v[*reset - 1];
        }
    }
    increase
}

/// `deriv` of samples that are equally far apart.
fn slopes(v: &[f64], windows: &Windows<'_>, distance: i64, out: &mut Vec<f64>) {
    let mut times = Times::new(distance, windows.sizes().widest);
    for at in (0..windows.steps()).step_by(4) {
        let part = windows.part(at, 4);
        let mut sums = [ValueSums::default(); 4];
        if part.steps() == 4 {
            let four: [_; 4] = std::array::from_fn(|i| (part.lo[i] as usize, part.hi[i] as usize));
            sums::in_step(v, four, |at, values| {
                let x = times.seconds(at);
                for i in 0..4 {
                    sums[i] = sums[i].plus(x, values[i]);
                }
            });
        }
        for (sums, (lo, hi)) in sums.into_iter().zip(part.spans()) {
            out.push(if hi - lo < 2 { ABSENT } else { times.slope(&v[lo..hi], sums) });
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Labels, Value};
    use proptest::prelude::*;
    use query::value::is_absent;
    use query::{Annotations, Pos};

    use super::super::samples::Histograms;
    use super::super::window::{Window, WindowContext};
    use super::*;
    use crate::eval::plan::Extent;

    const FAST: [RangeFn; 19] = [
        RangeFn::Deriv,
        RangeFn::Quantile,
        RangeFn::Stddev,
        RangeFn::Stdvar,
        RangeFn::Irate,
        RangeFn::Idelta,
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
                    1 => i32::MIN..=i32::MIN + 3,
                ],
                1..30,
            ),
            steps in prop::collection::vec((0usize..30, 0usize..30), 1..10),
            regular: bool,
            integers: bool,
            finite: bool,
            q in 0.0f64..=1.0,
        ) {
            let value = |v: i32| match v.wrapping_sub(i32::MIN) {
                0 if !finite => f64::INFINITY,
                1 if !finite => f64::NAN,
                2 => -0.0,
                3 => 0.0,
                _ if integers => f64::from(v % 100),
                _ => f64::from(v % 100) / 3.0,
            };
            let v: Vec<f64> = values.into_iter().map(value).collect();
            let t: Vec<i64> = (0..v.len() as i64).map(|i| i * 10_000 + if regular { 0 } else { i * i % 7 }).collect();
            let mut lo: Vec<u32> = steps.iter().map(|(lo, _)| (*lo).min(v.len() - 1) as u32).collect();
            lo.sort_unstable();
            let ends = lo.iter().zip(&steps).map(|(lo, (_, len))| (*lo + *len as u32).min(v.len() as u32));
            let hi: Vec<u32> = ends.scan(0, |end, hi| { *end = hi.max(*end); Some(*end) }).collect();
            let floats = Floats { t: &t, v: &v, start_t: &[] };
            let labels = Labels::empty();
            for func in FAST {
                // Windows that need not be where their times are, as far as the functions care.
                let windows = Windows { lo: &lo, hi: &hi, first_end: 300_000, interval: 1_000, range: 290_000 };
                let mut fast = Vec::new();
                let kernel = SlidingFn::new(func, windows.range, floats, Some(q));
                let Some(kernel) = kernel else {
                    prop_assert!(func == RangeFn::Deriv && (v.len() < 2 || !regular));
                    continue;
                };
                kernel.run(floats, &windows, &mut fast);
                for (step, (lo, hi)) in windows.spans().enumerate() {
                    if lo == hi {
                        prop_assert!(is_absent(fast[step]));
                        continue;
                    }
                    let context = WindowContext {
                        func,
                        labels: &labels,
                        pos: Pos::default(),
                        range: windows.range,
                        extent: Extent::Plain,
                    };
                    let end = windows.first_end + step as i64 * windows.interval;
                    let window = Window {
                        t: end,
                        start: end - windows.range,
                        end,
                        floats: floats.slice(lo, hi),
                        histograms: Histograms::default(),
                    };
                    let mut notes = Annotations::default();
                    let slow = context.evaluate(&window, |_| q, &mut notes).unwrap();
                    let slow = match slow {
                        Some(Value::Float(v)) => v,
                        _ => ABSENT,
                    };
                    let fast = fast[step];
                    let same = fast.to_bits() == slow.to_bits()
                        || (fast.is_nan() && slow.is_nan() && is_absent(fast) == is_absent(slow));
                    prop_assert!(same, "{:?}: {} {}", func, fast, slow);
                }
            }
        }
    }
}
