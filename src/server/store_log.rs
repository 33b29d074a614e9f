//! The store's events, as log lines and replay progress.

use std::sync::Arc;

use api::control::Control;
use storage::{Event, Observer, Severity};

/// Logs what a store reports.
pub struct StoreLog(pub Arc<Control>);

impl Observer for StoreLog {
    fn event(&self, event: &Event) {
        if let Event::Replaying { first, segment, last } = event {
            self.0.replaying(*first, *segment, *last);
        }
        match event.severity() {
            Severity::Info => tracing::info!(component = "tsdb", "{event}"),
            Severity::Warn => tracing::warn!(component = "tsdb", "{event}"),
            Severity::Error => tracing::error!(component = "tsdb", "{event}"),
        }
    }
}
