//! `clamp`, `clamp_min`, `clamp_max`, `round`: functions of a float and scalars.

use query::QueryError;

use super::build::{Builder, PlanPart};
use super::call::CallSite;
use super::plan::ScalarRef;
use super::stage::Stage;

/// Builds `clamp`.
pub(crate) fn build_clamp(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let stage = Stage::Clamp { min: builder.scalar(site.arg(1)?)?, max: builder.scalar(site.arg(2)?)? };
    builder.staged_call(stage, site)
}

/// Builds `clamp_min`.
pub(crate) fn build_clamp_min(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    let min = builder.scalar(site.arg(1)?)?;
    builder.staged_call(Stage::Clamp { min, max: ScalarRef::Const(f64::INFINITY) }, site)
}

/// Builds `clamp_max`.
pub(crate) fn build_clamp_max(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    let max = builder.scalar(site.arg(1)?)?;
    builder.staged_call(Stage::Clamp { min: ScalarRef::Const(f64::NEG_INFINITY), max }, site)
}

/// Builds `round`.
pub(crate) fn build_round(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let to = site.args.get(1).map(|to| builder.scalar(to)).transpose()?;
    builder.staged_call(Stage::Round(to), site)
}
