//! The clock of the machine, which the server and the tools hand to everything that asks for the time.

use std::time::SystemTime;

use model::time::Clock;

/// The time of the machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}
