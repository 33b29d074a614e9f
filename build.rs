//! Tells the binary which commit it is built from, where there is one, when that was made, and by which compiler. The
//! commit's date stands for the build's, so that two builds of a commit are the same.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A path that does not exist would have cargo run this, and build the binary, every time.
    for path in ["HEAD", "refs/heads"].into_iter().filter_map(|name| git(&["--git-path", name])) {
        println!("cargo:rerun-if-changed={path}");
    }
    if let Some(revision) = git(&["--short=12", "HEAD"]) {
        println!("cargo:rustc-env=TRIVIUM_REVISION={revision}");
    }
    let date = ["log", "-1", "--format=%cd", "--date=format:%Y%m%d-%H:%M:%S"];
    if let Some(date) = output("git", &date) {
        println!("cargo:rustc-env=TRIVIUM_BUILD_DATE={date}");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    if let Some(compiler) = output(&rustc, &["--version"]) {
        println!("cargo:rustc-env=TRIVIUM_COMPILER={compiler}");
    }
}

/// What a program prints; `None` when it cannot be run or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// What `git rev-parse` prints; `None` without git or outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    output("git", &[&["rev-parse"], arguments].concat())
}
