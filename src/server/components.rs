//! The parts that a configuration drives: discovery, scraping, rules, notification.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alerting::notify;
use alerting::rules::{self, RuleSettings};
use api::control::Control;
use api::door::Door;
use config::flags::Flags;
use config::load::Loaded;
use model::append::Appendable;
use model::time::Clock;
use scrape::{self, AppendOptions, ScrapeMetrics};
use storage::Storage;
use telemetry::Registry;
use tokio::task::JoinHandle;

use super::configuration::{Configuration, language};
use super::millis;
use crate::version;

/// The parts, running.
pub struct Components {
    pub scrape: Arc<scrape::Manager>,
    pub rules: Arc<rules::Manager>,
    pub notify: Arc<notify::Manager>,
    door: Arc<Door>,
    storage: Arc<Storage>,
    /// Targets of jobs.
    scrape_discovery: discovery::Manager,
    /// Alertmanagers.
    notify_discovery: discovery::Manager,
    /// Hand on what discovery finds.
    forwarders: Vec<JoinHandle<()>>,
}

impl Components {
    /// Starts all parts without configuration. Needs a tokio runtime.
    pub fn start(
        flags: &Flags,
        registry: &Registry,
        clock: &Arc<dyn Clock>,
        storage: &Arc<Storage>,
        door: &Arc<Door>,
    ) -> Self {
        let appendable: Arc<dyn Appendable> = storage.clone();
        let user_agent = format!("Prometheus/{}", version::PROMETHEUS);

        let scrape_metrics = Arc::new(ScrapeMetrics::default());
        let discovery_metrics = Arc::new(discovery::Metrics::default());
        let notify_metrics = Arc::new(notify::Metrics::default());
        let rule_metrics = Arc::new(rules::Metrics::default());
        registry.register(scrape_metrics.clone());
        registry.register(discovery_metrics.clone());
        registry.register(notify_metrics.clone());
        registry.register(rule_metrics.clone());

        let scrape_options = scrape::Options {
            user_agent: user_agent.clone(),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            adjust_timestamps: flags.scrape.adjust_timestamps,
            timestamp_tolerance: Duration::from_nanos(
                u64::try_from(flags.scrape.timestamp_tolerance_ns).unwrap_or(0),
            ),
            append: AppendOptions {
                metadata: flags.features.metadata_wal_records,
                exemplars: flags.features.exemplar_storage,
                start_timestamps: flags.features.created_timestamp_zero_ingestion
                    || flags.features.st_storage,
                synthesize_start: flags.features.st_synthesis,
                type_and_unit_labels: flags.features.type_and_unit_labels,
            },
        };
        let scrape =
            Arc::new(scrape::Manager::new(appendable.clone(), clock.clone(), scrape_metrics, scrape_options));

        let positive = |n: i64, default: usize| usize::try_from(n).unwrap_or(default);
        let notify_options = notify::Options {
            queue_capacity: positive(flags.alertmanager.notification_queue_capacity, 10_000),
            batch_size: positive(flags.alertmanager.notification_batch_size, 256).max(1),
            drain_on_shutdown: flags.alertmanager.drain_on_shutdown,
            user_agent,
        };
        let notify = Arc::new(notify::Manager::new(notify_options, notify_metrics));

        let external = flags.web.external_url.reveal();
        let rule_options = rules::Options {
            external_url: external.trim_end_matches('/').to_owned(),
            path_prefix: flags.web.external_url.path().trim_end_matches('/').to_owned(),
            outage_tolerance_ms: flags.rules.for_outage_tolerance_ms,
            for_grace_period_ms: flags.rules.for_grace_period_ms,
            resend_delay_ms: flags.rules.resend_delay_ms,
            concurrent_evals: flags
                .features
                .concurrent_rule_eval
                .then(|| usize::try_from(flags.rules.max_concurrent_evals).unwrap_or(0)),
            features: language(flags),
            ..rules::Options::default()
        };
        let rules = Arc::new(rules::Manager::new(
            rule_options,
            door.clone(),
            appendable,
            notify.clone(),
            clock.clone(),
            rule_metrics,
        ));

        let interval = millis(flags.scrape.discovery_reload_interval_ms);
        let (scrape_discovery, mut found) =
            discovery::Manager::new("scrape", interval, discovery_metrics.clone());
        let to_scrape = scrape.clone();
        let scrape_forwarder = tokio::spawn(async move {
            loop {
                let sets = found.recv().await;
                let to = to_scrape.clone();
                // Making targets is work for the processor, not for the threads that serve connections.
                let _ = tokio::task::spawn_blocking({
                    let runtime = tokio::runtime::Handle::current();
                    move || {
                        let _in_runtime = runtime.enter();
                        to.update_targets(&sets);
                    }
                })
                .await;
            }
        });
        let (notify_discovery, mut found) = discovery::Manager::new("notify", interval, discovery_metrics);
        let to_notify = notify.clone();
        let notify_forwarder = tokio::spawn(async move {
            loop {
                to_notify.update(&found.recv().await);
            }
        });
        Self {
            scrape,
            rules,
            notify,
            door: door.clone(),
            storage: storage.clone(),
            scrape_discovery,
            notify_discovery,
            forwarders: vec![scrape_forwarder, notify_forwarder],
        }
    }

    /// Makes a checked configuration the one in force. What can still fail of it is made first, so that on error
    /// everything is as it was. The error names job or section and what is wrong.
    pub async fn apply(
        &mut self,
        configuration: Configuration,
        control: &Control,
        now_ms: i64,
    ) -> Result<(), String> {
        let Configuration { loaded, rules, limits } = configuration;
        let prepared = self.prepare(&loaded);
        let (jobs, alertmanagers) = prepared.inspect_err(|_| control.reload_failed())?;
        for unsupported in &loaded.unsupported {
            tracing::warn!("{unsupported}");
        }
        for variable in &loaded.empty_variables {
            tracing::warn!(variable, "An environment variable that external_labels name is empty");
        }
        let config = &loaded.config;
        let external_labels = &config.global.external_labels;
        // The last that can fail, because it takes effect at once.
        let query_log = Some(&config.global.query_log_file).filter(|path| !path.is_empty());
        if let Err(e) = self.door.set_query_log(query_log.map(Path::new)) {
            control.reload_failed();
            let path = &config.global.query_log_file;
            return Err(format!(
                "query_log_file {path:?} cannot be opened: {e}; correct the path or its permissions"
            ));
        }
        self.storage.set_limits(limits);
        self.door.set_default_interval(config.global.evaluation_interval_ms);

        self.scrape.apply(jobs, external_labels);
        let jobs: Vec<_> =
            loaded.jobs.iter().map(|job| (job.job_name.clone(), job.discovery.clone())).collect();
        self.scrape_discovery.apply(&jobs).await;

        self.notify.apply(alertmanagers, external_labels.clone());
        self.notify_discovery.apply(&notify::Manager::discovery_jobs(&config.alerting)).await;

        let settings = RuleSettings {
            evaluation_interval_ms: config.global.evaluation_interval_ms,
            query_offset_ms: config.global.rule_query_offset_ms,
            external_labels: external_labels.clone(),
        };
        self.rules.apply(settings, rules).await;

        control.reloaded(config.to_yaml(), config.runtime.gogc, now_ms);
        Ok(())
    }

    fn prepare(
        &self,
        loaded: &Loaded,
    ) -> Result<(scrape::PreparedJobs, notify::PreparedAlertmanagers), String> {
        let jobs = self.scrape.prepare(&loaded.jobs).map_err(|e| e.to_string())?;
        let alertmanagers = self.notify.prepare(&loaded.config.alerting).map_err(|e| e.to_string())?;
        Ok((jobs, alertmanagers))
    }

    /// Lets rules evaluate, once the store can answer.
    pub fn start_rules(&self) {
        self.rules.start();
    }

    /// Ends all parts, in the order in which samples and alerts pass.
    pub async fn stop(&mut self) {
        self.forwarders.iter().for_each(JoinHandle::abort);
        self.scrape.stop().await;
        self.rules.stop().await;
        self.notify.stop().await;
    }
}
