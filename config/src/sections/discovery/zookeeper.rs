//! `serverset_sd_configs` and `nerve_sd_configs`, which are both read from ZooKeeper.

use crate::sections::table::{Checked, duration, refuse, section, texts};

section! {
    /// An entry of `serverset_sd_configs`.
    pub struct ServersetSd, |sd| check("serverset", &sd.servers, &sd.paths) => {
        /// `host` or `host:port`.
        servers: Vec<String> = "servers", texts().always();
        /// Absolute paths in the tree.
        paths: Vec<String> = "paths", texts().always();
        /// After which a session is lost.
        timeout_ms: i64 = "timeout", duration(10);
    }
}

section! {
    /// An entry of `nerve_sd_configs`.
    pub struct NerveSd, |sd| check("nerve", &sd.servers, &sd.paths) => {
        /// `host` or `host:port`.
        servers: Vec<String> = "servers", texts().always();
        /// Absolute paths in the tree.
        paths: Vec<String> = "paths", texts().always();
        /// After which a session is lost.
        timeout_ms: i64 = "timeout", duration(10);
    }
}

fn check(kind: &str, servers: &[String], paths: &[String]) -> Checked {
    if servers.is_empty() {
        return refuse("servers", format!("{kind} SD config must contain at least one Zookeeper server"));
    }
    if paths.is_empty() {
        return refuse("paths", format!("{kind} SD config must contain at least one path"));
    }
    match paths.iter().find(|path| !path.starts_with('/')) {
        Some(path) => refuse("paths", format!("{kind} SD config paths must begin with '/': {path}")),
        None => Ok(()),
    }
}
