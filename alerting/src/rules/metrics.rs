//! What rules say of themselves, under Prometheus's names.

use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary};

const BUCKETS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const GROUP: &[&str] = &["rule_group"];

/// Figures of all groups.
pub struct Metrics {
    /// Seconds of each rule's evaluation.
    pub rule_duration: Summary,
    /// The same in buckets.
    pub rule_duration_histogram: Histogram,
    /// Seconds of each group's evaluation.
    pub group_duration: Summary,
    /// The same in buckets.
    pub group_duration_histogram: Histogram,
    /// Evaluations of groups that were left out because an earlier one took too long.
    pub iterations_missed: Labeled<Counter>,
    /// Evaluations of groups that were due.
    pub iterations: Labeled<Counter>,
    /// Evaluations of rules.
    pub evaluations: Labeled<Counter>,
    /// Failed evaluations of rules.
    pub failures: Labeled<Counter>,
    /// Seconds between evaluations.
    pub interval: Labeled<Gauge>,
    /// Unix seconds of the last evaluation.
    pub last_evaluation: Labeled<Gauge>,
    /// Seconds that the last evaluation took.
    pub last_duration: Labeled<Gauge>,
    /// Seconds that the rules of the last evaluation took in sum.
    pub last_rule_duration_sum: Labeled<Gauge>,
    /// Seconds that restoring alerts took.
    pub last_restore_duration: Labeled<Gauge>,
    /// Number of rules.
    pub rules: Labeled<Gauge>,
    /// Samples of the last evaluation.
    pub samples: Labeled<Gauge>,
    /// Templates expanded.
    pub template_expansions: Counter,
    /// Templates that could not be expanded.
    pub template_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rule_duration: Summary::new(&[0.5, 0.9, 0.99]),
            rule_duration_histogram: Histogram::new(BUCKETS),
            group_duration: Summary::new(&[0.01, 0.05, 0.5, 0.9, 0.99]),
            group_duration_histogram: Histogram::new(BUCKETS),
            iterations_missed: Labeled::of(GROUP),
            iterations: Labeled::of(GROUP),
            evaluations: Labeled::of(GROUP),
            failures: Labeled::of(GROUP),
            interval: Labeled::of(GROUP),
            last_evaluation: Labeled::of(GROUP),
            last_duration: Labeled::of(GROUP),
            last_rule_duration_sum: Labeled::of(GROUP),
            last_restore_duration: Labeled::of(GROUP),
            rules: Labeled::of(GROUP),
            samples: Labeled::of(GROUP),
            template_expansions: Counter::default(),
            template_failures: Counter::default(),
        }
    }
}

impl Metrics {
    /// Shows a group's figures from the start.
    pub fn add_group(&self, key: &str, rules: usize, interval_ms: i64) {
        for counter in [&self.iterations_missed, &self.iterations, &self.evaluations, &self.failures] {
            counter.with(&[key]);
        }
        for gauge in [&self.last_evaluation, &self.last_duration, &self.last_rule_duration_sum, &self.samples]
        {
            gauge.with(&[key]);
        }
        self.rules.with(&[key]).set(rules as f64);
        self.interval.with(&[key]).set(interval_ms as f64 / 1000.0);
    }

    /// Forgets a group's figures.
    pub fn remove_group(&self, key: &str) {
        for counter in [&self.iterations_missed, &self.iterations, &self.evaluations, &self.failures] {
            counter.remove(&[key]);
        }
        for gauge in [
            &self.interval,
            &self.last_evaluation,
            &self.last_duration,
            &self.last_rule_duration_sum,
            &self.last_restore_duration,
            &self.rules,
            &self.samples,
        ] {
            gauge.remove(&[key]);
        }
    }
}

impl Collect for Metrics {
    fn collect(&self, out: &mut Gather) {
        let rule = "The duration for a rule to execute.";
        out.summary("prometheus_rule_evaluation_duration_seconds", rule, &[], &self.rule_duration);
        out.histogram(
            "prometheus_rule_evaluation_duration_histogram_seconds",
            rule,
            &[],
            &self.rule_duration_histogram,
        );
        let group = "The duration of rule group evaluations.";
        out.summary("prometheus_rule_group_duration_seconds", group, &[], &self.group_duration);
        out.histogram(
            "prometheus_rule_group_duration_histogram_seconds",
            group,
            &[],
            &self.group_duration_histogram,
        );
        out.counters(
            "prometheus_rule_group_iterations_missed_total",
            "The total number of rule group evaluations missed due to slow rule group evaluation.",
            &self.iterations_missed,
        );
        out.counters(
            "prometheus_rule_group_iterations_total",
            "The total number of scheduled rule group evaluations, whether executed or missed.",
            &self.iterations,
        );
        out.counters(
            "prometheus_rule_evaluations_total",
            "The total number of rule evaluations.",
            &self.evaluations,
        );
        out.counters(
            "prometheus_rule_evaluation_failures_total",
            "The total number of rule evaluation failures.",
            &self.failures,
        );
        out.gauges("prometheus_rule_group_interval_seconds", "The interval of a rule group.", &self.interval);
        out.gauges(
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
            &self.last_evaluation,
        );
        out.gauges(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
            &self.last_duration,
        );
        out.gauges(
            "prometheus_rule_group_last_rule_duration_sum_seconds",
            "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency. This \
             should be higher than the group duration if rules are evaluated concurrently.",
            &self.last_rule_duration_sum,
        );
        out.gauges(
            "prometheus_rule_group_last_restore_duration_seconds",
            "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
            &self.last_restore_duration,
        );
        out.gauges("prometheus_rule_group_rules", "The number of rules.", &self.rules);
        out.gauges(
            "prometheus_rule_group_last_evaluation_samples",
            "The number of samples returned during the last rule group evaluation.",
            &self.samples,
        );
        out.counter(
            "prometheus_template_text_expansions_total",
            "The total number of template text expansions.",
            &[],
            self.template_expansions.get() as f64,
        );
        out.counter(
            "prometheus_template_text_expansion_failures_total",
            "The total number of template text expansion failures.",
            &[],
            self.template_failures.get() as f64,
        );
    }
}
