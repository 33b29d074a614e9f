//! Rules as the API shows them: copies, taken between two steps of an evaluation.

use super::alerting_rule::AlertState;

/// Whether a rule's last evaluation succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It did.
    Good,
    /// It did not.
    Bad,
}

impl Health {
    /// As in API answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Name, unique in its file.
    pub name: String,
    /// The rule file.
    pub file: String,
    /// Between two evaluations.
    pub interval_ms: i64,
    /// 0 for none.
    pub limit: usize,
    /// Seconds that the last evaluation took.
    pub evaluation_seconds: f64,
    /// When it began, in milliseconds; `None` before the first.
    pub last_evaluation: Option<i64>,
    /// In the order of the file.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleView {
    /// The metric recorded, or the alert.
    pub name: String,
    /// The expression as Prometheus prints it.
    pub query: String,
    /// Of group and rule, templates not expanded.
    pub labels: Vec<(String, String)>,
    /// Of the last evaluation.
    pub health: Health,
    /// Of the last evaluation, if it failed.
    pub last_error: Option<String>,
    /// Seconds that the last evaluation took.
    pub evaluation_seconds: f64,
    /// When it began, in milliseconds; `None` before the first.
    pub last_evaluation: Option<i64>,
    /// Only of alerting rules.
    pub alerting: Option<AlertingView>,
}

/// What only an alerting rule has.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingView {
    /// The furthest of its alerts.
    pub state: AlertState,
    /// `for`.
    pub hold_ms: i64,
    /// `keep_firing_for`.
    pub keep_firing_ms: i64,
    /// Templates not expanded, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// Pending and firing alerts, in label order.
    pub alerts: Vec<AlertView>,
}

/// A pending or firing alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// Expanded.
    pub labels: model::Labels,
    /// Expanded, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// Pending or firing.
    pub state: AlertState,
    /// Since when the condition holds, in milliseconds.
    pub active_at: i64,
    /// Since when it fires only because of `keep_firing_for`, in milliseconds.
    pub keep_firing_since: Option<i64>,
    /// Of the last evaluation.
    pub value: f64,
}
