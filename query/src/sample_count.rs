//! How many samples a query may hold at a time.
//!
//! Samples are counted as Prometheus counts them: a float is one, a histogram as many as its size in memory is worth.
//! The counts describe the evaluation that Prometheus would do, step by step, so that a query is refused here when it
//! is refused there, although the evaluation here holds less at a time.

use crate::QueryError;
use crate::interrupt::STAGE_EXECUTION;

/// Samples held now and at most, against the limit.
#[derive(Clone, Debug)]
pub struct SampleCount {
    /// Samples held now.
    pub current: usize,
    /// The most that were held at a time.
    pub peak: usize,
    max: usize,
}

impl SampleCount {
    /// None held, `max` allowed.
    pub fn new(max: usize) -> Self {
        Self { current: 0, peak: 0, max }
    }

    /// Counts samples as held on top of the current ones for a moment.
    #[inline]
    pub fn touch(&mut self, more: usize) -> Result<(), QueryError> {
        let now = self.current.saturating_add(more);
        self.peak = self.peak.max(now);
        if now > self.max { Err(QueryError::TooManySamples(STAGE_EXECUTION)) } else { Ok(()) }
    }

    /// Counts samples as held from now on.
    #[inline]
    pub fn hold(&mut self, more: usize) -> Result<(), QueryError> {
        self.touch(more)?;
        self.current += more;
        Ok(())
    }

    /// Counts samples as given back.
    #[inline]
    pub fn release(&mut self, samples: usize) {
        self.current = self.current.saturating_sub(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_against_the_limit() {
        let mut count = SampleCount::new(10);
        assert!(count.hold(6).is_ok() && count.touch(4).is_ok());
        assert_eq!(count.hold(5), Err(QueryError::TooManySamples(STAGE_EXECUTION)));
        count.release(6);
        assert_eq!((count.current, count.peak), (0, 11));
    }
}
