//! Compensated sums, means and variances, with the very steps Prometheus takes, so that sums agree to the last bit.
//! Source: Prometheus `util/kahansum`.

use model::histogram::{kahan_add, kahan_add_finite};

/// A running sum and its compensation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kahan {
    /// The sum without the compensation.
    pub sum: f64,
    /// What the sum lost by rounding.
    pub c: f64,
}

impl Kahan {
    /// A sum of one value.
    #[inline]
    pub fn of(v: f64) -> Self {
        Self { sum: v, c: 0.0 }
    }

    /// The sum after one more value.
    #[inline]
    #[must_use]
    pub fn plus(self, v: f64) -> Self {
        let (sum, c) = kahan_add(v, self.sum, self.c);
        Self { sum, c }
    }

    /// As [`Kahan::plus`], if the total is finite in the end.
    #[inline]
    #[must_use]
    pub fn plus_finite(self, v: f64) -> Self {
        let (sum, c) = kahan_add_finite(v, self.sum, self.c);
        Self { sum, c }
    }

    /// The compensated value.
    #[inline]
    pub fn total(self) -> f64 {
        self.sum + self.c
    }
}

/// A mean: of the compensated sum as long as that stays finite, else built up value by value.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// Of how many values.
    pub count: f64,
    /// The sum, or the mean itself once it is built up value by value.
    pub state: Kahan,
    /// Whether it is.
    pub incremental: bool,
}

impl Mean {
    /// The mean of one value.
    #[inline]
    pub fn of(v: f64) -> Self {
        Self { count: 1.0, state: Kahan::of(v), incremental: false }
    }

    /// The mean after one more value.
    #[inline]
    #[must_use]
    pub fn plus(self, v: f64) -> Self {
        let count = self.count + 1.0;
        let mut state = self.state;
        if !self.incremental {
            let next = state.plus(v);
            if !next.sum.is_infinite() {
                return Self { count, state: next, incremental: false };
            }
            state = Kahan { sum: state.sum / (count - 1.0), c: state.c / (count - 1.0) };
        }
        let q = (count - 1.0) / count;
        let state = Kahan { sum: q * state.sum, c: q * state.c }.plus(v / count);
        Self { count, state, incremental: true }
    }

    /// The compensated value.
    #[inline]
    pub fn total(self) -> f64 {
        if self.incremental {
            self.state.total()
        } else {
            self.state.sum / self.count + self.state.c / self.count
        }
    }
}

/// The running variance of some values.
#[derive(Clone, Copy, Default)]
pub struct Variance {
    count: f64,
    mean: Kahan,
    squares: Kahan,
}

impl Variance {
    /// The variance after one more value.
    #[inline]
    #[must_use]
    pub fn plus(self, v: f64) -> Self {
        let count = self.count + 1.0;
        let delta = v - self.mean.total();
        let mean = self.mean.plus(delta / count);
        let squares = self.squares.plus(delta * (v - mean.total()));
        Self { count, mean, squares }
    }

    /// The variance; NaN of no values.
    #[inline]
    pub fn total(self) -> f64 {
        self.squares.total() / self.count
    }
}

/// The variance of values, in order.
pub fn variance(values: &[f64]) -> f64 {
    values.iter().fold(Variance::default(), |state, v| state.plus(*v)).total()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        values.iter().fold(Kahan::default(), |k, v| k.plus(*v)).total()
    }

    fn mean(values: &[f64]) -> f64 {
        values[1..].iter().fold(Mean::of(values[0]), |m, v| m.plus(*v)).total()
    }

    #[test]
    fn small_values_survive_large_ones() {
        assert_eq!(sum(&[1e100, 1.0, -1e100, 1.0]), 2.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(mean(&[1e100, 1.0, -1e100, 2.0]), 0.75);
    }

    #[test]
    fn mean_does_not_overflow() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
