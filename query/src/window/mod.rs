//! Windows of successive steps over the samples of a series: where they begin and end ([`Windows`]), and functions that
//! slide over them in one pass.

pub mod extremes;
pub mod quantiles;
pub mod sums;

use crate::value::ABSENT;

/// Windows of successive steps over one series: from which sample up to which, exclusive. Neither end ever goes back.
#[derive(Clone, Copy)]
pub struct Windows<'w> {
    /// The first sample of each window.
    pub lo: &'w [u32],
    /// The sample behind the last one of each window. As long as `lo`; nowhere less.
    pub hi: &'w [u32],
    /// End of the first window's time, in milliseconds.
    pub first_end: i64,
    /// From one window's end to the next.
    pub interval: i64,
    /// Width of the windows.
    pub range: i64,
}

/// What windows hold, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowSizes {
    /// All windows together.
    pub total: u64,
    /// Those that no window before held.
    pub fresh: u64,
    /// The largest window.
    pub widest: usize,
    /// The last window that holds any.
    pub last: usize,
}

impl<'w> Windows<'w> {
    /// Finds the windows after `end - range` up to `end`, for `steps` ends, among ascending times, of which there must be
    /// less than 2^32. The places are kept in `scratch`.
    pub fn find(
        t: &[i64],
        first_end: i64,
        interval: i64,
        range: i64,
        steps: usize,
        scratch: &'w mut Vec<u32>,
    ) -> Self {
        scratch.clear();
        // Where the range is a multiple of the interval, a window begins where an earlier one ended.
        let shift = (range / interval) as usize;
        let shift = if range % interval == 0 && shift <= steps {
            bounds(t, first_end - range, interval, steps + shift, scratch);
            shift
        } else {
            bounds(t, first_end - range, interval, steps, scratch);
            bounds(t, first_end, interval, steps, scratch);
            steps
        };
        Self { lo: &scratch[..steps], hi: &scratch[shift..shift + steps], first_end, interval, range }
    }

    /// How many windows there are.
    #[inline]
    pub fn steps(&self) -> usize {
        self.lo.len()
    }

    /// Some of the windows: at most `len`, from step `from`.
    #[inline]
    pub fn part(&self, from: usize, len: usize) -> Self {
        let to = self.steps().min(from + len);
        let first_end = self.first_end + self.interval * from as i64;
        Self { lo: &self.lo[from..to], hi: &self.hi[from..to], first_end, ..*self }
    }

    /// First sample and the one behind the last, step by step.
    #[inline]
    pub fn spans(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + Clone + 'w {
        self.lo.iter().zip(self.hi).map(|(lo, hi)| (*lo as usize, *hi as usize))
    }

    /// Appends the result of every window: absent without samples.
    #[inline(always)]
    pub fn each(&self, out: &mut Vec<f64>, mut f: impl FnMut(usize, usize, i64) -> f64) {
        let from = out.len();
        out.resize(from + self.steps(), ABSENT);
        let mut end = self.first_end;
        // A plain loop, so that what `f` keeps from window to window stays in registers.
        for ((place, lo), hi) in out[from..].iter_mut().zip(self.lo).zip(self.hi) {
            if lo < hi {
                *place = f(*lo as usize, *hi as usize, end);
            }
            end += self.interval;
        }
    }

    /// What the windows hold together.
    pub fn sizes(&self) -> WindowSizes {
        let (mut total, mut fresh, mut widest, mut seen) = (0, 0, 0, 0);
        for (lo, hi) in self.lo.iter().zip(self.hi) {
            total += u64::from(hi - lo);
            fresh += u64::from(hi - seen.max(*lo));
            widest = widest.max(hi - lo);
            seen = *hi;
        }
        let last =
            self.lo.iter().zip(self.hi).rev().map(|(lo, hi)| hi - lo).find(|len| *len > 0).unwrap_or(0);
        WindowSizes { total, fresh, widest: widest as usize, last: last as usize }
    }
}

/// Finds how many of ascending times, less than 2^32, are not behind each of `len` moments, one or more.
pub fn bounds(t: &[i64], first: i64, interval: i64, len: usize, out: &mut Vec<u32>) {
    let mut at = t.partition_point(|t| *t <= first);
    let (mut stride, mut moment) = (0, first);
    let from = out.len();
    out.push(at as u32);
    while out.len() < from + len {
        if at == t.len() {
            out.resize(from + len, at as u32);
            return;
        }
        moment += interval;
        // Steps and samples are mostly regular, so it goes as far as the last time.
        let mut now = (at + stride).min(t.len());
        while now > at && t[now - 1] > moment {
            now -= 1;
        }
        while now < t.len() && t[now] <= moment {
            now += 1;
        }
        stride = now - at;
        at = now;
        out.push(at as u32);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_hold_what_lies_in_them(
            gaps in prop::collection::vec(prop_oneof![4 => Just(10i64), 1 => 1i64..40, 1 => Just(700)], 0..80),
            first_end in -100i64..400,
            interval in 1i64..50,
            range in prop_oneof![1i64..300, (1i64..6).prop_map(|n| 10 * n)],
            steps in 1usize..60,
        ) {
            let t: Vec<i64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).collect();
            let mut scratch = vec![7];
            let windows = Windows::find(&t, first_end, interval, range, steps, &mut scratch);
            prop_assert_eq!(windows.steps(), steps);
            let mut held = WindowSizes::default();
            let mut seen = std::collections::HashSet::new();
            for (step, (lo, hi)) in windows.spans().enumerate() {
                let end = first_end + step as i64 * interval;
                let inside = |at: &usize| t[*at] > end - range && t[*at] <= end;
                let want: Vec<usize> = (0..t.len()).filter(inside).collect();
                prop_assert_eq!((lo..hi).collect::<Vec<_>>(), want.clone());
                held.total += want.len() as u64;
                held.fresh += want.iter().filter(|at| seen.insert(**at)).count() as u64;
                held.widest = held.widest.max(want.len());
                held.last = if want.is_empty() { held.last } else { want.len() };
                let part = windows.part(step, 2);
                prop_assert_eq!((part.spans().next(), part.first_end), (Some((lo, hi)), end));
            }
            prop_assert_eq!(windows.sizes(), held);
            let mut out = Vec::new();
            windows.each(&mut out, |lo, hi, end| (end + (hi - lo) as i64) as f64);
            for (step, (lo, hi)) in windows.spans().enumerate() {
                let end = first_end + step as i64 * interval;
                let want = if lo < hi { (end + (hi - lo) as i64) as f64 } else { ABSENT };
                prop_assert_eq!(out[step].to_bits(), want.to_bits());
            }
        }
    }
}
