//! What was asked for but has no effect in this version: named at start, never silently ignored.

use std::fmt;
use std::path::PathBuf;

/// One thing that was asked for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Where it was asked for.
    pub place: Place,
    /// What is therefore missing.
    pub what: String,
}

/// Where something was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A flag's name.
    Flag(String),
    /// A field of a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u32,
        /// The field's name.
        field: String,
    },
}

impl Unsupported {
    /// For a flag.
    pub fn flag(name: &str, what: &str) -> Self {
        Self { place: Place::Flag(name.to_owned()), what: what.to_owned() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Flag(name) => write!(f, "--{name} has no effect in this version: {}", self.what),
            Place::File { path, line, field } => {
                write!(f, "{}:{line}: {field} has no effect in this version: {}", path.display(), self.what)
            }
        }
    }
}
