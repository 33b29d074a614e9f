//! Queries of rules, and what they read to restore alerts. They come from inside and block the rules' own threads, so
//! they do not wait behind clients.

use std::sync::Arc;

use alerting::rules::{GroupName, Querier, QueryFailure};
use model::read::SeriesSource;
use promql::ast::Expr;
use query::{QueryError, VectorSample};

use super::query_log::Origin;
use super::{Door, Tenant};

impl Querier for Door {
    fn instant(&self, expr: &Expr, t: i64, group: GroupName<'_>) -> Result<Vec<VectorSample>, QueryFailure> {
        let origin = Origin::RuleGroup { file: group.file.to_owned(), name: group.name.to_owned() };
        let result = self.query_for_rule(Tenant, expr, t, &origin).map_err(|e| QueryFailure {
            message: e.to_string(),
            cancelled: matches!(e, QueryError::Cancelled(_)),
        })?;
        result.value.into_vector().ok_or_else(|| QueryFailure {
            message: "rule result is not a vector or scalar".to_owned(),
            cancelled: false,
        })
    }

    fn snapshot(&self) -> Arc<dyn SeriesSource> {
        self.core.storage.snapshot()
    }
}
