//! A second evaluator of PromQL, as an oracle for tests: it evaluates one expression at one time, one series after the
//! other, by looping over all samples of all series again and again. Nothing is planned, batched or shared, except that
//! what a node of the tree gave at a time is remembered, so that subqueries in subqueries end before the night.
//!
//! It evaluates as Prometheus 3.14 does by default: metric names are dropped at once, start timestamps are not used.
//! It knows no annotations, no limits, `info()`, `limitk` or `limit_ratio` (whose choice of series depends on hashes
//! and order), and takes the arithmetic of native histograms from `model`. Vectors have no order: sorting does nothing.

mod aggregate;
mod binary;
mod classic;
mod extended;
mod functions;
mod over_time;
mod rate;
mod select;
mod sums;

use std::cell::RefCell;
use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::read::{Columns, Selection, SeriesSource};
use model::{Labels, Value};
use promql::ast::{Expr, ExprKind, UnaryOp};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The query has none; an engine must fail too.
    Error(String),
    /// Several answers are right, such as when `topk` has to choose among equals.
    Ambiguous,
}

/// An error of the query.
pub fn error<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(text.into()))
}

/// A sample of a vector.
#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: Labels,
    pub value: Value,
}

impl Sample {
    /// The sample with another value and without the labels that name the metric.
    fn derived(&self, value: Value) -> Self {
        Self { labels: without_name(&self.labels), value }
    }

    fn float(&self) -> Option<f64> {
        match self.value {
            Value::Float(v) => Some(v),
            Value::Histogram(_) => None,
        }
    }
}

/// What an expression gives at a time.
#[derive(Clone, Debug)]
pub enum Answer {
    Scalar(f64),
    Text(String),
    Vector(Vec<Sample>),
}

/// The labels without name, type and unit.
fn without_name(labels: &Labels) -> Labels {
    Labels::from_pairs(
        labels.iter().filter(|(name, _)| ![METRIC_NAME, "__type__", "__unit__"].contains(name)),
    )
}

/// A series as it is stored, staleness marks included, ascending in time.
pub struct Stored {
    labels: Labels,
    samples: Vec<(i64, Value)>,
}

/// Start, end and step in milliseconds of the query, or of a subquery's evaluation. An instant query has step 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

impl Grid {
    /// All its times.
    pub fn times(self) -> impl Iterator<Item = i64> {
        let step = self.step.max(1);
        (0..).map(move |i| self.start + i * step).take_while(move |t| *t <= self.end)
    }
}

/// Where in the query an evaluation takes place.
type Place = (*const Expr, Grid, i64);

/// All data, one query, and what was found out so far.
pub struct Naive {
    stored: Vec<Stored>,
    /// The query's own times.
    query: Grid,
    lookback: i64,
    default_interval: i64,
    known: RefCell<HashMap<Place, Result<Answer, Failure>>>,
    /// Which series each range function made each result of, by its place in the tree.
    origins: RefCell<HashMap<(*const Expr, Labels), Labels>>,
}

impl Naive {
    /// Reads all of a store, to answer a query at these times.
    pub fn new(source: &dyn SeriesSource, query: Grid, lookback: i64, default_interval: i64) -> Self {
        let all = Selection {
            matchers: Vec::new(),
            min_t: i64::MIN,
            max_t: i64::MAX,
            limit: 0,
            hints: Default::default(),
        };
        let mut stored = Vec::new();
        for series in source.select(&all).unwrap().series {
            let mut columns = Columns::default();
            let mut cursor = series.cursor();
            while cursor.next_run(&mut columns).unwrap() {}
            let floats = columns.float_t.iter().zip(&columns.float_v).map(|(t, v)| (*t, Value::Float(*v)));
            let histograms = columns.histogram_t.iter().zip(&columns.histogram_v);
            let histograms = histograms.map(|(t, h)| (*t, Value::Histogram(h.clone())));
            let mut samples: Vec<(i64, Value)> = floats.chain(histograms).collect();
            samples.sort_by_key(|(t, _)| *t);
            stored.push(Stored { labels: series.labels().clone(), samples });
        }
        let (known, origins) = Default::default();
        Self { stored, query, lookback, default_interval, known, origins }
    }

    /// Evaluates the query at all of its times.
    pub fn answer(&self, expr: &Expr) -> Result<Vec<(i64, Answer)>, Failure> {
        let query = self.query;
        query.times().map(|t| Ok((t, self.at(expr, query, t)?))).collect()
    }

    /// What an expression gives at a time, which belongs to a grid.
    fn at(&self, expr: &Expr, grid: Grid, t: i64) -> Result<Answer, Failure> {
        let place = (std::ptr::from_ref(expr), grid, t);
        if let Some(known) = self.known.borrow().get(&place) {
            return known.clone();
        }
        let value = self.evaluate(expr, grid, t);
        self.known.borrow_mut().insert(place, value.clone());
        value
    }

    fn evaluate(&self, expr: &Expr, grid: Grid, t: i64) -> Result<Answer, Failure> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(Answer::Scalar(number.value)),
            ExprKind::String(text) => Ok(Answer::Text(text.clone())),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Plus, inner) => self.at(inner, grid, t),
            ExprKind::Unary(UnaryOp::Minus, inner) => match self.at(inner, grid, t)? {
                Answer::Scalar(v) => Ok(Answer::Scalar(-v)),
                Answer::Vector(samples) => unique(samples.iter().map(negated).collect()),
                Answer::Text(_) => error("a sign before a text"),
            },
            ExprKind::Vector(selector) => Ok(Answer::Vector(self.select(selector, t)?)),
            ExprKind::Binary(binary) => self.binary(binary, grid, t),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, grid, t),
            ExprKind::Call(call) => self.call(expr, call, grid, t),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => error("a range that no function takes"),
        }
    }

    fn vector(&self, expr: &Expr, grid: Grid, t: i64) -> Result<Vec<Sample>, Failure> {
        match self.at(expr, grid, t)? {
            Answer::Vector(samples) => Ok(samples),
            other => error(format!("{other:?} is no vector")),
        }
    }

    fn scalar(&self, expr: &Expr, grid: Grid, t: i64) -> Result<f64, Failure> {
        match self.at(expr, grid, t)? {
            Answer::Scalar(v) => Ok(v),
            other => error(format!("{other:?} is no scalar")),
        }
    }
}

fn negated(sample: &Sample) -> Sample {
    sample.derived(match &sample.value {
        Value::Float(v) => Value::Float(-v),
        Value::Histogram(h) => {
            let mut h = h.as_ref().clone();
            h.mul(-1.0);
            Value::Histogram(h.into())
        }
    })
}

/// The vector, if no two samples have the same labels.
fn unique(samples: Vec<Sample>) -> Result<Answer, Failure> {
    for (i, sample) in samples.iter().enumerate() {
        if samples[..i].iter().any(|other| other.labels == sample.labels) {
            return error("vector cannot contain metrics with the same labelset");
        }
    }
    Ok(Answer::Vector(samples))
}
