//! The one list of the server's parts: [`run`] starts them in order, waits for what may happen to a server, and stops
//! them in reverse.

mod components;
mod configuration;
mod events;
mod features;
mod memory_limit;
mod store_log;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::control::{Control, Readiness, ReloadRequest};
use api::door::Door;
use api::door::active_queries::{self, ActiveQueries};
use api::door::metrics::QueryMetrics;
use api::notifications::Notifications;
use api::{Api, Parts};
use config::ConfigError;
use config::flags::{Flags, LogLevel, Severity};
use model::time::Clock;
use net::listener::{self, BindError};
use storage::{Storage, StorageError};
use telemetry::Registry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::{builtin, version};
use components::Components;
use configuration::{Configuration, Source, promql_options, read_limits, storage_options};
use events::{Event, Events};

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file that the server needs to start is wrong.
    #[error("Error loading config: {0}")]
    Config(#[from] ConfigError),
    /// An address is taken or makes no sense.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// The data directory cannot be opened.
    #[error("Opening storage failed: {0}")]
    Storage(#[from] StorageError),
    /// A flag asks for something that this version must not ignore.
    #[error("{0}")]
    Refused(String),
    /// The system refused something every process needs.
    #[error("{action}: {source}")]
    System {
        /// What was tried, as a gerund phrase.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ServerError {
    /// As Prometheus ends: 2 for a configuration, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            _ => 1,
        }
    }
}

/// Bytes of a thread's stack, of which the deepest expression that is allowed takes a small part. Only what is used
/// takes memory.
const STACK: usize = 8 << 20;

/// Runs the server until it is told to end. Called `prometheus`, it needs a configuration file.
pub fn run(flags: Flags, is_called_prometheus: bool) -> Result<(), ServerError> {
    let started = SystemTime::now();
    start_log(&flags);
    if !flags.web.config_file.is_empty() {
        // To serve without the TLS and the users that an operator asked for would be worse than not to serve.
        return Err(ServerError::Refused(format!(
            "--web.config.file={}: this version has neither TLS nor users on its listener; put a proxy in front and \
             leave the flag out",
            flags.web.config_file
        )));
    }
    let source = Source::choose(&flags, is_called_prometheus);
    let first = Configuration::load(&source, &flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .map_err(|source| ServerError::System { action: "starting worker threads", source })?;
    let outcome = runtime.block_on(serve(flags, source, first, started));
    // Blocking threads may be in the middle of a query whose client has gone.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

fn start_log(flags: &Flags) {
    let level = match flags.log_level {
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Error => tracing::Level::ERROR,
    };
    crate::log::start(level, flags.log_format);
    tracing::info!(
        version = version::TRIVIUM,
        prometheus = version::PROMETHEUS,
        revision = version::revision(),
        "Starting Trivium"
    );
    for notice in &flags.notices {
        match notice.severity {
            Severity::Info => tracing::info!(option = %notice.option, "{}", notice.text),
            Severity::Warning => tracing::warn!(option = %notice.option, "{}", notice.text),
        }
    }
    for unsupported in &flags.unsupported {
        tracing::warn!("{unsupported}");
    }
}

async fn serve(
    flags: Flags,
    mut source: Source,
    first: Configuration,
    started: SystemTime,
) -> Result<(), ServerError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let quit = CancellationToken::new();
    let (reloads, reload_requests) = mpsc::channel::<ReloadRequest>(4);
    let mut events = Events::listen(&flags, reload_requests, quit.clone())?;

    let listeners = listen(&flags).await?;
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
    let first = match source.is_builtin() {
        true => {
            source.listening_at(addresses.first().copied());
            Configuration::load(&source, &flags)?
        }
        false => first,
    };

    // Numbers, state and API: the listener answers before the store is open.
    let registry = Registry::default();
    let subscribers = usize::try_from(flags.web.max_notifications_subscribers).unwrap_or(0);
    let notifications = Arc::new(Notifications::new(subscribers, clock.clone()));
    let control = Arc::new(Control::new(reloads, quit.clone(), notifications.clone()));
    let http_metrics = Arc::new(api::http_metrics::HttpMetrics::default());
    let query_metrics = Arc::new(QueryMetrics::default());
    registry.register(Arc::new(crate::process_metrics::Process::new(started)));
    registry.register(Arc::new(version::BuildInfo));
    registry.register(control.clone());
    registry.register(notifications);
    registry.register(http_metrics.clone());
    registry.register(query_metrics.clone());
    let api = Arc::new(Api::new(
        api_options(&flags, &first, started)?,
        control.clone(),
        registry.clone(),
        clock.clone(),
    ));
    let limits = listener::Limits {
        max_connections: usize::try_from(flags.web.max_connections).unwrap_or(512),
        read_timeout: millis(flags.web.read_timeout_ms),
    };
    let stop_http = CancellationToken::new();
    let router = api::router(api.clone(), http_metrics);
    let http = tokio::spawn(listener::serve(listeners, router, limits, stop_http.clone()));

    // The store, then what reads and writes it: its log is replayed meanwhile.
    let storage = open_storage(&flags, &first, clock.clone(), control.clone()).await?;
    registry.register(storage.clone());
    let (memory, wrong) = memory_limit::find(flags.memory_limit_ratio);
    if let Some(wrong) = wrong {
        tracing::warn!("{wrong}");
    }
    let limits = read_limits(&flags, memory);
    if let Some(limit) = memory {
        tracing::info!(bytes = limit.bytes, from = limit.source, "Memory limit");
        tokio::spawn(memory_limit::keep(limit, limits.memory.clone(), quit.clone()));
    }
    let active = open_active_queries(&flags, limits.max_queries, clock.clone());
    let promql = promql_options(&flags, &first.loaded.config, memory);
    let door = Arc::new(Door::new(storage.clone(), limits, promql, query_metrics, active));
    let mut components = Components::start(&flags, &registry, &clock, &storage, &door);
    api.open(Parts {
        door,
        scrape: components.scrape.clone(),
        rules: components.rules.clone(),
        notify: components.notify.clone(),
    });
    components.apply(first, &control, clock.now_ms()).await.map_err(ServerError::Refused)?;
    control.set_readiness(Readiness::Replaying);
    let whole = storage.clone();
    events.expect_replay(tokio::task::spawn_blocking(move || whole.wait_replayed()));
    if !api::ui::is_built() {
        tracing::warn!("the web interface was not built into this binary: {}", api::ui::HOW_TO_BUILD);
    }
    let outcome = loop {
        match events.next().await {
            Event::Replayed(Ok(())) => {
                // Alerts on a part of the samples would be false ones.
                components.start_rules();
                control.set_readiness(Readiness::Ready);
                for address in &addresses {
                    tracing::info!(
                        "Server is ready to receive web requests: http://{}{}/",
                        reachable(*address),
                        api.options.prefix
                    );
                }
            }
            Event::Replayed(Err(e)) => break Err(e),
            Event::Quit(why) => {
                tracing::warn!("{why}: exiting gracefully");
                break Ok(());
            }
            Event::LookForNodeExporter => {
                if source.look_for_node_exporter() {
                    // A built-in configuration cannot be wrong.
                    let _ = reload(&source, &flags, &mut components, &control, &*clock).await;
                }
            }
            Event::CheckFiles => {
                if source.changed() {
                    let _ = reload(&source, &flags, &mut components, &control, &*clock).await;
                }
            }
            Event::Reload(answer) => {
                let outcome = reload(&source, &flags, &mut components, &control, &*clock).await;
                if let Some(answer) = answer {
                    // The client may have gone.
                    let _ = answer.send(outcome);
                }
            }
        }
    };

    // In reverse: nothing new comes in, alerts go out, clients end, the store closes.
    control.set_readiness(Readiness::Stopping);
    components.stop().await;
    stop_http.cancel();
    // The listener's task ends by itself after its last words.
    let _ = http.await;
    let closing = storage.clone();
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    outcome?;
    match closed {
        Ok(closed) => closed?,
        Err(e) => return Err(ServerError::Refused(format!("closing the store: {e}"))),
    }
    tracing::info!("See you next time!");
    Ok(())
}

/// Loads everything; applies it whole, or leaves what runs and says why.
async fn reload(
    source: &Source,
    flags: &Flags,
    components: &mut Components,
    control: &Control,
    clock: &dyn Clock,
) -> Result<(), String> {
    tracing::info!(filename = %source.name(), "Loading configuration file");
    match Configuration::reload(source, flags) {
        Ok(configuration) => match components.apply(configuration, control, clock.now_ms()).await {
            Ok(()) => {
                tracing::info!(filename = %source.name(), "Completed loading of configuration file");
                Ok(())
            }
            Err(e) => {
                tracing::error!(err = %e, "Error applying config; the one before stays in force");
                Err(e)
            }
        },
        Err(e) => {
            control.reload_failed();
            tracing::error!(err = %e, "Error reloading config; the one before stays in force");
            Err(e)
        }
    }
}

async fn listen(flags: &Flags) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners = Vec::new();
    for address in &flags.web.listen_addresses {
        let listener = listener::bind(address).await?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn reachable(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn api_options(
    flags: &Flags,
    first: &Configuration,
    started: SystemTime,
) -> Result<api::Options, ServerError> {
    let external = flags.web.external_url.reveal();
    let external_url = url::Url::parse(&external)
        .map_err(|e| ServerError::Refused(format!("--web.external-url={external}: {e}")))?;
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(api::Options {
        lifecycle: flags.web.enable_lifecycle,
        admin: flags.web.enable_admin_api,
        prefix: flags.web.route_prefix.trim_end_matches('/').to_owned(),
        external_url,
        page_title: flags.web.page_title.clone(),
        cors: Arc::new(api::cors::Origins { allowed: flags.web.cors_origin.clone() }),
        lookback_delta: flags.query.lookback_delta_ms,
        user_assets: Some(&flags.web.user_assets).filter(|path| !path.is_empty()).map(PathBuf::from),
        search_max_limit: flags
            .features
            .search_api
            .then(|| usize::try_from(flags.web.search_max_limit).unwrap_or(0)),
        features: features::of(flags),
        flags: flags.listing(&first.loaded.config.storage.tsdb.retention),
        started_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        build: version::build(),
    })
}

async fn open_storage(
    flags: &Flags,
    first: &Configuration,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
) -> Result<Arc<Storage>, ServerError> {
    let path = PathBuf::from(&flags.storage.path);
    let options = storage_options(flags, &first.loaded.config);
    let opened = tokio::task::spawn_blocking(move || {
        let disk = storage::fs::RealDisk::new(path);
        Storage::open(Arc::new(disk), clock, options, Arc::new(store_log::StoreLog(control)))
    });
    match opened.await {
        Ok(storage) => Ok(Arc::new(storage?)),
        Err(e) => Err(ServerError::Refused(format!("opening the store: {e}"))),
    }
}

/// The file of running queries, in a directory that this process has locked. A server does without where it must.
fn open_active_queries(flags: &Flags, slots: usize, clock: Arc<dyn Clock>) -> Option<ActiveQueries> {
    match ActiveQueries::open(Path::new(&flags.storage.path), slots, clock) {
        Ok((active, unfinished)) => {
            if let Some(queries) = unfinished {
                tracing::warn!(%queries, "These queries didn't finish in the last run");
            }
            Some(active)
        }
        Err(e) => {
            let path = Path::new(&flags.storage.path).join(active_queries::FILE);
            tracing::error!(
                file = %path.display(), err = %e,
                "Running queries cannot be noted: after a crash the log will not name them"
            );
            None
        }
    }
}
