//! Sums and means of native histograms.

use model::histogram::{FloatHistogram, IncompatibleSchemas, KahanHistogram, ResetHint};

/// A running sum or mean of histograms.
#[derive(Clone, Debug)]
pub struct HistogramTotal {
    state: KahanHistogram,
    count: f64,
    /// The state is a mean already, because the sum would overflow.
    incremental: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    /// Custom bounds had to be brought together.
    pub reconciled: bool,
}

impl HistogramTotal {
    /// Starts with a first histogram.
    pub fn new(first: &FloatHistogram) -> Self {
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
    pub fn hints_collide(&self) -> bool {
        self.reset_seen && self.no_reset_seen
    }

    /// Adds a histogram to a sum.
    pub fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.see_hint(h.reset_hint);
        self.reconciled |= self.state.add(h)?.bounds_reconciled;
        Ok(())
    }

    /// Adds a histogram to a mean.
    pub fn add_to_mean(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
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
    pub fn sum(self) -> FloatHistogram {
        self.state.finish()
    }

    /// The mean.
    pub fn mean(mut self) -> FloatHistogram {
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
