//! Which version this is: Trivium's own, and the Prometheus whose behaviour it offers.

/// The Prometheus version that clients are told, because they choose features by it.
pub const PROMETHEUS: &str = "3.14.0";
/// Trivium's own version.
pub const TRIVIUM: &str = env!("CARGO_PKG_VERSION");
/// Stands for the branch where Prometheus names one, so that answers tell what is running.
const BRANCH: &str = "trivium";
/// What stands for the Go version: this server has none.
const RUNTIME: &str = "rust";

/// The commit that was built, where the build knew it.
pub fn revision() -> &'static str {
    option_env!("TRIVIUM_REVISION").unwrap_or(TRIVIUM)
}

/// The processor's architecture as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        other => other,
    }
}

/// For the API, which tells clients.
pub fn build() -> api::BuildInfo {
    api::BuildInfo {
        trivium: TRIVIUM,
        prometheus: PROMETHEUS,
        revision: revision(),
        branch: BRANCH,
        runtime: RUNTIME,
    }
}

/// The text of `--version`.
pub fn long() -> String {
    format!(
        "trivium, version {TRIVIUM} (compatible with prometheus, version {PROMETHEUS}, branch: {BRANCH}, revision: {})\n  \
         platform: {}/{}",
        revision(),
        std::env::consts::OS,
        architecture()
    )
}

/// `prometheus_build_info`
pub struct BuildInfo;

impl telemetry::Collect for BuildInfo {
    fn collect(&self, out: &mut telemetry::Gather) {
        let labels = [
            ("branch", BRANCH),
            ("goarch", architecture()),
            ("goos", std::env::consts::OS),
            ("goversion", RUNTIME),
            ("revision", revision()),
            ("tags", ""),
            ("version", PROMETHEUS),
        ];
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    prometheus was built, and the goos and goarch for the build.";
        out.gauge("prometheus_build_info", help, &labels, 1.0);
    }
}
