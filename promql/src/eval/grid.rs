//! The steps at which an expression is evaluated.

/// Equally spaced times, in milliseconds. Empty when `end` lies before `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// May lie after the last step.
    pub(crate) end: i64,
    /// Positive.
    pub(crate) interval: i64,
}

impl Grid {
    /// A grid of one step.
    pub(crate) fn single(t: i64, interval: i64) -> Self {
        Self { start: t, end: t, interval }
    }

    /// How many steps.
    pub(crate) fn steps(&self) -> usize {
        if self.end < self.start { 0 } else { ((self.end - self.start) / self.interval) as usize + 1 }
    }

    /// The time of a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start + self.interval * step as i64
    }

    /// The time of the last step; `start` for an empty grid.
    pub(crate) fn last(&self) -> i64 {
        self.time(self.steps().saturating_sub(1))
    }

    /// Whether this is the grid of an instant query.
    pub(crate) fn is_instant(&self) -> bool {
        self.start == self.end
    }
}

/// Which moment a selector or subquery looks at from a step: the step, or a fixed time, less an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    /// `@`, in milliseconds.
    pub(crate) at: Option<i64>,
    /// `offset`, in milliseconds.
    pub(crate) offset: i64,
}

impl When {
    /// The moment seen from a step at `t`.
    pub(crate) fn seen_from(&self, t: i64) -> i64 {
        self.at.unwrap_or(t).saturating_sub(self.offset)
    }
}

/// The grid of a subquery: multiples of its own step within its windows.
pub(crate) fn subquery_grid(outer: &Grid, when: When, range: i64, interval: i64) -> Grid {
    let before = when.seen_from(outer.start).saturating_sub(range);
    let mut start = interval * (before / interval);
    if start <= before {
        start += interval;
    }
    Grid { start, end: when.seen_from(outer.last()), interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_subqueries() {
        let grid = Grid { start: 0, end: 25, interval: 10 };
        assert_eq!((grid.steps(), grid.last(), grid.is_instant()), (3, 20, false));
        assert_eq!(Grid { start: 1, end: 0, interval: 10 }.steps(), 0);
        let when = When { at: None, offset: 3 };
        assert_eq!(subquery_grid(&grid, when, 20, 5), Grid { start: -20, end: 17, interval: 5 });
        let pinned = When { at: Some(100), offset: 0 };
        assert_eq!(subquery_grid(&grid, pinned, 10, 10), Grid { start: 100, end: 100, interval: 10 });
        assert_eq!(subquery_grid(&grid, When { at: Some(8), offset: 0 }, 2, 10).steps(), 0);
    }
}
