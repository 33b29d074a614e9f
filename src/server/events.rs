//! What a running server waits for, in one place: signals, requests of the API, timers, the end of replay.

use std::time::Duration;

use api::control::ReloadRequest;
use config::flags::Flags;
use storage::StorageError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{ServerError, builtin};

/// What the main loop acts on.
pub enum Event {
    /// The server shall end; why.
    Quit(&'static str),
    /// The configuration shall be read again; the outcome goes to the request, if there is one.
    Reload(Option<ReloadRequest>),
    /// Time to see whether a file has changed (`--config.auto-reload`).
    CheckFiles,
    /// Time to look whether node_exporter has appeared.
    LookForNodeExporter,
    /// Replay of the store's log ended, well or not.
    Replayed(Result<(), StorageError>),
}

/// Waits for the end of replay.
pub type Replay = JoinHandle<Result<(), StorageError>>;

/// All sources of events.
pub struct Events {
    term: Signal,
    int: Signal,
    hup: Signal,
    requests: mpsc::Receiver<ReloadRequest>,
    quit: CancellationToken,
    auto_reload: Option<Interval>,
    node_exporter: Interval,
    replay: Option<Replay>,
}

impl Events {
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
            node_exporter: every(builtin::NODE_EXPORTER_CHECKS),
            replay: None,
        })
    }

    /// Waits for the end of replay from now on.
    pub fn expect_replay(&mut self, replay: Replay) {
        self.replay = Some(replay);
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        let changed = async {
            match &mut self.auto_reload {
                Some(ticks) => drop(ticks.tick().await),
                None => std::future::pending().await,
            }
        };
        let replayed = async {
            match &mut self.replay {
                Some(replay) => replay.await.unwrap_or_else(panicked),
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            _ = self.term.recv() => Event::Quit("Received SIGTERM"),
            _ = self.int.recv() => Event::Quit("Received SIGINT"),
            () = self.quit.cancelled() => Event::Quit("Received termination request via web service"),
            _ = self.hup.recv() => Event::Reload(None),
            Some(answer) = self.requests.recv() => Event::Reload(Some(answer)),
            () = changed => Event::CheckFiles,
            _ = self.node_exporter.tick() => Event::LookForNodeExporter,
            outcome = replayed => Event::Replayed(outcome),
        };
        if matches!(event, Event::Replayed(_)) {
            self.replay = None;
        }
        event
    }
}

fn panicked(e: JoinError) -> Result<(), StorageError> {
    Err(StorageError::Poisoned(format!("waiting for replay: {e}")))
}
