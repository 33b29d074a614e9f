//! Everything that can happen to a running server, in one place.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use storage::StorageError;
use tokio::task::{JoinError, JoinHandle};

use super::{ServerError, builtin};
use api::control::ReloadRequest;
use config::flags::Flags;

/// What happened.
pub enum Happening {
    /// The server shall end; why.
    Quit(&'static str),
    /// The configuration shall be read again; who waits for the outcome.
    Reload(Option<ReloadRequest>),
    /// Time to see whether a file has changed (`--config.auto-reload`).
    Changed,
    /// Time to look whether node_exporter has appeared.
    Look,
    /// Replay of the store's log ended, well or not.
    Replayed(Result<(), StorageError>),
}

/// Waits for the end of replay.
pub type Replay = JoinHandle<Result<(), StorageError>>;

/// Waits for the next happening.
pub struct Happenings {
    term: Signal,
    int: Signal,
    hup: Signal,
    requests: mpsc::Receiver<ReloadRequest>,
    quit: CancellationToken,
    auto_reload: Option<Interval>,
    look: Interval,
    replay: Option<Replay>,
}

impl Happenings {
    /// Starts listening to signals and requests.
    pub fn listen(
        flags: &Flags,
        requests: mpsc::Receiver<ReloadRequest>,
        quit: CancellationToken,
    ) -> Result<Self, ServerError> {
        let on = |kind| {
            signal(kind).map_err(|source| ServerError::System { action: "listening to signals", source })
        };
        let every = |period: Duration| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
            ticks
        };
        Ok(Self {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hup: on(SignalKind::hangup())?,
            requests,
            quit,
            auto_reload: flags.auto_reload_interval_ms.map(|ms| every(super::millis(ms.max(1000)))),
            look: every(builtin::LOOK_EVERY),
            replay: None,
        })
    }

    /// Lets the end of replay be one of the happenings.
    pub fn expect_replay(&mut self, replay: Replay) {
        self.replay = Some(replay);
    }

    /// The next happening.
    pub async fn next(&mut self) -> Happening {
        let changed = async {
            match &mut self.auto_reload {
                Some(ticks) => drop(ticks.tick().await),
                None => std::future::pending().await,
            }
        };
        let replayed = async {
            match &mut self.replay {
                Some(replay) => replay.await.unwrap_or_else(broken),
                None => std::future::pending().await,
            }
        };
        let happening = tokio::select! {
            _ = self.term.recv() => Happening::Quit("Received SIGTERM"),
            _ = self.int.recv() => Happening::Quit("Received SIGINT"),
            () = self.quit.cancelled() => Happening::Quit("Received termination request via web service"),
            _ = self.hup.recv() => Happening::Reload(None),
            Some(answer) = self.requests.recv() => Happening::Reload(Some(answer)),
            () = changed => Happening::Changed,
            _ = self.look.tick() => Happening::Look,
            outcome = replayed => Happening::Replayed(outcome),
        };
        if matches!(happening, Happening::Replayed(_)) {
            self.replay = None;
        }
        happening
    }
}

fn broken(e: JoinError) -> Result<(), StorageError> {
    Err(StorageError::Poisoned(format!("waiting for replay: {e}")))
}
