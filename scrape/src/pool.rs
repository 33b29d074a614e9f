//! The targets of one job and their loops.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::scrape::ScrapeJob;
use discovery::TargetGroup;
use model::labels::Labels;
use net::client::{HttpClient, SetupError};
use tokio::time::Instant;

use super::failure_log::FailureLog;
use super::fetch::Fetcher;
use super::status::{ActiveTarget, DroppedTargets};
use super::target::{Target, populate_groups};
use super::target_loop::{LoopContext, LoopHandle, LoopStart, interval_label};

/// A job that is being scraped.
pub(super) struct Pool {
    job: Arc<ScrapeJob>,
    context: Arc<LoopContext>,
    user_agent: Arc<str>,
    offset_seed: u64,
    client: Arc<HttpClient>,
    /// Clients of targets behind Unix sockets, by path.
    socket_clients: HashMap<String, Arc<HttpClient>>,
    loops: BTreeMap<u64, LoopHandle>,
    dropped: DroppedTargets,
    failure_log: Option<Arc<FailureLog>>,
}

impl Pool {
    /// A job without targets.
    pub fn new(
        job: Arc<ScrapeJob>,
        context: Arc<LoopContext>,
        user_agent: Arc<str>,
        client: Arc<HttpClient>,
        offset_seed: u64,
        failure_log: Option<Arc<FailureLog>>,
    ) -> Self {
        context.metrics.pools.inc();
        let pool = Self {
            client,
            socket_clients: HashMap::new(),
            loops: BTreeMap::new(),
            dropped: DroppedTargets::default(),
            job,
            context,
            user_agent,
            offset_seed,
            failure_log,
        };
        pool.set_limit_metric();
        pool
    }

    /// The job's settings.
    pub fn job(&self) -> &Arc<ScrapeJob> {
        &self.job
    }

    /// Goes over to other settings. Targets stay; their loops start anew and go on with the same series, if those are
    /// the same under the new settings.
    pub fn reload(&mut self, job: Arc<ScrapeJob>, client: Arc<HttpClient>) {
        let start = Instant::now();
        let metrics = self.context.metrics.clone();
        metrics.pool_reloads.inc();
        let same_series = makes_same_series(&self.job, &job);
        self.client = client;
        self.socket_clients.clear();
        self.job = job;
        self.set_limit_metric();
        for (hash, old) in std::mem::take(&mut self.loops) {
            let target = old.target.clone();
            let from = if same_series { LoopStart::Continue(old) } else { LoopStart::Replace(old) };
            match self.start(target, from) {
                Ok(new) => drop(self.loops.insert(hash, new)),
                Err(error) => {
                    tracing::error!(scrape_pool = %self.job.job_name, %error, "Restarting a target failed")
                }
            }
        }
        self.refresh_target_limit();
        self.refresh_cache_metrics();
        let label = interval_label(self.job.scrape_interval_ms);
        metrics.reload_length.with(&[&label]).observe(start.elapsed().as_secs_f64());
    }

    /// Logs failed scrapes to another file.
    pub fn set_failure_log(&mut self, log: Option<Arc<FailureLog>>) {
        for handle in self.loops.values() {
            handle.control.failure_log.lock().clone_from(&log);
        }
        self.failure_log = log;
    }

    /// The seed of loops that start from now on.
    pub fn set_offset_seed(&mut self, seed: u64) {
        self.offset_seed = seed;
    }

    /// Starts loops of new targets and ends those of targets that are gone.
    pub fn sync(&mut self, groups: &[Arc<TargetGroup>]) {
        let start = Instant::now();
        let job_name = self.job.job_name.clone();
        let found = populate_groups(&self.job, groups, self.job.limits.keep_dropped_targets);
        let metrics = self.context.metrics.clone();
        for failure in &found.failures {
            tracing::error!(scrape_pool = %job_name, error = %failure, "Creating target failed");
        }
        metrics.sync_failed.with(&[&job_name]).add(found.failures.len() as u64);
        self.dropped = DroppedTargets { discovered_labels: found.dropped, count: found.dropped_count };
        let mut old = std::mem::take(&mut self.loops);
        for target in found.targets {
            let hash = target.hash();
            if let Some(running) = self.loops.get_mut(&hash) {
                running.target = target;
            } else if let Some(mut running) = old.remove(&hash) {
                running.target = target;
                self.loops.insert(hash, running);
            } else {
                match self.start(target, LoopStart::New) {
                    Ok(new) => drop(self.loops.insert(hash, new)),
                    Err(error) => tracing::error!(scrape_pool = %job_name, %error, "Creating target failed"),
                }
            }
        }
        old.into_values().for_each(LoopHandle::remove);
        let loops = &self.loops;
        self.socket_clients.retain(|path, _| loops.values().any(|running| running.target.socket() == path));
        self.refresh_target_limit();
        self.refresh_cache_metrics();
        metrics.pool_targets.with(&[&job_name]).set(self.loops.len() as f64);
        let seconds = start.elapsed().as_secs_f64();
        metrics.sync_length.with(&[&job_name]).observe(seconds);
        metrics.sync_length_histogram.with(&[&job_name]).observe(seconds);
        metrics.pool_syncs.with(&[&job_name]).inc();
    }

    fn start(&mut self, target: Arc<Target>, from: LoopStart) -> Result<LoopHandle, SetupError> {
        let client = self.client_for(&target)?;
        let fetcher = Fetcher::new(client, &self.job, &target, self.context.body_buffers.clone());
        let handle = LoopHandle::start(
            self.context.clone(),
            target,
            self.job.clone(),
            fetcher,
            self.offset_seed,
            from,
        );
        handle.control.failure_log.lock().clone_from(&self.failure_log);
        Ok(handle)
    }

    fn client_for(&mut self, target: &Target) -> Result<Arc<HttpClient>, SetupError> {
        let socket = target.socket();
        if socket.is_empty() {
            return Ok(self.client.clone());
        }
        if let Some(client) = self.socket_clients.get(socket) {
            return Ok(client.clone());
        }
        let client = HttpClient::with_socket(&self.job.http, &self.user_agent, Some(socket.into()))?;
        Ok(self.socket_clients.entry(socket.to_owned()).or_insert(Arc::new(client)).clone())
    }

    /// Makes every scrape fail while there are too many targets.
    fn refresh_target_limit(&self) {
        let (count, limit) = (self.loops.len() as u64, self.job.limits.targets);
        let exceeded = limit > 0 && count > limit;
        if exceeded {
            self.context.metrics.exceeded_target_limit.inc();
        }
        let error =
            exceeded.then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
        for handle in self.loops.values() {
            handle.control.forced_error.lock().clone_from(&error);
        }
    }

    fn set_limit_metric(&self) {
        let gauge = self.context.metrics.pool_target_limit.with(&[&self.job.job_name]);
        gauge.set(self.job.limits.targets as f64);
    }

    fn refresh_cache_metrics(&self) {
        let caches = self.loops.values().map(|running| running.status.metadata.lock().clone());
        self.context.metrics.set_caches(&self.job.job_name, caches.collect::<Vec<_>>());
    }

    /// The targets that are scraped, and their last scrapes.
    pub fn active(&self) -> impl Iterator<Item = ActiveTarget> + '_ {
        self.loops.values().map(|running| ActiveTarget {
            pool: self.job.job_name.clone(),
            target: running.target.clone(),
            last: running.status.last.lock().clone(),
            metadata: running.status.metadata.lock().clone(),
        })
    }

    /// The targets that relabelling dropped.
    pub fn dropped(&self) -> &DroppedTargets {
        &self.dropped
    }

    /// Series of these targets end without stale marks.
    pub fn disable_end_marks(&self, labels: &[Labels]) {
        for running in self.loops.values().filter(|running| labels.contains(&running.target.labels)) {
            running.disable_end_marks();
        }
    }

    /// Ends the job because the configuration has no such job any more: its series are marked stale as those of removed
    /// targets are. (Prometheus marks nothing then, and the series linger for the lookback.)
    pub fn remove(self) {
        self.context.metrics.forget_job(&self.job.job_name);
        self.loops.into_values().for_each(LoopHandle::remove);
    }

    /// Ends all loops, marking nothing. The futures complete when they have ended.
    pub fn stop(self) -> Vec<impl Future<Output = ()>> {
        self.context.metrics.forget_job(&self.job.job_name);
        self.loops.into_values().map(LoopHandle::abandon).collect()
    }
}

/// Whether a target's cache stays right under other settings: all that shapes samples is equal.
fn makes_same_series(old: &ScrapeJob, new: &ScrapeJob) -> bool {
    let shaping = |job: &ScrapeJob| {
        let mut job = job.clone();
        job.scrape_interval_ms = 0;
        job.scrape_timeout_ms = 0;
        job.limits.samples = 0;
        job.http = Default::default();
        job
    };
    shaping(old) == shaping(new)
}
