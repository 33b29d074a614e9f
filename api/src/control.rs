//! What the API and the server's main loop tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use telemetry::{Collect, Gather};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::notifications::{Notifications, RELOAD_FAILED, STARTING, STOPPING};

/// Whether clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The store is being opened.
    Starting,
    /// The store answers and takes samples, and its log is being replayed.
    Replaying,
    /// Everything works.
    Ready,
    /// The server was told to end.
    Stopping,
}

/// Asks for a reload; the answer says why it failed.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// How the API and the main loop reach each other: readiness, the configuration in force, requests to reload and quit.
pub struct Control {
    readiness: AtomicU8,
    config_yaml: ArcSwap<String>,
    gogc: AtomicI64,
    /// 1 or 0; the last successful reload's time in milliseconds.
    reload_successful: AtomicU8,
    reload_success_ms: AtomicI64,
    /// Segments of the write-ahead log: first, being replayed, last.
    replay: [AtomicU64; 3],
    reloads: mpsc::Sender<ReloadRequest>,
    quit: CancellationToken,
    notifications: Arc<Notifications>,
}

impl Control {
    /// The state of a server that starts. Reload requests go to `reloads`; `quit` is cancelled to end the server.
    pub fn new(
        reloads: mpsc::Sender<ReloadRequest>,
        quit: CancellationToken,
        notifications: Arc<Notifications>,
    ) -> Self {
        notifications.add(STARTING);
        Self {
            readiness: AtomicU8::new(Readiness::Starting as u8),
            config_yaml: ArcSwap::default(),
            gogc: AtomicI64::new(0),
            reload_successful: AtomicU8::new(0),
            reload_success_ms: AtomicI64::new(0),
            replay: Default::default(),
            reloads,
            quit,
            notifications,
        }
    }

    /// Whether clients are served.
    pub fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Acquire) {
            n if n == Readiness::Ready as u8 => Readiness::Ready,
            n if n == Readiness::Stopping as u8 => Readiness::Stopping,
            n if n == Readiness::Replaying as u8 => Readiness::Replaying,
            _ => Readiness::Starting,
        }
    }

    /// Says whether clients are served from now on.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Release);
        match readiness {
            Readiness::Starting | Readiness::Replaying => {}
            Readiness::Ready => self.notifications.remove(STARTING),
            Readiness::Stopping => {
                self.notifications.add(STOPPING);
                self.notifications.close();
            }
        }
    }

    /// What the operator should know of the server's state.
    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// The configuration in force, as YAML without secrets.
    pub fn config_yaml(&self) -> String {
        self.config_yaml.load().as_str().to_owned()
    }

    /// `runtime.gogc` of the configuration in force, which has no effect here but is shown.
    pub fn gogc(&self) -> i64 {
        self.gogc.load(Ordering::Relaxed)
    }

    /// Notes that a configuration was applied.
    pub fn reloaded(&self, yaml: String, gogc: i64, now_ms: i64) {
        self.gogc.store(gogc, Ordering::Relaxed);
        self.config_yaml.store(Arc::new(yaml));
        self.reload_success_ms.store(now_ms, Ordering::Relaxed);
        self.reload_successful.store(1, Ordering::Relaxed);
        self.notifications.remove(RELOAD_FAILED);
    }

    /// Notes that a configuration was refused; the one before stays in force.
    pub fn reload_failed(&self) {
        self.reload_successful.store(0, Ordering::Relaxed);
        self.notifications.add(RELOAD_FAILED);
    }

    /// Whether the last reload succeeded, and when one last did.
    pub fn last_reload(&self) -> (bool, i64) {
        (self.reload_successful.load(Ordering::Relaxed) == 1, self.reload_success_ms.load(Ordering::Relaxed))
    }

    /// Notes how far replay of the write-ahead log is.
    pub fn replaying(&self, first: u64, current: u64, last: u64) {
        for (number, now) in self.replay.iter().zip([first, current, last]) {
            number.store(now, Ordering::Relaxed);
        }
    }

    /// The write-ahead log's segments: the first, the one being replayed, the last.
    pub fn replay_progress(&self) -> [u64; 3] {
        self.replay.each_ref().map(|number| number.load(Ordering::Relaxed))
    }

    /// Has the main loop reload the configuration and waits for the outcome.
    pub async fn request_reload(&self) -> Result<(), String> {
        let ended = || "the server is shutting down".to_owned();
        let (answer, wait) = oneshot::channel();
        self.reloads.send(answer).await.map_err(|_| ended())?;
        wait.await.map_err(|_| ended())?
    }

    /// Has the server end; false when it already does.
    pub fn request_quit(&self) -> bool {
        let first = !self.quit.is_cancelled();
        self.quit.cancel();
        first
    }
}

impl Collect for Control {
    fn collect(&self, out: &mut Gather) {
        let (successful, success_ms) = self.last_reload();
        out.gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
            &[],
            f64::from(u8::from(successful)),
        );
        out.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
            &[],
            success_ms as f64 / 1000.0,
        );
        out.gauge(
            "prometheus_ready",
            "Whether Prometheus startup was fully completed and the server is ready for normal operation.",
            &[],
            f64::from(u8::from(self.readiness() == Readiness::Ready)),
        );
    }
}
