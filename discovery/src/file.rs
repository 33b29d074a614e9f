//! Target groups in files, JSON or YAML. The files are looked at every other second and read when one has changed, and
//! at every refresh interval in any case: that also works where there are no change events, as on NFS and for the
//! swapped symlinks of Kubernetes volumes. A file that cannot be read keeps its last good groups; one that is gone
//! loses them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::ConfigError;
use config::discovery::FileSd;
use config::glob::glob;
use config::yaml;
use tokio::time::Instant;

use super::groups::{from_json, from_yaml, groups};
use super::manager::Updates;
use super::{Metrics, TargetGroup};

const FILEPATH_LABEL: &str = "__meta_filepath";
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Larger files are refused: a mistake rather than a list of targets.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reports groups until it is dropped.
pub async fn run(config: FileSd, updates: Updates) {
    let refresh = Duration::from_millis(config.refresh_interval_ms.max(1).unsigned_abs());
    let mut files = Files::default();
    let mut refreshed: Option<Instant> = None;
    loop {
        let due = refreshed.is_none_or(|at| at.elapsed() >= refresh);
        let patterns = config.files.clone();
        let metrics = updates.metrics().clone();
        // Disks may block.
        let scan = tokio::task::spawn_blocking(move || {
            let outcome = files.scan(&patterns, due, &metrics);
            (files, outcome)
        });
        let Ok((scanned, outcome)) = scan.await else { return };
        files = scanned;
        if due {
            refreshed = Some(Instant::now());
        }
        if let Some(outcome) = outcome {
            for error in &outcome.errors {
                tracing::error!(
                    component = "discovery",
                    mechanism = "file",
                    err = error,
                    "Error reading file"
                );
            }
            updates.refreshed("file", outcome.took, !outcome.errors.is_empty());
            updates.report(files.groups());
        }
        tokio::time::sleep(LOOK_EVERY.min(refresh)).await;
    }
}

/// The files of one section as last read.
#[derive(Default)]
struct Files {
    by_path: BTreeMap<String, File>,
}

struct File {
    signature: Signature,
    groups: Vec<Arc<TargetGroup>>,
}

/// What changes when a file's content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Signature {
    fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(path)?;
        Ok(Self { modified: meta.modified().ok(), len: meta.len(), inode: meta.ino() })
    }
}

/// What a scan that read something has to say.
struct Scan {
    errors: Vec<String>,
    took: Duration,
}

impl Files {
    fn groups(&self) -> Vec<Arc<TargetGroup>> {
        self.by_path.values().flat_map(|file| file.groups.iter().cloned()).collect()
    }

    /// Reads the files that changed, or all of them if `due`. `None`: nothing changed and nothing was due.
    fn scan(&mut self, patterns: &[String], due: bool, metrics: &Metrics) -> Option<Scan> {
        let start = std::time::Instant::now();
        let mut errors = Vec::new();
        let mut found: BTreeMap<String, Option<Signature>> = BTreeMap::new();
        for pattern in patterns {
            match glob(pattern) {
                Ok(paths) => {
                    found.extend(paths.into_iter().map(|path| {
                        let signature = Signature::of(Path::new(&path)).ok();
                        (path, signature)
                    }));
                }
                Err(e) if due => errors.push(e.to_string()),
                Err(_) => {}
            }
        }
        let unchanged = found.len() == self.by_path.len()
            && found.iter().all(|(path, seen)| self.by_path.get(path).map(|f| f.signature) == *seen);
        if unchanged && !due {
            return None;
        }
        self.by_path.retain(|path, _| {
            let kept = found.contains_key(path);
            if !kept {
                metrics.file_mtime.remove(&[path.as_str()]);
            }
            kept
        });
        for (path, signature) in found {
            match read(Path::new(&path)) {
                Ok(groups) => {
                    let Some(signature) = signature else { continue };
                    if let Some(Ok(mtime)) = signature.modified.map(|m| m.duration_since(UNIX_EPOCH)) {
                        metrics.file_mtime.with(&[path.as_str()]).set(mtime.as_secs() as f64);
                    }
                    self.by_path.insert(path, File { signature, groups });
                }
                Err(error) => {
                    metrics.file_read_errors.inc();
                    errors.push(error.to_string());
                    // The last good groups stay; the signature is taken so that the error is reported once for each change.
                    let unreadable = Signature { modified: None, len: 0, inode: 0 };
                    let file = File { signature: unreadable, groups: Vec::new() };
                    self.by_path.entry(path).or_insert(file).signature = signature.unwrap_or(unreadable);
                }
            }
        }
        let took = start.elapsed();
        metrics.file_scan_duration.observe(took.as_secs_f64());
        Some(Scan { errors, took })
    }
}

fn read(path: &Path) -> Result<Vec<Arc<TargetGroup>>, ConfigError> {
    let unreadable = |e: std::io::Error| ConfigError::read(path, &e);
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(ConfigError::Read {
            path: path.to_owned(),
            reason: format!("larger than {} MiB", MAX_FILE_BYTES >> 20),
        });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let wrong = |reason: String| ConfigError::Read { path: path.to_owned(), reason };
    let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let read = if json {
        from_json(&bytes).map_err(wrong)?
    } else {
        let text = yaml::encoding::decode(bytes).map_err(|e| wrong(e.to_string()))?;
        from_yaml(&text).map_err(|fault| ConfigError::at(path, &text, fault))?
    };
    let name = path.to_string_lossy();
    Ok(groups(&name, &read, Some((FILEPATH_LABEL, &name))).into_iter().map(Arc::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(files: &Files) -> Vec<String> {
        let targets = |g: &Arc<TargetGroup>| {
            g.targets.iter().map(|t| t.get("__address__").unwrap().to_owned()).collect::<Vec<_>>()
        };
        files.groups().iter().flat_map(targets).collect()
    }

    #[test]
    fn follows_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let patterns =
            [format!("{}/*.yml", dir.path().display()), format!("{}/x.json", dir.path().display())];
        let metrics = Metrics::default();
        let mut files = Files::default();
        let scan = |files: &mut Files, due| files.scan(&patterns, due, &metrics).map(|o| o.errors.len());

        assert_eq!(scan(&mut files, true), Some(0));
        assert_eq!(scan(&mut files, false), None);
        put("a.yml", "- targets: [a:1]");
        put("x.json", "[{\"targets\": [\"x:1\"]}]");
        assert_eq!(scan(&mut files, false), Some(0));
        assert_eq!(addresses(&files), ["a:1", "x:1"]);
        assert_eq!(scan(&mut files, false), None);
        assert_eq!(scan(&mut files, true), Some(0));

        put("a.yml", "- targets: [a:1, a:2]\n- targets: [b:1]");
        assert_eq!(scan(&mut files, false), Some(0));
        assert_eq!(addresses(&files), ["a:1", "a:2", "b:1", "x:1"]);

        // Broken: the last good groups stay, the error is reported once, counted, and again when it is read again.
        put("a.yml", "- target: [a:1]");
        assert_eq!(scan(&mut files, false), Some(1));
        assert_eq!(scan(&mut files, false), None);
        assert_eq!(addresses(&files), ["a:1", "a:2", "b:1", "x:1"]);
        assert_eq!(metrics.file_read_errors.get(), 1);
        assert_eq!(scan(&mut files, true), Some(1));

        // Any encoding that YAML may have.
        std::fs::write(dir.path().join("a.yml"), b"\xff\xfe[\0]\0").unwrap();
        std::fs::remove_file(dir.path().join("x.json")).unwrap();
        assert_eq!(scan(&mut files, false), Some(0));
        assert!(addresses(&files).is_empty());
    }

    #[test]
    fn a_file_broken_from_the_start_has_no_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yml");
        std::fs::write(&path, "- targets: a\n").unwrap();
        let metrics = Metrics::default();
        let mut files = Files::default();
        let outcome = files.scan(&[path.display().to_string()], true, &metrics).unwrap();
        assert!(
            outcome.errors[0].contains("a.yml:1:12: [0].targets: expected a list"),
            "{:?}",
            outcome.errors
        );
        assert!(files.groups().is_empty());
        assert!(files.scan(&[path.display().to_string()], false, &metrics).is_none());
    }
}
