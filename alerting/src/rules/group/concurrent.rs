//! Rules of a group that do not read each other's results may be evaluated at once
//! (`--enable-feature=concurrent-rule-eval`). What is observed is the same as in order: a rule waits for those before it
//! that it reads, and for those before it that read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::labels::METRIC_NAME;
use promql::ast::{Expr, ExprKind};

use crate::rules::file::{Action, RuleSpec};

/// The series that alerting rules write.
const ALERT_SERIES: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];
/// Bytes of a thread's stack, of which the deepest expression that is allowed takes a small part.
const STACK: usize = 8 << 20;

/// How many rules may be evaluated at once beside the one of each group's own thread, over all groups.
pub struct Slots(AtomicUsize);

impl Slots {
    /// So many.
    pub fn new(slots: usize) -> Self {
        Self(AtomicUsize::new(slots))
    }

    /// Takes as many of the `wanted` as are free; gives them back when dropped.
    fn take(&self, wanted: usize) -> Taken<'_> {
        let mut taken = 0;
        // The closure always gives a number, so the update always succeeds.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| {
            taken = wanted.min(free);
            Some(free - taken)
        });
        Taken { slots: self, taken }
    }
}

struct Taken<'a> {
    slots: &'a Slots,
    taken: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.slots.0.fetch_add(self.taken, Ordering::AcqRel);
    }
}

/// Calls `evaluate` for all of a level, on this thread and on as many others as there are slots. Returns when all have
/// returned; a panic of one is this thread's.
pub fn evaluate_level(level: &[usize], slots: &Slots, evaluate: &(impl Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(rule) = level.get(next.fetch_add(1, Ordering::Relaxed)) {
            evaluate(*rule);
        }
    };
    let others = slots.take(level.len().saturating_sub(1));
    let runtime = tokio::runtime::Handle::try_current().ok();
    std::thread::scope(|scope| {
        for _ in 0..others.taken {
            let other = std::thread::Builder::new().name("rule".to_owned()).stack_size(STACK);
            let spawned = other.spawn_scoped(scope, || {
                let _in_runtime = runtime.as_ref().map(tokio::runtime::Handle::enter);
                work();
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "No thread for a rule: it is evaluated after the others of its group");
                break;
            }
        }
        work();
    });
}

/// The rules, by their places, in the levels in which they are evaluated. Two rules of one level do not concern each other.
pub fn levels(rules: &[Arc<RuleSpec>]) -> Vec<Vec<usize>> {
    let mut writers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, rule) in rules.iter().enumerate() {
        match &rule.action {
            Action::Record => writers.entry(&rule.name).or_default().push(at),
            Action::Alert(_) => {
                for name in ALERT_SERIES {
                    writers.entry(name).or_default().push(at);
                }
            }
        }
    }
    let mut related: Vec<Vec<usize>> = vec![Vec::new(); rules.len()];
    for (at, rule) in rules.iter().enumerate() {
        let mut relate = |others: &[usize]| {
            for other in others.iter().copied().filter(|other| *other != at) {
                related[at.max(other)].push(at.min(other));
            }
        };
        for selected in selected_names(&rule.expr) {
            match selected {
                Selected::Name(name) => relate(writers.get(name).map_or(&[][..], Vec::as_slice)),
                Selected::Matching(matches) => {
                    writers.iter().filter(|(name, _)| matches(name)).for_each(|(_, others)| relate(others));
                }
            }
        }
    }
    let mut level_of: Vec<usize> = Vec::with_capacity(rules.len());
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (at, before) in related.iter().enumerate() {
        let level = before.iter().map(|other| level_of[*other] + 1).max().unwrap_or(0);
        level_of.push(level);
        if levels.len() <= level {
            levels.resize_with(level + 1, Vec::new);
        }
        levels[level].push(at);
    }
    levels
}

/// Which metrics a selector reads.
enum Selected<'a> {
    Name(&'a str),
    Matching(Box<dyn Fn(&str) -> bool + 'a>),
}

fn selected_names(expr: &Expr) -> Vec<Selected<'_>> {
    let mut selected: Vec<Selected<'_>> = expr
        .selectors()
        .into_iter()
        .map(|selector| match selector.name.as_str() {
            "" => Selected::Matching(Box::new(move |name| {
                selector.matchers.iter().filter(|m| m.name() == METRIC_NAME).all(|m| m.matches(name))
            })),
            name => Selected::Name(name),
        })
        .collect();
    // It reads metrics that the expression need not name.
    expr.walk(&mut |expr| {
        if matches!(&expr.kind, ExprKind::Call(call) if call.function.name == "info") {
            selected.push(Selected::Matching(Box::new(|_| true)));
        }
    });
    selected
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use parking_lot::Mutex;

    use super::*;
    use crate::rules::tests::file;

    fn levels_of(rules: &str) -> Vec<Vec<usize>> {
        levels(&file("f", &format!("  rules: {rules}\n")).groups[0].rules)
    }

    #[test]
    fn what_concerns_another_rule_waits() {
        for (rules, want) in [
            ("[{record: a, expr: x}, {record: b, expr: y}]", vec![vec![0, 1]]),
            (
                "[{record: a, expr: x}, {record: b, expr: a + y}, {record: c, expr: z}]",
                vec![vec![0, 2], vec![1]],
            ),
            // What a rule reads of a later one is that one's last result.
            ("[{record: a, expr: b}, {record: b, expr: x}]", vec![vec![0], vec![1]]),
            ("[{record: a, expr: a offset 1m}, {record: b, expr: y}]", vec![vec![0, 1]]),
            ("[{record: a, expr: x}, {record: b, expr: '{__name__=~\"a|q\"}'}]", vec![vec![0], vec![1]]),
            ("[{record: a, expr: x}, {record: b, expr: '{job=\"j\"}'}]", vec![vec![0], vec![1]]),
            ("[{record: a, expr: x}, {record: b, expr: '{__name__!=\"a\",job=\"j\"}'}]", vec![vec![0, 1]]),
            ("[{alert: a, expr: x}, {record: b, expr: 'count(ALERTS)'}]", vec![vec![0], vec![1]]),
            ("[{record: a, expr: x}, {record: a, expr: y}]", vec![vec![0, 1]]),
        ] {
            assert_eq!(levels_of(rules), want, "{rules}");
        }
    }

    #[test]
    fn a_level_runs_at_once_as_far_as_there_are_slots() {
        let slots = Slots::new(2);
        let barrier = Barrier::new(3);
        // Three meet at the barrier only if three run at once.
        evaluate_level(&[0, 1, 2], &slots, &|_| {
            barrier.wait();
        });
        assert_eq!(slots.0.load(Ordering::Relaxed), 2, "the slots are given back");
        let seen = Mutex::new(Vec::new());
        evaluate_level(&[3, 4, 5], &Slots::new(0), &|rule| seen.lock().push(rule));
        assert_eq!(seen.into_inner(), [3, 4, 5]);
    }
}
