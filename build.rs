//! Tells cargo what else the binary is made of: the built web UI, and the commit, where there is one.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs/heads");
    let head = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(head) = head
        && head.status.success()
    {
        println!("cargo:rustc-env=TRIVIUM_REVISION={}", String::from_utf8_lossy(&head.stdout).trim());
    }
}
