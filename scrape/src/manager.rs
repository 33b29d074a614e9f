//! All jobs: settings from the configuration, targets from discovery, loops for both.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use config::scrape::ScrapeJob;
use discovery::{TargetGroup, TargetSets};
use model::append::Appendable;
use model::labels::Labels;
use model::time::Clock;
use net::client::{HttpClient, SetupError};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::append::AppendOptions;
use super::failure_log::FailureLog;
use super::metrics::ScrapeMetrics;
use super::pool::Pool;
use super::status::{ActiveTarget, DroppedTargets};
use super::target::fnv1a;
use super::target_loop::LoopContext;

/// Loops that still run this long after shutdown are left behind.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Behaviour that no configuration file sets.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `User-Agent` header, such as `Prometheus/3.14.0`.
    pub user_agent: String,
    /// Makes scrapes of servers with the same configuration fall at different times.
    pub host_name: String,
    /// Give scrapes that start a little late the timestamp of their turn, so that timestamps compress better.
    pub adjust_timestamps: bool,
    /// How late that is at most; never more than a hundredth of the interval.
    pub timestamp_tolerance: Duration,
    /// What is passed to the store.
    pub append: AppendOptions,
}

/// Why settings do not take effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A job's HTTP client.
    #[error("scrape job {job:?}: error creating HTTP client: {source}")]
    Client {
        /// The job.
        job: String,
        /// What is wrong.
        source: SetupError,
    },
    /// A log that cannot be opened.
    #[error("scrape failure log {path:?}: {source}")]
    FailureLog {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Jobs with what they need, ready to take effect.
pub struct PreparedJobs(Vec<PreparedJob>);

struct PreparedJob {
    job: Arc<ScrapeJob>,
    /// `None` for a job that did not change.
    client: Option<Arc<HttpClient>>,
    log: Option<Arc<FailureLog>>,
}

/// Scrapes. Shared by the parts that feed it and read it; its methods need a tokio runtime.
pub struct Manager {
    context: Arc<LoopContext>,
    user_agent: Arc<str>,
    host_name: String,
    state: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    pools: BTreeMap<String, Pool>,
    /// What discovery said last, for jobs that come later.
    groups: HashMap<String, Vec<Arc<TargetGroup>>>,
}

impl Manager {
    /// A manager without jobs.
    pub fn new(
        store: Arc<dyn Appendable>,
        clock: Arc<dyn Clock>,
        metrics: Arc<ScrapeMetrics>,
        options: Options,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let context = LoopContext {
            store,
            clock,
            metrics,
            append: options.append,
            align_tolerance_ms: options
                .adjust_timestamps
                .then(|| i64::try_from(options.timestamp_tolerance.as_millis()).unwrap_or(i64::MAX)),
            // Storing waits for the disk now and then.
            storing: Semaphore::new(cores * 2),
            body_buffers: Arc::default(),
            shutdown: CancellationToken::new(),
        };
        Self {
            context: Arc::new(context),
            user_agent: options.user_agent.into(),
            host_name: options.host_name,
            state: Mutex::default(),
        }
    }

    /// Makes everything that can fail of what these jobs need, before any of it takes effect: HTTP clients of new and
    /// changed jobs, and failure logs, which are opened again.
    pub fn prepare(&self, jobs: &[Arc<ScrapeJob>]) -> Result<PreparedJobs, ApplyError> {
        let logs = open_failure_logs(jobs)?;
        let state = self.state.lock();
        let mut prepared = Vec::with_capacity(jobs.len());
        for job in jobs {
            let running = state.pools.get(&job.job_name);
            let client = match running {
                Some(pool) if pool.job() == job => None,
                _ => {
                    let client = HttpClient::new(&job.http, &self.user_agent).map_err(|source| {
                        let metrics = &self.context.metrics;
                        match running {
                            Some(_) => metrics.pool_reloads_failed.inc(),
                            None => {
                                metrics.pools.inc();
                                metrics.pools_failed.inc();
                            }
                        }
                        ApplyError::Client { job: job.job_name.clone(), source }
                    })?;
                    Some(Arc::new(client))
                }
            };
            let log = logs.get(&job.scrape_failure_log_file).cloned();
            prepared.push(PreparedJob { job: job.clone(), client, log });
        }
        Ok(PreparedJobs(prepared))
    }

    /// Goes over to other settings: jobs that are no longer there end, changed ones restart their loops, others go on
    /// undisturbed.
    pub fn apply(&self, jobs: PreparedJobs, external_labels: &Labels) {
        let PreparedJobs(jobs) = jobs;
        let seed = fnv1a([self.host_name.as_bytes(), external_labels.to_string().as_bytes()]);
        let mut state = self.state.lock();
        let Jobs { pools, groups } = &mut *state;
        let kept: HashSet<&str> = jobs.iter().map(|prepared| prepared.job.job_name.as_str()).collect();
        let gone: Vec<String> = pools.keys().filter(|name| !kept.contains(name.as_str())).cloned().collect();
        for name in gone {
            if let Some(pool) = pools.remove(&name) {
                pool.remove();
            }
            groups.remove(&name);
        }
        for PreparedJob { job, client, log } in jobs {
            match (pools.get_mut(&job.job_name), client) {
                (Some(pool), client) => {
                    pool.set_offset_seed(seed);
                    pool.set_failure_log(log);
                    if let Some(client) = client {
                        pool.reload(job, client);
                    }
                }
                (None, Some(client)) => {
                    let name = job.job_name.clone();
                    let context = self.context.clone();
                    let mut pool = Pool::new(job, context, self.user_agent.clone(), client, seed, log);
                    if let Some(groups) = groups.get(&name) {
                        pool.sync(groups);
                    }
                    pools.insert(name, pool);
                }
                // Prepared before an apply that ended the job: reloads come one after the other, so there is none.
                (None, None) => {}
            }
        }
    }

    /// Takes what discovery found: for each job named, all its groups. Jobs that are not named stay as they are.
    pub fn update_targets(&self, found: &TargetSets) {
        let mut state = self.state.lock();
        if self.context.shutdown.is_cancelled() {
            return;
        }
        for (job, groups) in found.iter() {
            if let Some(pool) = state.pools.get_mut(job) {
                pool.sync(groups);
            }
            state.groups.insert(job.clone(), groups.clone());
        }
    }

    /// Names of all jobs, sorted.
    pub fn pools(&self) -> Vec<String> {
        self.state.lock().pools.keys().cloned().collect()
    }

    /// A job's settings.
    pub fn job(&self, name: &str) -> Option<Arc<ScrapeJob>> {
        self.state.lock().pools.get(name).map(|pool| pool.job().clone())
    }

    /// The targets that are scraped, by job.
    pub fn active_targets(&self) -> Vec<ActiveTarget> {
        self.state.lock().pools.values().flat_map(Pool::active).collect()
    }

    /// The targets that relabelling dropped, by job.
    pub fn dropped_targets(&self) -> BTreeMap<String, DroppedTargets> {
        self.state.lock().pools.iter().map(|(job, pool)| (job.clone(), pool.dropped().clone())).collect()
    }

    /// The targets of a job with these labels (after relabelling, with `__` labels) end without stale marks.
    pub fn disable_end_marks(&self, job: &str, labels: &[Labels]) {
        if let Some(pool) = self.state.lock().pools.get(job) {
            pool.disable_end_marks(labels);
        }
    }

    /// Ends all loops: scrapes that run are given up, what is being stored is finished, nothing is marked stale.
    pub async fn stop(&self) {
        self.context.shutdown.cancel();
        let pools = std::mem::take(&mut self.state.lock().pools);
        let ended: Vec<_> = pools.into_values().flat_map(Pool::stop).collect();
        let all = async {
            for ended in ended {
                ended.await;
            }
        };
        if tokio::time::timeout(STOP_DEADLINE, all).await.is_err() {
            tracing::warn!("Some scrapes did not end in time");
        }
    }
}

fn open_failure_logs(jobs: &[Arc<ScrapeJob>]) -> Result<HashMap<String, Arc<FailureLog>>, ApplyError> {
    let mut logs = HashMap::new();
    for path in jobs.iter().map(|job| &job.scrape_failure_log_file).filter(|path| !path.is_empty()) {
        if !logs.contains_key(path) {
            let log = FailureLog::open(path)
                .map_err(|source| ApplyError::FailureLog { path: path.clone(), source })?;
            logs.insert(path.clone(), Arc::new(log));
        }
    }
    Ok(logs)
}
