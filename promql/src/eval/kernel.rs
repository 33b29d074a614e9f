//! The hot functions on windows of plain floats. What can be known of the whole series, such as where its counter
//! resets lie, is found once; a window then costs little or nothing for each of its samples. Sums that must be taken
//! in order go through four windows at a time, so that their additions overlap.

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
    /// `irate` (true), `idelta`
    LastTwo {
        is_rate: bool,
    },
    /// `resets`, `changes`: how many there are up to and including each sample.
    Transitions(Vec<u32>),
    Sum,
    Avg,
    /// `max_over_time` (true), `min_over_time`
    Extreme {
        is_max: bool,
        has_nan: bool,
    },
    Count,
    First,
    Last,
    Present,
}

/// The windows of some successive steps: from which sample up to which, exclusive.
pub(crate) struct Windows<'w> {
    pub(crate) spans: &'w [(usize, usize)],
    /// End of the first window's time, in milliseconds.
    pub(crate) first_end: i64,
    /// From one window's end to the next.
    pub(crate) interval: i64,
    /// Width of the windows.
    pub(crate) range: i64,
}

impl Windows<'_> {
    /// Sets the result of every window that has a sample.
    fn each(&self, out: &mut [f64], mut f: impl FnMut(usize, usize, i64) -> f64) {
        let mut end = self.first_end;
        for (place, (lo, hi)) in out.iter_mut().zip(self.spans) {
            if lo < hi {
                *place = f(*lo, *hi, end);
            }
            end += self.interval;
        }
    }

    /// As [`Self::each`], four windows at a time where four successive ones have samples.
    fn fours(
        &self,
        out: &mut [f64],
        four: impl Fn([(usize, usize); 4]) -> [f64; 4],
        one: impl Fn(usize, usize) -> f64,
    ) {
        for (places, spans) in out.chunks_mut(4).zip(self.spans.chunks(4)) {
            if let [a, b, c, d] = spans
                && spans.iter().all(|(lo, hi)| lo < hi)
            {
                places.copy_from_slice(&four([*a, *b, *c, *d]));
                continue;
            }
            for (place, (lo, hi)) in places.iter_mut().zip(spans).filter(|(_, (lo, hi))| lo < hi) {
                *place = one(*lo, *hi);
            }
        }
    }
}

impl FloatKernel {
    /// The kernel of a function, if it is a hot one.
    pub(crate) fn new(func: RangeFn, range: i64, floats: Floats<'_>) -> Option<Self> {
        Some(match func {
            RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
                let is_counter = is_counter(func);
                let drops = |at: &usize| floats.v[*at] < floats.v[*at - 1];
                let resets = if is_counter { (1..floats.len()).filter(drops).collect() } else { Vec::new() };
                let divisor = if func == RangeFn::Rate { seconds(range) } else { 1.0 };
                Self::Rate { is_counter, divisor, resets }
            }
            RangeFn::Irate => Self::LastTwo { is_rate: true },
            RangeFn::Idelta => Self::LastTwo { is_rate: false },
            RangeFn::Resets => Self::transitions(floats, |before, now| now < before),
            RangeFn::Changes => {
                Self::transitions(floats, |before, now| now != before && !(now.is_nan() && before.is_nan()))
            }
            RangeFn::Sum => Self::Sum,
            RangeFn::Avg => Self::Avg,
            RangeFn::Min | RangeFn::Max => {
                let has_nan = floats.v.iter().any(|v| v.is_nan());
                Self::Extreme { is_max: func == RangeFn::Max, has_nan }
            }
            RangeFn::Count => Self::Count,
            RangeFn::First => Self::First,
            RangeFn::Last => Self::Last,
            RangeFn::Present | RangeFn::Absent => Self::Present,
            _ => return None,
        })
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

    /// Sets the results of windows that have samples; absent for no result.
    pub(crate) fn run(&self, floats: Floats<'_>, windows: &Windows<'_>, out: &mut [f64]) {
        let Floats { t, v, .. } = floats;
        match self {
            Self::Rate { is_counter, divisor, resets } => {
                let mut shape = Shape::default();
                let mut factor = 0.0;
                windows.each(out, |lo, hi, end| {
                    if hi - lo < 2 {
                        return ABSENT;
                    }
                    let (first, start) = (v[lo], end - windows.range);
                    let increase = with_resets(v[hi - 1] - first, v, resets, lo, hi);
                    let observed = Observed {
                        first_t: t[lo],
                        last_t: t[hi - 1],
                        intervals: hi - lo - 1,
                        first,
                        increase,
                        zero_at: None,
                    };
                    let now = Shape::new(&observed, start, end);
                    if *is_counter && increase > 0.0 && first >= 0.0 && !(first >= increase && now.is_dense())
                    {
                        // Zero may be nearer than the window's start.
                        return increase * (extrapolation(&observed, start, end, true) / divisor);
                    }
                    if now != shape {
                        shape = now;
                        factor = extrapolation(&observed, start, end, false) / divisor;
                    }
                    increase * factor
                });
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
            Self::Sum => windows.fours(
                out,
                |spans| sums(v, spans, [Kahan::default(); 4]).map(Kahan::total),
                |lo, hi| v[lo..hi].iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total(),
            ),
            Self::Avg => windows.fours(
                out,
                |spans| {
                    let after_first = spans.map(|(lo, hi)| (lo + 1, hi));
                    let sums = sums(v, after_first, spans.map(|(lo, _)| Kahan::of(v[lo])));
                    std::array::from_fn(|i| {
                        let (Kahan { sum, c }, (lo, hi)) = (sums[i], spans[i]);
                        let count = (hi - lo) as f64;
                        if sum.is_finite() { sum / count + c / count } else { mean(&v[lo..hi]) }
                    })
                },
                |lo, hi| mean(&v[lo..hi]),
            ),
            Self::Extreme { is_max: true, has_nan } => {
                windows.each(out, |lo, hi, _| extreme(&v[lo..hi], *has_nan, |v, max| v > max));
            }
            Self::Extreme { is_max: false, has_nan } => {
                windows.each(out, |lo, hi, _| extreme(&v[lo..hi], *has_nan, |v, min| v < min));
            }
            Self::Count => windows.each(out, |lo, hi, _| (hi - lo) as f64),
            Self::First => windows.each(out, |lo, _, _| v[lo]),
            Self::Last => windows.each(out, |_, hi, _| v[hi - 1]),
            Self::Present => windows.each(out, |_, _, _| 1.0),
        }
    }
}

/// How a window's samples lie in it. Scrapes and steps are mostly regular, and the window before had the same shape.
#[derive(Clone, Copy, Default, PartialEq)]
struct Shape {
    /// Milliseconds before the first sample, from it to the last, and behind that.
    before: i64,
    covered: i64,
    after: i64,
    intervals: usize,
}

impl Shape {
    fn new(observed: &Observed, start: i64, end: i64) -> Self {
        Self {
            before: observed.first_t - start,
            covered: observed.last_t - observed.first_t,
            after: end - observed.last_t,
            intervals: observed.intervals,
        }
    }

    /// Whether the samples reach over half of the window's beginning: a counter that was not less than its increase
    /// at the first sample cannot have been zero since the window's start then.
    fn is_dense(&self) -> bool {
        self.before <= self.covered
    }
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

/// Adds the values of four windows to four sums, each in order.
fn sums(v: &[f64], spans: [(usize, usize); 4], mut sums: [Kahan; 4]) -> [Kahan; 4] {
    let windows = spans.map(|(lo, hi)| &v[lo..hi]);
    let common = windows.iter().map(|window| window.len()).min().unwrap_or(0);
    let heads = windows.map(|window| &window[..common]);
    for at in 0..common {
        for (sum, head) in sums.iter_mut().zip(heads) {
            *sum = sum.plus(head[at]);
        }
    }
    for (sum, window) in sums.iter_mut().zip(windows) {
        *sum = window[common..].iter().fold(*sum, |sum, v| sum.plus(*v));
    }
    sums
}

fn mean(v: &[f64]) -> f64 {
    v[1..].iter().fold(Mean::of(v[0]), |mean, v| mean.plus(*v)).total()
}

/// The value that nothing beats; of equal ones the first, NaN only if there is nothing else.
#[inline]
fn extreme(v: &[f64], has_nan: bool, beats: impl Fn(f64, f64) -> bool) -> f64 {
    let in_order = || v.iter().fold(v[0], |best, v| if beats(*v, best) || best.is_nan() { *v } else { best });
    if has_nan {
        return in_order();
    }
    let better = |best: f64, v: f64| if beats(v, best) { v } else { best };
    let mut lanes = [v[0]; 8];
    let (eights, rest) = v.as_chunks::<8>();
    for eight in eights {
        for (lane, v) in lanes.iter_mut().zip(eight) {
            *lane = better(*lane, *v);
        }
    }
    let best = rest.iter().chain(&lanes).fold(lanes[0], |best, v| better(best, *v));
    // Which of +0 and -0 comes first shows in order only.
    if best == 0.0 { in_order() } else { best }
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

    const FAST: [RangeFn; 15] = [
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
                    1 => Just(i32::MAX),
                    1 => Just(i32::MIN),
                ],
                1..30,
            ),
            steps in prop::collection::vec((0usize..30, 1usize..30), 1..10),
            regular: bool,
        ) {
            let value = |v: i32| match v {
                i32::MAX => f64::INFINITY,
                i32::MIN => f64::NAN,
                v => f64::from(v) / 3.0,
            };
            let v: Vec<f64> = values.into_iter().map(value).collect();
            let t: Vec<i64> = (0..v.len() as i64).map(|i| i * 10_000 + if regular { 0 } else { i * i % 7 }).collect();
            let spans: Vec<(usize, usize)> = steps
                .into_iter()
                .map(|(lo, len)| (lo.min(v.len() - 1), (lo.min(v.len() - 1) + len).min(v.len())))
                .collect();
            let floats = Floats { t: &t, v: &v, start_t: &[] };
            let labels = Labels::empty();
            for func in FAST {
                // Windows that need not be where their times are, as far as the functions care.
                let windows = Windows { spans: &spans, first_end: 300_000, interval: 1_000, range: 290_000 };
                let mut fast = vec![ABSENT; spans.len()];
                let kernel = FloatKernel::new(func, windows.range, floats);
                prop_assert!(kernel.is_some());
                kernel.unwrap().run(floats, &windows, &mut fast);
                for (step, (lo, hi)) in spans.iter().enumerate() {
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
                        floats: floats.slice(*lo, *hi),
                        histograms: Histograms::default(),
                    };
                    let mut notes = Annotations::default();
                    let slow = match func {
                        RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
                            rate::rate(&context, &window, &mut notes)
                        }
                        RangeFn::Irate | RangeFn::Idelta => rate::instant_rate(&context, &window, &mut notes),
                        RangeFn::Resets => transitions::resets(&context, &window),
                        RangeFn::Changes => transitions::changes(&context, &window),
                        _ => over_time::evaluate(&context, &window, &mut notes),
                    };
                    let slow = match slow {
                        Some(Point::Float(v)) => v,
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
