//! What rules say of themselves, under Prometheus's names.

use telemetry::{Counter, Gauge, Histogram, Labeled, Summary, figures};

const RULE_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];
const GROUP_QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const GROUP: &[&str] = &["rule_group"];

figures! {
    /// Figures of all groups.
    pub struct Metrics {
        pub rule_duration: Summary { Summary::new(RULE_QUANTILES) } =
            "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute.";
        pub rule_duration_histogram: Histogram { Histogram::new(SECONDS) } =
            "prometheus_rule_evaluation_duration_histogram_seconds", "The duration for a rule to execute.";
        pub group_duration: Summary { Summary::new(GROUP_QUANTILES) } =
            "prometheus_rule_group_duration_seconds", "The duration of rule group evaluations.";
        pub group_duration_histogram: Histogram { Histogram::new(SECONDS) } =
            "prometheus_rule_group_duration_histogram_seconds", "The duration of rule group evaluations.";
        pub iterations_missed: Labeled<Counter> { Labeled::of(GROUP) } =
            "prometheus_rule_group_iterations_missed_total",
            "The total number of rule group evaluations missed due to slow rule group evaluation.";
        pub iterations: Labeled<Counter> { Labeled::of(GROUP) } =
            "prometheus_rule_group_iterations_total",
            "The total number of scheduled rule group evaluations, whether executed or missed.";
        pub evaluations: Labeled<Counter> { Labeled::of(GROUP) } =
            "prometheus_rule_evaluations_total", "The total number of rule evaluations.";
        pub failures: Labeled<Counter> { Labeled::of(GROUP) } =
            "prometheus_rule_evaluation_failures_total", "The total number of rule evaluation failures.";
        pub interval: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_interval_seconds", "The interval of a rule group.";
        pub last_evaluation: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.";
        pub last_duration: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_last_duration_seconds", "The duration of the last rule group evaluation.";
        pub last_rule_duration_sum: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_last_rule_duration_sum_seconds",
            "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency. This \
             should be higher than the group duration if rules are evaluated concurrently.";
        pub last_restore_duration: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_last_restore_duration_seconds",
            "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.";
        pub rules: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_rules", "The number of rules.";
        pub samples: Labeled<Gauge> { Labeled::of(GROUP) } =
            "prometheus_rule_group_last_evaluation_samples",
            "The number of samples returned during the last rule group evaluation.";
        pub template_expansions: Counter =
            "prometheus_template_text_expansions_total", "The total number of template text expansions.";
        pub template_failures: Counter =
            "prometheus_template_text_expansion_failures_total",
            "The total number of template text expansion failures.";
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
