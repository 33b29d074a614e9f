//! The hot functions on windows of plain floats. What can be known of the whole series, such as where its counter
//! resets lie, is found once; a window then costs little or nothing for each of its samples. Sums that must be taken
//! in order go through four windows at a time, so that their additions overlap.

use super::extremes;
use super::kahan::{Kahan, Mean};
use super::over_time::{Variance, variance};
use super::range::{Floats, RangeFn};
use super::rate::{Observed, extrapolation, is_counter, seconds};
use super::regression::{self, Times, ValueSums};
use super::sorted;
use super::windows::Windows;
use crate::value::ABSENT;

/// A function ready for the windows of one series.
pub(crate) enum FloatKernel {
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
    /// `deriv` of samples that are so many milliseconds apart.
    Slope(i64),
    Count,
    First,
    Last,
    Present,
}

impl FloatKernel {
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
            Self::Total { is_mean } => totals(v, windows, *is_mean, out),
            Self::Extreme { is_max: true } => {
                extremes::slide(v, windows, f64::NEG_INFINITY, |v, max| v > max, out);
            }
            Self::Extreme { is_max: false } => {
                extremes::slide(v, windows, f64::INFINITY, |v, min| v < min, out);
            }
            Self::Quantile(q) => sorted::quantiles(v, windows, *q, out),
            Self::Spread { is_deviation } => spreads(v, windows, *is_deviation, out),
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

/// `sum_over_time`, `avg_over_time`.
fn totals(v: &[f64], windows: &Windows<'_>, is_mean: bool, out: &mut Vec<f64>) {
    let held = windows.held();
    if held.total > 2 * held.fresh && sums_are_exact(v) {
        // Nothing is lost in any order, so that compensations are zero, and a window's sum is a difference.
        let mut sum = 0.0;
        let mut up_to = Vec::with_capacity(v.len() + 1);
        up_to.push(sum);
        up_to.extend(v.iter().map(|v| {
            sum += v;
            sum
        }));
        windows.each(out, |lo, hi, _| {
            let sum = up_to[hi] - up_to[lo];
            if is_mean { sum / (hi - lo) as f64 } else { sum }
        });
        return;
    }
    if is_mean {
        let one = |lo: usize, hi: usize| mean(&v[lo..hi]);
        fours(windows, out, one, |four| {
            let sums = sums(v, four.map(|(lo, hi)| (lo + 1, hi)), four.map(|(lo, _)| v[lo]));
            std::array::from_fn(|i| {
                let (Kahan { sum, c }, (lo, hi)) = (sums[i], four[i]);
                let count = (hi - lo) as f64;
                if sums[i].total().is_finite() { sum / count + c / count } else { mean(&v[lo..hi]) }
            })
        });
    } else {
        let one =
            |lo: usize, hi: usize| v[lo..hi].iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total();
        fours(windows, out, one, |four| {
            let totals = sums(v, four, [0.0; 4]).map(Kahan::total);
            std::array::from_fn(|i| if totals[i].is_finite() { totals[i] } else { one(four[i].0, four[i].1) })
        });
    }
}

/// `stddev_over_time`, `stdvar_over_time`.
fn spreads(v: &[f64], windows: &Windows<'_>, is_deviation: bool, out: &mut Vec<f64>) {
    let of_variance = |variance: f64| if is_deviation { variance.sqrt() } else { variance };
    let one = |lo: usize, hi: usize| of_variance(variance(&v[lo..hi]));
    fours(windows, out, one, |four| {
        let mut states = [Variance::default(); 4];
        let rest = in_step(v, four, |_, values| {
            for (state, v) in states.iter_mut().zip(values) {
                *state = state.plus(v);
            }
        });
        std::array::from_fn(|i| {
            of_variance(rest[i].iter().fold(states[i], |state, v| state.plus(*v)).total())
        })
    });
}

/// `deriv` of samples that are equally far apart.
fn slopes(v: &[f64], windows: &Windows<'_>, distance: i64, out: &mut Vec<f64>) {
    let mut times = Times::new(distance, windows.held().widest);
    for at in (0..windows.len()).step_by(4) {
        let part = windows.part(at, 4);
        let mut sums = [ValueSums::default(); 4];
        if part.len() == 4 {
            let four: [_; 4] = std::array::from_fn(|i| (part.lo[i] as usize, part.hi[i] as usize));
            in_step(v, four, |at, values| {
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

/// Appends the results of windows, four at a time where four successive ones have samples.
fn fours(
    windows: &Windows<'_>,
    out: &mut Vec<f64>,
    one: impl Fn(usize, usize) -> f64,
    four: impl Fn([(usize, usize); 4]) -> [f64; 4],
) {
    for at in (0..windows.len()).step_by(4) {
        let part = windows.part(at, 4);
        if part.len() < 4 || part.spans().any(|(lo, hi)| lo == hi) {
            part.each(out, |lo, hi, _| one(lo, hi));
        } else {
            out.extend(four(std::array::from_fn(|i| (part.lo[i] as usize, part.hi[i] as usize))));
        }
    }
}

/// Whether every sum of some of the values, in any order, is exact: all are integers, and not too large together.
fn sums_are_exact(v: &[f64]) -> bool {
    /// From here on floats have no fractions.
    const WHOLE: f64 = (1u64 << 52) as f64;
    let limit = WHOLE / v.len() as f64;
    let is_sound = |v: f64| {
        let size = v.abs();
        // A lone -0 is its own sum.
        (size < limit) & ((size + WHOLE) - WHOLE == size) & (v.to_bits() != (-0.0f64).to_bits())
    };
    // Most series that are not sound show it at once; the others are looked at without an exit in the middle.
    let (head, rest) = v.split_at(v.len().min(16));
    head.iter().all(|v| is_sound(*v)) && rest.iter().fold(true, |sound, v| sound & is_sound(*v))
}

/// Adds the values of four windows to four sums, each in order; right where sums are finite in the end.
fn sums(v: &[f64], spans: [(usize, usize); 4], mut sum: [f64; 4]) -> [Kahan; 4] {
    let mut c = [0.0; 4];
    let rest = in_step(v, spans, |_, values| {
        // Arrays, so that two or four go into one register.
        for i in 0..4 {
            Kahan { sum: sum[i], c: c[i] } = Kahan { sum: sum[i], c: c[i] }.plus_finite(values[i]);
        }
    });
    std::array::from_fn(|i| rest[i].iter().fold(Kahan { sum: sum[i], c: c[i] }, |sum, v| sum.plus_finite(*v)))
}

/// Goes through four windows at once, as far as the shortest reaches: what one waits for, the others do. `take` gets a
/// place and the four values there. Gives what is left of the windows.
#[inline(always)]
fn in_step(v: &[f64], spans: [(usize, usize); 4], mut take: impl FnMut(usize, [f64; 4])) -> [&[f64]; 4] {
    let windows = spans.map(|(lo, hi)| &v[lo..hi]);
    let common = windows.iter().map(|window| window.len()).min().unwrap_or(0);
    let [a, b, c, d] = windows.map(|window| &window[..common]);
    for (at, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
        take(at, [*a, *b, *c, *d]);
    }
    windows.map(|window| &window[common..])
}

fn mean(v: &[f64]) -> f64 {
    v[1..].iter().fold(Mean::of(v[0]), |mean, v| mean.plus(*v)).total()
}

#[cfg(test)]
mod tests {
    use super::super::range::{Histograms, Window, WindowContext};
    use super::super::{over_time, rate, regression, transitions};
    use super::*;
    use crate::annotations::Annotations;
    use crate::ast::Pos;
    use crate::eval::plan::Extent;
    use crate::value::is_absent;
    use model::{Labels, Value};
    use proptest::prelude::*;

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
                let kernel = FloatKernel::new(func, windows.range, floats, Some(q));
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
                    let slow = match func {
                        RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
                            rate::rate(&context, &window, &mut notes)
                        }
                        RangeFn::Irate | RangeFn::Idelta => rate::instant_rate(&context, &window, &mut notes),
                        RangeFn::Quantile => over_time::quantile(&context, &window, q, &mut notes),
                        RangeFn::Deriv => regression::deriv(&context, &window, &mut notes),
                        RangeFn::Resets => transitions::resets(&context, &window),
                        RangeFn::Changes => transitions::changes(&context, &window),
                        _ => over_time::evaluate(&context, &window, &mut notes),
                    };
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
