//! The machine as the configuration sees it: files, patterns of files, the environment.

use std::path::Path;

use config::glob::glob;
use config::load::Host;

/// The machine that the process runs on.
pub struct Machine;

impl Host for Machine {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        glob(pattern).map_err(|e| e.to_string())
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
