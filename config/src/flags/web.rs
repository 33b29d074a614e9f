//! `--web.*`: what is served, where, and under which URL.

use model::regexp::Regexp;

use super::FlagsError;
use super::value::Values;
use crate::sections::remote::REMOTE_WRITE_MESSAGES;
use crate::url::GoUrl;

/// `--web.*`
#[derive(Clone, Debug)]
pub struct WebFlags {
    /// `host:port` each; never empty.
    pub listen_addresses: Vec<String>,
    /// TLS and users; "" for none.
    pub config_file: String,
    /// Time to read a request, and of an idle connection.
    pub read_timeout_ms: i64,
    /// Over all listeners.
    pub max_connections: i64,
    /// Readers of live notifications.
    pub max_notifications_subscribers: i64,
    /// Without trailing slash; derived from host name and port when not given.
    pub external_url: GoUrl,
    /// `/`, or `/prefix` without trailing slash.
    pub route_prefix: String,
    /// Directory under /user; "" for none.
    pub user_assets: String,
    /// /-/reload and /-/quit.
    pub enable_lifecycle: bool,
    /// /api/v1/admin/tsdb.
    pub enable_admin_api: bool,
    /// /api/v1/write.
    pub enable_remote_write_receiver: bool,
    /// Names out of [`REMOTE_WRITE_MESSAGES`].
    pub remote_write_messages: Vec<String>,
    /// /api/v1/otlp.
    pub enable_otlp_receiver: bool,
    /// Directory under /consoles.
    pub console_templates: String,
    /// Directory of shared templates.
    pub console_libraries: String,
    /// Document title.
    pub page_title: String,
    /// Allowed origins, anchored.
    pub cors_origin: Regexp,
    /// Of the search API; 0 is no limit.
    pub search_max_limit: i64,
}

pub(super) fn web_flags(
    v: &Values<'_>,
    hostname: &dyn Fn() -> String,
    search_max_limit: i64,
) -> Result<WebFlags, FlagsError> {
    let mut remote_write_messages: Vec<String> = Vec::new();
    for message in v.texts("web.remote-write-receiver.accepted-protobuf-messages") {
        let wrong = |what: String| {
            FlagsError::value(format!("--web.remote-write-receiver.accepted-protobuf-messages: {what}"))
        };
        if !REMOTE_WRITE_MESSAGES.contains(&message.as_str()) {
            return Err(wrong(format!("{message:?} is not one of {}", REMOTE_WRITE_MESSAGES.join(", "))));
        }
        if remote_write_messages.contains(&message) {
            return Err(wrong(format!("{message:?} is given twice")));
        }
        remote_write_messages.push(message);
    }
    let listen_addresses = v.texts("web.listen-address");
    let first = listen_addresses.first().map_or("", String::as_str);
    let external_url = external_url(&v.text("web.external-url"), first, hostname)?;
    let route_prefix = match v.text("web.route-prefix") {
        prefix if prefix.is_empty() => external_url.path().to_owned(),
        prefix => prefix,
    };
    let cors = v.text("web.cors.origin");
    Ok(WebFlags {
        listen_addresses,
        config_file: v.text("web.config.file"),
        read_timeout_ms: v.ms("web.read-timeout"),
        max_connections: v.int("web.max-connections"),
        max_notifications_subscribers: v.int("web.max-notifications-subscribers"),
        external_url,
        route_prefix: format!("/{}", route_prefix.trim_matches('/')),
        user_assets: v.text("web.user-assets"),
        enable_lifecycle: v.bool("web.enable-lifecycle"),
        enable_admin_api: v.bool("web.enable-admin-api"),
        enable_remote_write_receiver: v.bool("web.enable-remote-write-receiver"),
        remote_write_messages,
        enable_otlp_receiver: v.bool("web.enable-otlp-receiver"),
        console_templates: v.text("web.console.templates"),
        console_libraries: v.text("web.console.libraries"),
        page_title: v.text("web.page-title"),
        cors_origin: Regexp::anchored(&cors)
            .map_err(|e| FlagsError { message: format!("--web.cors.origin {cors:?}: {e}"), exit_code: 2 })?,
        search_max_limit,
    })
}

fn external_url(
    given: &str,
    listen_address: &str,
    hostname: &dyn Fn() -> String,
) -> Result<GoUrl, FlagsError> {
    let wrong =
        |what: String| FlagsError { message: format!("--web.external-url {given:?}: {what}"), exit_code: 2 };
    if given.starts_with(['"', '\'']) || given.ends_with(['"', '\'']) {
        return Err(wrong("URL must not begin or end with quotes".to_owned()));
    }
    let text = if given.is_empty() {
        let port = match listen_address.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => port,
            _ => {
                return Err(FlagsError {
                    message: format!("--web.listen-address {listen_address:?}: expected host:port"),
                    exit_code: 2,
                });
            }
        };
        format!("http://{}:{port}", hostname())
    } else {
        given.to_owned()
    };
    GoUrl::parse(&text).map(GoUrl::trim_path).map_err(|e| wrong(e.to_string()))
}
