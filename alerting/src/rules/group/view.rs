//! A group and its rules as the API shows them.

use super::{Group, Rule};
use crate::rules::alerting_rule::AlertState;
use crate::rules::file::Action;
use crate::rules::view::{AlertView, AlertingView, GroupView, RuleView};

impl Group {
    /// The group as the API shows it.
    pub fn view(&self) -> GroupView {
        let status = *self.status.lock();
        GroupView {
            name: self.spec.name.clone(),
            file: self.file.clone(),
            interval_ms: self.interval_ms,
            limit: self.spec.limit,
            evaluation_seconds: status.evaluation_seconds,
            last_evaluation: status.last_evaluation,
            rules: self.rules.iter().map(Rule::view).collect(),
        }
    }
}

impl Rule {
    fn view(&self) -> RuleView {
        let status = self.status.lock().clone();
        let alerting = match &self.spec.action {
            Action::Record => None,
            Action::Alert(alert) => {
                let alerts = self.alerts.lock();
                let evaluated = status.last_evaluation.is_some();
                Some(AlertingView {
                    state: if evaluated { alerts.state() } else { AlertState::Unknown },
                    hold_ms: alert.hold_ms,
                    keep_firing_ms: alert.keep_firing_ms,
                    annotations: alert.annotations.clone(),
                    alerts: alerts
                        .iter()
                        .filter(|alert| alert.resolved_at.is_none())
                        .map(|alert| AlertView {
                            labels: alert.labels.clone(),
                            annotations: alert.annotations.clone(),
                            state: alert.state,
                            active_at: alert.active_at,
                            keep_firing_since: alert.keep_firing_since,
                            value: alert.value,
                        })
                        .collect(),
                })
            }
        };
        RuleView {
            name: self.spec.name.clone(),
            query: self.spec.expr.to_string(),
            labels: self.spec.labels.clone(),
            health: status.health,
            last_error: status.last_error,
            evaluation_seconds: status.evaluation_seconds,
            last_evaluation: status.last_evaluation,
            alerting,
        }
    }
}
