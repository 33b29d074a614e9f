//! Keeps one task for each group and replaces groups when the configuration changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::Labels;
use model::append::Appendable;
use model::time::Clock;
use parking_lot::Mutex;
use promql::parse::Features;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::file::RuleFile;
use super::group::concurrent::Slots;
use super::group::{Group, RuleContext};
use super::view::GroupView;
use super::{Metrics, Querier};
use crate::AlertSink;

/// What flags decide. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--web.external-url` without trailing slash.
    pub external_url: String,
    /// Its path.
    pub path_prefix: String,
    /// `--rules.alert.for-outage-tolerance`; default 1 h.
    pub outage_tolerance_ms: i64,
    /// `--rules.alert.for-grace-period`; default 10 m.
    pub for_grace_period_ms: i64,
    /// `--rules.alert.resend-delay`; default 1 m.
    pub resend_delay_ms: i64,
    /// `--rules.max-concurrent-evals` with `concurrent-rule-eval`: rules evaluated at once beside one of each group;
    /// `None` has the rules of a group evaluated one after the other.
    pub concurrent_evals: Option<usize>,
    /// What the language allows in templates' queries.
    pub features: Features,
    /// Feature `rules-restore-new-groups` and the like: look for alerts of groups that come with a reload, too.
    pub restore_new_groups: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            external_url: String::new(),
            path_prefix: String::new(),
            outage_tolerance_ms: 3_600_000,
            for_grace_period_ms: 600_000,
            resend_delay_ms: 60_000,
            concurrent_evals: None,
            features: Features::default(),
            restore_new_groups: false,
        }
    }
}

/// What the configuration decides.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// Of groups that have no interval of their own; never 0.
    pub evaluation_interval_ms: i64,
    /// `rule_query_offset`.
    pub query_offset_ms: i64,
    /// For templates.
    pub external_labels: Labels,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self { evaluation_interval_ms: 60_000, query_offset_ms: 0, external_labels: Labels::empty() }
    }
}

/// Runs all groups.
pub struct Manager {
    context: Arc<RuleContext>,
    running: Mutex<BTreeMap<String, RunningGroup>>,
    /// One reload at a time.
    reload: tokio::sync::Mutex<()>,
    /// True once groups may evaluate.
    started: watch::Sender<bool>,
    /// Cancelled when the server stops.
    stopped: CancellationToken,
    /// Whether the first set of groups, which restores alerts, has been applied.
    applied: AtomicBool,
}

struct RunningGroup {
    group: Arc<Group>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningGroup {
    /// Ends the group after the rule it is at.
    async fn stop(self) -> Arc<Group> {
        self.group.stopping.store(true, Ordering::Relaxed);
        self.cancel.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(group = self.group.spec.name, %error, "Rule group ended abnormally");
        }
        self.group
    }
}

impl Manager {
    /// A manager without groups.
    pub fn new(
        options: Options,
        querier: Arc<dyn Querier>,
        appendable: Arc<dyn Appendable>,
        sink: Arc<dyn AlertSink>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let settings = ArcSwap::from_pointee(RuleSettings::default());
        let slots = options.concurrent_evals.map(Slots::new);
        Self {
            context: Arc::new(RuleContext {
                options,
                settings,
                querier,
                appendable,
                sink,
                clock,
                metrics,
                slots,
            }),
            running: Mutex::default(),
            reload: tokio::sync::Mutex::default(),
            started: watch::Sender::new(false),
            stopped: CancellationToken::new(),
            applied: AtomicBool::new(false),
        }
    }

    /// Lets groups evaluate; to be called when the store can answer.
    pub fn start(&self) {
        self.started.send_replace(true);
    }

    /// Makes the groups of these files the running ones. Groups that did not change go on undisturbed; changed ones keep
    /// the state of the rules that they still have. Waits for evaluations that are under way in groups that change.
    pub async fn apply(&self, settings: RuleSettings, files: Vec<RuleFile>) {
        let _one_at_a_time = self.reload.lock().await;
        if self.stopped.is_cancelled() {
            return;
        }
        self.context.settings.store(Arc::new(settings));
        let restored = self.applied.swap(true, Ordering::Relaxed) && !self.context.options.restore_new_groups;
        let mut old = std::mem::take(&mut *self.running.lock());
        let mut next = BTreeMap::new();
        let mut replaced = Vec::new();
        for file in files {
            let path = file.path.to_string_lossy().into_owned();
            for spec in file.groups {
                let group = Group::new(path.clone(), spec, self.context.clone(), restored);
                match old.remove(&group.key()) {
                    Some(running) if running.group.is_same(&group) => {
                        next.insert(group.key(), running);
                    }
                    Some(running) => replaced.push((Arc::new(group), Some(running))),
                    None => replaced.push((Arc::new(group), None)),
                }
            }
        }
        // All are told to stop before any is waited for.
        for running in old.values().chain(replaced.iter().filter_map(|(_, running)| running.as_ref())) {
            running.group.stopping.store(true, Ordering::Relaxed);
            running.cancel.cancel();
        }
        for (group, running) in replaced {
            if let Some(running) = running {
                group.adopt(&*running.stop().await);
            }
            next.insert(group.key(), self.spawn(group, !restored));
        }
        for (key, running) in old {
            let group = running.stop().await;
            self.context.metrics.remove_group(&key);
            tokio::spawn(end_later(group, self.stopped.clone()));
        }
        *self.running.lock() = next;
    }

    fn spawn(&self, group: Arc<Group>, restore: bool) -> RunningGroup {
        let cancel = self.stopped.child_token();
        let task = tokio::spawn(run(group.clone(), restore, cancel.clone(), self.started.subscribe()));
        RunningGroup { group, cancel, task }
    }

    /// Ends all groups, each after the rule it is at.
    pub async fn stop(&self) {
        let _one_at_a_time = self.reload.lock().await;
        let running = std::mem::take(&mut *self.running.lock());
        for running in running.values() {
            running.group.stopping.store(true, Ordering::Relaxed);
        }
        self.stopped.cancel();
        for running in running.into_values() {
            running.stop().await;
        }
    }

    /// The groups as the API shows them, by file and name.
    pub fn groups(&self) -> Vec<GroupView> {
        let groups: Vec<Arc<Group>> =
            self.running.lock().values().map(|running| running.group.clone()).collect();
        let mut views: Vec<GroupView> = groups.iter().map(|group| group.view()).collect();
        views.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        views
    }
}

/// Evaluates a group whenever it is due, until cancelled.
async fn run(
    group: Arc<Group>,
    restore: bool,
    cancel: CancellationToken,
    mut started: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = started.wait_for(|started| *started) => {}
        () = cancel.cancelled() => return,
    }
    let clock = group.context.clock.clone();
    let interval = group.interval_ms;
    let mut t = group.slot(clock.now_ms()) + interval;
    // A clock that is set back must not hold evaluations up for longer than an interval.
    let mut wait = (t - clock.now_ms()).min(interval);
    let mut evaluations = 0u32;
    while sleep_ms(wait, &cancel).await {
        let passed = if evaluations == 0 { 0 } else { ((clock.now_ms() - t) / interval).max(1) };
        if passed > 1 {
            let key = group.key();
            let missed = (passed - 1).unsigned_abs();
            group.context.metrics.iterations_missed.with(&[&key]).add(missed);
            group.context.metrics.iterations.with(&[&key]).add(missed);
        }
        t += passed * interval;
        let at = t;
        on_blocking_thread(&group, move |group| group.evaluate(at)).await;
        evaluations = evaluations.saturating_add(1);
        // The second evaluation sees what was scraped, and recorded by other rules, since the start.
        if restore && evaluations == 2 {
            on_blocking_thread(&group, Group::restore).await;
        }
        wait = (t + interval - clock.now_ms()).min(interval);
    }
}

async fn on_blocking_thread(group: &Arc<Group>, work: impl FnOnce(&Group) + Send + 'static) {
    let (name, group) = (group.spec.name.clone(), group.clone());
    if let Err(error) = tokio::task::spawn_blocking(move || work(&group)).await {
        tracing::error!(group = name, %error, "Rule group evaluation ended abnormally");
    }
}

/// False when cancelled meanwhile.
async fn sleep_ms(ms: i64, cancel: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        () = tokio::time::sleep(Duration::from_millis(ms.max(0).unsigned_abs())) => true,
    }
}

/// Ends the series of a group that is gone, after two intervals: a group that only moved has written them again by then,
/// and refuses the staleness marks.
async fn end_later(group: Arc<Group>, stopped: CancellationToken) {
    let t = group.context.clock.now_ms();
    if sleep_ms(2 * group.interval_ms, &stopped).await {
        on_blocking_thread(&group, move |group| group.end_all(t)).await;
    }
}
