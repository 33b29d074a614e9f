//! Why a command failed.

use std::io;

use config::ConfigError;
use storage::{Corruption, StorageError};

/// A command that failed: one line that names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The data directory.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A configuration or rule file.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A file that cannot be opened or read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A line of an input file.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// What was asked for makes no sense, or another server refused it.
    #[error("{0}")]
    Invalid(String),
    /// Standard output.
    #[error("writing the output: {0}")]
    Output(#[from] io::Error),
}

impl ToolError {
    /// For `map_err`: what was done with a file failed.
    pub fn file(path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Whether the output has no reader any more, as behind `| head`.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Corruption> for ToolError {
    fn from(e: Corruption) -> Self {
        Self::Storage(e.into())
    }
}
