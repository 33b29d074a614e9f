//! `info`: adds the labels of info series, such as `target_info`, to series of the same job and instance.
//! Source: Prometheus `promql/info.go`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::labels::METRIC_NAME;
use model::read::{Columns, Hints, Selection};
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use query::label_subset::KeyHasher;
use query::matrix::{Row, count_last, same_labels_error};
use query::{Pos, QueryError};

use super::build::{Builder, PlanPart};
use super::call::{CallSite, VectorFn};
use super::instant::evaluate_instant;
use super::moment::Moment;
use super::plan::{Input, InstantOutput, InstantSelector, ScopeId};
use super::stream::Notes;
use super::{Evaluator, NodeValue};
use crate::ast::{Expr, ExprKind, Subquery};

/// The labels by which series and info series belong together.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// A call of `info`.
#[derive(Debug)]
pub(crate) struct InfoCall {
    input: Input,
    /// Matchers of the second argument, if there is one.
    matchers: Option<Vec<Matcher>>,
    /// When the info series are looked at: as the first selector of the first argument is.
    moment: Moment,
}

/// Builds `info`.
pub(crate) fn build(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let vector = site.arg(0)?;
    let matchers = match site.args.get(1).map(|arg| &arg.kind) {
        Some(ExprKind::Vector(selector)) => Some(selector.matchers.clone()),
        _ => None,
    };
    let moment = builder.first_moment(vector)?.unwrap_or(Moment { at: None, offset: 0 });
    let input = builder.vector(vector)?;
    Ok(builder.vector_call(InfoCall { input, matchers, moment }))
}

impl Builder<'_> {
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

impl VectorFn for InfoCall {
    fn input(&self) -> &Input {
        &self.input
    }

    fn selects_more(&self) -> bool {
        true
    }

    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError> {
        let (rows, held) = evaluator.collect_input(scope, &self.input)?;
        let gathered = count_last(&rows, evaluator.plan.scopes[scope].grid.steps());
        let rows = evaluator.info(scope, self, rows)?;
        evaluator.rows_value(rows, held, gathered)
    }
}

/// Matchers on the data labels, by label; and on the info series' name.
struct InfoMatchers {
    data: BTreeMap<String, Vec<Matcher>>,
    names: Vec<Matcher>,
}

impl InfoMatchers {
    fn new(call: &InfoCall) -> Self {
        let mut wanted = Self { data: BTreeMap::new(), names: Vec::new() };
        for matcher in call.matchers.iter().flatten() {
            if matcher.name() == METRIC_NAME {
                wanted.names.push(matcher.clone());
            } else {
                wanted.data.entry(matcher.name().to_owned()).or_default().push(matcher.clone());
            }
        }
        let is_positive = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex);
        if wanted.names.is_empty() {
            wanted.names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !wanted.names.iter().any(is_positive)
            && let Ok(any) = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info")
        {
            wanted.names.insert(0, any);
        }
        wanted
    }

    /// Whether a series is an info series itself, which is left as it is.
    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.metric_name().unwrap_or("");
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    /// Whether series without an info series are in the result.
    fn allows_none(&self) -> bool {
        self.data.values().flatten().all(|matcher| matcher.matches(""))
    }
}

impl Evaluator<'_> {
    /// Evaluates `info` of a vector.
    pub(crate) fn info(
        &mut self,
        scope: ScopeId,
        call: &InfoCall,
        base: Vec<Row>,
    ) -> Result<Vec<Row>, QueryError> {
        let wanted = InfoMatchers::new(call);
        let ignored: Vec<bool> = base.iter().map(|row| wanted.is_info(&row.labels)).collect();
        let enriched = || base.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(row, _)| row);
        let infos = self.info_rows(scope, call, &wanted, enriched())?;
        let steps = self.plan.scopes[scope].grid.steps();
        let combiner = Combiner::new(&wanted, &base, &infos);
        combiner.run(&ignored, steps, self.interrupt)
    }

    /// Selects and evaluates the info series that may belong to the series; their values are their samples' times.
    fn info_rows<'r>(
        &mut self,
        scope: ScopeId,
        call: &InfoCall,
        wanted: &InfoMatchers,
        series: impl Iterator<Item = &'r Row>,
    ) -> Result<Vec<Row>, QueryError> {
        let mut values: [BTreeSet<&str>; 2] = Default::default();
        for row in series {
            for (values, name) in values.iter_mut().zip(IDENTIFYING) {
                values.extend(row.labels.get(name));
            }
        }
        let mut matchers = Vec::new();
        for (values, name) in values.iter().zip(IDENTIFYING) {
            if !values.is_empty() {
                let any: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
                let matcher = Matcher::new(MatchOp::Regex, name, any.join("|"));
                matchers.push(matcher.map_err(|error| QueryError::Execution(error.to_string()))?);
            }
        }
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        matchers.extend(wanted.data.values().flatten().cloned());
        matchers.extend(wanted.names.iter().cloned());
        let grid = self.plan.scopes[scope].grid;
        let selection = Selection {
            matchers,
            min_t: call.moment.seen_from(grid.start) - self.lookback + 1,
            max_t: call.moment.seen_from(grid.last()),
            limit: 0,
            hints: Hints::default(),
        };
        let (selected, _) = super::select::select(self.source, &selection, self.interrupt)?;
        selected.warnings.iter().for_each(|warning| self.annotations.add_store_warning(warning));
        let selector = |gives| InstantSelector {
            selection: 0,
            moment: call.moment,
            lookback: self.lookback,
            gives,
            stats_only: false,
            pos: Pos::default(),
        };
        let (times, plain) = (selector(InstantOutput::Time), selector(InstantOutput::Value));
        let mut columns = Columns::default();
        let mut rows = Vec::new();
        for series in &selected.series {
            super::select::decode(series.as_ref(), &mut columns, false)?;
            let labels = series.labels();
            let value = evaluate_instant(&plain, &grid, labels, &mut columns, &mut Notes::default());
            if value.row.is_some_and(|row| row.histograms.is_some()) {
                let text = format!("this should be an info metric, with float samples: {labels}");
                return Err(QueryError::Execution(text));
            }
            let made = evaluate_instant(&times, &grid, labels, &mut columns, &mut Notes::default());
            self.stats[scope].total += made.cost.total;
            self.stats[scope].read += made.cost.read;
            rows.extend(made.row);
        }
        Ok(rows)
    }
}

/// Which info series a series has at a step: for each info name in turn.
type Matched = Vec<Option<usize>>;

struct Combiner<'a> {
    wanted: &'a InfoMatchers,
    base: &'a [Row],
    infos: &'a [Row],
    /// Number of the signature (name and identifying labels) of each info series.
    info_numbers: Vec<usize>,
    /// For each series, the signature it has for each info name.
    base_numbers: Vec<Vec<Option<usize>>>,
    signatures: usize,
}

impl<'a> Combiner<'a> {
    fn new(wanted: &'a InfoMatchers, base: &'a [Row], infos: &'a [Row]) -> Self {
        let identity = |labels: &Labels| labels.keep(&IDENTIFYING);
        let names: BTreeSet<&str> = infos.iter().map(|row| row.labels.metric_name().unwrap_or("")).collect();
        let mut numbers: HashMap<(&str, Labels), usize> = HashMap::new();
        let mut info_numbers = Vec::with_capacity(infos.len());
        for row in infos {
            let next = numbers.len();
            let key = (row.labels.metric_name().unwrap_or(""), identity(&row.labels));
            info_numbers.push(*numbers.entry(key).or_insert(next));
        }
        let of_base = |row: &Row| {
            let identity = identity(&row.labels);
            names.iter().map(|name| numbers.get(&(*name, identity.clone())).copied()).collect()
        };
        let base_numbers = base.iter().map(of_base).collect();
        Self { wanted, base, infos, info_numbers, base_numbers, signatures: numbers.len() }
    }

    fn run(
        &self,
        ignored: &[bool],
        steps: usize,
        interrupt: &query::Interrupt<'_>,
    ) -> Result<Vec<Row>, QueryError> {
        let mut places: HashMap<Labels, usize, KeyHasher> = HashMap::with_hasher(KeyHasher);
        let mut known: HashMap<(usize, Matched), Option<usize>> = HashMap::new();
        let mut out: Vec<Row> = Vec::new();
        for step in 0..steps {
            if !self.base.iter().any(|row| row.has(step)) {
                continue;
            }
            let newest = self.newest(step)?;
            for (at, row) in self.base.iter().enumerate() {
                let Some(value) = row.value(step) else { continue };
                let matched: Matched = if ignored[at] {
                    Vec::new()
                } else {
                    self.base_numbers[at]
                        .iter()
                        .map(|number| number.and_then(|number| newest[number]))
                        .collect()
                };
                let key = (at, matched);
                let place = match known.get(&key) {
                    Some(place) => *place,
                    None => {
                        let labels = if ignored[at] {
                            Some(row.labels.clone())
                        } else {
                            self.combined(&row.labels, &key.1)?
                        };
                        let place = labels.map(|labels| {
                            *places.entry(labels.clone()).or_insert_with(|| {
                                let drop_name = row.drop_name;
                                out.push(Row { drop_name, ..Row::blank(labels, steps) });
                                out.len() - 1
                            })
                        });
                        known.insert(key, place);
                        place
                    }
                };
                let Some(place) = place else { continue };
                if out[place].has(step) {
                    return Err(same_labels_error());
                }
                out[place].set(step, value);
            }
            interrupt.worked(100 * (self.base.len() + self.infos.len()) as u64)?;
        }
        out.retain_mut(Row::trim);
        Ok(out)
    }

    /// The info series with the newest sample, by signature.
    fn newest(&self, step: usize) -> Result<Vec<Option<usize>>, QueryError> {
        let mut newest: Vec<Option<usize>> = vec![None; self.signatures];
        for (at, row) in self.infos.iter().enumerate() {
            if !row.has(step) {
                continue;
            }
            let place = &mut newest[self.info_numbers[at]];
            let Some(other) = *place else {
                *place = Some(at);
                continue;
            };
            let time = |at: usize| (self.infos[at].float(step) * 1000.0).round() as i64;
            if time(at) == time(other) {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                    self.infos[other].labels,
                    time(other),
                    row.labels,
                    time(at)
                )));
            }
            if time(at) > time(other) {
                *place = Some(at);
            }
        }
        Ok(newest)
    }

    /// The labels of a series with those of its info series; `None` when it is not in the result.
    fn combined(&self, labels: &Labels, matched: &[Option<usize>]) -> Result<Option<Labels>, QueryError> {
        let mut added = LabelsBuilder::new();
        let own: HashSet<&str> = labels.iter().map(|(name, _)| name).collect();
        for at in matched.iter().flatten() {
            for (name, value) in self.infos[*at].labels.iter() {
                let is_wanted = self.wanted.data.is_empty() || self.wanted.data.contains_key(name);
                if name == METRIC_NAME || !is_wanted {
                    continue;
                }
                if !added.get(name).is_empty() && added.get(name) != value {
                    return Err(QueryError::Execution(format!("conflicting label: {name}")));
                }
                if !own.contains(name) {
                    added.set(name, value);
                }
            }
        }
        if matched.iter().all(Option::is_none) && !self.wanted.allows_none() {
            return Ok(None);
        }
        let mut all = labels.to_builder();
        for (name, value) in added.iter() {
            all.set(name, value);
        }
        Ok(Some(all.finish()))
    }
}
