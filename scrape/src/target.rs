//! One target: what discovery found, rewritten by relabelling into a URL, labels, an interval and a timeout. Source:
//! Prometheus `scrape/target.go`.

use std::fmt::Write as _;
use std::sync::Arc;

use config::scrape::ScrapeJob;
use config::url::escape_host;
use discovery::{ADDRESS_LABEL, TargetGroup};
use model::LabelsBuilder;
use model::labels::Labels;
use model::relabel::process;
use model::time::{DurationText, parse_duration};

/// Connects to this Unix socket instead.
pub const UNIX_SOCKET_LABEL: &str = "__unix_socket__";
/// The interval as a duration's text.
pub const INTERVAL_LABEL: &str = "__scrape_interval__";
/// The timeout as a duration's text.
pub const TIMEOUT_LABEL: &str = "__scrape_timeout__";
const SCHEME_LABEL: &str = "__scheme__";
const METRICS_PATH_LABEL: &str = "__metrics_path__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";
const JOB_LABEL: &str = "job";
const INSTANCE_LABEL: &str = "instance";
const NHCB_LABEL: &str = "__convert_classic_histograms_to_nhcb__";
const CLASSIC_LABEL: &str = "__always_scrape_classic_histograms__";
const NATIVE_LABEL: &str = "__scrape_native_histograms__";

/// Something to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// After relabelling, with those that start with `__`.
    pub labels: Labels,
    /// The labels that every sample gets.
    pub public_labels: Labels,
    /// Before relabelling, for display.
    pub discovered_labels: Labels,
    /// What is asked.
    pub url: String,
    /// Never 0.
    pub interval_ms: i64,
    /// Never 0, at most the interval.
    pub timeout_ms: i64,
    /// Asks for native histograms.
    pub native_histograms: bool,
    /// Keeps classic histograms beside native ones.
    pub always_classic: bool,
    /// Turns classic histograms into native ones with custom buckets.
    pub convert_to_nhcb: bool,
}

/// What relabelling made of a discovered target.
#[derive(Clone, Debug, PartialEq)]
pub enum Populated {
    /// A target.
    Target(Box<Target>),
    /// Not wanted; the labels it was discovered with.
    Dropped(Labels),
}

/// Why labels do not make a target; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nowhere to connect to.
    #[error("no address")]
    NoAddress,
    /// A path in the address.
    #[error("{0:?} is not a valid hostname")]
    Address(String),
    /// Not a duration.
    #[error("error parsing scrape {what}: {reason}")]
    Duration {
        /// `interval` or `timeout`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// 0 is no interval and no timeout.
    #[error("scrape {0} cannot be 0")]
    Zero(&'static str),
    /// The timeout is longer than the interval.
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutTooLong {
        /// As written.
        timeout: String,
        /// As written.
        interval: String,
    },
    /// Neither true nor false.
    #[error("error parsing {what}: strconv.ParseBool: parsing {text:?}: invalid syntax")]
    Bool {
        /// What it switches.
        what: &'static str,
        /// As written.
        text: String,
    },
}

/// The labels of a discovered target with those of its group and the job's settings, before relabelling.
pub fn discovered_labels(job: &ScrapeJob, target: &Labels, group: &Labels) -> LabelsBuilder {
    let mut labels = group.to_builder();
    for (name, value) in target.iter() {
        labels.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if labels.get(name).is_empty() {
            labels.set(name, value);
        }
    };
    default(JOB_LABEL, &job.job_name);
    default(INTERVAL_LABEL, &DurationText(job.scrape_interval_ms).to_string());
    default(TIMEOUT_LABEL, &DurationText(job.scrape_timeout_ms).to_string());
    default(METRICS_PATH_LABEL, &job.metrics_path);
    default(SCHEME_LABEL, &job.scheme);
    default(NHCB_LABEL, &job.convert_classic_histograms_to_nhcb.to_string());
    default(CLASSIC_LABEL, &job.always_scrape_classic_histograms.to_string());
    default(NATIVE_LABEL, &job.scrape_native_histograms.to_string());
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    labels
}

/// Relabels a discovered target and checks what comes out.
pub fn populate(job: &ScrapeJob, target: &Labels, group: &Labels) -> Result<Populated, TargetError> {
    let mut labels = discovered_labels(job, target, group);
    let discovered = labels.finish();
    if !process(&mut labels, &job.relabel_configs) {
        return Ok(Populated::Dropped(discovered));
    }
    let address = labels.get(ADDRESS_LABEL).to_owned();
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::Address(address));
    }
    let interval_ms = duration(&labels, INTERVAL_LABEL, "interval")?;
    let timeout_ms = duration(&labels, TIMEOUT_LABEL, "timeout")?;
    if timeout_ms > interval_ms {
        return Err(TargetError::TimeoutTooLong {
            timeout: labels.get(TIMEOUT_LABEL).to_owned(),
            interval: labels.get(INTERVAL_LABEL).to_owned(),
        });
    }
    let convert_to_nhcb = switch(
        &labels,
        NHCB_LABEL,
        "convert classic histograms to nhcb",
        job.convert_classic_histograms_to_nhcb,
    )?;
    let always_classic = switch(
        &labels,
        CLASSIC_LABEL,
        "always scrape classic histograms",
        job.always_scrape_classic_histograms,
    )?;
    let native_histograms =
        switch(&labels, NATIVE_LABEL, "scrape native histograms", job.scrape_native_histograms)?;
    labels.retain(|name, _| !name.starts_with(META_PREFIX));
    if labels.get(INSTANCE_LABEL).is_empty() {
        labels.set(INSTANCE_LABEL, &address);
    }
    let labels = labels.finish();
    let public = labels.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
    Ok(Populated::Target(Box::new(Target {
        public_labels: Labels::from_sorted(public),
        url: url(job, &labels),
        discovered_labels: discovered,
        labels,
        interval_ms,
        timeout_ms,
        native_histograms,
        always_classic,
        convert_to_nhcb,
    })))
}

fn duration(labels: &LabelsBuilder, name: &str, what: &'static str) -> Result<i64, TargetError> {
    match parse_duration(labels.get(name)) {
        Ok(0) => Err(TargetError::Zero(what)),
        Ok(ms) => Ok(ms),
        Err(error) => Err(TargetError::Duration { what, reason: error.to_string() }),
    }
}

/// A boolean in any spelling that Go's `ParseBool` takes.
fn switch(
    labels: &LabelsBuilder,
    name: &str,
    what: &'static str,
    default: bool,
) -> Result<bool, TargetError> {
    match labels.get(name) {
        "" => Ok(default),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text => Err(TargetError::Bool { what, text: text.to_owned() }),
    }
}

/// The URL as Go writes it: scheme, host, escaped path, parameters sorted by name. A `__param_` label replaces the
/// first value of its parameter.
fn url(job: &ScrapeJob, labels: &Labels) -> String {
    let mut params = job.params.clone();
    for (name, value) in labels.iter() {
        let Some(param) = name.strip_prefix(PARAM_PREFIX) else { continue };
        match params.iter_mut().find(|(name, _)| name == param) {
            Some((_, values)) if !values.is_empty() => value.clone_into(&mut values[0]),
            Some((_, values)) => values.push(value.to_owned()),
            None => params.push((param.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort_by(|a, b| a.0.cmp(&b.0));
    let label = |name: &str| labels.get(name).unwrap_or_default();
    let mut url = format!("{}://{}", label(SCHEME_LABEL), escape_host(label(ADDRESS_LABEL)));
    let path = label(METRICS_PATH_LABEL);
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    escape(&mut url, path, b"-_.~$&+,/:;=@", "%20");
    let mut before = '?';
    for (name, values) in &params {
        for value in values {
            url.push(before);
            escape(&mut url, name, b"-_.~", "+");
            url.push('=');
            escape(&mut url, value, b"-_.~", "+");
            before = '&';
        }
    }
    url
}

fn escape(out: &mut String, text: &str, plain: &[u8], space: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push_str(space),
            _ if byte.is_ascii_alphanumeric() || plain.contains(&byte) => out.push(byte as char),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

impl Target {
    /// Equal for targets that are the same: all labels and the URL count.
    pub fn hash(&self) -> u64 {
        fnv1a([self.labels.packed().as_bytes(), self.url.as_bytes()])
    }

    /// The Unix socket to connect to, "" for none.
    pub fn socket(&self) -> &str {
        self.labels.get(UNIX_SOCKET_LABEL).unwrap_or_default()
    }

    /// Milliseconds from `now_ms` to the target's next turn. Turns are at fixed times that differ between targets and,
    /// by the seed, between servers.
    pub fn offset_ms(&self, now_ms: i64, seed: u64) -> i64 {
        let interval = self.interval_ms.max(1);
        let turn = ((self.hash() ^ seed) % interval as u64) as i64;
        (turn - now_ms).rem_euclid(interval)
    }
}

/// FNV-1a, 64 bits.
pub(super) fn fnv1a<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a whole job's groups came to.
#[derive(Debug, Default)]
pub struct JobTargets {
    /// To be scraped; may hold duplicates.
    pub targets: Vec<Arc<Target>>,
    /// Discovered labels of dropped targets, as many as are remembered.
    pub dropped: Vec<Labels>,
    /// All dropped targets.
    pub dropped_count: usize,
    /// Discovered targets that cannot be.
    pub failures: Vec<String>,
}

/// Makes targets of a job's groups. `keep_dropped` of 0 remembers all dropped targets.
pub fn populate_groups(job: &ScrapeJob, groups: &[Arc<TargetGroup>], keep_dropped: u64) -> JobTargets {
    let mut all = JobTargets::default();
    for group in groups {
        for (i, labels) in group.targets.iter().enumerate() {
            match populate(job, labels, &group.labels) {
                Ok(Populated::Target(target)) => all.targets.push(Arc::from(target)),
                Ok(Populated::Dropped(labels)) => {
                    all.dropped_count += 1;
                    if keep_dropped == 0 || (all.dropped.len() as u64) < keep_dropped {
                        all.dropped.push(labels);
                    }
                }
                Err(error) => all.failures.push(format!("instance {i} in group {}: {error}", group.source)),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::job;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn target(settings: &str, own: &[(&str, &str)]) -> Result<Target, String> {
        match populate(&job(settings), &labels(own), &labels(&[("group", "g"), ("__meta_x", "m")])) {
            Ok(Populated::Target(target)) => Ok(*target),
            Ok(Populated::Dropped(_)) => Err("dropped".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn defaults_and_own_labels() {
        let found = target("", &[("__address__", "h:80"), ("group", "own"), ("__tmp", "x")]).unwrap();
        assert_eq!(found.public_labels, labels(&[("group", "own"), ("instance", "h:80"), ("job", "j")]));
        assert_eq!(found.url, "http://h:80/metrics");
        assert_eq!((found.interval_ms, found.timeout_ms), (60_000, 10_000));
        assert_eq!(found.labels.get("__meta_x"), None);
        assert_eq!(found.labels.get("__tmp"), Some("x"));
        assert_eq!(found.discovered_labels.get("__meta_x"), Some("m"));
        assert_eq!(found.discovered_labels.get("__scrape_interval__"), Some("1m"));
        assert_eq!(found.discovered_labels.get("instance"), None);
    }

    #[test]
    fn labels_decide_over_settings() {
        let own = [
            ("__address__", "h"),
            ("__scheme__", "https"),
            ("__metrics_path__", "/a b?!"),
            ("__param_module", "x y"),
            ("__param_new", "n"),
            ("__scrape_interval__", "10s"),
            ("__scrape_timeout__", "1500ms"),
            ("__scrape_native_histograms__", "T"),
            ("instance", "i"),
        ];
        let found = target("params: {module: [a, b], z: ['~+']}", &own).unwrap();
        assert_eq!(found.url, "https://h/a%20b%3F%21?module=x+y&module=b&new=n&z=~%2B");
        assert_eq!((found.interval_ms, found.timeout_ms), (10_000, 1_500));
        assert!(found.native_histograms && !found.always_classic);
        assert_eq!(found.public_labels.get("instance"), Some("i"));
    }

    #[test]
    fn addresses_are_escaped() {
        for (address, want) in [
            ("[fe80::1%eth0]:9100", "http://[fe80::1%25eth0]:9100/metrics"),
            ("::1:9100", "http://::1:9100/metrics"),
            ("bücher.example", "http://b%C3%BCcher.example/metrics"),
            (":9100", "http://:9100/metrics"),
        ] {
            assert_eq!(target("", &[("__address__", address)]).unwrap().url, want);
        }
    }

    #[test]
    fn what_makes_no_target() {
        for (own, error) in [
            (&[][..], "no address"),
            (&[("__address__", "http://h")], "\"http://h\" is not a valid hostname"),
            (&[("__address__", "h"), ("__scrape_interval__", "0")], "scrape interval cannot be 0"),
            (&[("__address__", "h"), ("__scrape_timeout__", "0s")], "scrape timeout cannot be 0"),
            (
                &[("__address__", "h"), ("__scrape_timeout__", "2m")],
                "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
            ),
            (
                &[("__address__", "h"), ("__scrape_native_histograms__", "yes")],
                "error parsing scrape native histograms: strconv.ParseBool: parsing \"yes\": invalid syntax",
            ),
        ] {
            assert_eq!(target("", own).unwrap_err(), error);
        }
        let error = target("", &[("__address__", "h"), ("__scrape_interval__", "x")]).unwrap_err();
        assert!(error.starts_with("error parsing scrape interval: "), "{error}");
        let drop = "relabel_configs: [{source_labels: [group], regex: g, action: drop}]";
        assert_eq!(target(drop, &[("__address__", "h")]).unwrap_err(), "dropped");
    }

    #[test]
    fn turns_are_fixed_and_spread() {
        let found = target("", &[("__address__", "h")]).unwrap();
        let turn = |now: i64, seed| now + found.offset_ms(now, seed);
        assert_eq!(turn(0, 1) % 60_000, turn(123_456, 1) % 60_000);
        assert!((0..60_000).contains(&found.offset_ms(-5, 1)));
        assert_ne!(turn(0, 1), turn(0, 2));
        let other = target("", &[("__address__", "i")]).unwrap();
        assert_ne!(found.hash(), other.hash());
        assert_ne!(found.offset_ms(0, 1), other.offset_ms(0, 1));
    }
}
