//! The samples of one series as range functions see them: columns of floats and of histograms.

use model::Value;
use model::histogram::FloatHistogram;
use model::read::Columns;
use model::sample::is_stale;
use query::Grid;
use query::matrix::{Row, SharedHistogram};

/// The samples of one series, stale marks taken out, ascending in time.
pub(crate) struct SeriesSamples<'a> {
    pub(crate) floats: Floats<'a>,
    pub(crate) histograms: Histograms<'a>,
}

/// Float samples as columns.
#[derive(Clone, Copy, Default)]
pub(crate) struct Floats<'a> {
    pub(crate) t: &'a [i64],
    pub(crate) v: &'a [f64],
    /// Start times; empty when unknown.
    pub(crate) start_t: &'a [i64],
}

impl<'a> Floats<'a> {
    pub(crate) fn len(&self) -> usize {
        self.t.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> Floats<'a> {
        let start_t = if self.start_t.is_empty() { self.start_t } else { &self.start_t[from..to] };
        Floats { t: &self.t[from..to], v: &self.v[from..to], start_t }
    }
}

/// Histogram samples as columns.
#[derive(Clone, Copy, Default)]
pub(crate) struct Histograms<'a> {
    pub(crate) t: &'a [i64],
    pub(crate) v: &'a [SharedHistogram],
    /// Start times; empty when unknown.
    pub(crate) start_t: &'a [i64],
}

impl<'a> Histograms<'a> {
    pub(crate) fn len(&self) -> usize {
        self.t.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> Histograms<'a> {
        let start_t = if self.start_t.is_empty() { self.start_t } else { &self.start_t[from..to] };
        Histograms { t: &self.t[from..to], v: &self.v[from..to], start_t }
    }

    pub(crate) fn get(&self, at: usize) -> &'a FloatHistogram {
        &self.v[at]
    }
}

impl<'a> SeriesSamples<'a> {
    /// Samples as the store gave them.
    pub(crate) fn of_store(columns: &'a mut Columns) -> Self {
        // Stale marks are rare: without an exit in its middle the search takes several samples at a time.
        if columns.float_v.iter().fold(false, |any, v| any | is_stale(*v)) {
            remove_stale_floats(columns);
        }
        if columns.histogram_v.iter().any(|h| is_stale(h.sum)) {
            remove_stale_histograms(columns);
        }
        Self::of_columns(columns)
    }

    fn of_columns(columns: &'a Columns) -> Self {
        Self {
            floats: Floats { t: &columns.float_t, v: &columns.float_v, start_t: &columns.float_start_t },
            histograms: Histograms {
                t: &columns.histogram_t,
                v: &columns.histogram_v,
                start_t: &columns.histogram_start_t,
            },
        }
    }

    /// Samples as a subquery gave them. Hints about counter resets are forgotten: they need not hold between the
    /// samples that the subquery picked.
    pub(crate) fn of_row(row: &Row, grid: &Grid, columns: &'a mut Columns) -> Self {
        columns.clear();
        for step in row.present() {
            match row.value(step) {
                Some(Value::Float(v)) => columns.push_float(grid.time(step), v, 0),
                Some(Value::Histogram(h)) => {
                    columns.push_histogram(grid.time(step), super::histogram::without_reset_hint(h), 0);
                }
                None => {}
            }
        }
        Self::of_columns(columns)
    }
}

fn remove_stale_floats(columns: &mut Columns) {
    let has_start = !columns.float_start_t.is_empty();
    let mut kept = 0;
    for at in 0..columns.float_v.len() {
        if !is_stale(columns.float_v[at]) {
            columns.float_t[kept] = columns.float_t[at];
            columns.float_v[kept] = columns.float_v[at];
            if has_start {
                columns.float_start_t[kept] = columns.float_start_t[at];
            }
            kept += 1;
        }
    }
    columns.float_t.truncate(kept);
    columns.float_v.truncate(kept);
    columns.float_start_t.truncate(kept);
}

fn remove_stale_histograms(columns: &mut Columns) {
    let has_start = !columns.histogram_start_t.is_empty();
    let mut kept = 0;
    for at in 0..columns.histogram_v.len() {
        if !is_stale(columns.histogram_v[at].sum) {
            columns.histogram_t[kept] = columns.histogram_t[at];
            columns.histogram_v.swap(kept, at);
            if has_start {
                columns.histogram_start_t[kept] = columns.histogram_start_t[at];
            }
            kept += 1;
        }
    }
    columns.histogram_t.truncate(kept);
    columns.histogram_v.truncate(kept);
    columns.histogram_start_t.truncate(kept);
}
