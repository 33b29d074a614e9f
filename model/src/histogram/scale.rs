//! Multiplication and division by a number.

use super::{FloatHistogram, HistogramOf, ResetHint};

impl<B> HistogramOf<B, B> {
    pub(super) fn each_count(&mut self, mut f: impl FnMut(&mut B)) {
        f(&mut self.zero_count);
        f(&mut self.count);
        self.positive_buckets.iter_mut().chain(&mut self.negative_buckets).for_each(f);
    }

    /// A negative factor turns counts into something that only a gauge can be.
    pub(super) fn note_factor(&mut self, factor: f64) {
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Division by zero leaves no buckets.
    pub(super) fn note_divisor(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        self.note_factor(divisor);
    }
}

impl FloatHistogram {
    /// Multiplies all counts and the sum. A negative factor makes the histogram a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.each_count(|n| *n *= factor);
        self.sum *= factor;
        self.note_factor(factor);
    }

    /// Divides all counts and the sum. Division by zero leaves infinities and NaN without buckets; a negative divisor
    /// makes the histogram a gauge.
    pub fn div(&mut self, divisor: f64) {
        self.each_count(|n| *n /= divisor);
        self.sum /= divisor;
        self.note_divisor(divisor);
    }

    /// Whether a count, a bound or the sum is infinite.
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .chain(&self.custom_values)
            .any(|v| v.is_infinite())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    #[test]
    fn scaling() {
        let h = FloatHistogram {
            zero_count: 2.0,
            count: 6.0,
            sum: 3.0,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![4.0],
            ..Default::default()
        };
        let mut negated = h.clone();
        negated.mul(-1.0);
        assert_eq!((negated.zero_count, negated.count, negated.sum), (-2.0, -6.0, -3.0));
        assert_eq!((negated.positive_buckets[0], negated.reset_hint), (-4.0, ResetHint::Gauge));
        let mut half = h.clone();
        half.div(2.0);
        assert_eq!((half.positive_buckets[0], half.reset_hint), (2.0, ResetHint::Unknown));
        let mut none = h;
        none.div(0.0);
        assert!(none.has_overflow() && none.positive_buckets.is_empty() && none.positive_spans.is_empty());
    }
}
