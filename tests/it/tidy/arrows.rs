//! Who imports whom, between crates and between the folders of a crate, is what docs/architecture.md says, no more and
//! no less: its blocks marked `arrows` are the only list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{assert_none, crate_dirs, is_test_file, read, root, rust_files, shown, without_tests};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The block of the page that is marked `arrows` and a name: lines of `from -> to, to`.
fn drawn(page: &str, name: &str) -> Option<Arrows> {
    let fence = format!("```arrows {name}\n");
    let (_, block) = page.split_once(&fence)?;
    let (block, _) = block.split_once("```")?;
    let arrow = |line: &str| {
        let (from, to) = line.split_once("->").unwrap_or((line, ""));
        let to = to.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        (from.trim().to_owned(), to.collect())
    };
    Some(block.lines().map(arrow).collect())
}

fn page() -> String {
    read(&root().join("docs/architecture.md"))
}

/// Names of the packages in the `[dependencies]` section of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

fn package(manifest: &str) -> String {
    let line = manifest.lines().find_map(|line| line.strip_prefix("name = "));
    line.expect("a package has a name").trim_matches('"').to_owned()
}

/// What differs, in words.
fn differences(drawn: &Arrows, found: &Arrows, place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = drawn.keys().chain(found.keys()).collect();
    for name in names {
        if !drawn.contains_key(name) {
            wrong.push(format!("{place}: docs/architecture.md does not draw {name}"));
        }
        if !found.contains_key(name) {
            wrong.push(format!("{place}: docs/architecture.md draws {name}, which is not there"));
        }
        let (may, does) = (drawn.get(name).unwrap_or(&none), found.get(name).unwrap_or(&none));
        wrong.extend(
            does.difference(may).map(|to| format!("{place}: {name} imports {to}, which is not drawn")),
        );
        wrong.extend(
            may.difference(does).map(|to| format!("{place}: {name} -> {to} is drawn and not needed")),
        );
    }
    wrong
}

/// Crates below `net`. Their disk, clock and randomness are passed in.
pub(super) const BELOW_NET: [&str; 10] = [
    "model",
    "telemetry",
    "wire",
    "storage-base",
    "storage-metrics",
    "storage",
    "query",
    "promql",
    "testkit",
    "config",
];

/// What crates below `net` must not know: async, HTTP, the environment, global logging.
const FORBIDDEN_BELOW_NET: [&str; 9] =
    ["tokio", "hyper", "axum", "http", "reqwest", "tracing", "log", "clap", "rust-embed"];

#[test]
fn crates_import_what_the_map_draws() {
    let manifests: Vec<(String, String)> = crate_dirs()
        .iter()
        .map(|dir| read(&root().join(dir).join("Cargo.toml")))
        .map(|text| (package(&text), text))
        .collect();
    let ours: BTreeSet<String> = manifests.iter().map(|(name, _)| name.clone()).collect();
    let found: Arrows = manifests
        .iter()
        .map(|(name, text)| (name.clone(), dependencies(text).intersection(&ours).cloned().collect()))
        .collect();
    let drawn = drawn(&page(), "crates").expect("docs/architecture.md draws the crates");
    assert_none(&differences(&drawn, &found, "crates"));

    // What a crate below `net` imports is below `net` as well, so looking at each of them is enough.
    let pure = BELOW_NET.iter().flat_map(|name| {
        let (_, manifest) =
            manifests.iter().find(|(package, _)| package == name).expect("a crate of that name");
        let known = dependencies(manifest);
        let forbidden = FORBIDDEN_BELOW_NET.iter().filter(move |name| known.contains(**name));
        forbidden.map(move |forbidden| format!("{name} must not know {forbidden}"))
    });
    assert_none(&pure.collect::<Vec<_>>());
    for name in BELOW_NET {
        let above: Vec<String> =
            found[name].iter().filter(|to| !BELOW_NET.contains(&to.as_str())).cloned().collect();
        assert!(above.is_empty(), "{name} imports {above:?}, which is not below net");
    }
}

/// The modules of its own crate that a piece of code names: `crate::a::…`, `crate::{a, b::…}`, and `super::` as often as
/// it takes to get to the top.
fn named_modules(code: &str, depth: usize) -> BTreeSet<String> {
    let top = "super::".repeat(depth);
    let mut named = BTreeSet::new();
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for root in ["crate::", &top] {
        if root.is_empty() {
            continue;
        }
        for (at, _) in code.match_indices(root) {
            // `super::super::` is not the top of `super::super::super::`, nor `my_crate::` the crate.
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => named.extend(first_names(group)),
                None => named.extend(identifier(rest).filter(|name| name != "super")),
            }
        }
    }
    named
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first name of each item in a `use` group, of which the opening brace is behind.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut begins) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.extend(identifier(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

/// Stands for the files that lie beside a crate's folders, its root but for `lib.rs` and `main.rs` left out.
const FILES: &str = "files";

/// Which folders of a crate name which.
fn folders(src: &Path) -> Arrows {
    let files: Vec<PathBuf> = rust_files(src).into_iter().filter(|path| !is_test_file(path)).collect();
    let inside = |path: &Path| path.strip_prefix(src).expect("a path below src").to_owned();
    let files = files.iter().filter(|path| !matches!(inside(path).to_str(), Some("lib.rs" | "main.rs")));
    let files: Vec<&PathBuf> = files.collect();
    // A module's own name, and the room that it lies in.
    let module = |path: &Path| {
        let first = inside(path).iter().next().expect("a name").to_string_lossy().into_owned();
        match first.strip_suffix(".rs") {
            Some(name) if !src.join(name).is_dir() => (name.to_owned(), FILES.to_owned()),
            Some(name) => (name.to_owned(), name.to_owned()),
            None => (first.clone(), first),
        }
    };
    let rooms: BTreeMap<String, String> = files.iter().map(|path| module(path)).collect();
    let mut arrows: Arrows = rooms.values().map(|room| (room.clone(), BTreeSet::new())).collect();
    for path in files {
        let (_, from) = module(path);
        let is_mod = path.file_stem().is_some_and(|stem| stem == "mod");
        let depth = inside(path).iter().count() - usize::from(is_mod);
        let named = named_modules(without_tests(&read(path)), depth);
        let to = named.iter().filter_map(|name| rooms.get(name)).filter(|room| **room != from).cloned();
        arrows.entry(from.clone()).or_default().extend(to);
    }
    arrows
}

#[test]
fn folders_import_what_the_map_draws() {
    let page = page();
    let mut wrong = Vec::new();
    for dir in crate_dirs() {
        let src = root().join(&dir).join("src");
        let has_folders = std::fs::read_dir(&src).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.path().is_dir() && !is_test_file(&entry.path()))
        });
        let name = if dir.is_empty() { "src".to_owned() } else { dir };
        let found = folders(&src);
        match drawn(&page, &name) {
            Some(drawn) => wrong.extend(differences(&drawn, &found, &name)),
            None if has_folders => {
                let lines = found.iter().map(|(from, to)| {
                    format!("{from} -> {}", to.iter().cloned().collect::<Vec<_>>().join(", "))
                });
                wrong.push(format!(
                    "{}: docs/architecture.md does not draw its folders:\n{}",
                    shown(&src),
                    lines.collect::<Vec<_>>().join("\n")
                ));
            }
            None => {}
        }
    }
    assert_none(&wrong);
}

/// Only these folders of a crate may name another crate: what they stand for is the one way to it.
const ONLY_IN: [(&str, &str, &[&str]); 2] =
    [("api", "storage", &["door"]), ("", "storage", &["server", "tool"])];

#[test]
fn nothing_reaches_the_store_around_the_door() {
    let mut wrong = Vec::new();
    for (dir, other, rooms) in ONLY_IN {
        let src = root().join(dir).join("src");
        for path in rust_files(&src) {
            let inside = path.strip_prefix(&src).expect("a path below src");
            if rooms.iter().any(|room| inside.starts_with(room)) {
                continue;
            }
            let text = read(&path);
            let names = |line: &str| {
                !line.trim_start().starts_with("//")
                    && line.match_indices(&format!("{other}::")).any(|(at, _)| {
                        !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                    })
            };
            let lines = without_tests(&text).lines().enumerate().filter(|(_, line)| names(line));
            wrong.extend(lines.map(|(number, _)| {
                format!("{}:{}: only {rooms:?} may name {other}", shown(&path), number + 1)
            }));
        }
    }
    assert_none(&wrong);
}

#[test]
fn names_of_modules_are_found() {
    let names = |code: &str, depth| named_modules(code, depth).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names("use crate::a::B;\nuse crate::{b, c::{D, e}, f};", 1), "a b c f");
    assert_eq!(names("use super::super::a::B; use super::b; super::super::super::c::d()", 2), "a");
    assert_eq!(names("// crate::a\n/// [`crate::b`]\nlet x = my_crate::c; crate::d::f();", 1), "d");
    assert_eq!(names("use super::a;", 1), "a");
}
