//! Rules of the house that the compiler does not check: who may import whom, a `//!` line for every module, no
//! forgotten test file, no leftovers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 15] = [
    "model",
    "telemetry",
    "wire",
    "storage",
    "storage/base",
    "storage/metrics",
    "query",
    "promql",
    "config",
    "net",
    "discovery",
    "scrape",
    "alerting",
    "api",
    "testkit",
];

/// Those that know no async, HTTP, environment or global logging.
const PURE: [&str; 9] = [
    "model",
    "telemetry",
    "wire",
    "storage",
    "storage/base",
    "storage/metrics",
    "query",
    "promql",
    "testkit",
];

/// Crates of the house that a crate may depend on.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("telemetry", &["model"]),
    ("wire", &["model"]),
    ("storage", &["model", "storage/base", "storage/metrics", "telemetry"]),
    ("storage/base", &["model", "telemetry"]),
    ("storage/metrics", &["model", "storage/base", "telemetry"]),
    ("query", &["model"]),
    ("promql", &["model", "query"]),
    ("config", &["model"]),
    ("net", &["config", "model", "wire"]),
    ("discovery", &["config", "model", "net", "telemetry"]),
    ("scrape", &["config", "discovery", "model", "net", "telemetry", "wire"]),
    ("alerting", &["config", "discovery", "model", "net", "promql", "query", "telemetry"]),
    ("api", &["alerting", "model", "net", "promql", "query", "scrape", "storage", "telemetry"]),
    // For tests only: no crate may import it but as a dev-dependency.
    ("testkit", &["model", "promql", "query"]),
];

/// What the pure crates must not know: async, HTTP, the environment, global logging.
const FORBIDDEN_BELOW: [&str; 9] =
    ["tokio", "hyper", "axum", "http", "reqwest", "tracing", "log", "clap", "rust-embed"];

/// Folders and the modules of their crate that they must not name, so that the parts stay apart.
const APART: [(&str, &[&str]); 5] = [
    ("alerting/src/rules", &["notify"]),
    ("alerting/src/template", &["notify", "rules"]),
    ("alerting/src/notify", &["rules", "template"]),
    ("api/src/door", &["prometheus", "ui", "lifecycle", "http_metrics"]),
    ("src/tool", &["server"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !matches!(name.to_str(), Some("target" | "node_modules" | "dist" | "corpus" | "artifacts")) {
                files(&path, extension, out);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
}

fn rust_files(dirs: &[&str]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for dir in dirs {
        files(&root().join(dir), "rs", &mut out);
    }
    assert!(!out.is_empty(), "no Rust file below {dirs:?}");
    out.sort();
    out
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Names of the packages in a `[dependencies]` section.
fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_import_only_what_they_may() {
    for (name, may) in MAY_IMPORT {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for dependency in dependencies(&manifest) {
            let is = |folder: &&str| folder.replace('/', "-") == dependency;
            let inside = CRATES.iter().any(is) || dependency == "trivium";
            assert!(!inside || may.iter().any(is), "{name} must not import {dependency}");
            let forbidden = PURE.contains(&name) && FORBIDDEN_BELOW.contains(&dependency.as_str());
            assert!(!forbidden, "{name} must not know {dependency}");
        }
    }
}

#[test]
fn parts_of_the_server_stay_apart() {
    let mut wrong = Vec::new();
    for (dir, never) in APART {
        for path in rust_files(&[dir]) {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                for other in never {
                    if line.contains(&format!("crate::{other}::"))
                        || line.contains(&format!("crate::{other};"))
                    {
                        wrong.push(format!("{}:{}: names crate::{other}", shown(&path), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn pure_crates_read_neither_clock_nor_environment() {
    let mut wrong = Vec::new();
    for path in rust_files(&[
        "model/src",
        "telemetry/src",
        "wire/src",
        "storage/src",
        "storage/base/src",
        "storage/metrics/src",
        "query/src",
        "promql/src",
    ]) {
        if path.file_stem().is_some_and(|name| name.to_string_lossy().contains("test")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (number, line) in code.lines().enumerate() {
            for banned in ["std::env::", "SystemTime::now", "println!", "eprintln!"] {
                if line.contains(banned) && !line.trim_start().starts_with("//") {
                    wrong.push(format!("{}:{}: {banned}", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let dirs = [&CRATES[..], &["src", "tests", "benches", "fuzz"]].concat();
    let silent: Vec<String> = rust_files(&dirs)
        .iter()
        .filter(|path| !fs::read_to_string(path).unwrap().trim_start().starts_with("//!"))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "without a leading //! line:\n{}", silent.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for path in rust_files(&["tests/it"]) {
        let name = path.strip_prefix(root().join("tests/it")).unwrap();
        let module = name.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let declared = module == "main" || main.contains(&format!("mod {module};"));
        assert!(declared, "tests/it/main.rs does not name {module}");
    }
}

#[test]
fn nothing_is_left_to_do() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat(), ["to", "do!("].concat()];
    let mut wrong = Vec::new();
    for path in rust_files(&[&CRATES[..], &["src", "tests"]].concat()) {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let words = |mark: &String| {
                line.match_indices(mark.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + mark.len()..].chars().next();
                    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                    !letter(before) && (mark.ends_with('(') || !letter(after))
                })
            };
            if marks.iter().any(words) {
                wrong.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A file must fit in a head. Those listed are uniform (tables, one case after the other) or argued in their map.
#[test]
fn files_stay_readable() {
    const LONGEST: usize = 900;
    let mut by_length = BTreeMap::new();
    for path in rust_files(&[&CRATES[..], &["src"]].concat()) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("").lines().count();
        if code > LONGEST {
            by_length.insert(shown(&path), code);
        }
    }
    assert!(by_length.is_empty(), "longer than {LONGEST} lines without tests: {by_length:?}");
}

#[test]
fn architecture_page_names_every_part() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let part = name.trim_end_matches(".rs");
        if matches!(part, "clock" | "log" | "main" | "process_metrics" | "version") {
            continue;
        }
        assert!(page.contains(&format!("`{part}`")), "docs/architecture.md does not name `{part}`");
    }
    for name in CRATES {
        assert!(page.contains(&format!("`{name}`")), "docs/architecture.md does not name `{name}`");
    }
}
