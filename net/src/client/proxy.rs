//! Which proxy a request goes through. Source: Go's `golang.org/x/net/http/httpproxy`, which Prometheus uses for
//! `proxy_url`, `no_proxy` and `proxy_from_environment`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::http_client::ProxyConfig;
use config::url::GoUrl;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};

/// How to talk to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Https,
    Socks5,
}

/// A proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub url: GoUrl,
    pub credentials: Option<(String, String)>,
    connect_headers: HeaderMap,
}

impl Proxy {
    fn new(url: GoUrl, connect_headers: HeaderMap) -> Self {
        Self { credentials: url.credentials(), url, connect_headers }
    }

    /// What the scheme says; an unknown one shows only when the proxy is used, as in Prometheus.
    pub fn kind(&self) -> Result<ProxyKind, String> {
        match self.url.scheme() {
            _ if self.url.host().is_empty() => {
                Err(format!("invalid proxy URL {:?}: no host", self.url.to_string()))
            }
            "http" => Ok(ProxyKind::Http),
            "https" => Ok(ProxyKind::Https),
            "socks5" | "socks5h" => Ok(ProxyKind::Socks5),
            other => Err(format!("unsupported proxy scheme {other:?}: use http, https or socks5")),
        }
    }

    /// Host and port to connect to.
    pub fn address(&self) -> (&str, &str) {
        let default = match self.url.scheme() {
            "https" => "443",
            "socks5" | "socks5h" => "1080",
            _ => "80",
        };
        let port = self.url.port();
        (self.url.hostname(), if port.is_empty() { default } else { port })
    }

    /// Headers of the CONNECT request.
    pub fn connect_headers(&self) -> HeaderMap {
        let mut headers = self.connect_headers.clone();
        if let Some(value) = self.authorization() {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        headers
    }

    /// The header with which a plain request authenticates to the proxy that forwards it.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref()?;
        let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
        HeaderValue::from_str(&format!("Basic {token}")).ok()
    }
}

/// The proxies of one client, and the hosts that are reached without one.
#[derive(Clone)]
pub(super) struct Proxies(Arc<ProxyRules>);

struct ProxyRules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    no_proxy: NoProxy,
}

impl Proxies {
    pub fn new(config: &ProxyConfig) -> Self {
        let mut headers = HeaderMap::new();
        for (name, values) in &config.connect_header {
            for value in values {
                match (HeaderName::try_from(name), HeaderValue::from_str(value.reveal())) {
                    (Ok(name), Ok(value)) => drop(headers.append(name, value)),
                    _ => tracing::warn!(
                        header = name,
                        "A proxy_connect_header that no request can have is left out"
                    ),
                }
            }
        }
        if config.from_environment {
            return Self::from_variables(|name| std::env::var(name).ok(), headers);
        }
        let proxy =
            config.url.clone().filter(|url| !url.reveal().is_empty()).map(|url| Proxy::new(url, headers));
        // With `proxy_url` alone everything goes through the proxy, this machine's own servers as well.
        let no_proxy =
            if config.no_proxy.is_empty() { NoProxy::default() } else { NoProxy::new(&config.no_proxy) };
        Self(Arc::new(ProxyRules { http: proxy.clone(), https: proxy, no_proxy }))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>, headers: HeaderMap) -> Self {
        let get = |upper: &str| {
            let lower = upper.to_ascii_lowercase();
            get(upper).filter(|v| !v.is_empty()).or_else(|| get(&lower)).filter(|v| !v.is_empty())
        };
        // What is no URL is as good as nothing, as in Go.
        let proxy = |name: &str| {
            let text = get(name)?;
            let whole =
                GoUrl::parse(&text).ok().filter(|url| !url.scheme().is_empty() && !url.host().is_empty());
            let url = whole.or_else(|| GoUrl::parse(&format!("http://{text}")).ok())?;
            Some(Proxy::new(url, headers.clone()))
        };
        Self(Arc::new(ProxyRules {
            http: proxy("HTTP_PROXY"),
            https: proxy("HTTPS_PROXY"),
            no_proxy: NoProxy::new(&get("NO_PROXY").unwrap_or_default()),
        }))
    }

    /// The proxy for a URL, if it is not to be reached straight.
    pub fn choose(&self, url: &GoUrl) -> Option<&Proxy> {
        let rules = &*self.0;
        let encrypted = url.scheme() == "https";
        let proxy = if encrypted { &rules.https } else { &rules.http };
        proxy.as_ref().filter(|_| {
            let port = match url.port() {
                "" if encrypted => "443",
                "" => "80",
                port => port,
            };
            !rules.no_proxy.covers(url.hostname(), port)
        })
    }
}

/// Hosts that are reached without a proxy.
#[derive(Debug, Default)]
struct NoProxy {
    /// Localhost and loopback addresses.
    loopback: bool,
    everything: bool,
    entries: Vec<(Entry, Option<String>)>,
}

#[derive(Debug, PartialEq)]
enum Entry {
    Net(IpAddr, u8),
    /// Lower case, with a leading dot; `exact` matches the name without the dot too.
    Domain {
        suffix: String,
        exact: bool,
    },
}

impl NoProxy {
    fn new(list: &str) -> Self {
        let mut this = Self { loopback: true, ..Self::default() };
        for item in list.split(',') {
            let item = item.trim().to_ascii_lowercase();
            if item == "*" {
                this.everything = true;
            } else if !item.is_empty()
                && let Some(entry) = parse_entry(&item)
            {
                this.entries.push(entry);
            }
        }
        this
    }

    fn covers(&self, host: &str, port: &str) -> bool {
        let host = ascii(host).to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        if self.loopback && (host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())) {
            return true;
        }
        self.everything
            || self.entries.iter().any(|(entry, on)| {
                on.as_ref().is_none_or(|on| on == port)
                    && match (entry, ip) {
                        (Entry::Net(net, bits), Some(ip)) => in_net(ip, *net, *bits),
                        (Entry::Domain { suffix, exact }, None) => {
                            host.ends_with(suffix) || (*exact && host == suffix[1..])
                        }
                        _ => false,
                    }
            })
    }
}

fn parse_entry(item: &str) -> Option<(Entry, Option<String>)> {
    if let Some((net, bits)) = item.split_once('/') {
        let net: IpAddr = net.parse().ok()?;
        let max = if net.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= max)?;
        return Some((Entry::Net(net, bits), None));
    }
    let whole: Option<IpAddr> = item.parse().ok();
    let (host, port) = match item.rsplit_once(':') {
        Some((host, port)) if whole.is_none() => {
            (host, Some(port.to_owned()).filter(|port| !port.is_empty()))
        }
        _ => (item, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some((Entry::Net(ip, if ip.is_ipv4() { 32 } else { 128 }), port));
    }
    // "example.com" covers itself and what is below; ".example.com" and "*.example.com" only what is below.
    let below = if host.starts_with("*.") { &host[1..] } else { host };
    let below = ascii(below);
    let entry = match below.strip_prefix('.') {
        Some(_) => Entry::Domain { suffix: below.into_owned(), exact: false },
        None => Entry::Domain { suffix: format!(".{below}"), exact: true },
    };
    (!host.is_empty()).then_some((entry, port))
}

/// A name in the form in which the DNS has it.
pub(super) fn ascii(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return Cow::Borrowed(host);
    }
    idna::domain_to_ascii(host).map_or(Cow::Borrowed(host), Cow::Owned)
}

fn in_net(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let (ip, net, width) = match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (u128::from(ip.to_bits()), u128::from(net.to_bits()), 32),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (ip.to_bits(), net.to_bits(), 128),
        _ => return false,
    };
    let shift = width - u32::from(bits);
    ip.checked_shr(shift).unwrap_or(0) == net.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_lists() {
        let list = NoProxy::new(
            "10.0.0.0/8, 1.2.3.4:80, example.com, .sub.org, *.star.net:8080, fe80::/10, bad/99, bücher.example",
        );
        for (host, port, want) in [
            ("localhost", 80, true),
            ("127.0.0.9", 80, true),
            ("::1", 80, true),
            ("bücher.example", 1, true),
            ("10.200.0.1", 1, true),
            ("11.0.0.1", 1, false),
            ("1.2.3.4", 80, true),
            ("1.2.3.4", 81, false),
            ("example.com", 1, true),
            ("EXAMPLE.com", 1, true),
            // As in Go, the dot of an absolute name is part of it.
            ("EXAMPLE.com.", 1, false),
            ("a.example.com", 1, true),
            ("notexample.com", 1, false),
            ("sub.org", 1, false),
            ("a.sub.org", 1, true),
            ("a.star.net", 8080, true),
            ("a.star.net", 80, false),
            ("star.net", 8080, false),
            ("fe80::1", 1, true),
            ("fd00::1", 1, false),
        ] {
            assert_eq!(list.covers(host, &port.to_string()), want, "{host}:{port}");
        }
        assert!(NoProxy::new("*").covers("anything", "1"));
        assert!(!NoProxy::default().covers("localhost", "1"));
    }

    #[test]
    fn environment() {
        let proxies = Proxies::from_variables(
            |name| match name {
                "http_proxy" => Some("user:p%40w@proxy:3128".to_owned()),
                "HTTPS_PROXY" => Some("socks5h://s".to_owned()),
                "NO_PROXY" => Some("inside".to_owned()),
                _ => None,
            },
            HeaderMap::new(),
        );
        let chosen = |url: &str| {
            let url = GoUrl::parse(url).unwrap();
            proxies.choose(&url).map(|p| (p.kind().unwrap(), p.address(), p.credentials.clone()))
        };
        let credentials = Some(("user".to_owned(), "p@w".to_owned()));
        assert_eq!(chosen("http://a/"), Some((ProxyKind::Http, ("proxy", "3128"), credentials)));
        assert_eq!(chosen("https://a/"), Some((ProxyKind::Socks5, ("s", "1080"), None)));
        assert_eq!(chosen("http://inside/"), None);
        assert_eq!(chosen("http://localhost/"), None);
        let proxy = proxies.choose(&GoUrl::parse("http://a/").unwrap()).unwrap();
        assert_eq!(proxy.authorization().unwrap(), "Basic dXNlcjpwQHc=");
        let nonsense = Proxies::from_variables(|_| Some("[".to_owned()), HeaderMap::new());
        assert!(nonsense.choose(&GoUrl::parse("http://a/").unwrap()).is_none());
    }

    #[test]
    fn proxy_url_covers_loopback_unless_no_proxy_is_given() {
        let mut config = ProxyConfig { url: GoUrl::parse("http://proxy:1").ok(), ..ProxyConfig::default() };
        let local = GoUrl::parse("http://127.0.0.1:9100/").unwrap();
        assert!(Proxies::new(&config).choose(&local).is_some());
        config.no_proxy = "other".to_owned();
        assert!(Proxies::new(&config).choose(&local).is_none());
    }

    #[test]
    fn what_is_no_proxy_shows_when_it_is_used() {
        let kind = |url: &str| {
            let config = ProxyConfig { url: GoUrl::parse(url).ok(), ..ProxyConfig::default() };
            let proxies = Proxies::new(&config);
            proxies.choose(&GoUrl::parse("http://a/").unwrap()).map(Proxy::kind)
        };
        assert_eq!(kind(""), None);
        for url in ["foo", "ftp://proxy", "http://"] {
            assert!(kind(url).unwrap().is_err(), "{url}");
        }
    }
}
