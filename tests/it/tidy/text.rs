//! What every file of the house has and has not: a first line that says what it is, no leftovers, a length that fits in
//! a head; what pure crates must not read.

use std::collections::BTreeMap;

use super::arrows::BELOW_NET;
use super::{
    all_rust_files, assert_none, is_test_file, read, root, rust_files, shown, sources, without_tests,
};

#[test]
fn pure_crates_read_neither_clock_nor_environment() {
    let mut wrong = Vec::new();
    let dirs = BELOW_NET.iter().map(|name| root().join(name.replace('-', "/")));
    for path in dirs.flat_map(|dir| rust_files(&dir)) {
        let is_beside =
            path.components().any(|part| matches!(part.as_os_str().to_str(), Some("benches" | "examples")));
        if is_test_file(&path) || is_beside {
            continue;
        }
        let text = read(&path);
        for (number, line) in without_tests(&text).lines().enumerate() {
            for banned in ["std::env::", "SystemTime::now", "println!", "eprintln!"] {
                if line.contains(banned) && !line.trim_start().starts_with("//") {
                    wrong.push(format!("{}:{}: {banned}", shown(&path), number + 1));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_module_says_what_it_is() {
    let silent = all_rust_files().into_iter().filter(|path| !read(path).trim_start().starts_with("//!"));
    let wrong: Vec<String> = silent.map(|path| format!("{}: no leading //! line", shown(&path))).collect();
    assert_none(&wrong);
}

#[test]
fn no_test_file_is_forgotten() {
    let main = read(&root().join("tests/it/main.rs"));
    let dir = root().join("tests/it");
    let mut wrong = Vec::new();
    for path in rust_files(&dir) {
        let inside = path.strip_prefix(&dir).unwrap_or(&path);
        let first = inside.iter().next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let module = first.trim_end_matches(".rs");
        if module != "main" && !main.contains(&format!("mod {module};")) {
            wrong.push(format!("tests/it/main.rs does not name {module}"));
        }
    }
    assert_none(&wrong);
}

#[test]
fn nothing_is_left_to_do() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat(), ["to", "do!("].concat()];
    let mut wrong = Vec::new();
    for path in all_rust_files() {
        for (number, line) in read(&path).lines().enumerate() {
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
    assert_none(&wrong);
}

/// Rust files that a page names, with or without the folders before them, are there.
#[test]
fn pages_name_files_that_are_there() {
    let known: Vec<String> = all_rust_files().iter().map(|path| format!("/{}", shown(path))).collect();
    let docs = std::fs::read_dir(root().join("docs")).expect("the pages").flatten().map(|entry| entry.path());
    let pages = docs.filter(|path| path.extension().is_some_and(|e| e == "md"));
    let mut wrong = Vec::new();
    for page in pages.chain(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name))) {
        let text = read(&page);
        for named in text.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs")) {
            let is_there = known.iter().any(|path| path.ends_with(&format!("/{named}")));
            if !is_there && !named.contains(['*', '<', ' ']) {
                wrong.push(format!("{}: there is no file {named}", shown(&page)));
            }
        }
    }
    assert_none(&wrong);
}

/// A file must fit in a head. Those that exceed it are uniform (tables, one case after the other).
#[test]
fn files_stay_readable() {
    const LONGEST: usize = 900;
    let mut by_length = BTreeMap::new();
    for path in sources() {
        let lines = without_tests(&read(&path)).lines().count();
        if lines > LONGEST {
            by_length.insert(shown(&path), lines);
        }
    }
    assert!(by_length.is_empty(), "longer than {LONGEST} lines without tests: {by_length:?}");
}
