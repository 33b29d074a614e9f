//! The engine: takes a checked expression, a store and the query's times; gives a value, annotations and figures.
//!
//! It knows no queue and no clock, and works on rayon's threads: the caller admits queries, hands in the time that passes
//! and the flag that cancels.

use model::read::SeriesSource;
use query::{Annotations, QueryError, QueryValue, RangeTimes, Threads, Times, ValueType};

use crate::ast::Expr;
use crate::context::QueryContext;
use crate::eval;
use crate::options::EngineOptions;
use crate::stats::QueryStats;

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings and infos, the store's warnings included.
    pub annotations: Annotations,
    /// Figures.
    pub stats: QueryStats,
}

/// Evaluates queries. Cheap to share; queries run in parallel.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates an expression at one time, in milliseconds.
    pub fn instant(
        &self,
        expr: &Expr,
        source: &dyn SeriesSource,
        t: i64,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.prepare(expr, Times::Instant(t), context)?.evaluate(source, Threads::All, context)
    }

    /// Evaluates an expression at every step of a range. The result is a [`QueryValue::Matrix`].
    pub fn range(
        &self,
        expr: &Expr,
        source: &dyn SeriesSource,
        times: RangeTimes,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.prepare(expr, Times::Range(times), context)?.evaluate(source, Threads::All, context)
    }

    /// Plans a query.
    pub fn prepare(
        &self,
        expr: &Expr,
        times: Times,
        context: &QueryContext<'_>,
    ) -> Result<Prepared, QueryError> {
        if let Times::Range(range) = times {
            check_range(expr, range)?;
        }
        eval::Planned::new(&self.options, expr, times, context).map(Prepared)
    }
}

/// A query that is planned and may be evaluated.
#[derive(Debug)]
pub struct Prepared(eval::Planned);

impl Prepared {
    /// Whether an evaluation, or telling its work, may wait for a disk.
    pub fn may_wait(&self, source: &dyn SeriesSource) -> bool {
        self.0.plan().may_wait(source)
    }

    /// About how many nanoseconds an evaluation takes at most, where samples are not much denser than usual; `None` where
    /// that is not known. Estimated roughly, and closely if that is more than `enough`.
    pub fn work(&self, source: &dyn SeriesSource, enough: u64) -> Option<u64> {
        self.0.plan().work(source, enough)
    }

    /// Evaluates the query. `context` is the one it was prepared with; deadline and flag may differ.
    pub fn evaluate(
        &self,
        source: &dyn SeriesSource,
        threads: Threads,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.0.evaluate(source, threads, context)
    }
}

/// Refuses what cannot be evaluated over a range.
fn check_range(expr: &Expr, times: RangeTimes) -> Result<(), QueryError> {
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
        return Err(QueryError::Invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            value_type.as_str()
        )));
    }
    if times.step <= 0 {
        return Err(QueryError::Invalid(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        ));
    }
    Ok(())
}
