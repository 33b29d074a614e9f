//! Which version this is: Trivium's own, and the Prometheus whose behaviour it offers.

/// The Prometheus version that clients are told, because they choose features by it.
pub const PROMETHEUS: &str = "3.14.0";
/// Trivium's own version.
pub const TRIVIUM: &str = env!("CARGO_PKG_VERSION");
/// Stands for the branch where Prometheus names one, so that answers tell what is running.
const BRANCH: &str = "trivium";
/// What stands for the Go version: the compiler, such as `rustc 1.95.0 (…)`.
const RUNTIME: &str = match option_env!("TRIVIUM_COMPILER") {
    Some(compiler) => compiler,
    None => "rust",
};
/// Who built it; whoever packages sets it.
const BUILD_USER: &str = match option_env!("TRIVIUM_BUILD_USER") {
    Some(user) => user,
    None => "",
};
/// When the commit was made, `YYYYMMDD-hh:mm:ss`; "" where the build did not know it.
const BUILD_DATE: &str = match option_env!("TRIVIUM_BUILD_DATE") {
    Some(date) => date,
    None => "",
};

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
        user: BUILD_USER,
        date: BUILD_DATE,
    }
}

/// The text of `--version`.
pub fn long() -> String {
    format!(
        "trivium, version {TRIVIUM} (compatible with prometheus, version {PROMETHEUS}, branch: {BRANCH}, revision: {})\n  \
         build user:       {BUILD_USER}\n  build date:       {BUILD_DATE}\n  toolchain:        {RUNTIME}\n  \
         platform:         {}/{}\n  tags:             {}",
        revision(),
        std::env::consts::OS,
        architecture(),
        tags()
    )
}

/// What was built in or left out.
fn tags() -> &'static str {
    if api::ui::is_built() { "ui" } else { "noui" }
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
            ("tags", tags()),
            ("version", PROMETHEUS),
        ];
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    prometheus was built, and the goos and goarch for the build.";
        out.gauge("prometheus_build_info", help, &labels, 1.0);
    }
}
