//! Server notifications: what the operator should know of the server's state now, for the web interface. That it starts,
//! that it stops, that the last reload failed. Source: Prometheus `util/notifications`.

use std::sync::Arc;

use model::time::Clock;
use parking_lot::Mutex;
use serde::Serialize;
use telemetry::{Collect, Counter, Gather, IntGauge, figures};
use tokio::sync::mpsc;

use crate::rfc3339::rfc3339;

/// The last reload failed.
pub const RELOAD_FAILED: &str = "Configuration reload has failed.";
/// Not ready yet.
pub const STARTING: &str = "Prometheus is starting and replaying the write-ahead log.";
/// Not for long any more.
pub const STOPPING: &str = "Prometheus is shutting down and gracefully stopping all operations.";

/// Updates that a slow reader may be behind; further ones are dropped.
const QUEUE: usize = 10;

figures! {
    struct NotificationFigures {
        subscribers: IntGauge =
            "prometheus_api_notification_active_subscribers",
            "The current number of active notification subscribers.";
        sent: Counter =
            "prometheus_api_notification_updates_sent_total",
            "Total number of notification updates sent.";
        dropped: Counter =
            "prometheus_api_notification_updates_dropped_total",
            "Total number of notification updates dropped.";
    }
}

/// One of the texts above, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// What it says.
    pub text: &'static str,
    /// Since when, RFC 3339.
    pub date: String,
    /// False in the update that takes it back.
    pub active: bool,
}

/// The notifications that hold, and who wants to hear of changes.
pub struct Notifications {
    max_subscribers: usize,
    clock: Arc<dyn Clock>,
    figures: NotificationFigures,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    active: Vec<Notification>,
    subscribers: Vec<mpsc::Sender<Notification>>,
    closed: bool,
}

impl Notifications {
    /// No notifications, and at most so many subscribers at once.
    pub fn new(max_subscribers: usize, clock: Arc<dyn Clock>) -> Self {
        Self { max_subscribers, clock, figures: NotificationFigures::default(), state: Mutex::default() }
    }

    /// Says that something holds now.
    pub fn add(&self, text: &'static str) {
        let date = rfc3339(self.clock.now_ms());
        let notification = Notification { text, date, active: true };
        let mut state = self.state.lock();
        match state.active.iter_mut().find(|old| old.text == text) {
            Some(old) => old.date.clone_from(&notification.date),
            None => state.active.push(notification.clone()),
        }
        self.tell(&mut state, &notification);
    }

    /// Takes it back.
    pub fn remove(&self, text: &str) {
        let mut state = self.state.lock();
        let Some(at) = state.active.iter().position(|old| old.text == text) else { return };
        let gone = Notification { active: false, ..state.active.remove(at) };
        self.tell(&mut state, &gone);
    }

    fn tell(&self, state: &mut State, notification: &Notification) {
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        for subscriber in &state.subscribers {
            match subscriber.try_send(notification.clone()) {
                Ok(()) => self.figures.sent.inc(),
                Err(_) => self.figures.dropped.inc(),
            }
        }
    }

    /// Those that hold.
    pub fn active(&self) -> Vec<Notification> {
        self.state.lock().active.clone()
    }

    /// Those that hold, then every change, until the receiver is dropped; `None` when there are too many subscribers.
    pub fn subscribe(&self) -> Option<mpsc::Receiver<Notification>> {
        let mut state = self.state.lock();
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        if state.closed || state.subscribers.len() >= self.max_subscribers {
            return None;
        }
        // At most three notifications can hold: the queue takes them all.
        let (send, receive) = mpsc::channel(QUEUE);
        for notification in &state.active {
            let _ = send.try_send(notification.clone());
        }
        state.subscribers.push(send);
        Some(receive)
    }

    /// Ends all subscriptions once they have read what they were sent: an open one would hold up the end of the server.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.subscribers.clear();
    }
}

impl Collect for Notifications {
    fn collect(&self, out: &mut Gather) {
        let open = self.state.lock().subscribers.iter().filter(|subscriber| !subscriber.is_closed()).count();
        self.figures.subscribers.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.figures.collect(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Epoch;

    impl Clock for Epoch {
        fn now_ms(&self) -> i64 {
            0
        }
    }

    fn texts(receive: &mut mpsc::Receiver<Notification>) -> Vec<(&'static str, bool)> {
        std::iter::from_fn(|| receive.try_recv().ok()).map(|n| (n.text, n.active)).collect()
    }

    #[test]
    fn subscribers_hear_what_holds_and_what_changes() {
        let notifications = Notifications::new(1, Arc::new(Epoch));
        notifications.add(STARTING);
        let mut first = notifications.subscribe().unwrap();
        assert!(notifications.subscribe().is_none(), "one subscriber is allowed");
        notifications.remove(RELOAD_FAILED);
        notifications.add(RELOAD_FAILED);
        notifications.remove(STARTING);
        assert_eq!(texts(&mut first), [(STARTING, true), (RELOAD_FAILED, true), (STARTING, false)]);
        assert_eq!(notifications.active().len(), 1);
        assert_eq!((notifications.figures.sent.get(), notifications.figures.dropped.get()), (2, 0));

        for _ in 0..QUEUE + 3 {
            notifications.add(RELOAD_FAILED);
        }
        assert_eq!(notifications.figures.dropped.get(), 3);
        assert_eq!(notifications.active().len(), 1);
        drop(first);
        let mut second = notifications.subscribe().unwrap();
        notifications.close();
        assert_eq!(texts(&mut second), [(RELOAD_FAILED, true)]);
        assert!(second.is_closed());
        assert!(notifications.subscribe().is_none());
    }
}
