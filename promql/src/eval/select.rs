//! Series selected from the store, and their decoding into columns.

use std::sync::OnceLock;

use model::read::{Columns, ReadError, Selection, Series, SeriesSource};
use query::QueryError;
use query::interrupt::STAGE_EVALUATION;

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

/// Asks the store.
pub(crate) fn select(source: &dyn SeriesSource, selection: &Selection) -> Result<Selected, QueryError> {
    let set = source.select(selection).map_err(store_error)?;
    Ok(Selected { series: set.series, warnings: set.warnings, type_or_unit: OnceLock::new() })
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
