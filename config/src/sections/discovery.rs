//! Where targets come from: `static_configs` and every `*_sd_configs` section.

use crate::context::Context;
use crate::sections::http_client::HttpClientConfig;
use crate::sections::schema::tables;
use crate::url::{GoUrl, refused};
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Pos};

/// Targets with common labels, as written in `static_configs`, discovery files and HTTP answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticGroup {
    /// `host:port` texts.
    pub targets: Vec<String>,
    /// Common labels, sorted by name. Values may be empty.
    pub labels: Vec<(String, String)>,
}

/// Mechanisms that find targets, by the names of their sections without `_sd_configs` or `_configs`.
const WORKING: [&str; 3] = ["file", "http", "static"];

/// All mechanisms of Prometheus, named so, and whether each finds targets in this version.
pub fn mechanisms() -> impl Iterator<Item = (&'static str, bool)> {
    let known = tables::DISCOVERY.iter().filter_map(|schema| schema.name.strip_suffix("_sd_configs"));
    known.chain(["dns"]).map(|name| (name, false)).chain(WORKING.map(|name| (name, true)))
}

/// One discovery section entry.
#[derive(Clone, Debug, PartialEq)]
pub enum SdConfig {
    /// All of `static_configs`.
    Static(Vec<StaticGroup>),
    /// An entry of `file_sd_configs`.
    File(FileSd),
    /// An entry of `http_sd_configs`.
    Http(Box<HttpSd>),
    /// An entry of `dns_sd_configs`.
    Dns(DnsSd),
    /// A kind that is known and checked, but finds no targets in this version.
    Other(crate::sections::schema::Section),
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
    pub port: i64,
    /// Default 30s.
    pub refresh_interval_ms: i64,
}

impl SdConfig {
    /// Reads all discovery sections out of a job or a group of Alertmanagers. Without relabelling, a static target must
    /// be a host, not a URL.
    pub fn read_all(f: &mut Fields<'_>, cx: &Context<'_>, relabelled: bool) -> Result<Vec<Self>, Fault> {
        let mut found = Vec::new();
        let mut groups = read_list(f, "static_configs", StaticGroup::read)?;
        if !relabelled {
            for (target, pos) in groups.iter().flat_map(|(_, targets)| targets) {
                if target.contains('/') {
                    return Err(Fault::new(*pos, format!("{target:?} is not a valid hostname")));
                }
            }
        }
        if !groups.is_empty() {
            found.push(Self::Static(groups.drain(..).map(|(group, _)| group).collect()));
        }
        let read = |f: Fields<'_>| FileSd::read(f, cx).map(Self::File);
        found.extend(read_list(f, "file_sd_configs", read)?);
        let read = |f: Fields<'_>| HttpSd::read(f, cx).map(|sd| Self::Http(Box::new(sd)));
        found.extend(read_list(f, "http_sd_configs", read)?);
        let no_targets = |f: &Fields<'_>| cx.note(f.pos(), f.path(), "this discovery finds no targets");
        let read = |f: Fields<'_>| {
            no_targets(&f);
            DnsSd::read(f).map(Self::Dns)
        };
        found.extend(read_list(f, "dns_sd_configs", read)?);
        for schema in tables::DISCOVERY {
            let read = |f: Fields<'_>| {
                no_targets(&f);
                schema.read(f, cx).map(Self::Other)
            };
            found.extend(read_list(f, schema.name, read)?);
        }
        Ok(found)
    }
}

fn read_list<'n, T>(
    f: &mut Fields<'n>,
    name: &'static str,
    mut read: impl FnMut(Fields<'n>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    f.list(name, |node, path| {
        if node.is_null() {
            return Err(Fault::new(node.pos, format!("empty or null section in {name}")));
        }
        read(Fields::new(node, path)?)
    })
}

impl StaticGroup {
    /// Reads a group; its targets come again with their places.
    pub fn read(mut f: Fields<'_>) -> Result<(Self, Vec<(String, Pos)>), Fault> {
        let targets = f.list("targets", |node, path| match node.scalar() {
            _ if node.is_null() => Ok((String::new(), node.pos)),
            Some(scalar) => Ok((scalar.text.clone(), node.pos)),
            None => Err(Fault::new(node.pos, format!("{path}: expected a text, found {}", node.describe()))),
        })?;
        let labels = f.text_map("labels")?;
        f.finish()?;
        if labels.iter().any(|(name, _)| name.is_empty()) {
            return Err(f.fault("labels", "\"\" is not a valid label name"));
        }
        Ok((Self { targets: targets.iter().map(|(target, _)| target.clone()).collect(), labels }, targets))
    }
}

impl FileSd {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let files = f.texts("files")?;
        let refresh_interval_ms = refresh_interval(&mut f, 5 * 60_000)?;
        f.finish()?;
        if files.is_empty() {
            return Err(f.fault("files", "file service discovery config must contain at least one path name"));
        }
        if let Some(file) = files.iter().find(|file| !is_discovery_file(file)) {
            let message = format!(
                "path name {file:?} is not valid for file discovery (expected .json, .yml or .yaml, and * in the last \
                 part only)"
            );
            return Err(f.fault("files", message));
        }
        Ok(Self { files: files.iter().map(|file| cx.path(file)).collect(), refresh_interval_ms })
    }
}

/// Whether a pattern has `*` in its last part only.
pub fn is_file_pattern(pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((_, after)) => !after.contains('/'),
        None => true,
    }
}

fn is_discovery_file(pattern: &str) -> bool {
    let endings = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    endings.iter().any(|ending| pattern.strip_suffix(ending).is_some_and(is_file_pattern))
}

/// How often to ask, in milliseconds. Prometheus accepts 0 and panics when it comes to use it.
fn refresh_interval(f: &mut Fields<'_>, default_ms: i64) -> Result<i64, Fault> {
    match f.duration("refresh_interval", default_ms)? {
        ..=0 => Err(f.fault(
            "refresh_interval",
            "refresh_interval must be greater than 0; leave it out for the default",
        )),
        ms => Ok(ms),
    }
}

impl HttpSd {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let sd = Self {
            http: HttpClientConfig::read(&mut f, cx, true)?,
            refresh_interval_ms: refresh_interval(&mut f, 60_000)?,
            url: f.text("url", "")?,
        };
        f.finish()?;
        check_http_url(&sd.url).map_err(|e| f.fault("url", e))?;
        Ok(sd)
    }
}

/// Checks that a URL is http or https and has a host.
pub fn check_http_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Err("URL is missing".to_owned());
    }
    let url = GoUrl::parse(url).map_err(|e| refused(url, &e))?;
    match url.scheme() {
        "http" | "https" if url.host().is_empty() => Err("host is missing in URL".to_owned()),
        "http" | "https" => Ok(()),
        _ => Err("URL scheme must be 'http' or 'https'".to_owned()),
    }
}

impl DnsSd {
    fn read(mut f: Fields<'_>) -> Result<Self, Fault> {
        let names = f.texts("names")?;
        let refresh_interval_ms = refresh_interval(&mut f, 30_000)?;
        let record = f.text("type", "SRV")?;
        let port = f.int("port", 0)?;
        f.finish()?;
        if names.is_empty() {
            return Err(f.fault("names", "DNS-SD config must contain at least one SRV record name"));
        }
        let upper = record.to_uppercase();
        let Some((_, record)) = DnsRecord::ALL.iter().find(|(name, _)| *name == upper) else {
            let message = format!("invalid DNS-SD records type {record} (expected SRV, A, AAAA, MX or NS)");
            return Err(f.fault("type", message));
        };
        if *record != DnsRecord::Srv && port == 0 {
            return Err(
                f.fault("port", "a port is required in DNS-SD configs for all record types except SRV")
            );
        }
        Ok(Self { names, record: *record, port, refresh_interval_ms })
    }
}

impl DnsRecord {
    /// All types with their names.
    pub const ALL: [(&str, Self); 5] =
        [("SRV", Self::Srv), ("A", Self::A), ("AAAA", Self::Aaaa), ("MX", Self::Mx), ("NS", Self::Ns)];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, record)| *record == self).map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, want) in
            [("a.yml", true), ("d/*.yml", true), ("d/*", true), ("*/a.yml", false), ("a*b*", true)]
        {
            assert_eq!(is_file_pattern(pattern), want, "{pattern}");
        }
        for (pattern, want) in [
            ("a.json", true),
            ("a.txt", false),
            ("d/*.yaml", true),
            ("d/*", false),
            ("*/a.yml", false),
            ("a.YML", true),
            ("a*b.yml", true),
        ] {
            assert_eq!(is_discovery_file(pattern), want, "{pattern}");
        }
    }
}
