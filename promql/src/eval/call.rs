//! Function calls: which part of the evaluation each function belongs to.

use query::matrix::{Equals, Row, count_last, unite};
use query::{Pos, QueryError, ValueType, sort};

use super::absent::{self, Presence};
use super::build::{Builder, Built, wrong_type};
use super::classic::{self, Question};
use super::date::Date;
use super::info::InfoCall;
use super::label::{LabelJoin, LabelReplace};
use super::map::Stage;
use super::moment::Moment;
use super::plan::{Input, InstantGives, Op, ScalarRef, ScopeId, Source, Stream};
use super::range::{RangeCall, RangeFn};
use super::{Evaluator, ScalarColumn, ScalarSamples, Val, math};
use crate::annotations::Annotate;
use crate::ast::{Call, Expr, ExprKind, RangeMode, Subquery};

/// A function that looks at a whole vector.
#[derive(Debug)]
pub(crate) enum FrameCall {
    /// `over_time`: the operand's samples are gone by the time Prometheus counts.
    Absent {
        input: Input,
        labels: model::Labels,
        over_time: bool,
    },
    Sort {
        input: Input,
        descending: bool,
        pos: Pos,
    },
    SortByLabel {
        input: Input,
        labels: Vec<String>,
        descending: bool,
        pos: Pos,
    },
    LabelReplace {
        input: Input,
        replace: LabelReplace,
    },
    LabelJoin {
        input: Input,
        join: LabelJoin,
    },
    Histogram {
        input: Input,
        question: HistogramQuestion,
        pos: Pos,
    },
    Info {
        input: Input,
        call: InfoCall,
    },
}

/// What is asked of histograms, with operands to be evaluated.
#[derive(Debug)]
pub(crate) enum HistogramQuestion {
    Quantile(ScalarRef, Pos),
    Quantiles(String, Vec<(ScalarRef, Pos)>),
    Fraction(ScalarRef, ScalarRef),
}

impl HistogramQuestion {
    fn operands(&self) -> Vec<ScalarRef> {
        match self {
            Self::Quantile(q, _) => vec![*q],
            Self::Quantiles(_, qs) => qs.iter().map(|(q, _)| *q).collect(),
            Self::Fraction(lower, upper) => vec![*lower, *upper],
        }
    }
}

/// Whether a function's result depends on the step even if its operands do not.
pub(crate) fn looks_at_step_time(function: &str) -> bool {
    matches!(function, "predict_linear" | "time" | "timestamp") || date_part(function).is_some()
}

/// The part of a date that a function gives.
fn date_part(function: &str) -> Option<fn(&Date) -> i64> {
    Some(match function {
        "days_in_month" => Date::days_in_month,
        "day_of_month" => |date| date.day,
        "day_of_week" => |date| date.weekday,
        "day_of_year" => |date| date.day_of_year,
        "hour" => |date| date.hour,
        "minute" => |date| date.minute,
        "month" => |date| date.month,
        "year" => |date| date.year,
        _ => return None,
    })
}

impl Builder<'_> {
    /// Builds a call.
    pub(crate) fn call(&mut self, call: &Call, pos: Pos) -> Result<Built, QueryError> {
        let name = call.function.name;
        let args: Vec<&Expr> = call.args.iter().map(Expr::without_parens).collect();
        if let Some(func) = RangeFn::named(name) {
            return self.range_call(name, func, &args);
        }
        if let Some(part) = date_part(name) {
            return match args.first() {
                Some(arg) => {
                    let input = self.vector(arg)?;
                    Ok(self.staged(input, Stage::Date(part)))
                }
                None => Ok(Built::Vector(Input::Node(self.push(Op::DateNow(part))))),
            };
        }
        match name {
            "time" => Ok(Built::Scalar(ScalarRef::Node(self.push(Op::Time)))),
            "pi" => Ok(Built::Scalar(ScalarRef::Const(std::f64::consts::PI))),
            "max_of" | "min_of" => {
                let (left, right) = (self.scalar(arg(&args, 0)?)?, self.scalar(arg(&args, 1)?)?);
                let op = Op::ScalarExtreme { max: name == "max_of", left, right };
                Ok(Built::Scalar(ScalarRef::Node(self.push(op))))
            }
            "scalar" => {
                let input = self.vector(arg(&args, 0)?)?;
                Ok(Built::Scalar(ScalarRef::Node(self.push(Op::ScalarOf(input)))))
            }
            "vector" => {
                let scalar = self.scalar(arg(&args, 0)?)?;
                Ok(Built::Vector(Input::Node(self.push(Op::VectorOf(scalar)))))
            }
            "timestamp" | "start_timestamp" => self.sample_time(name, arg(&args, 0)?),
            _ => match self.stage(name, &args)? {
                Some(stage) => {
                    let input = self.vector(arg(&args, 0)?)?;
                    Ok(self.staged(input, stage))
                }
                None => {
                    let frame = self.frame(name, &args, pos)?;
                    Ok(Built::Vector(Input::Node(self.push(Op::Call(Box::new(frame))))))
                }
            },
        }
    }

    fn range_call(&mut self, name: &str, func: RangeFn, args: &[&Expr]) -> Result<Built, QueryError> {
        let is_range = |arg: &&&Expr| arg.value_type() == ValueType::Matrix;
        let Some(range) = args.iter().find(is_range) else {
            return Err(wrong_type(arg(args, 0)?, ValueType::Matrix));
        };
        let input = match &range.kind {
            ExprKind::Matrix(matrix) => {
                check_mode(name, func, matrix.vector.mode)?;
                self.matrix(matrix)?
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery)?,
            _ => return Err(wrong_type(range, ValueType::Matrix)),
        };
        let mut params = Vec::new();
        for arg in args.iter().filter(|arg| arg.value_type() == ValueType::Scalar) {
            params.push(self.scalar(arg)?);
        }
        // Notes point at the first argument, whichever that is; for a subquery Prometheus has forgotten where it was.
        let first = arg(args, 0)?;
        let is_subquery = matches!(first.kind, ExprKind::Subquery(_));
        let pos = if is_subquery { Pos::default() } else { first.pos };
        let call = RangeCall { func, input, params, pos };
        let stream = Stream { source: Source::Range(Box::new(call)), stages: Vec::new() };
        let input = Input::Stream(Box::new(stream));
        if func == RangeFn::Absent {
            let frame = FrameCall::Absent { input, labels: absent::labels(range), over_time: true };
            return Ok(Built::Vector(Input::Node(self.push(Op::Call(Box::new(frame))))));
        }
        Ok(Built::Vector(input))
    }

    /// `timestamp`, `start_timestamp`: of the sample itself when the operand is a selector, else of the step.
    fn sample_time(&mut self, name: &str, operand: &Expr) -> Result<Built, QueryError> {
        let of_start = name == "start_timestamp";
        if let ExprKind::Vector(selector) = &operand.kind {
            let gives = if of_start { InstantGives::StartTime } else { InstantGives::Time };
            let input = self.selector(selector, operand.pos, Some(gives))?;
            let known = !of_start || self.options.use_start_timestamps;
            return Ok(self.staged(input, if known { Stage::DropName } else { Stage::Nothing }));
        }
        let input = self.vector(operand)?;
        Ok(self.staged(input, if of_start { Stage::Nothing } else { Stage::StepTime }))
    }

    /// The stage of a function that treats each sample by itself; its vector is the first argument.
    fn stage(&mut self, name: &str, args: &[&Expr]) -> Result<Option<Stage>, QueryError> {
        if let Some(f) = math::function(name) {
            return Ok(Some(Stage::Float(f)));
        }
        Ok(Some(match name {
            "clamp" => Stage::Clamp { min: self.scalar(arg(args, 1)?)?, max: self.scalar(arg(args, 2)?)? },
            "clamp_min" => {
                Stage::Clamp { min: self.scalar(arg(args, 1)?)?, max: ScalarRef::Const(f64::INFINITY) }
            }
            "clamp_max" => {
                Stage::Clamp { min: ScalarRef::Const(f64::NEG_INFINITY), max: self.scalar(arg(args, 1)?)? }
            }
            "round" => Stage::Round(args.get(1).map(|to| self.scalar(to)).transpose()?),
            "histogram_count" => Stage::Histogram(|h| h.count),
            "histogram_sum" => Stage::Histogram(|h| h.sum),
            "histogram_avg" => Stage::Histogram(|h| h.average()),
            "histogram_stddev" => Stage::Histogram(|h| h.deviation()),
            "histogram_stdvar" => Stage::Histogram(|h| h.variance()),
            _ => return Ok(None),
        }))
    }

    fn frame(&mut self, name: &str, args: &[&Expr], pos: Pos) -> Result<FrameCall, QueryError> {
        let first = arg(args, 0)?;
        let texts = |builder: &Self, from: usize| -> Result<Vec<String>, QueryError> {
            args.iter().skip(from).map(|arg| builder.text(arg)).collect()
        };
        Ok(match name {
            "absent" => FrameCall::Absent {
                input: self.vector(first)?,
                labels: absent::labels(first),
                over_time: false,
            },
            "sort" | "sort_desc" => {
                FrameCall::Sort { input: self.vector(first)?, descending: name == "sort_desc", pos }
            }
            "sort_by_label" | "sort_by_label_desc" => {
                let descending = name == "sort_by_label_desc";
                FrameCall::SortByLabel {
                    input: self.vector(first)?,
                    labels: texts(self, 1)?,
                    descending,
                    pos,
                }
            }
            "label_replace" => {
                let [target, replacement, source, pattern] = four(texts(self, 1)?, first)?;
                let replace = LabelReplace::new(target, replacement, source, &pattern)?;
                FrameCall::LabelReplace { input: self.vector(first)?, replace }
            }
            "label_join" => {
                let mut sources = texts(self, 1)?;
                if sources.len() < 2 {
                    return Err(wrong_type(first, ValueType::String));
                }
                let rest = sources.split_off(2);
                let separator = sources.pop().unwrap_or_default();
                let target = sources.pop().unwrap_or_default();
                FrameCall::LabelJoin {
                    input: self.vector(first)?,
                    join: LabelJoin::new(target, separator, rest)?,
                }
            }
            "histogram_quantile" => {
                let question = HistogramQuestion::Quantile(self.held_scalar(first)?, first.pos);
                let vector = arg(args, 1)?;
                FrameCall::Histogram { input: self.vector(vector)?, question, pos: vector.pos }
            }
            "histogram_fraction" => {
                let question =
                    HistogramQuestion::Fraction(self.held_scalar(first)?, self.held_scalar(arg(args, 1)?)?);
                let vector = arg(args, 2)?;
                FrameCall::Histogram { input: self.vector(vector)?, question, pos: vector.pos }
            }
            "histogram_quantiles" => {
                let mut qs = Vec::new();
                for q in args.iter().skip(2) {
                    qs.push((self.scalar(q)?, q.pos));
                }
                let question = HistogramQuestion::Quantiles(self.text(arg(args, 1)?)?, qs);
                FrameCall::Histogram { input: self.vector(first)?, question, pos: first.pos }
            }
            "info" => {
                let matchers = match args.get(1).map(|arg| &arg.kind) {
                    Some(ExprKind::Vector(selector)) => Some(selector.matchers.clone()),
                    _ => None,
                };
                let moment = self.first_moment(first)?.unwrap_or(Moment { at: None, offset: 0 });
                FrameCall::Info { input: self.vector(first)?, call: InfoCall { matchers, moment } }
            }
            _ => return Err(QueryError::Invalid(format!("unknown function with name \"{name}\""))),
        })
    }

    /// When the first selector of an expression looks at the store: pinned by the innermost `@` around it, shifted by
    /// the offsets up to there.
    fn first_moment(&self, expr: &Expr) -> Result<Option<Moment>, QueryError> {
        let selector = match &expr.kind {
            ExprKind::Vector(selector) => Some(selector),
            ExprKind::Matrix(matrix) => Some(&matrix.vector),
            _ => None,
        };
        if let Some(selector) = selector {
            return self.moment(selector.at, &selector.offset).map(Some);
        }
        for child in expr.children() {
            let Some(mut moment) = self.first_moment(child)? else { continue };
            if let ExprKind::Subquery(subquery) = &expr.kind
                && moment.at.is_none()
            {
                let Subquery { at, offset, .. } = subquery.as_ref();
                let outer = self.moment(*at, offset)?;
                moment = Moment { at: outer.at, offset: moment.offset + outer.offset };
            }
            return Ok(Some(moment));
        }
        Ok(None)
    }
}

fn arg<'e>(args: &[&'e Expr], at: usize) -> Result<&'e Expr, QueryError> {
    args.get(at)
        .copied()
        .ok_or_else(|| QueryError::Invalid("missing argument in call to function".to_owned()))
}

fn four(texts: Vec<String>, expr: &Expr) -> Result<[String; 4], QueryError> {
    texts.try_into().map_err(|_| wrong_type(expr, ValueType::String))
}

/// Refuses extended selectors where samples outside of the window would count.
fn check_mode(name: &str, func: RangeFn, mode: RangeMode) -> Result<(), QueryError> {
    let is_rate = matches!(func, RangeFn::Rate | RangeFn::Increase | RangeFn::Delta);
    let (mode, allowed, all) = match mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => (
            "anchored",
            is_rate || matches!(func, RangeFn::Changes | RangeFn::Resets),
            "changes, delta, increase, rate, resets",
        ),
        RangeMode::Smoothed => ("smoothed", is_rate, "delta, increase, rate"),
    };
    if allowed {
        return Ok(());
    }
    Err(QueryError::Execution(format!("{mode} modifier can only be used with: {all} - not with {name}")))
}

impl Evaluator<'_> {
    /// Evaluates a function that looks at a whole vector.
    pub(crate) fn frame_call(&mut self, scope: ScopeId, call: &FrameCall) -> Result<Val, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let steps = grid.steps();
        let (rows, held, gathered) = match call {
            FrameCall::Absent { input, labels, over_time } => {
                let (mut presence, mut gathered) = (Presence::new(steps), 0);
                let held = self.consume_input(scope, input, &mut |rows| {
                    gathered += count_last(&rows, steps);
                    rows.iter().for_each(|row| presence.see(row));
                    Ok(())
                })?;
                let rows = presence.complement(labels.clone()).into_iter().collect();
                if *over_time {
                    return self.replace(rows, held);
                }
                (rows, held, gathered)
            }
            FrameCall::Sort { input, descending, pos } => {
                let (rows, held) = self.collect_sorted(scope, input, *pos)?;
                let (single, gathered) = (grid.is_instant(), count_last(&rows, steps));
                let sorted =
                    if single { sort::by_value(rows, *descending) } else { without_histograms(rows) };
                (sorted, held, gathered)
            }
            FrameCall::SortByLabel { input, labels, descending, pos } => {
                let (rows, held) = self.collect_sorted(scope, input, *pos)?;
                let (single, gathered) = (grid.is_instant(), count_last(&rows, steps));
                (if single { sort::by_labels(rows, labels, *descending) } else { rows }, held, gathered)
            }
            FrameCall::LabelReplace { input, replace } => {
                let (rows, held) = self.collect_input(scope, input)?;
                return self.replace(replace.apply(rows, self.interrupt)?, held);
            }
            FrameCall::LabelJoin { input, join } => {
                let (rows, held) = self.collect_input(scope, input)?;
                return self.replace(join.apply(rows, self.interrupt)?, held);
            }
            FrameCall::Histogram { input, question, pos } => {
                let (rows, held) = self.collect_input(scope, input)?;
                let operands = ScalarSamples::new(&question.operands(), &self.values, steps);
                let gathered = count_last(&rows, steps) + operands.more;
                (self.ask_histograms(&rows, question, *pos, scope)?, held + operands.held, gathered)
            }
            FrameCall::Info { input, call } => {
                let (rows, held) = self.collect_input(scope, input)?;
                let gathered = count_last(&rows, steps);
                (self.info(scope, call, rows)?, held, gathered)
            }
        };
        self.rows_value(rows, held, gathered)
    }

    fn collect_sorted(
        &mut self,
        scope: ScopeId,
        input: &Input,
        pos: Pos,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        if !self.plan.scopes[scope].grid.is_instant() {
            self.annotations.sort_in_range_query(pos);
        }
        self.collect_input(scope, input)
    }

    fn ask_histograms(
        &mut self,
        rows: &[Row],
        question: &HistogramQuestion,
        pos: Pos,
        scope: ScopeId,
    ) -> Result<Vec<Row>, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let steps = grid.steps();
        let column = |scalar: &ScalarRef| ScalarColumn::new(*scalar, &self.values).values(steps);
        let question = match question {
            HistogramQuestion::Quantile(q, pos) => Question::Quantile { q: column(q), pos: *pos },
            HistogramQuestion::Quantiles(label, qs) => Question::Quantiles {
                label: label.clone(),
                qs: qs.iter().map(|(q, pos)| (column(q), *pos)).collect(),
            },
            HistogramQuestion::Fraction(lower, upper) => {
                Question::Fraction { lower: column(lower), upper: column(upper) }
            }
        };
        let delayed = self.options.delayed_name_removal;
        let time = |step| grid.time(step);
        let context = classic::Context { steps, time: &time, pos, delayed, interrupt: self.interrupt };
        let rows = classic::evaluate(&question, rows, &context, &mut self.annotations)?;
        unite(rows, Equals::Merge)
    }
}

fn without_histograms(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| row.histograms = None);
    rows.retain_mut(Row::trim);
    rows
}
