//! `timestamp`, `start_timestamp`: of the sample itself when the operand is a selector, else of the step.

use query::QueryError;

use super::build::{Builder, PlanPart};
use super::call::CallSite;
use super::plan::InstantOutput;
use super::stage::Stage;
use crate::ast::ExprKind;

/// Builds `timestamp`.
pub(crate) fn build_timestamp(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    build(builder, site, false)
}

/// Builds `start_timestamp`.
pub(crate) fn build_start_timestamp(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    build(builder, site, true)
}

fn build(builder: &mut Builder<'_>, site: &CallSite<'_>, of_start: bool) -> Result<PlanPart, QueryError> {
    let operand = site.arg(0)?;
    if let ExprKind::Vector(selector) = &operand.kind {
        let gives = if of_start { InstantOutput::StartTime } else { InstantOutput::Time };
        let input = builder.selector(selector, operand.pos, Some(gives))?;
        let known = !of_start || builder.options.use_start_timestamps;
        return Ok(builder.staged(input, if known { Stage::DropName } else { Stage::Nothing }));
    }
    builder.staged_call(if of_start { Stage::Nothing } else { Stage::StepTime }, site)
}
