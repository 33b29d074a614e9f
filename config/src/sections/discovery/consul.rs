//! `consul_sd_configs`.

use crate::sections::http_client::{Auth, HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, boolean, http, refresh_interval, refuse, secret, section, text, text_map, texts,
};

section! {
    /// An entry of `consul_sd_configs`.
    pub struct ConsulSd, check => {
        /// `host:port`, or a URL.
        server: String = "server", text("localhost:8500");
        path_prefix: String = "path_prefix", text("");
        token: Secret = "token", secret();
        /// "" for that of the agent.
        datacenter: String = "datacenter", text("");
        namespace: String = "namespace", text("");
        partition: String = "partition", text("");
        /// Around and between tags.
        tag_separator: String = "tag_separator", text(",");
        scheme: String = "scheme", text("http");
        username: String = "username", text("");
        password: Secret = "password", secret();
        /// Servers that are not the leader may answer.
        allow_stale: bool = "allow_stale", boolean(true).always();
        /// The least time between two questions.
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(30);
        /// Empty for all.
        services: Vec<String> = "services", texts();
        /// A service must have all of them.
        service_tags: Vec<String> = "tags", texts();
        /// A node must have all of them.
        node_meta: Vec<(String, String)> = "node_meta", text_map();
        /// An expression on the catalog.
        filter: String = "filter", text("");
        /// An expression on the health of services.
        health_filter: String = "health_filter", text("");
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

fn check(sd: &ConsulSd) -> Checked {
    if sd.server.trim().is_empty() {
        return refuse("server", "consul SD configuration requires a server address");
    }
    let user = !sd.username.is_empty() || !sd.password.is_empty();
    match &sd.http.auth {
        Auth::Basic(_) if user => refuse(
            "basic_auth",
            "at most one of consul SD configuration username and password and basic auth can be configured",
        ),
        Auth::Authorization(_) | Auth::OAuth2(_) if user => {
            refuse("username", "at most one of basic_auth, oauth2 & authorization must be configured")
        }
        Auth::Authorization(_) | Auth::OAuth2(_) if !sd.token.is_empty() => {
            refuse("token", "at most one of consul SD token, authorization, or oauth2 can be configured")
        }
        _ => Ok(()),
    }
}
