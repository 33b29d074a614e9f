//! The `remote_write` and `remote_read` sections: checked, and in this version not acted upon.

use std::sync::Arc;

use model::relabel::Rule;

use crate::context::Context;
use crate::sections::aws::Sigv4;
use crate::sections::cloud::{AzureAd, CloudAuth, GoogleIam};
use crate::sections::global::NameValidation;
use crate::sections::http_client::{Auth, HttpClientConfig, check_plain_headers};
use crate::sections::relabel::read_rules;
use crate::sections::table::Section as _;
use crate::url::GoUrl;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node};

/// The protobuf messages that remote write knows.
pub const REMOTE_WRITE_MESSAGES: [&str; 2] = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];

/// An entry of `remote_write`.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWrite {
    /// Where to send to.
    pub url: GoUrl,
    /// Default 30s.
    pub remote_timeout_ms: i64,
    /// Extra headers, sorted by name.
    pub headers: Vec<(String, String)>,
    /// Applied after external labels are added.
    pub write_relabel_configs: Arc<[Rule]>,
    /// Unique; "" for a derived one.
    pub name: String,
    /// Default false.
    pub send_exemplars: bool,
    /// Default false.
    pub send_native_histograms: bool,
    /// Default false.
    pub round_robin_dns: bool,
    /// Which message is sent.
    pub protobuf_message: String,
    /// Default false.
    pub failed_request_logging: bool,
    /// How to reach the URL.
    pub http: HttpClientConfig,
    /// How much waits and how fast it goes.
    pub queue: QueueConfig,
    /// Metadata of metrics.
    pub metadata: MetadataConfig,
    /// Excludes the authentication of the HTTP client.
    pub cloud_auth: Option<CloudAuth>,
}

/// `queue_config`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Samples waiting per shard.
    pub capacity: i64,
    /// Most parallel senders.
    pub max_shards: i64,
    /// Fewest parallel senders.
    pub min_shards: i64,
    /// Samples of one request.
    pub max_samples_per_send: i64,
    /// Longest wait of a sample.
    pub batch_send_deadline_ms: i64,
    /// First pause after a failure.
    pub min_backoff_ms: i64,
    /// Longest pause after failures.
    pub max_backoff_ms: i64,
    /// Try again after status 429.
    pub retry_on_http_429: bool,
    /// Older samples are dropped; 0 for none.
    pub sample_age_limit_ms: i64,
}

/// `metadata_config`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataConfig {
    /// Send it at all.
    pub send: bool,
    /// How often.
    pub send_interval_ms: i64,
    /// Entries of one request.
    pub max_samples_per_send: i64,
}

/// An entry of `remote_read`.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteRead {
    /// Where to ask.
    pub url: GoUrl,
    /// Default 1m.
    pub remote_timeout_ms: i64,
    /// Largest frame of a streamed answer.
    pub chunked_read_limit: u64,
    /// Extra headers, sorted by name.
    pub headers: Vec<(String, String)>,
    /// Ask even for what the local store should have.
    pub read_recent: bool,
    /// Unique; "" for a derived one.
    pub name: String,
    /// How to reach the URL.
    pub http: HttpClientConfig,
    /// Equality matchers that a selector must have to be asked for, sorted by name.
    pub required_matchers: Vec<(String, String)>,
    /// Add external labels to what is asked for.
    pub filter_external_labels: bool,
}

const AUTHORIZATION_HEADER: &str = "authorization header must be changed via the basic_auth, authorization, oauth2, \
                                    sigv4, azuread or google_iam parameter";

impl RemoteWrite {
    /// Reads the section.
    pub fn read_list(
        f: &mut Fields<'_>,
        cx: &Context<'_>,
        names: NameValidation,
    ) -> Result<Vec<Self>, Fault> {
        let mut seen = Vec::new();
        f.list("remote_write", |node, path| {
            let remote = Self::read(node, path, cx, names)?;
            check_name(node, &remote.name, &mut seen, "remote write")?;
            cx.note(node.pos, path, "samples are not sent to remote storage");
            Ok(remote)
        })
    }

    fn read(node: &Node, path: &str, cx: &Context<'_>, names: NameValidation) -> Result<Self, Fault> {
        if node.is_null() {
            return Err(Fault::new(node.pos, "empty or null remote write config section"));
        }
        let mut f = Fields::new(node, path)?;
        let url = f.url("url")?;
        let http = HttpClientConfig::read(&mut f, cx, false)?;
        let sigv4 = f.section("sigv4", |f| Sigv4::read(f, cx))?.map(|s| CloudAuth::Sigv4(Box::new(s)));
        let azuread =
            f.section("azuread", |f| AzureAd::read(f, cx))?.map(|s| CloudAuth::AzureAd(Box::new(s)));
        let google_iam = f.section("google_iam", |f| GoogleIam::read(f, cx))?.map(CloudAuth::GoogleIam);
        let messages = REMOTE_WRITE_MESSAGES.map(|name| (name, name));
        let queue = f.section("queue_config", |f| QueueConfig::read(Some(f)))?;
        let has_queue = f.has("queue_config");
        let mut remote = Self {
            url: url.ok_or_else(|| f.fault("url", "url for remote_write is empty"))?,
            remote_timeout_ms: f.duration("remote_timeout", 30_000)?,
            headers: f.text_map("headers")?,
            write_relabel_configs: read_rules(
                &mut f,
                "write_relabel_configs",
                names,
                "relabeling rule in remote write config",
            )?,
            name: f.text("name", "")?,
            send_exemplars: f.bool("send_exemplars", false)?,
            send_native_histograms: f.bool("send_native_histograms", false)?,
            round_robin_dns: f.bool("round_robin_dns", false)?,
            protobuf_message: f.choice("protobuf_message", messages[0].1, &messages)?.to_owned(),
            failed_request_logging: f.bool("failed_request_logging", false)?,
            http,
            queue: match queue {
                Some(queue) => queue,
                None if has_queue => {
                    return Err(f.fault("queue_config", "remote write queue max_shards must be positive"));
                }
                None => QueueConfig::read(None)?,
            },
            metadata: f.section("metadata_config", MetadataConfig::read)?.unwrap_or(MetadataConfig {
                send: true,
                send_interval_ms: 60_000,
                max_samples_per_send: 2_000,
            }),
            cloud_auth: None,
        };
        f.finish()?;
        check_plain_headers(&f, &remote.headers, AUTHORIZATION_HEADER)?;
        let http_auth = match remote.http.auth {
            Auth::None => None,
            Auth::Basic(_) => Some("basic_auth"),
            Auth::Authorization(_) => Some("authorization"),
            Auth::OAuth2(_) => Some("oauth2"),
        };
        let clouds: Vec<CloudAuth> = [sigv4, azuread, google_iam].into_iter().flatten().collect();
        let all: Vec<&str> =
            http_auth.into_iter().chain(clouds.iter().map(CloudAuth::section_name)).collect();
        if all.len() > 1 {
            let message = format!(
                "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. \
                 Currently configured: {}",
                all.join(", ")
            );
            return Err(f.fault(all[1], message));
        }
        remote.cloud_auth = clouds.into_iter().next();
        Ok(remote)
    }
}

fn check_name(node: &Node, name: &str, seen: &mut Vec<String>, what: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Ok(());
    }
    if seen.iter().any(|other| other == name) {
        return Err(Fault::new(node.pos, format!("found multiple {what} configs with job name {name:?}")));
    }
    seen.push(name.to_owned());
    Ok(())
}

impl QueueConfig {
    fn read(f: Option<Fields<'_>>) -> Result<Self, Fault> {
        let default = Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2_000,
            batch_send_deadline_ms: 5_000,
            min_backoff_ms: 30,
            max_backoff_ms: 5_000,
            retry_on_http_429: false,
            sample_age_limit_ms: 0,
        };
        let Some(mut f) = f else { return Ok(default) };
        let queue = Self {
            capacity: f.int("capacity", default.capacity)?,
            max_shards: f.int("max_shards", default.max_shards)?,
            min_shards: f.int("min_shards", default.min_shards)?,
            max_samples_per_send: f.int("max_samples_per_send", default.max_samples_per_send)?,
            batch_send_deadline_ms: f.duration("batch_send_deadline", default.batch_send_deadline_ms)?,
            min_backoff_ms: f.duration("min_backoff", default.min_backoff_ms)?,
            max_backoff_ms: f.duration("max_backoff", default.max_backoff_ms)?,
            retry_on_http_429: f.bool("retry_on_http_429", default.retry_on_http_429)?,
            sample_age_limit_ms: f.duration("sample_age_limit", default.sample_age_limit_ms)?,
        };
        f.finish()?;
        for (field, value) in [
            ("max_shards", queue.max_shards),
            ("min_shards", queue.min_shards),
            ("max_samples_per_send", queue.max_samples_per_send),
            ("capacity", queue.capacity),
        ] {
            if value <= 0 {
                return Err(f.fault(field, format!("remote write queue {field} must be positive")));
            }
        }
        if queue.min_shards > queue.max_shards {
            let message = "remote write queue min_shards must not be greater than max_shards";
            return Err(f.fault("min_shards", message));
        }
        if queue.max_backoff_ms < queue.min_backoff_ms {
            return Err(
                f.fault("max_backoff", "remote write queue max_backoff must not be less than min_backoff")
            );
        }
        Ok(queue)
    }
}

impl MetadataConfig {
    fn read(mut f: Fields<'_>) -> Result<Self, Fault> {
        let metadata = Self {
            send: f.bool("send", true)?,
            send_interval_ms: f.duration("send_interval", 60_000)?,
            max_samples_per_send: f.int("max_samples_per_send", 2_000)?,
        };
        f.finish()?;
        Ok(metadata)
    }
}

impl RemoteRead {
    /// Reads the section.
    pub fn read_list(f: &mut Fields<'_>, cx: &Context<'_>) -> Result<Vec<Self>, Fault> {
        let mut seen = Vec::new();
        f.list("remote_read", |node, path| {
            let remote = Self::read(node, path, cx)?;
            check_name(node, &remote.name, &mut seen, "remote read")?;
            cx.note(node.pos, path, "queries are not sent to remote storage");
            Ok(remote)
        })
    }

    fn read(node: &Node, path: &str, cx: &Context<'_>) -> Result<Self, Fault> {
        if node.is_null() {
            return Err(Fault::new(node.pos, "empty or null remote read config section"));
        }
        let mut f = Fields::new(node, path)?;
        let url = f.url("url")?;
        let remote = Self {
            url: url.ok_or_else(|| f.fault("url", "url for remote_read is empty"))?,
            remote_timeout_ms: f.duration("remote_timeout", 60_000)?,
            chunked_read_limit: f.uint("chunked_read_limit", 50_000_000)?,
            headers: f.text_map("headers")?,
            read_recent: f.bool("read_recent", false)?,
            name: f.text("name", "")?,
            http: HttpClientConfig::read(&mut f, cx, true)?,
            required_matchers: f.text_map("required_matchers")?,
            filter_external_labels: f.bool("filter_external_labels", true)?,
        };
        f.finish()?;
        check_plain_headers(&f, &remote.headers, AUTHORIZATION_HEADER)?;
        Ok(remote)
    }
}
