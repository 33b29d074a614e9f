//! Instant selectors: for each step the newest sample within the lookback, unless it marks the series as gone.

use std::sync::Arc;

use model::read::Columns;
use model::sample::is_stale;
use model::{Labels, Value};
use query::Grid;
use query::matrix::{Row, sample_size};
use query::value::ABSENT;
use query::window::bounds;

use super::plan::{InstantOutput, InstantSelector};
use super::stream::{Cost, Notes, SeriesResult};

/// Evaluates an instant selector for one series.
pub(crate) fn evaluate_instant(
    selector: &InstantSelector,
    grid: &Grid,
    labels: &Labels,
    columns: &mut Columns,
    notes: &mut Notes,
) -> SeriesResult {
    let mut row = Row::floats(labels.clone(), Vec::new());
    let mut cost = Cost::default();
    if selector.gives == InstantOutput::Smoothed {
        super::extended_range::smooth(selector, grid, columns, labels, &mut row, notes);
    } else if selector.gives == InstantOutput::Value
        && columns.histogram_t.is_empty()
        && u32::try_from(columns.float_t.len()).is_ok()
    {
        row.values = newest_floats(selector, grid, columns, notes, &mut cost);
    } else {
        newest_points(selector, grid, columns, &mut row, notes, &mut cost);
    }
    let row = row.trim().then_some(row);
    SeriesResult { row, cost, samples: 0 }
}

/// Finds, for moments that never go back, the newest of ascending times.
struct Newest<'a> {
    t: &'a [i64],
    after: usize,
}

impl<'a> Newest<'a> {
    fn new(t: &'a [i64]) -> Self {
        Self { t, after: 0 }
    }

    #[inline]
    fn at(&mut self, moment: i64) -> Option<usize> {
        if self.after == 0 && self.t.len() > 16 {
            self.after = self.t.partition_point(|t| *t <= moment);
        } else {
            while self.after < self.t.len() && self.t[self.after] <= moment {
                self.after += 1;
            }
        }
        self.after.checked_sub(1)
    }
}

fn newest_floats(
    selector: &InstantSelector,
    grid: &Grid,
    columns: &Columns,
    notes: &mut Notes,
    cost: &mut Cost,
) -> Vec<f64> {
    let (t, v) = (&columns.float_t[..], &columns.float_v[..]);
    let t = &t[..v.len()];
    let newest = |behind: usize, moment: i64| match behind.checked_sub(1) {
        // A stale sample is the absent mark already.
        Some(at) if at < t.len() && t[at] > moment - selector.lookback => v[at],
        _ => ABSENT,
    };
    let first = selector.moment.seen_from(grid.start);
    let values: Vec<f64> = if selector.moment.at.is_some() {
        let v = newest(t.partition_point(|t| *t <= first), first);
        vec![v; grid.steps()]
    } else {
        notes.places.clear();
        bounds(t, first, grid.interval, grid.steps(), &mut notes.places);
        let mut moment = first;
        let at_step = |behind: &u32| {
            let v = newest(*behind as usize, moment);
            moment += grid.interval;
            v
        };
        notes.places.iter().map(at_step).collect()
    };
    if notes.by_step.is_some() {
        let present = (0..values.len()).filter(|step| !is_stale(values[*step]));
        present.for_each(|step| notes.count(cost, step, 1, 1));
    } else {
        let present = values.iter().filter(|v| !is_stale(**v)).count() as i64;
        cost.total += present;
        cost.read += present;
    }
    values
}

fn newest_points(
    selector: &InstantSelector,
    grid: &Grid,
    columns: &Columns,
    row: &mut Row,
    notes: &mut Notes,
    cost: &mut Cost,
) {
    row.values.resize(grid.steps(), ABSENT);
    let (mut floats, mut histograms) = (Newest::new(&columns.float_t), Newest::new(&columns.histogram_t));
    for step in 0..grid.steps() {
        let moment = selector.moment.seen_from(grid.time(step));
        let float = floats.at(moment).map(|at| (columns.float_t[at], at));
        let histogram = histograms.at(moment).map(|at| (columns.histogram_t[at], at));
        let is_float = float.map(|(t, _)| t) > histogram.map(|(t, _)| t);
        let Some((t, at)) = (if is_float { float } else { histogram }) else { continue };
        if t <= moment - selector.lookback {
            continue;
        }
        let (value, stale, start) = if is_float {
            let v = columns.float_v[at];
            (Value::Float(v), is_stale(v), columns.float_start_t.get(at))
        } else {
            let h = &columns.histogram_v[at];
            (Value::Histogram(Arc::clone(h)), is_stale(h.sum), columns.histogram_start_t.get(at))
        };
        if stale {
            continue;
        }
        let (value, size) = match selector.gives {
            InstantOutput::Time => (Value::Float(t as f64 / 1000.0), 1),
            InstantOutput::StartTime => (Value::Float(start.copied().unwrap_or(0) as f64 / 1000.0), 1),
            InstantOutput::Value | InstantOutput::Smoothed => {
                let size = match &value {
                    Value::Float(_) => 1,
                    Value::Histogram(h) => sample_size(h) as i64,
                };
                (value, size)
            }
        };
        notes.count(cost, step, size, size);
        row.set(step, value);
    }
}

#[cfg(test)]
mod tests {
    use model::sample::STALE_NAN;
    use query::Pos;

    use super::super::moment::Moment;
    use super::*;

    fn at_steps(gives: InstantOutput, columns: &Columns, grid: Grid, moment: Moment) -> Vec<Option<f64>> {
        let selector = InstantSelector {
            selection: 0,
            moment,
            lookback: 10,
            gives,
            stats_only: false,
            pos: Pos::default(),
        };
        let columns = &mut columns.clone();
        let made = evaluate_instant(&selector, &grid, &Labels::empty(), columns, &mut Notes::default());
        let row = made.row.unwrap_or(Row::floats(Labels::empty(), Vec::new()));
        (0..grid.steps()).map(|s| row.has(s).then(|| row.float(s))).collect()
    }

    #[test]
    fn lookback_staleness_offset() {
        let mut columns = Columns::default();
        for (t, v) in [(0, 1.0), (5, 2.0), (20, 3.0), (25, STALE_NAN), (40, 4.0)] {
            columns.push_float(t, v, 0);
        }
        let grid = Grid { start: 0, end: 40, interval: 5 };
        let plain = Moment { at: None, offset: 0 };
        let some = Some;
        assert_eq!(
            at_steps(InstantOutput::Value, &columns, grid, plain),
            [some(1.0), some(2.0), some(2.0), None, some(3.0), None, None, None, some(4.0)]
        );
        assert_eq!(
            at_steps(InstantOutput::Time, &columns, grid, Moment { at: None, offset: 5 })[1..4],
            [some(0.0), some(0.005), some(0.005)]
        );
        let pinned = Moment { at: Some(7), offset: 3 };
        assert_eq!(at_steps(InstantOutput::Value, &columns, grid, pinned), vec![some(1.0); 9]);
    }
}
