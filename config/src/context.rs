//! What readers of sections share: the directory that relative paths start from, the flags' part in the defaults, and
//! the list of what has no effect.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::sections::storage::Retention;
use crate::unsupported::{Place, Unsupported};
use crate::yaml::Pos;

/// What flags and features contribute to the configuration's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Retention when the file has no such section.
    pub retention: Retention,
    /// Protobuf is offered first when the file does not say otherwise.
    pub prefer_protobuf: bool,
    /// `extra_scrape_metrics` when the file does not say otherwise.
    pub extra_scrape_metrics: bool,
}

/// Reading one file.
pub struct Context<'a> {
    /// The file, for messages.
    pub file: &'a Path,
    /// From the flags.
    pub defaults: &'a Defaults,
    unsupported: RefCell<Vec<Unsupported>>,
}

impl<'a> Context<'a> {
    /// For one file.
    pub fn new(file: &'a Path, defaults: &'a Defaults) -> Self {
        Self { file, defaults, unsupported: RefCell::default() }
    }

    /// A path of the file, relative ones joined to the file's directory; "" stays "". Cleaned as Go's
    /// `filepath.Join` does.
    pub fn path(&self, path: &str) -> String {
        if path.is_empty() || path.starts_with('/') {
            return path.to_owned();
        }
        let dir = self.file.parent().unwrap_or(Path::new(""));
        clean(&dir.join(path))
    }

    /// Notes something that has no effect.
    pub fn note(&self, pos: Pos, field: impl Into<String>, what: &str) {
        let place = Place::File { path: self.file.to_owned(), line: pos.line, field: field.into() };
        self.unsupported.borrow_mut().push(Unsupported { place, what: what.to_owned() });
    }

    /// What was noted.
    pub fn into_unsupported(self) -> Vec<Unsupported> {
        self.unsupported.into_inner()
    }
}

/// Removes `.` and resolves `..` by text alone.
fn clean(path: &Path) -> String {
    use std::path::Component;
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { ".".to_owned() } else { out.to_string_lossy().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_file() {
        let defaults = Defaults::default();
        for (file, path, want) in [
            ("/etc/p/p.yml", "rules/*.yml", "/etc/p/rules/*.yml"),
            ("/etc/p/p.yml", "/abs", "/abs"),
            ("/etc/p/p.yml", "", ""),
            ("/etc/p/p.yml", "./a/../b", "/etc/p/b"),
            ("/etc/p/p.yml", "../../../b", "/b"),
            ("p.yml", "a", "a"),
            ("p.yml", "../a", "../a"),
            ("p.yml", ".", "."),
        ] {
            assert_eq!(Context::new(Path::new(file), &defaults).path(path), want, "{file} {path}");
        }
    }
}
