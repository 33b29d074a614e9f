//! The HTTP API and what answers it: Prometheus's `/api/v1`, lifecycle, `/metrics`, and the web UI's files.
//!
//! [`router`] lists what is served. A handler of [`prometheus`] reads its parameters, asks the parts that [`Api`] holds
//! and gives a reply. Parts that exist only once the store is open stand in [`Parts`].

pub mod control;
pub mod cors;
pub mod door;
pub mod http_metrics;
mod lifecycle;
mod metrics;
pub mod notifications;
pub mod prometheus;
mod request_check;
mod rfc3339;
pub mod ui;
mod user_assets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use alerting::{notify, rules};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::time::Clock;
use telemetry::Registry;
use tower_http::compression::CompressionLayer;

use control::Control;
use door::Door;
use http_metrics::HttpMetrics;
use prometheus::reply::{ApiError, ErrorKind};

/// What the flags say to the API.
pub struct Options {
    /// `--web.enable-lifecycle`
    pub lifecycle: bool,
    /// `--web.enable-admin-api`
    pub admin: bool,
    /// `--web.route-prefix`, without a slash at its end: `` or `/prom`.
    pub prefix: String,
    /// `--web.external-url`
    pub external_url: url::Url,
    /// `--web.page-title`
    pub page_title: String,
    /// `--web.cors.origin`
    pub cors: Arc<cors::Origins>,
    /// `--query.lookback-delta` in milliseconds, for the UI.
    pub lookback_delta: i64,
    /// `--web.user-assets`: the directory served under `/user`; `None` for none.
    pub user_assets: Option<PathBuf>,
    /// What the server can do, by area and name.
    pub features: BTreeMap<&'static str, BTreeMap<&'static str, bool>>,
    /// `--web.search.max-limit` where the search API is on; 0 for no limit.
    pub search_max_limit: Option<usize>,
    /// All flags with their values.
    pub flags: Vec<(String, String)>,
    /// When the server started, in milliseconds.
    pub started_ms: i64,
    /// What was built.
    pub build: BuildInfo,
}

/// Which version the server is.
pub struct BuildInfo {
    /// Trivium's own version.
    pub trivium: &'static str,
    /// The Prometheus version that clients are told, because they choose features by it.
    pub prometheus: &'static str,
    /// The commit.
    pub revision: &'static str,
    /// Stands for the branch where Prometheus names one.
    pub branch: &'static str,
    /// Stands for the Go version where Prometheus names one.
    pub runtime: &'static str,
    /// Who built it.
    pub user: &'static str,
    /// When, as Prometheus writes it.
    pub date: &'static str,
}

/// What exists once the store is open.
pub struct Parts {
    /// The one way to the store.
    pub door: Arc<Door>,
    /// Targets.
    pub scrape: Arc<scrape::Manager>,
    /// Rule groups.
    pub rules: Arc<rules::Manager>,
    /// Alertmanagers.
    pub notify: Arc<notify::Manager>,
}

/// What handlers share.
pub struct Api {
    /// From the flags.
    pub options: Options,
    /// Readiness, configuration text, requests to the main loop.
    pub control: Arc<Control>,
    /// For `/metrics`.
    pub registry: Registry,
    /// The time.
    pub clock: Arc<dyn Clock>,
    metrics_handler: Arc<metrics::HandlerFigures>,
    parts: OnceLock<Parts>,
}

impl Api {
    /// An API without store yet.
    pub fn new(options: Options, control: Arc<Control>, registry: Registry, clock: Arc<dyn Clock>) -> Self {
        let metrics_handler = Arc::new(metrics::HandlerFigures::default());
        registry.register(metrics_handler.clone());
        Self { options, control, registry, clock, metrics_handler, parts: OnceLock::new() }
    }

    /// Gives it the parts, once.
    pub fn open(&self, parts: Parts) {
        if self.parts.set(parts).is_err() {
            tracing::error!("BUG: the API was given its parts twice; the first ones stay");
        }
    }

    /// The parts; an error before the store is open, which [`lifecycle::gate`] lets no client see.
    pub fn parts(&self) -> Result<&Parts, ApiError> {
        self.parts.get().ok_or_else(|| ApiError::new(ErrorKind::Unavailable, "the store is not open yet"))
    }

    /// The time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A number that differs between calls and processes; not for secrets.
    pub fn random_u64(&self) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(self.now_ms())
    }
}

/// All routes, counted, with cross-origin headers and compression where Prometheus has them.
pub fn router(api: Arc<Api>, http_metrics: Arc<HttpMetrics>) -> Router {
    let origins = api.options.cors.clone();
    let api_v1 = prometheus::routes()
        .layer(from_fn_with_state(api.clone(), lifecycle::gate))
        .merge(prometheus::early_routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
        .layer(from_fn_with_state(origins, cors::allow));
    let prefix = api.options.prefix.clone();
    let routes = Router::new()
        .nest("/api/v1", api_v1)
        .route("/-/ready", get(lifecycle::ready))
        .route("/-/healthy", get(lifecycle::healthy))
        .route("/-/reload", post(lifecycle::reload).put(lifecycle::reload))
        .route("/-/quit", post(lifecycle::quit).put(lifecycle::quit))
        .route("/metrics", get(metrics::metrics))
        .route("/version", get(prometheus::status::version))
        .merge(ui::routes())
        .merge(user_assets::routes(api.options.user_assets.as_ref()))
        .layer(
            CompressionLayer::new().gzip(true).deflate(true).quality(tower_http::CompressionLevel::Fastest),
        )
        .layer(from_fn_with_state(http_metrics, http_metrics::count))
        .with_state(api);
    if prefix.is_empty() {
        return routes.layer(from_fn(request_check::check));
    }
    // A nested "/" is the prefix without a slash at its end; with one it is a path of its own.
    let (home, query) = (format!("{prefix}/"), format!("{prefix}/query"));
    Router::new()
        .route(
            "/",
            get({
                let home = home.clone();
                move || async move { redirect(&home) }
            }),
        )
        .route(&home, get(move || async move { redirect(&query) }))
        .nest(&prefix, routes)
        .layer(from_fn(request_check::check))
}

/// A redirect with status 302, as Prometheus uses.
fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, location.to_owned())]).into_response()
}
