//! Target groups from an HTTP server: a JSON list, asked for at every refresh interval. A failed request keeps the last
//! good groups; an empty list removes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::discovery::HttpSd;
use config::url::GoUrl;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use net::client::{HttpClient, Request};

use super::TargetGroup;
use super::groups::{from_json, groups};
use super::manager::Updates;

const URL_LABEL: &str = "__meta_url";
const REFRESH_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");
const USER_AGENT: &str = concat!("Trivium/", env!("CARGO_PKG_VERSION"));
/// Of an answer that is not used this much is read, for the sake of the connection.
const MAX_DISCARDED_BYTES: u64 = 1 << 20;
/// Larger answers are refused.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

/// Reports groups until it is dropped.
pub async fn run(config: HttpSd, updates: Updates) {
    let refresh = Duration::from_millis(config.refresh_interval_ms.max(1).unsigned_abs());
    let shown = shown(&config.url);
    let server = match Endpoint::new(&config, refresh) {
        Ok(server) => server,
        Err(error) => {
            tracing::error!(
                component = "discovery",
                mechanism = "http",
                url = shown,
                err = error,
                "Cannot create discovery"
            );
            updates.refreshed("http", 0.0, true);
            return;
        }
    };
    let mut ticks = tokio::time::interval(refresh);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let start = Instant::now();
        let answer = server.ask(refresh).await;
        updates.refreshed("http", start.elapsed().as_secs_f64(), answer.is_err());
        match answer {
            Ok(groups) => updates.report(groups),
            Err(error) => {
                updates.metrics().http_failures.inc();
                tracing::error!(
                    component = "discovery",
                    mechanism = "http",
                    url = shown,
                    err = error,
                    "Unable to refresh target groups"
                );
            }
        }
    }
}

/// The URL as it is shown: in logs, sources and the label, which the API gives away, without its password.
fn shown(url: &str) -> String {
    match GoUrl::parse(url) {
        Ok(url) if matches!(url.userinfo(), Some((_, Some(_)))) => url.to_string(),
        _ => url.to_owned(),
    }
}

struct Endpoint {
    client: HttpClient,
    request: Request,
    /// Part of sources and of the label.
    name: String,
}

impl Endpoint {
    fn new(config: &HttpSd, refresh: Duration) -> Result<Self, String> {
        let seconds = refresh.as_secs_f64().to_string();
        let url = GoUrl::parse(&config.url).map_err(|e| e.to_string())?;
        let mut request = Request::get(url.without_empty_port());
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let seconds = HeaderValue::from_str(&seconds).map_err(|e| e.to_string())?;
        request.headers.insert(REFRESH_HEADER, seconds);
        Ok(Self {
            client: HttpClient::new(&config.http, USER_AGENT).map_err(|e| e.to_string())?,
            request,
            name: shown(&config.url),
        })
    }

    async fn ask(&self, deadline: Duration) -> Result<Vec<Arc<TargetGroup>>, String> {
        let response = self.client.send(&self.request, deadline).await.map_err(|e| e.to_string())?;
        if response.status != StatusCode::OK {
            let status = response.status_text();
            response.discard(MAX_DISCARDED_BYTES).await;
            return Err(format!("server returned HTTP status {status}"));
        }
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !is_json(content_type) {
            return Err(format!("unsupported content type {content_type:?}"));
        }
        let body = response.read(MAX_ANSWER_BYTES, Vec::new()).await.map_err(|e| e.to_string())?;
        let read = from_json(&body)?;
        Ok(groups(&self.name, &read, Some((URL_LABEL, &self.name))).into_iter().map(Arc::new).collect())
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
    use config::http_client::HttpClientConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request after the other, and gives back what was asked.
    async fn serve(answers: &'static [&'static str]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sd", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut asked = String::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let len = socket.read(&mut request).await.unwrap();
                asked.push_str(&String::from_utf8_lossy(&request[..len]));
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (url, served)
    }

    #[tokio::test]
    async fn asks_and_reads() {
        let (url, served) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n\r\n[{\"targets\":[\"a:1\"],\"labels\":{\"l\":\"v\"}}]",
            "HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n[]",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[{\"target\":[]}]",
        ])
        .await;
        let config =
            HttpSd { url: url.clone(), refresh_interval_ms: 1_500, http: HttpClientConfig::default() };
        let deadline = Duration::from_secs(5);
        let server = Endpoint::new(&config, Duration::from_millis(1_500)).unwrap();
        let groups = server.ask(deadline).await.unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].source, format!("{url}:0"));
        assert_eq!(
            (groups[0].labels.get("l"), groups[0].labels.get("__meta_url")),
            (Some("v"), Some(url.as_str()))
        );
        assert_eq!(server.ask(deadline).await, Err("server returned HTTP status 500 Oops".to_owned()));
        assert_eq!(server.ask(deadline).await, Err("unsupported content type \"text/plain\"".to_owned()));
        assert!(server.ask(deadline).await.unwrap_err().contains("unknown field \"target\""));
        let asked = served.await.unwrap().to_ascii_lowercase();
        assert!(asked.contains("x-prometheus-refresh-interval-seconds: 1.5\r\n"), "{asked}");
        assert!(
            asked.contains("accept: application/json\r\n") && asked.contains("user-agent: trivium/"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn passwords_are_not_shown() {
        let (url, served) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[{\"targets\":[\"a:1\"]}]",
        ])
        .await;
        let url = url.replace("http://", "http://me:hidden@");
        let config =
            HttpSd { url: url.clone(), refresh_interval_ms: 60_000, http: HttpClientConfig::default() };
        let server = Endpoint::new(&config, Duration::from_secs(60)).unwrap();
        let groups = server.ask(Duration::from_secs(5)).await.unwrap();
        let want = url.replace("hidden", "xxxxx");
        assert_eq!(groups[0].source, format!("{want}:0"));
        assert_eq!(groups[0].labels.get("__meta_url"), Some(want.as_str()));
        assert!(served.await.unwrap().contains("Authorization: Basic bWU6aGlkZGVu\r\n"));
        let error = server.ask(Duration::from_secs(5)).await.unwrap_err();
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
