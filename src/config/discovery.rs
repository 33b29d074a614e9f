//! Where targets come from: `static_configs` and every `*_sd_configs` section.

use super::http_client::HttpClientConfig;

/// Targets with common labels, as written in `static_configs`, discovery files and HTTP answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticGroup {
    /// `host:port` texts.
    pub targets: Vec<String>,
    /// Common labels, sorted by name. Values may be empty.
    pub labels: Vec<(String, String)>,
}

/// One discovery section entry.
#[derive(Clone, Debug, PartialEq)]
pub enum SdConfig {
    /// All of `static_configs`.
    Static(Vec<StaticGroup>),
    /// An entry of `file_sd_configs`.
    File(FileSd),
    /// An entry of `http_sd_configs`.
    Http(HttpSd),
    /// An entry of `dns_sd_configs`.
    Dns(DnsSd),
    /// A kind that is known and checked, but finds no targets in this version.
    Other(super::sections::Section),
}

/// An entry of `file_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSd {
    /// Paths whose last part may hold `*`, `?`, `[...]`; already relative to the configuration's directory.
    pub files: Vec<String>,
    /// Default 5m.
    pub refresh_interval_ms: i64,
}

/// An entry of `http_sd_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSd {
    /// http or https, with a host.
    pub url: String,
    /// Default 60s.
    pub refresh_interval_ms: i64,
    /// How to reach the URL.
    pub http: HttpClientConfig,
}

/// Record type of [`DnsSd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// Service records; they hold the port.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Name servers.
    Ns,
}

/// An entry of `dns_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSd {
    /// Names to look up; not empty.
    pub names: Vec<String>,
    /// Default SRV.
    pub record: DnsRecord,
    /// Of all targets; not 0 unless the type is SRV.
    pub port: u16,
    /// Default 30s.
    pub refresh_interval_ms: i64,
}
