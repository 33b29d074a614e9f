//! Tells cargo that the crate embeds the built web interface.

fn main() {
    println!("cargo:rerun-if-changed=../ui/dist");
}
