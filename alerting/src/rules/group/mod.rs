//! One group: its rules, what it remembers of them, and one evaluation.

pub(super) mod concurrent;
mod view;
mod write;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use concurrent::Slots;
use model::Labels;
use model::append::Appendable;
use model::time::Clock;
use parking_lot::Mutex;
use promql::parse::{Features, parse};
use query::VectorSample;
use write::WrittenSeries;

use crate::rules::alerting_rule::{Alerts, Durations, Expansion};
use crate::rules::file::{Action, AlertSpec, GroupSpec, RuleSpec};
use crate::rules::manager::{Options, RuleSettings};
use crate::rules::view::Health;
use crate::rules::{GroupName, Metrics, Querier, QueryFailure, recording_rule};
use crate::template::{Environment, Value, links};
use crate::{Alert, AlertSink};

/// What all groups share.
pub struct RuleContext {
    /// Fixed at start.
    pub options: Options,
    /// Of the configuration.
    pub settings: arc_swap::ArcSwap<RuleSettings>,
    /// Answers queries.
    pub querier: Arc<dyn Querier>,
    /// Takes samples.
    pub appendable: Arc<dyn Appendable>,
    /// Takes alerts.
    pub sink: Arc<dyn AlertSink>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// For rules that are evaluated at once; `None` has all evaluated in order.
    pub slots: Option<Slots>,
}

/// A group that is evaluated again and again.
pub struct Group {
    /// The rule file.
    pub file: String,
    /// What is written there.
    pub spec: GroupSpec,
    /// Between two evaluations.
    pub interval_ms: i64,
    pub(super) context: Arc<RuleContext>,
    pub(super) rules: Vec<Rule>,
    /// The rules by their places; those of one level may be evaluated at once.
    levels: Vec<Vec<usize>>,
    /// Tells an evaluation to end after the rule it is at.
    pub(super) stopping: AtomicBool,
    status: Mutex<GroupStatus>,
    written_series: Mutex<WrittenSeries>,
}

#[derive(Clone, Copy, Default)]
struct GroupStatus {
    evaluation_seconds: f64,
    last_evaluation: Option<i64>,
}

/// A rule with its state.
pub(super) struct Rule {
    pub(super) spec: Arc<RuleSpec>,
    status: Mutex<RuleStatus>,
    pub(super) alerts: Mutex<Alerts>,
    /// Whether its alerts are up to date; before, their state is not written, lest it hide what must be restored.
    pub(super) restored: AtomicBool,
}

#[derive(Clone, Default)]
struct RuleStatus {
    health: Health,
    last_error: Option<String>,
    evaluation_seconds: f64,
    last_evaluation: Option<i64>,
}

/// What one evaluation of a rule gave, or why it failed.
type Outcome = Result<Vec<VectorSample>, QueryFailure>;

impl Group {
    /// A group that was never evaluated. With `restored` its alerts need not be looked for in the store.
    pub fn new(file: String, spec: GroupSpec, context: Arc<RuleContext>, restored: bool) -> Self {
        let interval_ms = spec.interval_ms.unwrap_or(context.settings.load().evaluation_interval_ms);
        let rules: Vec<Rule> = spec
            .rules
            .iter()
            .map(|spec| Rule {
                spec: spec.clone(),
                status: Mutex::default(),
                alerts: Mutex::default(),
                restored: AtomicBool::new(restored),
            })
            .collect();
        let written_series =
            WrittenSeries { written: vec![HashSet::new(); rules.len()], orphans: Vec::new() };
        let levels = match &context.slots {
            Some(_) => concurrent::levels(&spec.rules),
            None => (0..rules.len()).map(|at| vec![at]).collect(),
        };
        let group = Self {
            file,
            spec,
            levels,
            interval_ms: interval_ms.max(1),
            context,
            rules,
            stopping: AtomicBool::new(false),
            status: Mutex::default(),
            written_series: Mutex::new(written_series),
        };
        group.context.metrics.add_group(&group.key(), group.rules.len(), group.interval_ms);
        group
    }

    fn name(&self) -> GroupName<'_> {
        GroupName { file: &self.file, name: &self.spec.name }
    }

    /// Tells groups of all files apart; also their label in metrics.
    pub fn key(&self) -> String {
        key(&self.file, &self.spec.name)
    }

    /// Whether another group would do the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.file == other.file && self.interval_ms == other.interval_ms && self.spec == other.spec
    }

    /// The last time at or before `now` at which the group is due.
    pub fn slot(&self, now: i64) -> i64 {
        slot(&self.file, &self.spec.name, self.interval_ms, now)
    }

    fn query_offset(&self) -> i64 {
        self.spec.query_offset_ms.unwrap_or(self.context.settings.load().query_offset_ms)
    }

    /// Takes over state from the group that this one replaces. Rules are matched by name and labels, duplicates in
    /// order. Series of rules that are gone will be marked stale.
    pub fn adopt(&self, old: &Self) {
        *self.status.lock() = *old.status.lock();
        let mut old_series = old.written_series.lock();
        let mut series = self.written_series.lock();
        let mut unmatched: Vec<usize> = (0..old.rules.len()).collect();
        for (rule, written) in self.rules.iter().zip(&mut series.written) {
            let same = |at: &usize| {
                let old = &old.rules[*at].spec;
                old.name == rule.spec.name && old.labels == rule.spec.labels
            };
            let Some(from) = unmatched.iter().position(same).map(|at| unmatched.remove(at)) else { continue };
            *written = std::mem::take(&mut old_series.written[from]);
            let old_rule = &old.rules[from];
            if matches!((&rule.spec.action, &old_rule.spec.action), (Action::Alert(_), Action::Alert(_))) {
                rule.alerts.lock().extend(&old_rule.alerts.lock());
            }
        }
        series.orphans = std::mem::take(&mut old_series.orphans);
        for written in &mut old_series.written {
            series.orphans.extend(written.drain());
        }
    }

    /// Evaluates all rules, in order as far as they concern each other, at `t`, the time slot in milliseconds.
    pub fn evaluate(&self, t: i64) {
        let key = self.key();
        let metrics = &self.context.metrics;
        metrics.iterations.with(&[&key]).inc();
        let begin = self.context.clock.now_ms();
        let timer = Instant::now();
        let offset = self.query_offset();
        let sums = Mutex::new((0, 0.0));
        let cut_short = AtomicBool::new(false);
        let evaluate = |at: usize| {
            if self.stopping.load(Ordering::Relaxed) {
                cut_short.store(true, Ordering::Relaxed);
                return;
            }
            let (count, seconds) = self.evaluate_rule(at, t, offset, &key);
            let mut sums = sums.lock();
            *sums = (sums.0 + count, sums.1 + seconds);
        };
        for level in &self.levels {
            match &self.context.slots {
                Some(slots) if level.len() > 1 => concurrent::evaluate_level(level, slots, &evaluate),
                _ => level.iter().for_each(|at| evaluate(*at)),
            }
        }
        if cut_short.into_inner() {
            return;
        }
        let (samples, rule_seconds) = sums.into_inner();
        metrics.samples.with(&[&key]).set(samples as f64);
        self.end_orphans(t - offset);
        let seconds = timer.elapsed().as_secs_f64();
        metrics.group_duration.observe(seconds);
        metrics.group_duration_histogram.observe(seconds);
        metrics.last_rule_duration_sum.with(&[&key]).set(rule_seconds);
        metrics.last_duration.with(&[&key]).set(seconds);
        metrics.last_evaluation.with(&[&key]).set(begin as f64 / 1000.0);
        *self.status.lock() = GroupStatus { evaluation_seconds: seconds, last_evaluation: Some(begin) };
    }

    /// Evaluates one rule and writes its result. Returns the number of samples and the seconds it took.
    fn evaluate_rule(&self, at: usize, t: i64, offset: i64, key: &str) -> (usize, f64) {
        let rule = &self.rules[at];
        let metrics = &self.context.metrics;
        let begin = self.context.clock.now_ms();
        let timer = Instant::now();
        metrics.evaluations.with(&[key]).inc();
        let outcome = match &rule.spec.action {
            Action::Record => self.record(rule, t - offset),
            Action::Alert(alert) => self.alert(rule, alert, t, offset),
        };
        let mut samples = 0;
        let error = match outcome {
            Ok(result) => {
                samples = result.len();
                self.write(at, result, t - offset)
                    .map_err(|message| QueryFailure { message, cancelled: false })
            }
            Err(failure) => Err(failure),
        }
        .err();
        let seconds = timer.elapsed().as_secs_f64();
        metrics.rule_duration.observe(seconds);
        metrics.rule_duration_histogram.observe(seconds);
        if let Some(failure) = &error {
            metrics.failures.with(&[key]).inc();
            if !failure.cancelled {
                tracing::warn!(
                    file = self.file,
                    group = self.spec.name,
                    name = rule.spec.name,
                    index = at,
                    err = failure.message,
                    "Evaluating rule failed"
                );
            }
        }
        *rule.status.lock() = RuleStatus {
            health: if error.is_some() { Health::Bad } else { Health::Good },
            last_error: error.map(|failure| failure.message),
            evaluation_seconds: seconds,
            last_evaluation: Some(begin),
        };
        (samples, seconds)
    }

    fn record(&self, rule: &Rule, t: i64) -> Outcome {
        let result = self.context.querier.instant(&rule.spec.expr, t, self.name())?;
        recording_rule::rename(&rule.spec, result, self.spec.limit)
            .map_err(|e| QueryFailure { message: e.to_string(), cancelled: false })
    }

    fn alert(&self, rule: &Rule, alert: &AlertSpec, t: i64, offset: i64) -> Outcome {
        let context = &self.context;
        let result = context.querier.instant(&rule.spec.expr, t - offset, self.name())?;
        let settings = context.settings.load();
        let query =
            |text: &str| template_query(&*context.querier, &context.options.features, self.name(), text, t);
        let environment = Environment {
            now_ms: t,
            external_url: &context.options.external_url,
            path_prefix: &context.options.path_prefix,
            query: &query,
        };
        let on_error = |error: &str| {
            context.metrics.template_failures.inc();
            tracing::warn!(alert = rule.spec.name, err = error, "Expanding alert template failed");
        };
        let expansion = Expansion {
            rule: &rule.spec,
            alert,
            external_labels: &settings.external_labels,
            environment: &environment,
            on_error: &on_error,
        };
        let templates = alert.label_templates.len() + alert.annotation_templates.len();
        context.metrics.template_expansions.add((templates * result.len()) as u64);
        let candidates = result.iter().map(|sample| expansion.candidate(sample)).collect();
        let durations = Durations { hold_ms: alert.hold_ms, keep_firing_ms: alert.keep_firing_ms };
        let (samples, due) = {
            let mut alerts = rule.alerts.lock();
            alerts
                .step(candidates, t, durations, self.spec.limit)
                .map_err(|e| QueryFailure { message: e.to_string(), cancelled: false })?;
            let restored = rule.restored.load(Ordering::Relaxed);
            let samples = if restored { alerts.samples(t) } else { Vec::new() };
            (samples, alerts.take_due(t, context.options.resend_delay_ms, self.interval_ms))
        };
        if !due.is_empty() {
            let generator_url =
                format!("{}{}", context.options.external_url, links::table(&rule.spec.expr.to_string()));
            let alerts = due.into_iter().map(|alert| Alert {
                labels: alert.labels,
                annotations: alert.annotations.into(),
                starts_at: alert.fired_at,
                ends_at: alert.resolved_at.or(alert.valid_until),
                generator_url: generator_url.as_str().into(),
            });
            context.sink.send(alerts.collect());
        }
        Ok(samples)
    }
}

/// Tells groups of all files apart.
pub fn key(file: &str, name: &str) -> String {
    format!("{file};{name}")
}

/// The last time at or before `now` at which a group is due: times are `interval_ms` apart and shifted by an offset of
/// the group's own, so that groups do not all start together.
pub fn slot(file: &str, name: &str, interval_ms: i64, now: i64) -> i64 {
    let identity = Labels::from_pairs([("name", name), ("file", file)]);
    let offset = (identity.stable_hash() % interval_ms.unsigned_abs()) as i64;
    (now - offset).div_euclid(interval_ms) * interval_ms + offset
}

/// The `query` function of templates.
fn template_query(
    querier: &dyn Querier,
    features: &Features,
    group: GroupName<'_>,
    text: &str,
    t: i64,
) -> Result<Vec<Value>, String> {
    let expr = parse(text, features).map_err(|e| e.to_string())?;
    let samples = querier.instant(&expr, t, group).map_err(|failure| failure.message)?;
    Ok(samples.into_iter().map(|sample| Value::Sample(Arc::new(sample))).collect())
}
