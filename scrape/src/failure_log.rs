//! `scrape_failure_log_file`: a JSON line for every failed scrape, as Prometheus's JSON handler writes it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use parking_lot::Mutex;

/// An open log. Several jobs may share one.
#[derive(Debug)]
pub struct FailureLog {
    file: Mutex<File>,
}

impl FailureLog {
    /// Opens a file to append to.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes a line. Failing to is reported in the server's log.
    pub fn write(&self, now_ms: i64, job: &str, target: &str, error: &str) {
        let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let line = serde_json::json!({
            "time": format!("{time:.3}"),
            "level": "ERROR",
            "msg": error,
            "job_name": job,
            "target": target,
        });
        if let Err(error) = self.file.lock().write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "Writing the scrape failure log failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("failures.json");
        for error in ["first \"quoted\"", "second"] {
            FailureLog::open(path.to_str().unwrap()).unwrap().write(1_500, "j", "http://a/metrics", error);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.lines().next(),
            Some(
                r#"{"time":"1970-01-01T00:00:01.500Z","level":"ERROR","msg":"first \"quoted\"","job_name":"j","target":"http://a/metrics"}"#
            )
        );
        assert_eq!(text.lines().count(), 2);
    }
}
