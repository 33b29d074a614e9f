//! Which moments selectors and subqueries look at.

use query::Grid;

/// Which moment a selector or subquery looks at from a step: the step, or a fixed time, less an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// `@`, in milliseconds.
    pub(crate) at: Option<i64>,
    /// `offset`, in milliseconds.
    pub(crate) offset: i64,
}

impl Moment {
    /// The moment seen from a step at `t`.
    pub(crate) fn seen_from(&self, t: i64) -> i64 {
        self.at.unwrap_or(t).saturating_sub(self.offset)
    }
}

/// The grid of a subquery: multiples of its own step within its windows.
pub(crate) fn subquery_grid(outer: &Grid, moment: Moment, range: i64, interval: i64) -> Grid {
    let before = moment.seen_from(outer.start).saturating_sub(range);
    let mut start = interval * (before / interval);
    if start <= before {
        start += interval;
    }
    Grid { start, end: moment.seen_from(outer.last()), interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_of_subqueries() {
        let grid = Grid { start: 0, end: 25, interval: 10 };
        let moment = Moment { at: None, offset: 3 };
        assert_eq!(subquery_grid(&grid, moment, 20, 5), Grid { start: -20, end: 17, interval: 5 });
        let pinned = Moment { at: Some(100), offset: 0 };
        assert_eq!(subquery_grid(&grid, pinned, 10, 10), Grid { start: 100, end: 100, interval: 10 });
        assert_eq!(subquery_grid(&grid, Moment { at: Some(8), offset: 0 }, 2, 10).steps(), 0);
    }
}
