//! The web configuration file (`--web.config.file`): TLS, users and headers of the listener, in the format that
//! exporter-toolkit defines. Source: exporter-toolkit 0.17 `web/tls_config.go`, `web/handler.go`.

mod headers;
mod tls;
mod users;

use std::path::Path;

pub use tls::{ClientAuth, Curve, PemSource, ServerTls};

use model::go_duration::parse_go_duration;

use crate::context::{Context, Defaults};
use crate::error::ConfigError;
use crate::secret::Secret;
use crate::yaml::fields::{Fields, integer, text};
use crate::yaml::{Fault, parse};

/// A checked web configuration. The files that it names have not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// `tls_server_config`; without it the listener speaks no TLS.
    pub tls: Option<ServerTls>,
    /// `http_server_config.http2`: HTTP/2 is offered over TLS.
    pub http2: bool,
    /// `http_server_config.headers`, set on every answer, sorted by name.
    pub headers: Vec<(String, String)>,
    /// `basic_auth_users`: names with their bcrypt hashes, sorted by name; nobody is asked when there are none.
    pub users: Vec<(String, Secret)>,
    /// `rate_limit`; requests beyond it get 429.
    pub rate_limit: Option<RateLimit>,
}

/// How many requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that may come at once.
    pub burst: i64,
    /// Time that earns one more, in nanoseconds; above 0.
    pub interval_ns: i64,
}

impl RateLimit {
    /// `None` without an interval: then nothing is limited.
    fn read(mut f: Fields<'_>) -> Result<Option<Self>, Fault> {
        let burst = f.int("burst", 0)?;
        let path = f.path_of("interval");
        let interval_ns = match f.node("interval").filter(|node| !node.is_null()) {
            None => 0,
            Some(node) => {
                let fault = |e| Fault::new(node.pos, format!("{path}: {e}"));
                match integer(node) {
                    Ok(ns) => ns,
                    Err(_) => parse_go_duration(&text(node).map_err(fault)?).map_err(fault)?,
                }
            }
        };
        f.finish()?;
        Ok((interval_ns > 0).then_some(Self { burst, interval_ns }))
    }
}

impl WebConfig {
    /// Reads and checks a file. An error shows no line of it: a hash may stand on any.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|e| ConfigError::read(path, &e))?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(path, &text)
    }

    /// Checks the text of a file at `path`, from whose directory relative paths start.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let defaults = Defaults::default();
        let cx = Context::new(path, &defaults);
        let read = || -> Result<Self, Fault> { Self::read(Fields::new(&parse(text)?, "")?, &cx) };
        read().map_err(|fault| ConfigError::At { path: path.to_owned(), fault, line: String::new() })
    }

    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let tls = f.section("tls_server_config", |f| ServerTls::read(f, cx))?.flatten();
        let http = f.section("http_server_config", |mut f| {
            let http = (f.bool("http2", true)?, headers::read(&mut f)?);
            f.finish()?;
            Ok(http)
        })?;
        let users = users::read(&mut f)?;
        let rate_limit = f.section("rate_limit", RateLimit::read)?.flatten();
        f.finish()?;
        let (http2, headers) = http.unwrap_or((true, Vec::new()));
        Ok(Self { tls, http2, headers, users, rate_limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

    fn read(text: &str) -> Result<WebConfig, String> {
        WebConfig::parse(Path::new("/etc/web.yml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_asks_for_nothing() {
        for text in ["", "tls_server_config: {}\n", "tls_server_config: {min_version: TLS13}\n"] {
            let want = WebConfig {
                tls: None,
                http2: true,
                headers: Vec::new(),
                users: Vec::new(),
                rate_limit: None,
            };
            assert_eq!(read(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn everything_is_read() {
        let text = format!(
            "tls_server_config:\n  cert_file: c.pem\n  key: secret\n  client_ca_file: /ca.pem\n  \
             client_auth_type: RequireClientCert\n  client_allowed_sans: [a, b]\n  \
             cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [X25519]\n  \
             min_version: TLS11\nhttp_server_config:\n  http2: no\n  headers:\n    \
             X-Frame-Options: deny\nbasic_auth_users:\n  b: {HASH}\n  a: {HASH}\n"
        );
        let config = read(&text).unwrap();
        assert!(!config.http2);
        assert_eq!(config.headers, [("X-Frame-Options".to_owned(), "deny".to_owned())]);
        assert_eq!(config.users.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let tls = config.tls.clone().unwrap();
        assert_eq!(tls.cert, PemSource::File("/etc/c.pem".into()));
        assert_eq!(tls.client_ca, Some(PemSource::File("/ca.pem".into())));
        assert_eq!(tls.client_auth, ClientAuth::RequireAny);
        assert_eq!(tls.client_allowed_sans, Some(vec!["a".to_owned(), "b".to_owned()]));
        let shown = format!("{config:?}");
        assert!(!shown.contains("$2y") && !shown.contains("Inline(\"secret"), "{shown}");
    }

    #[test]
    fn rate_limits() {
        for (text, want) in [
            ("rate_limit: {burst: 5, interval: 1.5s}\n", Some((5, 1_500_000_000))),
            ("rate_limit: {burst: 5, interval: 1000}\n", Some((5, 1_000))),
            ("rate_limit: {burst: 5}\n", None),
        ] {
            let limit = read(text).unwrap().rate_limit;
            assert_eq!(limit.map(|limit| (limit.burst, limit.interval_ns)), want, "{text}");
        }
    }

    #[test]
    fn faults_say_where_and_show_no_secret() {
        for (text, want) in [
            ("nope: 1\n", "/etc/web.yml:1:1: unknown field \"nope\""),
            (
                "basic_auth_users:\n  a: hunter2\n",
                "/etc/web.yml:2:6: basic_auth_users.a: not a bcrypt hash: it is too short",
            ),
            (
                "basic_auth_users: hunter2\n",
                "/etc/web.yml:1:19: basic_auth_users: expected a mapping of names to bcrypt hashes",
            ),
            (
                "basic_auth_users: {a: [hunter2]}\n",
                "/etc/web.yml:1:23: basic_auth_users.a: expected a text, found a list",
            ),
            (
                "http_server_config:\n  headers:\n    X-Foo: a\n",
                "/etc/web.yml:3:12: HTTP header \"X-Foo\" can not be configured",
            ),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: a\n",
                "/etc/web.yml:3:22: invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"a\"",
            ),
            (
                "tls_server_config:\n  cert_file: x\n",
                "/etc/web.yml:2:3: tls_server_config: missing one of key or key_file",
            ),
            (
                "tls_server_config: {client_auth_type: Foo}\n",
                "/etc/web.yml:1:20: tls_server_config: missing one of cert or cert_file",
            ),
            (
                "tls_server_config:\n  min_version: TLS9\n",
                "/etc/web.yml:2:16: tls_server_config.min_version: unknown TLS version: TLS9",
            ),
            (
                "tls_server_config:\n  cipher_suites: [FOO]\n",
                "/etc/web.yml:2:19: tls_server_config.cipher_suites[0]: unknown cipher: FOO",
            ),
            (
                "tls_server_config:\n  curve_preferences: [FOO]\n",
                "/etc/web.yml:2:23: tls_server_config.curve_preferences[0]: unknown curve: FOO",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(want), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
