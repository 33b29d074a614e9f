//! Groups and the manager over a store in memory, queried by the real engine, on tokio's paused clock.

mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use config::global::NameValidation;
use model::Labels;
use model::read::SeriesSource;
use model::time::Clock;
use parking_lot::Mutex;
use promql::parse::Features;
use promql::{Engine, EngineOptions, QueryContext};
use query::VectorSample;
use store::{Snapshot, Store};

use super::group::{Group, RuleContext};
use super::view::Health;
use super::*;
use crate::{Alert, AlertSink};

struct EngineQuerier {
    store: Arc<Store>,
    clock: Arc<TestClock>,
}

impl Querier for EngineQuerier {
    fn instant(&self, expr: &Expr, t: i64, _: GroupName<'_>) -> Result<Vec<VectorSample>, QueryFailure> {
        self.clock.skew_ms.fetch_add(self.store.slow_ms.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        let cancel = AtomicBool::new(false);
        let context = QueryContext::unbounded(&cancel, &|| Duration::ZERO);
        let result = Engine::new(EngineOptions::default())
            .instant(expr, &*self.snapshot(), t, &context)
            .map_err(|e| QueryFailure { message: e.to_string(), cancelled: false })?;
        Ok(result.value.into_vector().expect("a vector or scalar"))
    }

    fn snapshot(&self) -> Arc<dyn SeriesSource> {
        Arc::new(Snapshot(self.store.data.lock().clone()))
    }
}

#[derive(Default)]
struct Sink(Mutex<Vec<Alert>>);

impl AlertSink for Sink {
    fn send(&self, alerts: Vec<Alert>) {
        self.0.lock().extend(alerts);
    }
}

impl Sink {
    fn take(&self) -> Vec<String> {
        let alerts = std::mem::take(&mut *self.0.lock());
        let text = |alert: Alert| {
            format!("{} {:?} {:?}", alert.labels, alert.starts_at.unwrap(), alert.ends_at.unwrap())
        };
        alerts.into_iter().map(text).collect()
    }
}

/// Tokio's clock, which tests pause, plus what slow queries add.
struct TestClock {
    start: tokio::time::Instant,
    start_ms: i64,
    skew_ms: AtomicI64,
}

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.start_ms + self.start.elapsed().as_millis() as i64 + self.skew_ms.load(Ordering::Relaxed)
    }
}

struct World {
    store: Arc<Store>,
    sink: Arc<Sink>,
    clock: Arc<TestClock>,
    metrics: Arc<Metrics>,
    querier: Arc<EngineQuerier>,
}

impl World {
    /// At a time in milliseconds. Needs a tokio runtime.
    fn at(start_ms: i64) -> Self {
        let store = Arc::new(Store::default());
        let clock =
            Arc::new(TestClock { start: tokio::time::Instant::now(), start_ms, skew_ms: AtomicI64::new(0) });
        let querier = Arc::new(EngineQuerier { store: store.clone(), clock: clock.clone() });
        Self { store, sink: Arc::default(), clock, metrics: Arc::default(), querier }
    }

    fn options() -> Options {
        Options { external_url: "http://p".to_owned(), ..Options::default() }
    }

    fn group(&self, rules: &str) -> Group {
        let context = RuleContext {
            options: Self::options(),
            settings: arc_swap::ArcSwap::from_pointee(settings()),
            querier: self.querier.clone(),
            appendable: self.store.clone(),
            sink: self.sink.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            slots: None,
        };
        let file = file("f", rules);
        Group::new("f".to_owned(), file.groups[0].clone(), Arc::new(context), true)
    }

    fn manager(&self) -> Manager {
        Manager::new(
            Self::options(),
            self.querier.clone(),
            self.store.clone(),
            self.sink.clone(),
            self.clock.clone(),
            self.metrics.clone(),
        )
    }
}

fn settings() -> RuleSettings {
    RuleSettings {
        evaluation_interval_ms: 60_000,
        query_offset_ms: 0,
        external_labels: Labels::from_pairs([("cluster", "c")]),
    }
}

/// A file with one group `g`; `text` is what follows its name.
pub(super) fn file(path: &str, text: &str) -> RuleFile {
    let text = format!("groups:\n- name: g\n{text}");
    read_file(Path::new(path), &text, NameValidation::Utf8, &Features::default()).unwrap()
}

#[tokio::test]
async fn rules_follow_each_other_and_series_end() {
    let world = World::at(0);
    let group = world.group(
        "  rules:\n  - {record: 'a:sum', expr: sum by (job) (x), labels: {by: a}}\n  - {record: b, expr: 'a:sum * 2'}\n  \
         - {record: c, expr: '1 + 1'}\n",
    );
    world.store.put("x{job=\"1\",i=\"a\"}", 0, 1.0);
    world.store.put("x{job=\"1\",i=\"b\"}", 0, 2.0);
    world.store.put("x{job=\"2\",i=\"c\"}", 0, 4.0);
    group.evaluate(1_000);
    group.evaluate(61_000);
    world.store.data.lock().retain(|labels, _| labels.get("job") != Some("2") || labels.get("by").is_some());
    group.evaluate(121_000);
    assert_eq!(world.store.get("a:sum{job=\"1\",by=\"a\"}"), "1000=3 61000=3 121000=3");
    assert_eq!(world.store.get("a:sum{job=\"2\",by=\"a\"}"), "1000=4 61000=4 121000=s");
    assert_eq!(world.store.get("b{job=\"2\",by=\"a\"}"), "1000=8 61000=8 121000=s");
    assert_eq!(world.store.get("c"), "1000=2 61000=2 121000=2");
    let view = group.view();
    assert_eq!(view.rules[0].query, "sum by (job) (x)");
    assert!(view.rules.iter().all(|rule| rule.health == Health::Good && rule.last_evaluation.is_some()));
    assert_eq!(world.metrics.evaluations.with(&["f;g"]).get(), 9);
    assert_eq!(world.metrics.samples.with(&["f;g"]).get(), 3.0);
}

#[tokio::test]
async fn failures_stay_with_their_rule() {
    let world = World::at(0);
    let group = world.group(
        "  limit: 1\n  query_offset: 10s\n  rules:\n  - {record: many, expr: x}\n  - {record: ok, expr: sum(x)}\n  \
         - {record: same, expr: 'label_replace(x, \"i\", \"\", \"\", \"\")'}\n",
    );
    world.store.put("x{i=\"a\"}", 0, 1.0);
    world.store.put("x{i=\"b\"}", 0, 2.0);
    group.evaluate(11_000);
    let errors: Vec<_> =
        group.view().rules.into_iter().map(|rule| rule.last_error.unwrap_or_default()).collect();
    assert_eq!(errors[0], "exceeded limit of 1 with 2 series");
    assert_eq!(errors[1], "");
    assert!(errors[2].contains("same labelset"), "{}", errors[2]);
    assert_eq!(world.store.get("ok"), "1000=3", "queried and written at the offset");
    assert_eq!(world.metrics.failures.with(&["f;g"]).get(), 2);
    // The same time again with another value is refused; so is what a full disk does not take.
    world.store.put("x{i=\"a\"}", 0, 5.0);
    group.evaluate(11_000);
    assert_eq!(group.view().rules[1].last_error.as_deref(), Some("duplicate sample for timestamp"));
    world.store.fail_commits.store(true, Ordering::Relaxed);
    group.evaluate(71_000);
    assert_eq!(group.view().rules[1].last_error.as_deref(), Some("no space left"));
    assert_eq!(group.view().rules[1].health, Health::Bad);
    world.store.fail_commits.store(false, Ordering::Relaxed);
    group.evaluate(131_000);
    assert_eq!(group.view().rules[1].health, Health::Good);
}

#[tokio::test]
async fn alerts_show_in_series_and_at_the_sink() {
    let world = World::at(0);
    let group = world.group(
        "  rules:\n  - alert: High\n    expr: x > 1\n    for: 1m\n    labels: {severity: '{{ if gt $value 2.0 }}page{{ end \
         }}', env: '{{ $externalLabels.cluster }}'}\n    annotations: {summary: '{{ $labels.i }} is {{ $value }}', broken: \
         '{{ query \"none\" | first }}'}\n",
    );
    world.store.put("x{i=\"a\"}", 0, 3.0);
    for t in [0, 60_000, 120_000] {
        group.evaluate(t);
    }
    let labels = "alertname=\"High\",env=\"c\",i=\"a\",severity=\"page\"";
    assert_eq!(
        world.store.get(&format!("ALERTS{{alertstate=\"pending\",{labels}}}")),
        "0=1 60000=s",
        "the pending series ends when the firing one begins"
    );
    assert_eq!(world.store.get(&format!("ALERTS{{alertstate=\"firing\",{labels}}}")), "60000=1 120000=1");
    assert_eq!(world.store.get(&format!("ALERTS_FOR_STATE{{{labels}}}")), "0=0 60000=0 120000=0");
    let url = "http://p/graph?g0.expr=x+%3E+1&g0.tab=1";
    assert_eq!(&*world.sink.0.lock()[0].generator_url, url);
    assert_eq!(
        world.sink.take(),
        [r#"{alertname="High", env="c", i="a", severity="page"} 60000 300000"#],
        "resent only after the resend delay"
    );
    let view = group.view();
    let alerting = view.rules[0].alerting.as_ref().unwrap();
    assert_eq!(alerting.alerts[0].annotations[1], ("summary".to_owned(), "a is 3".to_owned()));
    assert_eq!(
        alerting.alerts[0].annotations[0].1,
        "<error expanding template: error executing template __alert_High: template: __alert_High:1:130: executing \
         \"__alert_High\" at <first>: error calling first: first() called on vector with no elements>"
    );
    // The label changes with the value: to the store and to Alertmanagers it is another alert.
    world.store.put("x{i=\"a\"}", 150_000, 2.0);
    group.evaluate(180_000);
    assert_eq!(world.sink.take(), [r#"{alertname="High", env="c", i="a", severity="page"} 60000 180000"#]);
    assert_eq!(world.store.get(&format!("ALERTS_FOR_STATE{{{labels}}}")), "0=0 60000=0 120000=0 180000=s");
    assert_eq!(
        world.store.get("ALERTS{alertstate=\"pending\",alertname=\"High\",env=\"c\",i=\"a\"}"),
        "180000=1"
    );
    assert_eq!(world.metrics.template_failures.get(), 4);
}

#[tokio::test]
async fn slots_are_an_interval_apart() {
    let world = World::at(0);
    let group = world.group("  interval: 30s\n  rules: []\n");
    let slot = group.slot(1_000_000);
    assert!((970_001..=1_000_000).contains(&slot));
    assert_eq!(group.slot(slot), slot);
    assert_eq!(group.slot(slot - 1), slot - 30_000);
    assert_eq!(group.slot(slot + 30_000), slot + 30_000);
    assert!(group.slot(-5) <= -5);
}

/// Times at which `count` was written, relative to the first.
fn beats(store: &Store) -> Vec<i64> {
    let data = store.data.lock();
    let labels = promql::parse_metric("beat").unwrap();
    let times: Vec<i64> = data.get(&labels).into_iter().flatten().map(|(t, _)| *t).collect();
    times.iter().map(|t| t - times[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn groups_tick_and_skip_what_they_miss() {
    let world = World::at(1_000_000_000);
    let manager = world.manager();
    let beat = || vec![file("f", "  interval: 10s\n  rules:\n  - {record: beat, expr: '1'}\n")];
    manager.apply(settings(), beat()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(beats(&world.store), [0i64; 0], "nothing before the start");
    manager.start();
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(beats(&world.store)[..4], [0, 10_000, 20_000, 30_000]);
    // The next evaluation takes two and a half intervals.
    let before = beats(&world.store).len();
    world.store.slow_ms.store(25_000, Ordering::Relaxed);
    while beats(&world.store).len() == before {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // A reload with the same rules does not disturb.
    manager.apply(settings(), beat()).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let after = beats(&world.store);
    assert_eq!(after[before] - after[before - 1], 10_000);
    assert_eq!(after[before + 1] - after[before], 20_000, "one was missed: {after:?}");
    assert_eq!(world.metrics.iterations_missed.with(&["f;g"]).get(), 1);
    let iterations = world.metrics.iterations.with(&["f;g"]).get();
    assert_eq!(iterations, world.metrics.evaluations.with(&["f;g"]).get() + 1);
    manager.stop().await;
    let stopped = beats(&world.store).len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(beats(&world.store).len(), stopped);
}

#[tokio::test(start_paused = true)]
async fn reloads_keep_what_stays_and_end_what_goes() {
    let world = World::at(1_000_000_000);
    let manager = world.manager();
    manager.start();
    for t in 0..100 {
        world.store.put("x", 1_000_000_000 + t * 30_000, 1.0);
    }
    let alert = "  - {alert: A, expr: x, for: 10m}\n";
    let first = format!(
        "  interval: 30s\n  rules:\n{alert}  - {{record: gone, expr: x}}\n  - {{record: kept, expr: x}}\n"
    );
    let other = || file("other", "  interval: 30s\n  rules:\n  - {record: lonely, expr: x}\n");
    manager.apply(settings(), vec![file("f", &first), other()]).await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    let active_at = |view: &[GroupView]| view[0].rules[0].alerting.as_ref().unwrap().alerts[0].active_at;
    let groups = manager.groups();
    assert_eq!(groups.iter().map(|g| g.file.as_str()).collect::<Vec<_>>(), ["f", "other"]);
    let before = active_at(&groups);
    let second = format!("  interval: 30s\n  rules:\n{alert}  - {{record: kept, expr: x}}\n");
    manager.apply(settings(), vec![file("f", &second)]).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(active_at(&manager.groups()), before, "the alert is still the same one");
    assert!(world.store.get("gone").ends_with("=s"), "{}", world.store.get("gone"));
    assert!(!world.store.get("kept").contains('s'));
    assert!(!world.store.get("lonely").contains('s'), "a group that may only have moved gets two intervals");
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(world.store.get("lonely").ends_with("=s"));
    let mut keys = Vec::new();
    world.metrics.iterations.for_each(|labels, _| keys.push(labels[0].1.to_owned()));
    assert_eq!(keys, ["f;g"]);
    manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn alerts_go_on_after_a_restart() {
    const START: i64 = 1_000_000_000;
    let rules = || {
        vec![file(
            "f",
            "  interval: 1m\n  rules:\n  - {alert: A, expr: x, for: 1h}\n  - {alert: B, expr: x, for: 5m}\n",
        )]
    };
    let world = World::at(START);
    for minute in 0..300 {
        world.store.put("x", START + minute * 60_000, 1.0);
    }
    // Active since half an hour before it was last seen, ten minutes ago.
    let state = "ALERTS_FOR_STATE{alertname=\"A\"}";
    let down_at = START - 600_000;
    world.store.put(state, down_at, ((down_at - 1_800_000) / 1000) as f64);
    let manager = world.manager();
    manager.start();
    manager.apply(settings(), rules()).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(world.store.get(state).split(' ').count(), 1, "not overwritten before it is restored");
    tokio::time::sleep(Duration::from_secs(120)).await;
    let views = manager.groups();
    let alert = |rule: usize| views[0].rules[rule].alerting.as_ref().unwrap().alerts[0].clone();
    let waited = world.clock.now_ms() - alert(0).active_at;
    // It waited half an hour, and the time of the outage does not count.
    assert!((1_800_000..1_800_000 + 240_000).contains(&waited), "{waited}");
    assert!(alert(1).active_at >= START, "short ones start anew");
    assert!(world.store.get(state).split(' ').count() > 1);
    assert!(world.store.names().iter().any(|name| name.contains("alertstate=\"pending\"")));
    manager.stop().await;
    // Groups that come with a reload have nothing to restore.
    assert_eq!(world.sink.take().len(), 0);
}
