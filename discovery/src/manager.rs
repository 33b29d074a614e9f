//! Runs the mechanisms of all jobs and gathers what they find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::discovery::SdConfig;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::groups::groups;
use super::{Metrics, TargetGroup, TargetSets, file, http};

/// The first of several updates is handed on after this, later ones after up to the update interval.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// How long a new configuration waits for what new mechanisms find first, so that a reload does not drop targets for a
/// moment.
const FIRST_REPORTS: Duration = Duration::from_millis(200);

/// Runs mechanisms as long as it lives. Needs a tokio runtime.
pub struct Manager {
    subscriptions: Arc<Subscriptions>,
    providers: Vec<Provider>,
    publisher: JoinHandle<()>,
}

/// One mechanism that runs, for every job that has the same section.
struct Provider {
    config: SdConfig,
    jobs: BTreeSet<String>,
    found: Arc<FoundGroups>,
    /// `None` for static groups, which never change.
    task: Option<JoinHandle<()>>,
}

/// What a mechanism has found.
#[derive(Default)]
struct FoundGroups {
    groups: Mutex<Vec<Arc<TargetGroup>>>,
    reported: watch::Sender<bool>,
}

/// What mechanisms have found for which jobs, on its way to the consumer.
struct Subscriptions {
    name: &'static str,
    metrics: Arc<Metrics>,
    /// Which jobs see what is found.
    by_mechanism: Mutex<Vec<(BTreeSet<String>, Arc<FoundGroups>)>>,
    /// Something was found that is not handed on yet.
    dirty: Notify,
    /// What the consumer has not taken yet.
    slot: Mutex<Option<TargetSets>>,
    filled: Notify,
}

/// The consumer's end: the newest sets, each taken once.
pub struct TargetUpdates {
    subscriptions: Arc<Subscriptions>,
}

impl TargetUpdates {
    /// Waits for sets that are newer than those taken last. Never ends by itself; dropping the future loses nothing.
    pub async fn recv(&mut self) -> TargetSets {
        loop {
            if let Some(sets) = self.subscriptions.slot.lock().take() {
                return sets;
            }
            self.subscriptions.filled.notified().await;
        }
    }
}

/// By which a mechanism reports.
pub struct Updates {
    subscriptions: Arc<Subscriptions>,
    found: Arc<FoundGroups>,
    /// The job that metrics name: the first that had the section.
    job: String,
}

impl Updates {
    /// Replaces all that the mechanism has found.
    pub fn report(&self, groups: Vec<Arc<TargetGroup>>) {
        *self.found.groups.lock() = groups;
        self.found.reported.send_replace(true);
        self.subscriptions.metrics.received_updates.with(&[self.subscriptions.name]).inc();
        self.subscriptions.dirty.notify_one();
    }

    /// Counts a refresh.
    pub fn refreshed(&self, mechanism: &str, seconds: f64, failed: bool) {
        self.subscriptions.metrics.refreshed(mechanism, &self.job, seconds, failed);
    }

    /// For the mechanism's own numbers.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.subscriptions.metrics
    }
}

impl Manager {
    /// A manager without jobs. `name` is `scrape` or `notify` in metrics; sets are handed on at most once every
    /// `update_interval`, and soon after a quiet time. Call within a tokio runtime.
    pub fn new(
        name: &'static str,
        update_interval: Duration,
        metrics: Arc<Metrics>,
    ) -> (Self, TargetUpdates) {
        metrics.failed_configs.with(&[name]).set(0.0);
        for counters in [&metrics.received_updates, &metrics.updates, &metrics.updates_delayed] {
            counters.with(&[name]);
        }
        let subscriptions = Arc::new(Subscriptions {
            name,
            metrics,
            by_mechanism: Mutex::default(),
            dirty: Notify::new(),
            slot: Mutex::default(),
            filled: Notify::new(),
        });
        let publisher = tokio::spawn(publish_changes(subscriptions.clone(), update_interval));
        (
            Self { subscriptions: subscriptions.clone(), providers: Vec::new(), publisher },
            TargetUpdates { subscriptions },
        )
    }

    /// Runs what these jobs ask for, and stops what no job asks for any more. A section that stayed the same goes on
    /// undisturbed. The sets are handed on at once.
    pub async fn apply(&mut self, jobs: &[(String, Vec<SdConfig>)]) {
        let mut wanted: Vec<(SdConfig, BTreeSet<String>)> = Vec::new();
        let mut failed = 0;
        for (job, config) in jobs.iter().flat_map(|(job, configs)| configs.iter().map(move |c| (job, c))) {
            if !matches!(config, SdConfig::Static(_) | SdConfig::File(_) | SdConfig::Http(_)) {
                failed += 1;
            }
            match wanted.iter_mut().find(|(other, _)| other == config) {
                Some((_, jobs)) => {
                    jobs.insert(job.clone());
                }
                None => wanted.push((config.clone(), BTreeSet::from([job.clone()]))),
            }
        }
        self.subscriptions.metrics.failed_configs.with(&[self.subscriptions.name]).set(f64::from(failed));
        let mut running = std::mem::take(&mut self.providers);
        let mut started = Vec::new();
        for (config, jobs) in wanted {
            let provider = match running.iter().position(|p| p.config == config) {
                Some(at) => Provider { jobs, ..running.swap_remove(at) },
                None => {
                    let provider = self.start(config, jobs);
                    if provider.task.is_some() {
                        started.push(provider.found.reported.subscribe());
                    }
                    provider
                }
            };
            self.providers.push(provider);
        }
        running.iter().for_each(Provider::stop);
        let first_reports = async {
            for mut reported in started {
                // An error means that the mechanism has ended: nothing to wait for.
                let _ = reported.wait_for(|reported| *reported).await;
            }
        };
        // What is not there by then comes with a later update.
        let _ = tokio::time::timeout(FIRST_REPORTS, first_reports).await;

        let mut by_mechanism: Vec<_> =
            self.providers.iter().map(|p| (p.jobs.clone(), p.found.clone())).collect();
        let names: BTreeSet<String> = jobs.iter().map(|(job, _)| job.clone()).collect();
        // A job without any discovery has an empty set all the same.
        by_mechanism.push((names.clone(), Arc::default()));
        let before = std::mem::replace(&mut *self.subscriptions.by_mechanism.lock(), by_mechanism);
        for gone in before.iter().flat_map(|(jobs, _)| jobs).filter(|job| !names.contains(*job)) {
            self.subscriptions.metrics.forget(self.subscriptions.name, gone);
        }
        self.subscriptions.publish();
    }

    fn start(&self, config: SdConfig, jobs: BTreeSet<String>) -> Provider {
        let found = Arc::new(FoundGroups::default());
        let job = jobs.first().cloned().unwrap_or_default();
        let updates = Updates { subscriptions: self.subscriptions.clone(), found: found.clone(), job };
        let task = match &config {
            SdConfig::Static(static_groups) => {
                *found.groups.lock() = groups("", static_groups, None).into_iter().map(Arc::new).collect();
                None
            }
            SdConfig::File(config) => Some(tokio::spawn(file::run(config.as_ref().clone(), updates))),
            SdConfig::Http(config) => Some(tokio::spawn(http::run(config.as_ref().clone(), updates))),
            _ => None,
        };
        Provider { config, jobs, found, task }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.publisher.abort();
        self.providers.iter().for_each(Provider::stop);
    }
}

impl Provider {
    fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Subscriptions {
    /// Hands the present sets to the consumer.
    fn publish(&self) {
        let mut sets: BTreeMap<String, Vec<Arc<TargetGroup>>> = BTreeMap::new();
        for (jobs, found) in self.by_mechanism.lock().iter() {
            let groups = found.groups.lock();
            for job in jobs {
                sets.entry(job.clone()).or_default().extend(groups.iter().cloned());
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        for (job, groups) in &sets {
            let targets: usize = groups.iter().map(|g| g.targets.len()).sum();
            self.metrics.discovered_targets.with(&[job, self.name]).set(targets as f64);
            self.metrics.last_update.with(&[job, self.name]).set(now);
        }
        self.metrics.updates.with(&[self.name]).inc();
        if self.slot.lock().replace(Arc::new(sets)).is_some() {
            self.metrics.updates_delayed.with(&[self.name]).inc();
        }
        self.filled.notify_one();
    }
}

async fn publish_changes(subscriptions: Arc<Subscriptions>, update_interval: Duration) {
    let mut delay = FIRST_DELAY;
    let mut published = Instant::now();
    loop {
        subscriptions.dirty.notified().await;
        if published.elapsed() > update_interval {
            delay = FIRST_DELAY;
        }
        tokio::time::sleep(delay.min(update_interval)).await;
        subscriptions.publish();
        published = Instant::now();
        delay *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::discovery::{FileSd, StaticGroup};

    fn fixed(target: &str) -> SdConfig {
        SdConfig::Static(vec![StaticGroup { targets: vec![target.to_owned()], labels: Vec::new() }])
    }

    fn show(sets: &TargetSets) -> Vec<String> {
        let job = |(job, groups): (&String, &Vec<Arc<TargetGroup>>)| {
            let targets: Vec<&str> =
                groups.iter().flat_map(|g| g.targets.iter().filter_map(|t| t.get("__address__"))).collect();
            format!("{job}: {}", targets.join(" "))
        };
        sets.iter().map(job).collect()
    }

    #[tokio::test]
    async fn static_groups_come_at_once() {
        let metrics = Arc::new(Metrics::default());
        let (mut manager, mut updates) = Manager::new("scrape", Duration::from_secs(5), metrics.clone());
        let job = |name: &str, configs: Vec<SdConfig>| (name.to_owned(), configs);
        manager
            .apply(&[
                job("a", vec![fixed("a:1"), fixed("b:1")]),
                job("b", vec![fixed("b:1")]),
                job("c", vec![]),
            ])
            .await;
        assert_eq!(show(&updates.recv().await), ["a: a:1 b:1", "b: b:1", "c: "]);
        assert_eq!(metrics.discovered_targets.with(&["a", "scrape"]).get(), 2.0);
        manager.apply(&[job("b", vec![fixed("b:2")])]).await;
        manager.apply(&[job("b", vec![fixed("b:3")])]).await;
        assert_eq!(show(&updates.recv().await), ["b: b:3"]);
        assert_eq!(metrics.updates_delayed.with(&["scrape"]).get(), 1);
        let mut shown = Vec::new();
        metrics.discovered_targets.for_each(|labels, _| shown.push(labels[0].1.to_owned()));
        assert_eq!(shown, ["b"]);
    }

    #[tokio::test]
    async fn files_are_followed_across_configurations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.json");
        std::fs::write(&path, "[{\"targets\": [\"f:1\"]}]").unwrap();
        let files = SdConfig::File(Box::new(FileSd {
            files: vec![path.display().to_string()],
            refresh_interval_ms: 20,
        }));
        let (mut manager, mut updates) = Manager::new("scrape", Duration::from_millis(5), Arc::default());
        manager.apply(&[("a".to_owned(), vec![files.clone()])]).await;
        assert_eq!(show(&updates.recv().await), ["a: f:1"]);

        // A new configuration with the same section keeps what was found, for a new job too.
        manager
            .apply(&[("a".to_owned(), vec![files.clone()]), ("b".to_owned(), vec![files, fixed("s:1")])])
            .await;
        assert_eq!(show(&updates.recv().await), ["a: f:1", "b: f:1 s:1"]);

        std::fs::write(&path, "[{\"targets\": [\"f:1\", \"f:2\"]}]").unwrap();
        let changed = async { while show(&updates.recv().await) != ["a: f:1 f:2", "b: f:1 f:2 s:1"] {} };
        tokio::time::timeout(Duration::from_secs(5), changed).await.unwrap();
    }
}
