//! The machine as the configuration sees it: files, patterns of files, the environment.

use std::io;
use std::path::Path;

use config::glob::glob;
use config::load::Host;
use config::yaml::encoding::decode;

/// The text of a YAML file, in any encoding that YAML may have.
pub fn read_yaml(path: &Path) -> io::Result<String> {
    decode(std::fs::read(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// The machine that the process runs on.
pub struct Machine;

impl Host for Machine {
    fn read(&self, path: &Path) -> io::Result<String> {
        read_yaml(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        glob(pattern).map_err(|e| e.to_string())
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
