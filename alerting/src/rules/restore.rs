//! After a restart: since when alerts are active, from the series that remembered it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::labels::METRIC_NAME;
use model::read::{Columns, Hints, Selection, Series, SeriesSource};
use model::sample::is_stale;
use model::{Labels, Matcher};

use super::alerting_rule::{ALERT_NAME, ALERTS_FOR_STATE};
use super::file::{Action, RuleSpec};
use super::group::Group;

/// What decides how an alert goes on, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Restart {
    now: i64,
    hold_ms: i64,
    grace_ms: i64,
}

impl Restart {
    /// The new start of an alert that was active from `active_at` on and last seen at `down_at`. The time of the
    /// outage does not count, and an alert that would fire soon waits for the grace period at least.
    fn active_at(self, active_at: i64, down_at: i64) -> i64 {
        let remaining = self.hold_ms - (down_at - active_at);
        if remaining <= 0 {
            // It was firing, and fires again if the condition still holds.
            active_at
        } else if remaining < self.grace_ms {
            self.now + self.grace_ms - self.hold_ms
        } else {
            active_at + (self.now - down_at)
        }
    }
}

impl Group {
    /// Restores the alerts of rules whose `for` is not shorter than the grace period; then all rules count as restored.
    /// To be called after the second evaluation, when what rules look at has been scraped again.
    pub fn restore(&self) {
        let timer = Instant::now();
        let options = &self.context.options;
        let now = self.context.clock.now_ms();
        let source = self.context.querier.snapshot();
        for rule in &self.rules {
            let Action::Alert(alert) = &rule.spec.action else { continue };
            if alert.hold_ms >= options.for_grace_period_ms {
                match stored_states(&*source, &rule.spec, now - options.outage_tolerance_ms, now) {
                    Ok(states) => {
                        let restart =
                            Restart { now, hold_ms: alert.hold_ms, grace_ms: options.for_grace_period_ms };
                        for alert in rule.alerts.lock().iter_mut() {
                            if let Some((active_at, down_at)) = states.get(&alert.labels) {
                                alert.active_at = restart.active_at(*active_at, *down_at);
                            }
                        }
                    }
                    // There is no second try; such alerts start anew.
                    Err(error) => {
                        tracing::error!(alertname = rule.spec.name, error, "Failed to restore 'for' state");
                    }
                }
            }
            rule.restored.store(true, Ordering::Relaxed);
        }
        self.context.metrics.last_restore_duration.with(&[&self.key()]).set(timer.elapsed().as_secs_f64());
    }
}

/// For each alert of a rule: since when it was active and when that was last written, both cut to seconds.
fn stored_states(
    source: &dyn SeriesSource,
    rule: &RuleSpec,
    min_t: i64,
    max_t: i64,
) -> Result<HashMap<Labels, (i64, i64)>, String> {
    let mut matchers =
        vec![Matcher::equal(METRIC_NAME, ALERTS_FOR_STATE), Matcher::equal(ALERT_NAME, rule.name.as_str())];
    // The value of a template differs from alert to alert.
    let fixed = rule.labels.iter().filter(|(name, value)| !value.contains("{{") && name != ALERT_NAME);
    matchers.extend(fixed.map(|(name, value)| Matcher::equal(name.as_str(), value.as_str())));
    let selection = Selection { matchers, min_t, max_t, limit: 0, hints: Hints::default() };
    let set = source.select(&selection).map_err(|e| e.to_string())?;
    let mut states = HashMap::new();
    for series in &set.series {
        if let Some((t, v)) = last_sample(&**series)?
            && !is_stale(v)
        {
            let active_at = (v as i64).saturating_mul(1000);
            states.insert(series.labels().without_metric_name(), (active_at, t.div_euclid(1000) * 1000));
        }
    }
    Ok(states)
}

fn last_sample(series: &dyn Series) -> Result<Option<(i64, f64)>, String> {
    let mut cursor = series.cursor();
    let mut columns = Columns::default();
    let mut last = None;
    while cursor.next_run(&mut columns).map_err(|e| e.to_string())? {
        last = columns.float_t.last().copied().zip(columns.float_v.last().copied()).or(last);
        columns.clear();
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts() {
        let restart = Restart { now: 10_000, hold_ms: 1_000, grace_ms: 300 };
        for (active_at, down_at, want, why) in [
            (5_000, 6_500, 5_000, "was firing"),
            (5_000, 6_000, 5_000, "was about to fire at once"),
            (5_000, 5_800, 10_000 + 300 - 1_000, "fires after the grace period"),
            (5_000, 5_500, 5_000 + 4_500, "waits for the half it has yet to wait"),
        ] {
            assert_eq!(restart.active_at(active_at, down_at), want, "{why}");
        }
    }
}
