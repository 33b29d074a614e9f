//! The steps at which an expression is evaluated.

/// Equally spaced times, in milliseconds. Empty when `end` lies before `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first step.
    pub start: i64,
    /// No step lies after it; may itself be none.
    pub end: i64,
    /// Distance of the steps; positive.
    pub interval: i64,
}

impl Grid {
    /// A grid of one step.
    #[inline]
    pub fn single(t: i64, interval: i64) -> Self {
        Self { start: t, end: t, interval }
    }

    /// How many steps.
    #[inline]
    pub fn steps(&self) -> usize {
        if self.end < self.start { 0 } else { ((self.end - self.start) / self.interval) as usize + 1 }
    }

    /// The time of a step.
    #[inline]
    pub fn time(&self, step: usize) -> i64 {
        self.start + self.interval * step as i64
    }

    /// The time of the last step; `start` for an empty grid.
    #[inline]
    pub fn last(&self) -> i64 {
        self.time(self.steps().saturating_sub(1))
    }

    /// Whether this is the grid of an instant query.
    #[inline]
    pub fn is_instant(&self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let grid = Grid { start: 0, end: 25, interval: 10 };
        assert_eq!((grid.steps(), grid.last(), grid.is_instant()), (3, 20, false));
        assert_eq!(Grid { start: 1, end: 0, interval: 10 }.steps(), 0);
    }
}
