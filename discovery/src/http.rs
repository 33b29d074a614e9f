//! Target groups from an HTTP server: a JSON list, asked for at every refresh interval. A failed request keeps the last
//! good groups; an empty list removes them.

use std::sync::Arc;
use std::time::Duration;

use config::discovery::HttpSd;
use config::url::GoUrl;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use net::client::Request;

use super::error::{RefreshError, StartError};
use super::groups::{from_json, groups};
use super::poll::{Mechanism, interval};
use super::rest::{self, Api};
use super::url::of_field;
use super::{Metrics, TargetGroup};

const URL_LABEL: &str = "__meta_url";
const REFRESH_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Asks an HTTP server for groups.
pub struct Http {
    api: Api,
    request: Request,
    /// Part of sources and of the label.
    name: String,
    metrics: Arc<Metrics>,
}

impl Http {
    /// Nothing is asked yet.
    pub fn new(config: &HttpSd, metrics: Arc<Metrics>) -> Result<Self, StartError> {
        let every = interval(config.refresh_interval_ms);
        let mut request = rest::get_json(of_field("url", &config.url)?);
        request.headers.insert(REFRESH_HEADER, seconds(every)?);
        Ok(Self { api: Api::new(&config.http, every)?, request, name: shown(&config.url), metrics })
    }

    async fn ask(&self) -> Result<Vec<TargetGroup>, RefreshError> {
        let response = self.api.respond(&self.request).await?;
        if response.status != StatusCode::OK {
            return Err(rest::refused(&self.request, response).await);
        }
        let answer = rest::read(&self.request, response).await?;
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !is_json(content_type) {
            return Err(answer.wrong(format!("unsupported content type {content_type:?}")));
        }
        let read = from_json(&answer.body).map_err(|error| answer.wrong(error))?;
        Ok(groups(&self.name, &read, Some((URL_LABEL, &self.name))))
    }
}

impl Mechanism for Http {
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, RefreshError> {
        self.ask().await.inspect_err(|_| self.metrics.http_failures.inc())
    }
}

fn seconds(every: Duration) -> Result<HeaderValue, StartError> {
    let text = every.as_secs_f64().to_string();
    HeaderValue::from_str(&text).map_err(|_| StartError::Header { field: "refresh_interval" })
}

/// The URL as it is shown: in logs, sources and the label, which the API gives away, without its password.
fn shown(url: &str) -> String {
    match GoUrl::parse(url) {
        Ok(url) if matches!(url.userinfo(), Some((_, Some(_)))) => url.to_string(),
        _ => url.to_owned(),
    }
}

/// `application/json`, with no other charset than UTF-8.
fn is_json(content_type: &str) -> bool {
    let lower = content_type.trim().to_ascii_lowercase();
    match lower.split_once(';') {
        None => lower == "application/json",
        Some((kind, charset)) => {
            kind == "application/json"
                && matches!(charset.trim_start(), "charset=utf-8" | "charset=\"utf-8\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reply, Server, show};
    use config::http_client::HttpClientConfig;

    fn http(url: &str, refresh_interval_ms: i64) -> (Http, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let config = HttpSd { url: url.to_owned(), refresh_interval_ms, http: HttpClientConfig::default() };
        (Http::new(&config, metrics.clone()).unwrap(), metrics)
    }

    #[tokio::test]
    async fn asks_and_reads() {
        let server = Server::start(|asked| match asked.target.as_str() {
            "/sd" => Reply::of(
                200,
                "application/json; charset=utf-8",
                r#"[{"targets": ["a:1"], "labels": {"l": "v"}}]"#,
            ),
            "/500" => Reply::of(500, "text/plain", "out of\n order\n"),
            "/text" => Reply::of(200, "text/plain", "[]"),
            _ => Reply::json(r#"[{"target": []}]"#),
        })
        .await;
        let url = format!("{}/sd", server.url);
        let (mut good, metrics) = http(&url, 1_500);
        let groups = good.refresh().await.unwrap();
        assert_eq!(groups[0].source, format!("{url}:0"));
        assert_eq!(show(&groups), [format!("{{__address__=\"a:1\", __meta_url=\"{url}\", l=\"v\"}}")]);
        assert_eq!(metrics.http_failures.get(), 0);
        let asked = &server.asked()[0];
        assert_eq!((asked.method.as_str(), asked.body.as_str()), ("GET", ""));
        let asked = &asked.headers;
        assert_eq!(asked["x-prometheus-refresh-interval-seconds"], "1.5");
        assert_eq!(asked["accept"], "application/json");
        assert!(asked["user-agent"].starts_with("Trivium/"));
        for (path, want) in [
            ("500", "server returned HTTP status 500 Status: out of order"),
            ("text", "unsupported content type \"text/plain\""),
            ("unknown", "target group 0: unknown field \"target\""),
        ] {
            let url = format!("{}/{path}", server.url);
            let (mut bad, metrics) = http(&url, 1_500);
            let error = bad.refresh().await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("Get \"{url}\": {want}")), "{error}");
            assert_eq!(metrics.http_failures.get(), 1);
        }
    }

    #[tokio::test]
    async fn passwords_are_not_shown() {
        let server = Server::of(&[("/sd", r#"[{"targets": ["a:1"]}]"#)]).await;
        let url = format!("{}/sd", server.url.replace("http://", "http://me:hidden@"));
        let (mut good, _) = http(&url, 60_000);
        let groups = good.refresh().await.unwrap();
        let want = url.replace("hidden", "xxxxx");
        assert_eq!(groups[0].source, format!("{want}:0"));
        assert_eq!(groups[0].labels.get("__meta_url"), Some(want.as_str()));
        assert_eq!(server.asked()[0].headers["authorization"], "Basic bWU6aGlkZGVu");
        let (mut bad, _) = http(&format!("{url}/none"), 60_000);
        let error = bad.refresh().await.unwrap_err().to_string();
        assert!(!error.contains("hidden") && error.contains("me:***@"), "{error}");
    }

    #[test]
    fn content_types() {
        for (text, want) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/json", false),
            ("", false),
        ] {
            assert_eq!(is_json(text), want, "{text}");
        }
    }
}
