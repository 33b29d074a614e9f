//! Function calls: ranges, labels, times, dates, mathematics.

use model::labels::METRIC_NAME;
use model::matcher::MatchOp;
use model::regexp::Regexp;
use model::{Labels, Value};
use promql::ast::{Call, Expr, ExprKind, RangeMode, VectorSelector};
use query::ValueType;

use super::classic::{Question, ask};
use super::over_time::{apply, between, changed, was_reset};
use super::select::Window;
use super::{Answer, Failure, Grid, Naive, Sample, error, extended, unique, without_name};

/// Go's `math.Max`.
pub fn go_max(a: f64, b: f64) -> f64 {
    match (a, b) {
        _ if a == f64::INFINITY || b == f64::INFINITY => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ if a == 0.0 && b == 0.0 => a + b,
        _ if a < b => b,
        _ => a,
    }
}

/// Go's `math.Min`.
pub fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

impl Naive {
    /// A call; `expr` is the expression that it is.
    pub fn call(&self, expr: &Expr, call: &Call, grid: Grid, t: i64) -> Result<Answer, Failure> {
        let name = call.function.name;
        let args: Vec<&Expr> = call.args.iter().map(Expr::without_parens).collect();
        if let Some(range) = args.iter().find(|arg| arg.value_type() == ValueType::Matrix) {
            return self.range_call(expr, name, range, &args, grid, t);
        }
        let scalar = |i: usize| self.scalar(args[i], grid, t);
        let text = |i: usize| match self.at(args[i], grid, t)? {
            Answer::Text(text) => Ok(text),
            other => error(format!("{other:?} is no text")),
        };
        let seconds = |ms: i64| Ok(Answer::Scalar(ms as f64 / 1000.0));
        match name {
            "time" => return seconds(t),
            "start" => return seconds(self.query.start),
            "end" => return seconds(self.query.end),
            "range" => return seconds(self.query.end - self.query.start),
            "step" => return seconds(if self.query.start == self.query.end { 0 } else { self.query.step }),
            "pi" => return Ok(Answer::Scalar(std::f64::consts::PI)),
            "max_of" => return Ok(Answer::Scalar(go_max(scalar(0)?, scalar(1)?))),
            "min_of" => return Ok(Answer::Scalar(go_min(scalar(0)?, scalar(1)?))),
            "vector" => return Ok(Answer::Vector(vec![unlabelled(scalar(0)?)])),
            "timestamp" => return self.timestamp(args[0], grid, t),
            // Start timestamps are not used.
            "start_timestamp" => return Ok(Answer::Vector(Vec::new())),
            "histogram_quantile" => {
                let question = Question::Quantile(scalar(0)?);
                return ask(&self.vector(args[1], grid, t)?, &[(None, question)]);
            }
            "histogram_fraction" => {
                let question = Question::Fraction(scalar(0)?, scalar(1)?);
                return ask(&self.vector(args[2], grid, t)?, &[(None, question)]);
            }
            "histogram_quantiles" => {
                let mut questions = Vec::new();
                for i in 2..args.len() {
                    let q = scalar(i)?;
                    let told_by = (text(1)?, open_metrics(q));
                    questions.push((Some(told_by), Question::Quantile(q)));
                }
                return ask(&self.vector(args[0], grid, t)?, &questions);
            }
            _ => {}
        }
        if let Some(part) = date_part(name)
            && args.is_empty()
        {
            return Ok(Answer::Vector(vec![unlabelled(part(&date(t.div_euclid(1000))))]));
        }
        let input = self.vector(args[0], grid, t)?;
        if let Some(part) = date_part(name) {
            return map(&input, |v| Some(part(&date(whole_seconds(v)))));
        }
        match name {
            "absent" if input.is_empty() => {
                let selector =
                    if let ExprKind::Vector(selector) = &args[0].kind { Some(selector) } else { None };
                Ok(Answer::Vector(vec![Sample { labels: absent_labels(selector), value: Value::Float(1.0) }]))
            }
            "absent" => Ok(Answer::Vector(Vec::new())),
            "scalar" => {
                let floats: Vec<f64> = input.iter().filter_map(Sample::float).collect();
                Ok(Answer::Scalar(if let [v] = floats.as_slice() { *v } else { f64::NAN }))
            }
            "sort" | "sort_desc" => {
                Ok(Answer::Vector(input.into_iter().filter(|sample| sample.float().is_some()).collect()))
            }
            "sort_by_label" | "sort_by_label_desc" => Ok(Answer::Vector(input)),
            "label_replace" => {
                let (target, new, source, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
                let Ok(pattern) = Regexp::anchored(&pattern) else {
                    return error("invalid regular expression");
                };
                relabelled(&input, &target, |labels| {
                    let captures = pattern.captures(labels.get(&source).unwrap_or(""))?;
                    let mut expanded = String::new();
                    pattern.expand(&new, &captures, &mut expanded);
                    Some(expanded)
                })
            }
            "label_join" => {
                let (target, separator) = (text(1)?, text(2)?);
                let sources: Vec<String> = (3..args.len()).map(text).collect::<Result<_, _>>()?;
                relabelled(&input, &target, |labels| {
                    let values: Vec<&str> = sources.iter().map(|s| labels.get(s).unwrap_or("")).collect();
                    Some(values.join(&separator))
                })
            }
            "clamp" | "clamp_min" | "clamp_max" => {
                let (min, max) = match name {
                    "clamp" => (scalar(1)?, scalar(2)?),
                    "clamp_min" => (scalar(1)?, f64::INFINITY),
                    _ => (f64::NEG_INFINITY, scalar(1)?),
                };
                map(&input, |v| if max < min { None } else { Some(go_max(min, go_min(max, v))) })
            }
            "round" => {
                let to = if args.len() > 1 { scalar(1)? } else { 1.0 };
                let inverse = 1.0 / to;
                map(&input, |v| Some((v * inverse + 0.5).floor() / inverse))
            }
            "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev"
            | "histogram_stdvar" => {
                let figure = |sample: &Sample| {
                    let Value::Histogram(h) = &sample.value else { return None };
                    Some(sample.derived(Value::Float(match name {
                        "histogram_count" => h.count,
                        "histogram_sum" => h.sum,
                        "histogram_avg" => h.sum / h.count,
                        "histogram_stddev" => h.deviation(),
                        _ => h.variance(),
                    })))
                };
                unique(input.iter().filter_map(figure).collect())
            }
            _ => map(&input, |v| mathematics(name, v)),
        }
    }

    fn range_call(
        &self,
        expr: &Expr,
        name: &str,
        range: &Expr,
        args: &[&Expr],
        grid: Grid,
        t: i64,
    ) -> Result<Answer, Failure> {
        let (windows, selector) = match &range.kind {
            ExprKind::Matrix(matrix) => {
                (self.windows(&matrix.vector, &matrix.range, t)?, Some(&matrix.vector))
            }
            ExprKind::Subquery(subquery) => (self.subquery(subquery, grid, t)?, None),
            _ => return error("no range"),
        };
        if name == "absent_over_time" {
            let absent = Sample { labels: absent_labels(selector), value: Value::Float(1.0) };
            return Ok(Answer::Vector(if windows.is_empty() { vec![absent] } else { Vec::new() }));
        }
        let mut params = Vec::new();
        for arg in args.iter().filter(|arg| arg.value_type() == ValueType::Scalar) {
            params.push(self.scalar(arg, grid, t)?);
        }
        let mode = selector.map_or(RangeMode::Plain, |selector| selector.mode);
        let mut result = Vec::new();
        for window in windows {
            let value = match (mode, name) {
                (RangeMode::Plain, _) => apply(name, &window, &params, t)?,
                (_, "rate" | "increase" | "delta") => extended::rate(name, mode, &window),
                (RangeMode::Anchored, "changes") => from_anchor(&window, changed),
                (RangeMode::Anchored, "resets") => from_anchor(&window, was_reset),
                _ => return error("no function for extended ranges"),
            };
            let keeps_name = matches!(name, "first_over_time" | "last_over_time");
            let labels = if keeps_name { window.labels.clone() } else { without_name(&window.labels) };
            let Some(value) = value else { continue };
            // Two series must not become one, not even at different times.
            let mut origins = self.origins.borrow_mut();
            let origin = origins.entry((std::ptr::from_ref(expr), labels.clone()));
            if *origin.or_insert_with(|| window.labels.clone()) != window.labels {
                return error("vector cannot contain metrics with the same labelset");
            }
            result.push(Sample { labels, value });
        }
        Ok(Answer::Vector(result))
    }

    /// The time of the sample itself where a selector stands alone, else that of the evaluation.
    fn timestamp(&self, arg: &Expr, grid: Grid, t: i64) -> Result<Answer, Failure> {
        let stamped = |(t, sample): (i64, Sample)| sample.derived(Value::Float(t as f64 / 1000.0));
        let samples = match &arg.kind {
            ExprKind::Vector(selector) => self.newest(selector, t)?,
            _ => self.vector(arg, grid, t)?.into_iter().map(|sample| (t, sample)).collect(),
        };
        unique(samples.into_iter().map(stamped).collect())
    }
}

fn unlabelled(v: f64) -> Sample {
    Sample { labels: Labels::empty(), value: Value::Float(v) }
}

/// Applies a function to all floats; histograms are left out.
fn map(input: &[Sample], f: impl Fn(f64) -> Option<f64>) -> Result<Answer, Failure> {
    let mapped = |sample: &Sample| Some(sample.derived(Value::Float(f(sample.float()?)?)));
    unique(input.iter().filter_map(mapped).collect())
}

fn relabelled(
    input: &[Sample],
    target: &str,
    value: impl Fn(&Labels) -> Option<String>,
) -> Result<Answer, Failure> {
    let changed = |sample: &Sample| {
        let mut labels = sample.labels.to_builder();
        if let Some(value) = value(&sample.labels) {
            labels.set(target, &value);
        }
        Sample { labels: labels.finish(), value: sample.value.clone() }
    };
    unique(input.iter().map(changed).collect())
}

/// The last sample at or before the window's start counts as the first.
fn from_anchor(window: &Window, differ: fn(&Value, &Value) -> bool) -> Option<Value> {
    let anchor = window.samples.iter().rposition(|(t, _)| *t <= window.start).unwrap_or(0);
    let has_any = window.samples.iter().any(|(t, _)| *t > window.start);
    has_any.then(|| Value::Float(between(&window.samples[anchor..], differ)))
}

/// The labels that a selector pins to one value, each named once.
fn absent_labels(selector: Option<&VectorSelector>) -> Labels {
    let matchers = selector.map_or(&[][..], |selector| &selector.matchers);
    let mut pinned: Vec<(&str, &str)> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        let uses = matchers.iter().filter(|other| other.name() == matcher.name()).count();
        if matcher.op() == MatchOp::Equal && uses == 1 {
            pinned.push((matcher.name(), matcher.value()));
        }
    }
    Labels::from_pairs(pinned)
}

/// A float as OpenMetrics writes it: a whole number with a point.
fn open_metrics(v: f64) -> String {
    let text = model::go_float::FloatG(v).to_string();
    if v.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

fn mathematics(name: &str, v: f64) -> Option<f64> {
    Some(match name {
        "abs" => v.abs(),
        "ceil" => v.ceil(),
        "floor" => v.floor(),
        "exp" => v.exp(),
        "sqrt" => v.sqrt(),
        "ln" => v.ln(),
        "log2" => v.log2(),
        "log10" => v.log10(),
        "sin" => v.sin(),
        "cos" => v.cos(),
        "tan" => v.tan(),
        "asin" => v.asin(),
        "acos" => v.acos(),
        "atan" => v.atan(),
        "sinh" => v.sinh(),
        "cosh" => v.cosh(),
        "tanh" => v.tanh(),
        "asinh" => v.asinh(),
        "acosh" => v.acosh(),
        "atanh" => v.atanh(),
        "rad" => v * std::f64::consts::PI / 180.0,
        "deg" => v * 180.0 / std::f64::consts::PI,
        "sgn" if v > 0.0 => 1.0,
        "sgn" if v < 0.0 => -1.0,
        "sgn" => v,
        _ => return None,
    })
}

/// A day in the calendar, and the second in it.
struct Date {
    year: i128,
    /// From 0.
    month: usize,
    /// From 0.
    day: i128,
    day_of_year: i128,
    days: i128,
    second: i128,
}

fn month_lengths(year: i128) -> [i128; 12] {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Go's conversion on the machines that Prometheus runs on: what does not fit becomes the least integer.
fn whole_seconds(v: f64) -> i64 {
    if (-9.3e18..9.2e18).contains(&v) { v as i64 } else { i64::MIN }
}

/// The date of a second, found by going on from 1970, in steps of whole eras of 400 years, years and months.
fn date(seconds: i64) -> Date {
    const ERA_DAYS: i128 = 146_097;
    // Go counts from the year -292277022399; what lies before comes out 2^64 seconds later.
    let before_first = seconds < -9_223_372_028_741_760_000;
    let seconds = i128::from(seconds) + if before_first { 1 << 64 } else { 0 };
    let days = seconds.div_euclid(86_400);
    let mut year = 1970 + 400 * days.div_euclid(ERA_DAYS);
    let mut left = days.rem_euclid(ERA_DAYS);
    while left >= month_lengths(year).iter().sum() {
        left -= month_lengths(year).iter().sum::<i128>();
        year += 1;
    }
    let day_of_year = left + 1;
    let mut month = 0;
    while left >= month_lengths(year)[month] {
        left -= month_lengths(year)[month];
        month += 1;
    }
    Date { year, month, day: left, day_of_year, days, second: seconds.rem_euclid(86_400) }
}

fn date_part(name: &str) -> Option<fn(&Date) -> f64> {
    Some(match name {
        "year" => |date| date.year as f64,
        "month" => |date| date.month as f64 + 1.0,
        "day_of_month" => |date| date.day as f64 + 1.0,
        "day_of_year" => |date| date.day_of_year as f64,
        // 1970 began on a Thursday.
        "day_of_week" => |date| (date.days + 4).rem_euclid(7) as f64,
        "days_in_month" => |date| month_lengths(date.year)[date.month] as f64,
        "hour" => |date| (date.second / 3600) as f64,
        "minute" => |date| (date.second / 60 % 60) as f64,
        _ => return None,
    })
}
