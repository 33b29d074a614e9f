//! Selectors and subqueries: which samples are seen from a time.

use model::sample::is_stale;
use model::{Labels, Value};
use promql::ast::{
    At, Duration, DurationExpr, DurationExprKind, RangeMode, Subquery, UnaryOp, VectorSelector,
};

use super::binary::arithmetic;
use super::functions::{go_max, go_min};
use super::{Answer, Failure, Grid, Naive, Sample, Stored, error, extended};

/// The samples of one series that a range function sees, none of them stale.
pub struct Window {
    pub labels: Labels,
    pub samples: Vec<(i64, Value)>,
    /// The window's bounds, the first exclusive. With `anchored` and `smoothed` there are samples beyond them.
    pub start: i64,
    pub end: i64,
}

fn is_stale_value(value: &Value) -> bool {
    match value {
        Value::Float(v) => is_stale(*v),
        Value::Histogram(h) => h.is_stale(),
    }
}

impl Stored {
    /// Samples later than `from`, up to `to`.
    fn between(&self, from: i64, to: i64) -> Vec<(i64, Value)> {
        self.samples.iter().filter(|(t, p)| *t > from && *t <= to && !is_stale_value(p)).cloned().collect()
    }
}

impl Naive {
    fn matching(&self, selector: &VectorSelector) -> impl Iterator<Item = &Stored> {
        self.stored.iter().filter(|stored| selector.matchers.iter().all(|m| m.matches_labels(&stored.labels)))
    }

    /// The time that `@` and `offset` mean at a time.
    fn moment(&self, at: Option<At>, offset: &Duration, t: i64) -> Result<i64, Failure> {
        let from = match at {
            None => t,
            Some(At::Timestamp(t)) => t,
            Some(At::Start) => self.query.start,
            Some(At::End) => self.query.end,
        };
        Ok(from - self.duration(offset, true)?)
    }

    fn duration(&self, duration: &Duration, may_be_negative: bool) -> Result<i64, Failure> {
        match duration {
            Duration::Millis(ms) => Ok(*ms),
            Duration::Expr(expr) => {
                let seconds = self.seconds(expr)?;
                let fits = seconds.is_finite() && seconds.abs() <= 9e9 && (may_be_negative || seconds > 0.0);
                if fits { Ok((seconds * 1000.0) as i64) } else { error("duration out of range") }
            }
        }
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, Failure> {
        Ok(match &expr.kind {
            DurationExprKind::Literal(number) => number.value,
            DurationExprKind::Step => self.query.step as f64 / 1000.0,
            DurationExprKind::Range => (self.query.end - self.query.start) as f64 / 1000.0,
            DurationExprKind::Paren(inner) | DurationExprKind::Unary(UnaryOp::Plus, inner) => {
                self.seconds(inner)?
            }
            DurationExprKind::Unary(UnaryOp::Minus, inner) => -self.seconds(inner)?,
            DurationExprKind::Min(a, b) => go_min(self.seconds(a)?, self.seconds(b)?),
            DurationExprKind::Max(a, b) => go_max(self.seconds(a)?, self.seconds(b)?),
            // Division by zero gives no finite number and so is refused.
            DurationExprKind::Binary(op, a, b) => arithmetic(*op, self.seconds(a)?, self.seconds(b)?),
        })
    }

    /// The newest sample of each series that is not older than the lookback, with its time; none where that is stale.
    pub fn newest(&self, selector: &VectorSelector, t: i64) -> Result<Vec<(i64, Sample)>, Failure> {
        let t = self.moment(selector.at, &selector.offset, t)?;
        let mut found = Vec::new();
        for stored in self.matching(selector) {
            let newest = stored.samples.iter().rev().find(|(at, _)| *at <= t);
            if let Some((at, value)) = newest.filter(|(at, p)| *at > t - self.lookback && !is_stale_value(p))
            {
                found.push((*at, Sample { labels: stored.labels.clone(), value: value.clone() }));
            }
        }
        Ok(found)
    }

    /// An instant selector.
    pub fn select(&self, selector: &VectorSelector, t: i64) -> Result<Vec<Sample>, Failure> {
        if selector.mode != RangeMode::Smoothed {
            return Ok(self.newest(selector, t)?.into_iter().map(|(_, sample)| sample).collect());
        }
        let t = self.moment(selector.at, &selector.offset, t)?;
        let mut found = Vec::new();
        for stored in self.matching(selector) {
            let around = stored.between(t - self.lookback, t + self.lookback);
            if let Some(value) = extended::smooth(&around, t) {
                found.push(Sample { labels: stored.labels.clone(), value });
            }
        }
        Ok(found)
    }

    /// The windows of a range selector; series without samples in them are left out.
    pub fn windows(
        &self,
        selector: &VectorSelector,
        range: &Duration,
        t: i64,
    ) -> Result<Vec<Window>, Failure> {
        let end = self.moment(selector.at, &selector.offset, t)?;
        let start = end - self.duration(range, false)?;
        let (before, after) = match selector.mode {
            RangeMode::Plain => (0, 0),
            RangeMode::Anchored => (self.lookback, 0),
            RangeMode::Smoothed => (self.lookback, self.lookback),
        };
        let window = |stored: &Stored| Window {
            labels: stored.labels.clone(),
            samples: stored.between(start - before, end + after),
            start,
            end,
        };
        Ok(self.matching(selector).map(window).filter(|window| !window.samples.is_empty()).collect())
    }

    /// The windows of a subquery: what its expression gives at the multiples of its step.
    pub fn subquery(&self, subquery: &Subquery, grid: Grid, t: i64) -> Result<Vec<Window>, Failure> {
        let range = self.duration(&subquery.range, false)?;
        let step = match &subquery.step {
            Some(step) => self.duration(step, false)?,
            None => self.default_interval,
        };
        let seen_from = |t| self.moment(subquery.at, &subquery.offset, t);
        let last = grid.times().last().unwrap_or(grid.start);
        // Evaluated at all multiples from the first window to the last, whether or not a window holds them.
        let first = seen_from(grid.start)? - range;
        let inner = Grid { start: (first.div_euclid(step) + 1) * step, end: seen_from(last)?, step };
        let end = seen_from(t)?;
        let start = end - range;
        let mut windows: Vec<Window> = Vec::new();
        for at in inner.times() {
            let samples = match self.at(&subquery.expr, inner, at)? {
                Answer::Vector(samples) => samples,
                Answer::Scalar(v) => vec![Sample { labels: Labels::empty(), value: Value::Float(v) }],
                Answer::Text(_) => return error("a subquery of a text"),
            };
            for Sample { labels, value } in samples.into_iter().filter(|_| at > start && at <= end) {
                let sample = (at, without_hint(value));
                match windows.iter_mut().find(|window| window.labels == labels) {
                    Some(window) => window.samples.push(sample),
                    None => windows.push(Window { labels, samples: vec![sample], start, end }),
                }
            }
        }
        Ok(windows)
    }
}

/// What a histogram said of its predecessor in the store does not hold among the samples of a subquery.
fn without_hint(value: Value) -> Value {
    use model::histogram::ResetHint;
    match value {
        Value::Histogram(h) if h.reset_hint != ResetHint::Gauge => {
            let mut h = h.as_ref().clone();
            h.reset_hint = ResetHint::Unknown;
            Value::Histogram(h.into())
        }
        other => other,
    }
}
