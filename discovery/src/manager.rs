//! Runs the mechanisms of all jobs and gathers what they find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::discovery::{SdConfig, StaticGroup};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::start::start;
use super::{Metrics, TargetGroup, TargetSets};

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
    /// The job that figures and the log name: the first that has the section.
    job: Mutex<String>,
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
}

impl Updates {
    /// Replaces all that the mechanism has found.
    pub fn report(&self, groups: Vec<Arc<TargetGroup>>) {
        *self.found.groups.lock() = groups;
        self.found.reported.send_replace(true);
        self.subscriptions.metrics.received_updates.with(&[self.subscriptions.name]).inc();
        self.subscriptions.dirty.notify_one();
    }

    /// Reports all that the mechanism will ever find. Prometheus counts the end of a mechanism as an update.
    pub fn report_all(&self, groups: Vec<Arc<TargetGroup>>) {
        *self.found.groups.lock() = groups;
        self.found.reported.send_replace(true);
        self.subscriptions.metrics.received_updates.with(&[self.subscriptions.name]).add(2);
    }

    /// Shows the figures of a mechanism that is asked again and again.
    pub fn starts(&self, mechanism: &str) {
        self.subscriptions.metrics.starts(mechanism, &self.job());
    }

    /// Counts a refresh.
    pub fn refreshed(&self, mechanism: &str, took: Duration, failed: bool) {
        self.subscriptions.metrics.refreshed(mechanism, &self.job(), took, failed);
    }

    /// The job that the log names.
    pub fn job(&self) -> String {
        self.found.job.lock().clone()
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
        let mut wanted: Vec<(&SdConfig, BTreeSet<String>)> = Vec::new();
        for (job, config) in jobs.iter().flat_map(|(job, configs)| configs.iter().map(move |c| (job, c))) {
            match wanted.iter_mut().find(|(other, _)| *other == config) {
                Some((_, jobs)) => {
                    jobs.insert(job.clone());
                }
                None => wanted.push((config, BTreeSet::from([job.clone()]))),
            }
        }
        let mut running = std::mem::take(&mut self.providers);
        let mut started = Vec::new();
        let mut failed = 0;
        for (config, jobs) in wanted {
            failed += self.provide(config, jobs, &mut running, &mut started);
        }
        let names: BTreeSet<String> = jobs.iter().map(|(job, _)| job.clone()).collect();
        let provided: BTreeSet<String> = self.providers.iter().flat_map(|p| &p.jobs).cloned().collect();
        let without: BTreeSet<String> = names.difference(&provided).cloned().collect();
        if !without.is_empty() {
            // A job without any discovery has an empty set all the same.
            let nothing = SdConfig::Static(vec![StaticGroup::default()]);
            self.provide(&nothing, without, &mut running, &mut started);
        }
        self.subscriptions.metrics.failed_configs.with(&[self.subscriptions.name]).set(failed as f64);
        running.iter().for_each(Provider::stop);
        let first_reports = async {
            for mut reported in started {
                // An error means that the mechanism has ended: nothing to wait for.
                let _ = reported.wait_for(|reported| *reported).await;
            }
        };
        // What is not there by then comes with a later update.
        let _ = tokio::time::timeout(FIRST_REPORTS, first_reports).await;

        let by_mechanism = self.providers.iter().map(|p| (p.jobs.clone(), p.found.clone())).collect();
        let before = std::mem::replace(&mut *self.subscriptions.by_mechanism.lock(), by_mechanism);
        for gone in before.iter().flat_map(|(jobs, _)| jobs).filter(|job| !names.contains(*job)) {
            self.subscriptions.metrics.forget(self.subscriptions.name, gone);
        }
        self.subscriptions.publish();
    }

    /// Goes on with a mechanism that runs, or starts it. Gives the number of jobs that have to do without it.
    fn provide(
        &mut self,
        config: &SdConfig,
        jobs: BTreeSet<String>,
        running: &mut Vec<Provider>,
        started: &mut Vec<watch::Receiver<bool>>,
    ) -> usize {
        let first = jobs.first().cloned().unwrap_or_default();
        if let Some(at) = running.iter().position(|p| p.config == *config) {
            let provider = Provider { jobs, ..running.swap_remove(at) };
            *provider.found.job.lock() = first;
            self.providers.push(provider);
            return 0;
        }
        let found = Arc::new(FoundGroups { job: Mutex::new(first), ..FoundGroups::default() });
        let updates = Updates { subscriptions: self.subscriptions.clone(), found: found.clone() };
        match start(config, updates) {
            Ok(task) => {
                started.push(found.reported.subscribe());
                self.providers.push(Provider { config: config.clone(), jobs, found, task });
                0
            }
            Err(error) => {
                tracing::error!(
                    component = "discovery",
                    section = config.section_name(),
                    config = jobs.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                    err = %error,
                    "Cannot create service discovery"
                );
                jobs.len()
            }
        }
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
impl Updates {
    /// The updates of a mechanism that a test runs, without a manager.
    pub fn for_test(job: &str, metrics: Arc<Metrics>) -> Self {
        let found = Arc::new(FoundGroups { job: Mutex::new(job.to_owned()), ..FoundGroups::default() });
        let subscriptions = Arc::new(Subscriptions {
            name: "scrape",
            metrics,
            by_mechanism: Mutex::default(),
            dirty: Notify::new(),
            slot: Mutex::default(),
            filled: Notify::new(),
        });
        Self { subscriptions, found }
    }

    /// The same end again.
    pub fn twin(&self) -> Self {
        Self { subscriptions: self.subscriptions.clone(), found: self.found.clone() }
    }

    /// What was reported last.
    pub fn found(&self) -> Vec<TargetGroup> {
        self.found.groups.lock().iter().map(|group| group.as_ref().clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::discovery::{FileSd, HttpSd};
    use config::http_client::HttpClientConfig;

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

    #[tokio::test]
    async fn updates_of_static_groups_are_counted_as_prometheus_does() {
        let metrics = Arc::new(Metrics::default());
        let (mut manager, mut updates) = Manager::new("scrape", Duration::from_secs(5), metrics.clone());
        let received = || metrics.received_updates.with(&["scrape"]).get();
        let jobs = [("a".to_owned(), vec![fixed("a:1")]), ("b".to_owned(), vec![fixed("a:1")])];
        manager.apply(&jobs).await;
        assert_eq!(received(), 2);
        // All jobs without discovery share one mechanism.
        let more = [jobs[0].clone(), ("c".to_owned(), vec![]), ("d".to_owned(), vec![])];
        manager.apply(&more).await;
        assert_eq!(received(), 4);
        manager.apply(&more).await;
        assert_eq!(received(), 4);
        assert_eq!(show(&updates.recv().await), ["a: a:1", "c: ", "d: "]);
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_counted_and_leaves_an_empty_set() {
        let metrics = Arc::new(Metrics::default());
        let (mut manager, mut updates) = Manager::new("scrape", Duration::from_secs(5), metrics.clone());
        let mut http = HttpSd {
            url: "http://h/".to_owned(),
            refresh_interval_ms: 60_000,
            http: HttpClientConfig::default(),
        };
        http.http.tls.min_version = Some(config::http_client::TlsVersion::Tls13);
        http.http.tls.max_version = Some(config::http_client::TlsVersion::Tls12);
        let bad = SdConfig::Http(Box::new(http));
        let failed = || metrics.failed_configs.with(&["scrape"]).get();
        manager
            .apply(&[("a".to_owned(), vec![bad.clone(), fixed("a:1")]), ("b".to_owned(), vec![bad])])
            .await;
        assert_eq!(failed(), 2.0);
        assert_eq!(show(&updates.recv().await), ["a: a:1", "b: "]);
        manager.apply(&[("a".to_owned(), vec![fixed("a:1")])]).await;
        assert_eq!(failed(), 0.0);
    }

    #[tokio::test]
    async fn figures_name_a_job_that_has_the_section() {
        let metrics = Arc::new(Metrics::default());
        let (mut manager, _updates) = Manager::new("scrape", Duration::from_secs(5), metrics.clone());
        let http = SdConfig::Http(Box::new(HttpSd {
            url: "http://127.0.0.1:1/".to_owned(),
            refresh_interval_ms: 10,
            http: HttpClientConfig::default(),
        }));
        let jobs = || {
            let mut jobs = Vec::new();
            metrics.refresh_failures.for_each(|labels, _| jobs.push(labels[1].1.to_owned()));
            jobs
        };
        let both = [("a".to_owned(), vec![http.clone()]), ("b".to_owned(), vec![http])];
        manager.apply(&both).await;
        assert_eq!(jobs(), ["a"]);
        manager.apply(&both[1..]).await;
        let renamed = async {
            while jobs() != ["b"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), renamed).await.unwrap();
    }
}
