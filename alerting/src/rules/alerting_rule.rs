//! Alerting rules: one state machine for each alert, driven by what the rule's query gives at each evaluation.

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;
use model::{Labels, Value};
use query::VectorSample;

use super::file::{AlertSpec, RuleSpec};
use crate::template::{self, AlertData, Environment};

/// Name of the series that shows alerts' states.
pub const ALERTS: &str = "ALERTS";
/// Name of the series that remembers since when alerts are active.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// Label that names the alert.
pub const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// How long a resolved alert is kept, so that Alertmanagers hear of it again should they have missed it.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// How far an alert has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Not evaluated yet.
    Unknown,
    /// The condition does not hold.
    Inactive,
    /// The condition holds, but not for long enough.
    Pending,
    /// The condition holds, or held until recently.
    Firing,
}

impl AlertState {
    /// As in series and API answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert. Times are in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    /// Inactive once resolved.
    pub state: AlertState,
    /// Expanded; `alertname` included.
    pub labels: Labels,
    /// Expanded, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// Of the last evaluation; 0 for a histogram.
    pub value: f64,
    /// Since when the condition holds.
    pub active_at: i64,
    /// Since when it fires.
    pub fired_at: Option<i64>,
    /// When the condition ceased.
    pub resolved_at: Option<i64>,
    /// When it was last sent to Alertmanagers.
    pub last_sent_at: Option<i64>,
    /// Until when Alertmanagers take it for active.
    pub valid_until: Option<i64>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<i64>,
}

impl ActiveAlert {
    fn new(candidate: Candidate, now: i64) -> Self {
        Self {
            state: AlertState::Pending,
            labels: candidate.labels,
            annotations: candidate.annotations,
            value: candidate.value,
            active_at: now,
            fired_at: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: None,
            keep_firing_since: None,
        }
    }

    fn needs_sending(&self, now: i64, resend_delay_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent) = self.last_sent_at else { return true };
        self.resolved_at.is_some_and(|resolved| resolved > sent) || sent + resend_delay_ms < now
    }
}

/// An element of the query's result with labels and annotations expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identifies the alert.
    pub labels: Labels,
    /// Expanded, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// 0 for a histogram.
    pub value: f64,
}

/// Why an evaluation was refused; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// Two alerts would be one.
    #[error("vector contains metrics with the same labelset after applying alert labels")]
    DuplicateLabels,
    /// More alerts than the group allows; all are forgotten.
    #[error("exceeded limit of {limit} with {alerts} alerts")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// Pending and firing alerts.
        alerts: usize,
    },
}

/// How long conditions must hold, and alerts keep firing, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// `for`
    pub hold_ms: i64,
    /// `keep_firing_for`
    pub keep_firing_ms: i64,
}

/// The alerts of one rule, by their labels.
#[derive(Clone, Debug, Default)]
pub struct Alerts(BTreeMap<Labels, ActiveAlert>);

impl Alerts {
    /// All alerts, resolved ones included.
    pub fn iter(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.0.values()
    }

    /// As [`Self::iter`], to change them. Labels must stay.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut ActiveAlert> {
        self.0.values_mut()
    }

    /// The furthest state of all alerts; inactive when there are none.
    pub fn state(&self) -> AlertState {
        self.iter().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes over what another rule knew.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(labels, alert)| (labels.clone(), alert.clone())));
    }

    /// One evaluation at `now`: alerts begin, go on, fire and resolve. `limit` 0 is none.
    pub fn step(
        &mut self,
        candidates: Vec<Candidate>,
        now: i64,
        durations: Durations,
        limit: usize,
    ) -> Result<(), AlertError> {
        let mut present = BTreeMap::new();
        for candidate in candidates {
            if present.insert(candidate.labels.clone(), candidate).is_some() {
                return Err(AlertError::DuplicateLabels);
            }
        }
        self.0.retain(|labels, alert| match present.remove(labels) {
            Some(candidate) if alert.state == AlertState::Inactive => {
                *alert = ActiveAlert::new(candidate, now);
                update(alert, now, durations.hold_ms);
                true
            }
            Some(candidate) => {
                alert.value = candidate.value;
                alert.annotations = candidate.annotations;
                alert.keep_firing_since = None;
                update(alert, now, durations.hold_ms);
                true
            }
            None => absent(alert, now, durations),
        });
        for (labels, candidate) in present {
            let mut alert = ActiveAlert::new(candidate, now);
            update(&mut alert, now, durations.hold_ms);
            self.0.insert(labels, alert);
        }
        let alerts = self.iter().filter(|alert| alert.state != AlertState::Inactive).count();
        if limit > 0 && alerts > limit {
            self.0.clear();
            return Err(AlertError::Limit { limit, alerts });
        }
        Ok(())
    }

    /// The samples that show the alerts' states at `t`.
    pub fn samples(&self, t: i64) -> Vec<VectorSample> {
        let active = self.iter().filter(|alert| alert.state != AlertState::Inactive);
        active
            .flat_map(|alert| {
                let mut labels = alert.labels.to_builder();
                labels.set(METRIC_NAME, ALERTS_FOR_STATE);
                let since = VectorSample {
                    labels: labels.finish(),
                    t,
                    value: Value::Float(alert.active_at.div_euclid(1000) as f64),
                };
                labels.set(METRIC_NAME, ALERTS).set(ALERT_STATE, alert.state.as_str());
                let state = VectorSample { labels: labels.finish(), t, value: Value::Float(1.0) };
                [state, since]
            })
            .collect()
    }

    /// The alerts that Alertmanagers should hear of now, noted as sent. They stay valid for four times the longer of the
    /// two durations, so that two evaluations or deliveries may fail.
    pub fn take_due(&mut self, now: i64, resend_delay_ms: i64, interval_ms: i64) -> Vec<ActiveAlert> {
        self.iter_mut()
            .filter(|alert| alert.needs_sending(now, resend_delay_ms))
            .map(|alert| {
                alert.last_sent_at = Some(now);
                alert.valid_until = Some(now + 4 * resend_delay_ms.max(interval_ms));
                alert.clone()
            })
            .collect()
    }
}

/// Pending alerts whose condition held for long enough fire; firing ones for which `for` was raised wait again.
fn update(alert: &mut ActiveAlert, now: i64, hold_ms: i64) {
    let held = now - alert.active_at >= hold_ms;
    if alert.state == AlertState::Pending && held {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(now);
    } else if alert.state == AlertState::Firing && !held {
        alert.state = AlertState::Pending;
        alert.fired_at = None;
        alert.last_sent_at = None;
        alert.keep_firing_since = None;
    }
}

/// The condition does not hold. Returns whether the alert is kept.
fn absent(alert: &mut ActiveAlert, now: i64, durations: Durations) -> bool {
    match alert.state {
        AlertState::Firing if durations.keep_firing_ms > 0 => {
            let since = *alert.keep_firing_since.get_or_insert(now);
            if now - since < durations.keep_firing_ms {
                update(alert, now, durations.hold_ms);
                return true;
            }
        }
        AlertState::Pending => return false,
        _ => {}
    }
    if alert.resolved_at.is_some_and(|resolved| now - resolved > RESOLVED_RETENTION_MS) {
        return false;
    }
    if alert.state != AlertState::Inactive {
        alert.state = AlertState::Inactive;
        alert.resolved_at = Some(now);
    }
    true
}

/// What expanding a rule's templates needs beside the sample.
pub struct Expansion<'a> {
    /// The rule.
    pub rule: &'a RuleSpec,
    /// Its part for alerts.
    pub alert: &'a AlertSpec,
    /// Of the configuration.
    pub external_labels: &'a Labels,
    /// What template functions reach.
    pub environment: &'a Environment<'a>,
    /// Is told of templates that cannot be expanded.
    pub on_error: &'a dyn Fn(&str),
}

impl Expansion<'_> {
    /// Expands labels and annotations of one element of the query's result. A template that cannot be expanded gives its
    /// error as text.
    pub fn candidate(&self, sample: &VectorSample) -> Candidate {
        let number = match &sample.value {
            Value::Float(v) => *v,
            Value::Histogram(_) => 0.0,
        };
        let data = template::Value::Alert(std::sync::Arc::new(AlertData {
            labels: sample.labels.clone(),
            external_labels: self.external_labels.clone(),
            external_url: self.environment.external_url.into(),
            value: sample.value.clone(),
        }));
        let expand = |template: &template::Template| {
            template.expand(data.clone(), self.environment).unwrap_or_else(|e| {
                let error = format!("error executing template {}: {e}", template.name());
                (self.on_error)(&error);
                format!("<error expanding template: {error}>")
            })
        };
        let mut labels = sample.labels.to_builder();
        labels.remove(METRIC_NAME);
        for ((name, _), template) in self.rule.labels.iter().zip(&self.alert.label_templates) {
            labels.set(name, &expand(template));
        }
        labels.set(ALERT_NAME, &self.rule.name);
        let annotations = self.alert.annotations.iter().zip(&self.alert.annotation_templates);
        Candidate {
            labels: labels.finish(),
            annotations: annotations.map(|((name, _), template)| (name.clone(), expand(template))).collect(),
            value: number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, value: f64) -> Candidate {
        Candidate { labels: Labels::from_pairs([("a", name)]), annotations: Vec::new(), value }
    }

    /// Runs a condition over evaluations a minute apart, `1` where it holds, and tells the state after each.
    fn states(condition: &str, hold_minutes: i64, keep_minutes: i64) -> String {
        let durations = Durations { hold_ms: hold_minutes * 60_000, keep_firing_ms: keep_minutes * 60_000 };
        let mut alerts = Alerts::default();
        condition
            .chars()
            .enumerate()
            .map(|(minute, c)| {
                let candidates = if c == '1' { vec![candidate("x", 1.0)] } else { Vec::new() };
                alerts.step(candidates, minute as i64 * 60_000, durations, 0).unwrap();
                match alerts.iter().next().map(|a| a.state) {
                    None => '.',
                    Some(AlertState::Pending) => 'p',
                    Some(AlertState::Firing) => 'F',
                    Some(_) => 'r',
                }
            })
            .collect()
    }

    #[test]
    fn life_of_an_alert() {
        for (condition, hold, keep, want) in [
            ("0110", 0, 0, ".FFr"),
            ("01110", 2, 0, ".ppFr"),
            ("01011110", 2, 0, ".p.ppFFr"),
            ("0110", 5, 0, ".pp."),
            ("1000000000000000001", 0, 0, "Frrrrrrrrrrrrrrrr.F"),
            ("10010", 0, 0, "FrrFr"),
            ("100100", 1, 0, "p..p.."),
            ("1000000", 0, 3, "FFFFrrr"),
            ("10100000", 0, 3, "FFFFFFrr"),
            ("110000", 1, 2, "pFFFrr"),
            ("110001", 1, 2, "pFFFrp"),
        ] {
            assert_eq!(states(condition, hold, keep), want, "{condition} for {hold} keep {keep}");
        }
    }

    #[test]
    fn raising_the_hold_duration_makes_alerts_wait_again() {
        let mut alerts = Alerts::default();
        let durations = |hold_ms| Durations { hold_ms, keep_firing_ms: 0 };
        alerts.step(vec![candidate("x", 1.0)], 0, durations(0), 0).unwrap();
        assert_eq!(alerts.take_due(0, 60_000, 60_000).len(), 1);
        alerts.step(vec![candidate("x", 2.0)], 60_000, durations(300_000), 0).unwrap();
        let alert = alerts.iter().next().unwrap();
        assert_eq!((alert.state, alert.value, alert.last_sent_at), (AlertState::Pending, 2.0, None));
        assert_eq!(alert.active_at, 0);
    }

    #[test]
    fn limits_and_duplicates() {
        let durations = Durations { hold_ms: 0, keep_firing_ms: 0 };
        let mut alerts = Alerts::default();
        let two = || vec![candidate("x", 1.0), candidate("y", 1.0)];
        alerts.step(two(), 0, durations, 2).unwrap();
        assert_eq!(alerts.samples(0).len(), 4);
        let error = alerts.step(two(), 1, durations, 1).unwrap_err();
        assert_eq!(error.to_string(), "exceeded limit of 1 with 2 alerts");
        assert_eq!(alerts.iter().count(), 0);
        let same = vec![candidate("x", 1.0), candidate("x", 2.0)];
        assert_eq!(alerts.step(same, 2, durations, 0), Err(AlertError::DuplicateLabels));
    }

    #[test]
    fn sending() {
        let durations = Durations { hold_ms: 60_000, keep_firing_ms: 0 };
        let mut alerts = Alerts::default();
        let mut sent = Vec::new();
        // Evaluations every half minute; the condition holds from the second to the eighth.
        for i in 0..12i64 {
            let now = i * 30_000;
            let candidates = if (1..8).contains(&i) { vec![candidate("x", 1.0)] } else { Vec::new() };
            alerts.step(candidates, now, durations, 0).unwrap();
            for alert in alerts.take_due(now, 60_000, 30_000) {
                sent.push((i, alert.state, alert.fired_at, alert.resolved_at, alert.valid_until));
            }
        }
        let fired = Some(90_000);
        assert_eq!(
            sent,
            [
                (3, AlertState::Firing, fired, None, Some(330_000)),
                (6, AlertState::Firing, fired, None, Some(420_000)),
                (8, AlertState::Inactive, fired, Some(240_000), Some(480_000)),
                (11, AlertState::Inactive, fired, Some(240_000), Some(570_000)),
            ]
        );
    }

    #[test]
    fn samples_show_state_and_start() {
        let durations = Durations { hold_ms: 60_000, keep_firing_ms: 0 };
        let mut alerts = Alerts::default();
        alerts.step(vec![candidate("x", 1.0)], 1_700_000_000_999, durations, 0).unwrap();
        let texts: Vec<String> =
            alerts.samples(0).iter().map(|s| format!("{} {:?}", s.labels, s.value)).collect();
        assert_eq!(
            texts,
            [
                r#"{__name__="ALERTS", a="x", alertstate="pending"} Float(1.0)"#,
                r#"{__name__="ALERTS_FOR_STATE", a="x"} Float(1700000000.0)"#,
            ]
        );
    }
}
