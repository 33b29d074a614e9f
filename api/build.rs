//! Tells cargo that the crate embeds the built web interface.

use std::path::Path;

fn main() {
    const BUILT_UI: &str = "../ui/dist";
    println!("cargo:rerun-if-changed=build.rs");
    // A debug build reads the files when it runs. There a folder that is missing must not be named: cargo would build the
    // crate every time.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release || Path::new(BUILT_UI).exists() {
        println!("cargo:rerun-if-changed={BUILT_UI}");
    }
}
