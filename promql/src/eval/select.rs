//! Series selected from the store, and their decoding into columns.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::read::{Columns, ReadError, Selection, Series, SeriesSource, Watch};
use query::QueryError;
use query::interrupt::{Interrupt, STAGE_EVALUATION};

/// The answer to one selection.
pub(crate) struct Selected {
    pub(crate) series: Vec<Box<dyn Series>>,
    pub(crate) warnings: Vec<String>,
    type_or_unit: OnceLock<bool>,
}

impl Selected {
    /// Whether a series is labelled with its type or unit; then a name alone does not tell series apart.
    pub(crate) fn has_type_or_unit(&self) -> bool {
        let labelled = |series: &dyn Series| {
            ["__type__", "__unit__"].iter().any(|name| series.labels().get(name).is_some())
        };
        *self.type_or_unit.get_or_init(|| self.series.iter().any(|series| labelled(series.as_ref())))
    }
}

/// Counts what a selection takes while it grows.
struct Counted<'i> {
    interrupt: &'i Interrupt<'i>,
    bytes: AtomicUsize,
    /// Why the selection was ended.
    ended: OnceLock<QueryError>,
}

impl Watch for Counted<'_> {
    fn grown(&self, bytes: usize) -> Result<(), ReadError> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let grown = self.interrupt.allocated(bytes).and_then(|()| self.interrupt.check(STAGE_EVALUATION));
        grown.map_err(|e| {
            // The first reason counts.
            let _ = self.ended.set(e);
            ReadError::Cancelled
        })
    }
}

/// Asks the store. What the answer takes is counted as taken by the operation under way; also returns how much that is.
pub(crate) fn select(
    source: &dyn SeriesSource,
    selection: &Selection,
    interrupt: &Interrupt<'_>,
) -> Result<(Selected, usize), QueryError> {
    let counted = Counted { interrupt, bytes: AtomicUsize::new(0), ended: OnceLock::new() };
    let set = source.select_watched(selection, &counted);
    let Counted { bytes, ended, .. } = counted;
    let set = set.map_err(|e| ended.into_inner().unwrap_or_else(|| store_error(e)))?;
    let bytes = bytes.into_inner();
    Ok((Selected { series: set.series, warnings: set.warnings, type_or_unit: OnceLock::new() }, bytes))
}

/// Reads all samples of a series; with `stats_only`, histograms are reduced to their figures.
pub(crate) fn decode(series: &dyn Series, columns: &mut Columns, stats_only: bool) -> Result<(), QueryError> {
    series.read(columns).map_err(store_error)?;
    if stats_only {
        super::histogram::reduce_to_stats(&mut columns.histogram_v);
    }
    Ok(())
}

fn store_error(error: ReadError) -> QueryError {
    match error {
        ReadError::Cancelled => QueryError::Cancelled(STAGE_EVALUATION),
        error => QueryError::Storage(error),
    }
}
