//! Which version this is: Trivium's own, and the Prometheus whose behaviour it offers.

/// The Prometheus version that clients are told, because they choose features by it.
pub const PROMETHEUS: &str = "3.14.0";
/// Trivium's own version.
pub const TRIVIUM: &str = env!("CARGO_PKG_VERSION");
/// Stands for the branch where Prometheus names one, so that answers tell what is running.
pub const BRANCH: &str = "trivium";
/// What stands for the Go version: this server has none.
pub const RUNTIME: &str = "rust";

/// The commit that was built, where the build knew it.
pub fn revision() -> &'static str {
    option_env!("TRIVIUM_REVISION").unwrap_or(TRIVIUM)
}

/// The text of `--version`.
pub fn long() -> String {
    format!(
        "trivium, version {TRIVIUM} (compatible with prometheus, version {PROMETHEUS}, branch: {BRANCH}, revision: {})\n  \
         platform: {}/{}",
        revision(),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}
