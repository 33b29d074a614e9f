//! All jobs: settings from the configuration, targets from discovery, loops for both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use config::scrape::ScrapeJob;
use discovery::{TargetGroup, TargetSets};
use model::append::Appendable;
use model::labels::Labels;
use model::time::Clock;
use net::client::SetupError;
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

    /// Goes over to other settings: jobs that are no longer there end, changed ones restart their loops, others go on
    /// undisturbed. Failure logs are opened again. On error jobs that cannot change keep their settings.
    pub fn apply(&self, jobs: &[Arc<ScrapeJob>], external_labels: &Labels) -> Result<(), ApplyError> {
        let logs = open_failure_logs(jobs)?;
        let log_of = |job: &ScrapeJob| logs.get(&job.scrape_failure_log_file).cloned();
        let seed = fnv1a([self.host_name.as_bytes(), external_labels.to_string().as_bytes()]);
        let mut state = self.state.lock();
        let Jobs { pools, groups } = &mut *state;
        let gone: Vec<String> =
            pools.keys().filter(|name| jobs.iter().all(|job| job.job_name != **name)).cloned().collect();
        for name in gone {
            if let Some(pool) = pools.remove(&name) {
                pool.remove();
            }
            groups.remove(&name);
        }
        let mut first_error = None;
        for job in jobs {
            let client_error = |source| ApplyError::Client { job: job.job_name.clone(), source };
            let result = match pools.get_mut(&job.job_name) {
                Some(pool) => {
                    pool.set_offset_seed(seed);
                    pool.set_failure_log(log_of(job));
                    if pool.job() == job { Ok(()) } else { pool.reload(job.clone()) }
                }
                None => self.start_pool(job, seed, log_of(job)).map(|mut pool| {
                    if let Some(groups) = groups.get(&job.job_name) {
                        pool.sync(groups);
                    }
                    pools.insert(job.job_name.clone(), pool);
                }),
            };
            if let Err(source) = result {
                tracing::error!(scrape_pool = %job.job_name, error = %source, "error reloading scrape pool");
                first_error.get_or_insert(client_error(source));
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn start_pool(
        &self,
        job: &Arc<ScrapeJob>,
        seed: u64,
        log: Option<Arc<FailureLog>>,
    ) -> Result<Pool, SetupError> {
        Pool::new(job.clone(), self.context.clone(), self.user_agent.clone(), seed, log)
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
