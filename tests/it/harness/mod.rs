//! What tests of the whole program share: processes that end with the test, programs that may be missing, HTTP.

pub mod http;
pub mod process;
pub mod programs;
pub mod server;

use std::time::{Duration, Instant};

/// Asks again and again until the answer is there; panics with `what` after `patience`.
pub fn eventually<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < give_up, "waited {patience:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A TCP port on loopback that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
