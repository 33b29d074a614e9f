//! Queries of rules, and what they read to restore alerts. They come from inside and block the rules' own threads, so
//! they do not wait behind clients.

use std::sync::Arc;

use alerting::rules::{Querier, QueryFailure, Sample, SampleValue};
use model::Labels;
use model::read::SeriesSource;
use promql::ast::Expr;
use promql::engine::QueryError;
use promql::value::{Point, Value};

use super::{Door, Tenant};

impl Querier for Door {
    fn instant(&self, expr: &Expr, t: i64) -> Result<Vec<Sample>, QueryFailure> {
        let result = self.query_for_rule(Tenant, expr, t).map_err(|e| QueryFailure {
            message: e.to_string(),
            cancelled: matches!(e, QueryError::Cancelled(_)),
        })?;
        match result.value {
            Value::Vector(samples) => Ok(samples
                .into_iter()
                .map(|sample| Sample {
                    labels: sample.labels,
                    value: match sample.point {
                        Point::Float(v) => SampleValue::Float(v),
                        Point::Histogram(h) => SampleValue::Histogram(h),
                    },
                })
                .collect()),
            Value::Scalar(scalar) => {
                Ok(vec![Sample { labels: Labels::empty(), value: SampleValue::Float(scalar.v) }])
            }
            _ => Err(QueryFailure {
                message: "rule result is not a vector or scalar".to_owned(),
                cancelled: false,
            }),
        }
    }

    fn snapshot(&self) -> Arc<dyn SeriesSource> {
        self.core.storage.snapshot()
    }
}
