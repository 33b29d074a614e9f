//! Rules of the house that the compiler does not check: who may import whom, a `//!` line for every module, no
//! forgotten test file, no leftovers.

mod arrows;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of Rust code that are no crates of the workspace's list.
const BESIDE_CRATES: [&str; 3] = ["tests", "benches", "fuzz"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A path as it is written in the repository.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The folders of the workspace's crates, the binary's being the root itself, written as "".
fn crate_dirs() -> Vec<String> {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']'));
    let (members, _) = members.expect("the workspace lists its members");
    let names = members.split(',').map(|name| name.trim().trim_matches('"').to_owned());
    names.filter(|name| !name.is_empty()).chain([String::new()]).collect()
}

/// Rust files below a folder of the repository, in order; what builds and fuzzers leave is not among them.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(dir, &mut found);
    found.sort();
    found
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            let name = entry.file_name();
            if !matches!(name.to_str(), Some("target" | "node_modules" | "dist" | "corpus" | "artifacts")) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of all crates.
fn sources() -> Vec<PathBuf> {
    let found: Vec<PathBuf> =
        crate_dirs().iter().flat_map(|dir| rust_files(&root().join(dir).join("src"))).collect();
    assert!(found.len() > 100, "the sources were not found");
    found
}

/// The code of all crates, their tests and benches, and what stands beside them.
fn all_rust_files() -> Vec<PathBuf> {
    let beside = BESIDE_CRATES.iter().flat_map(|dir| rust_files(&root().join(dir)));
    let of_crates = crate_dirs().into_iter().filter(|dir| !dir.is_empty());
    let mut found: Vec<PathBuf> = of_crates.flat_map(|dir| rust_files(&root().join(dir))).collect();
    found.extend(rust_files(&root().join("src")));
    found.extend(beside);
    found
}

/// A file without its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or("")
}

/// Whether a file holds nothing but tests.
fn is_test_file(path: &Path) -> bool {
    let names = path.strip_prefix(root()).unwrap_or(path).with_extension("");
    names.iter().any(|name| {
        let name = name.to_string_lossy();
        name == "tests" || name == "testing" || name.ends_with("_test") || name.ends_with("_tests")
    })
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
