//! Tells the binary which commit it is built from, where there is one.

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
}

/// What `git rev-parse` prints; `None` without git or outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("rev-parse").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
