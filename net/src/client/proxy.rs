//! Which proxy a request goes through. Source: Go's `golang.org/x/net/http/httpproxy`, which Prometheus uses for
//! `proxy_url`, `no_proxy` and `proxy_from_environment`.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::http_client::ProxyConfig;
use config::url::GoUrl;
use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};

use super::SetupError;

/// How to talk to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Https,
    Socks5 { remote_dns: bool },
}

/// A proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub kind: ProxyKind,
    pub uri: Uri,
    pub credentials: Option<(String, String)>,
    connect_headers: HeaderMap,
}

impl Proxy {
    fn new(url: &GoUrl, connect_headers: HeaderMap) -> Result<Self, SetupError> {
        let kind = match url.scheme() {
            "http" => ProxyKind::Http,
            "https" => ProxyKind::Https,
            "socks5" => ProxyKind::Socks5 { remote_dns: false },
            "socks5h" => ProxyKind::Socks5 { remote_dns: true },
            other => return Err(SetupError::ProxyScheme(other.to_owned())),
        };
        let invalid = || SetupError::ProxyUrl(url.to_string());
        let uri = format!("{}://{}", url.scheme(), url.host()).parse().map_err(|_| invalid())?;
        let decode = |text: &str| percent_decode(text);
        let credentials =
            url.userinfo().map(|(user, password)| (decode(user), decode(password.unwrap_or_default())));
        Ok(Self { kind, uri, credentials, connect_headers })
    }

    /// Headers of the CONNECT request.
    pub fn connect_headers(&self) -> HeaderMap {
        let mut headers = self.connect_headers.clone();
        if let Some(value) = self.authorization() {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        headers
    }

    fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref()?;
        let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
        HeaderValue::from_str(&format!("Basic {token}")).ok()
    }
}

fn percent_decode(text: &str) -> String {
    // A form decodes `+` too, so it is protected.
    let protected = text.replace('+', "%2B");
    form_urlencoded::parse(format!("x={protected}").as_bytes())
        .next()
        .map_or(String::new(), |(_, value)| value.into_owned())
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
    pub fn new(config: &ProxyConfig) -> Result<Self, SetupError> {
        let mut headers = HeaderMap::new();
        for (name, values) in &config.connect_header {
            let invalid = || SetupError::ProxyHeader(name.clone());
            let header = HeaderName::try_from(name).map_err(|_| invalid())?;
            for value in values {
                let value = HeaderValue::from_str(value.reveal()).map_err(|_| invalid())?;
                headers.append(header.clone(), value);
            }
        }
        if config.from_environment {
            return Self::from_variables(|name| std::env::var(name).ok(), headers);
        }
        let proxy = match &config.url {
            Some(url) => Some(Proxy::new(url, headers)?),
            None => None,
        };
        // With `proxy_url` alone everything goes through the proxy, this machine's own servers as well.
        let no_proxy =
            if config.no_proxy.is_empty() { NoProxy::default() } else { NoProxy::new(&config.no_proxy) };
        Ok(Self(Arc::new(ProxyRules { http: proxy.clone(), https: proxy, no_proxy })))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>, headers: HeaderMap) -> Result<Self, SetupError> {
        let get = |upper: &str| {
            let lower = upper.to_ascii_lowercase();
            get(upper).filter(|v| !v.is_empty()).or_else(|| get(&lower)).filter(|v| !v.is_empty())
        };
        let proxy = |name: &str| -> Result<Option<Proxy>, SetupError> {
            let Some(text) = get(name) else { return Ok(None) };
            let with_scheme = if text.contains("://") { text.clone() } else { format!("http://{text}") };
            let url = GoUrl::parse(&with_scheme).map_err(|_| SetupError::ProxyUrl(text))?;
            Proxy::new(&url, headers.clone()).map(Some)
        };
        Ok(Self(Arc::new(ProxyRules {
            http: proxy("HTTP_PROXY")?,
            https: proxy("HTTPS_PROXY")?,
            no_proxy: NoProxy::new(&get("NO_PROXY").unwrap_or_default()),
        })))
    }

    /// The proxy for a URL, if it is not to be reached straight.
    pub fn choose(&self, uri: &Uri) -> Option<&Proxy> {
        let choice = &*self.0;
        let encrypted = uri.scheme_str() == Some("https");
        let proxy = if encrypted { &choice.https } else { &choice.http };
        proxy.as_ref().filter(|_| {
            let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
            !choice.no_proxy.covers(uri.host().unwrap_or_default(), port)
        })
    }

    /// The header with which a plain request authenticates to the proxy that forwards it.
    pub fn plain_header(&self, uri: &Uri) -> Option<(HeaderName, HeaderValue)> {
        let proxy = self.choose(uri).filter(|_| uri.scheme_str() == Some("http"))?;
        if matches!(proxy.kind, ProxyKind::Socks5 { .. }) {
            return None;
        }
        Some((PROXY_AUTHORIZATION, proxy.authorization()?))
    }
}

/// Hosts that are reached without a proxy.
#[derive(Debug, Default)]
struct NoProxy {
    /// Localhost and loopback addresses.
    loopback: bool,
    everything: bool,
    entries: Vec<(Entry, Option<u16>)>,
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

    fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let ip: Option<IpAddr> = host.parse().ok();
        if self.loopback && (host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())) {
            return true;
        }
        self.everything
            || self.entries.iter().any(|(entry, on)| {
                on.is_none_or(|on| on == port)
                    && match (entry, ip) {
                        (Entry::Net(net, bits), Some(ip)) => in_net(ip, *net, *bits),
                        (Entry::Domain { suffix, exact }, None) => {
                            host.ends_with(suffix) || (*exact && host == &suffix[1..])
                        }
                        _ => false,
                    }
            })
    }
}

fn parse_entry(item: &str) -> Option<(Entry, Option<u16>)> {
    if let Some((net, bits)) = item.split_once('/') {
        let net: IpAddr = net.parse().ok()?;
        let max = if net.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= max)?;
        return Some((Entry::Net(net, bits), None));
    }
    let whole: Option<IpAddr> = item.parse().ok();
    let (host, port) = match item.rsplit_once(':') {
        Some((host, port)) if whole.is_none() => (host, Some(port.parse().ok()?)),
        _ => (item, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some((Entry::Net(ip, if ip.is_ipv4() { 32 } else { 128 }), port));
    }
    // "example.com" covers itself and what is below; ".example.com" and "*.example.com" only what is below.
    let below = host.strip_prefix('*').unwrap_or(host);
    let entry = match below.strip_prefix('.') {
        Some(_) => Entry::Domain { suffix: below.to_owned(), exact: false },
        None => Entry::Domain { suffix: format!(".{below}"), exact: true },
    };
    (!host.is_empty()).then_some((entry, port))
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
        let list =
            NoProxy::new("10.0.0.0/8, 1.2.3.4:80, example.com, .sub.org, *.star.net:8080, fe80::/10, bad/99");
        for (host, port, want) in [
            ("localhost", 80, true),
            ("127.0.0.9", 80, true),
            ("[::1]", 80, true),
            ("10.200.0.1", 1, true),
            ("11.0.0.1", 1, false),
            ("1.2.3.4", 80, true),
            ("1.2.3.4", 81, false),
            ("example.com", 1, true),
            ("EXAMPLE.com.", 1, true),
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
            assert_eq!(list.covers(host, port), want, "{host}:{port}");
        }
        assert!(NoProxy::new("*").covers("anything", 1));
        assert!(!NoProxy::default().covers("localhost", 1));
    }

    #[test]
    fn environment() {
        let proxies = Proxies::from_variables(
            |name| match name {
                "http_proxy" => Some("user:p%40w@proxy:3128".to_owned()),
                "HTTPS_PROXY" => Some("socks5h://s:1080".to_owned()),
                "NO_PROXY" => Some("inside".to_owned()),
                _ => None,
            },
            HeaderMap::new(),
        )
        .unwrap();
        let chosen = |uri: &'static str| {
            proxies.choose(&Uri::from_static(uri)).map(|p| (p.kind, p.uri.to_string(), p.credentials.clone()))
        };
        let credentials = Some(("user".to_owned(), "p@w".to_owned()));
        assert_eq!(
            chosen("http://a/"),
            Some((ProxyKind::Http, "http://proxy:3128/".to_owned(), credentials))
        );
        assert_eq!(
            chosen("https://a/"),
            Some((ProxyKind::Socks5 { remote_dns: true }, "socks5h://s:1080/".to_owned(), None))
        );
        assert_eq!(chosen("http://inside/"), None);
        assert_eq!(chosen("http://localhost/"), None);
        let header = proxies.plain_header(&Uri::from_static("http://a/")).unwrap();
        assert_eq!(header.1, "Basic dXNlcjpwQHc=");
        assert!(proxies.plain_header(&Uri::from_static("https://a/")).is_none());
    }

    #[test]
    fn proxy_url_covers_loopback_unless_no_proxy_is_given() {
        let url = GoUrl::parse("http://proxy:1").unwrap();
        let mut config = ProxyConfig { url: Some(url), ..ProxyConfig::default() };
        let local = Uri::from_static("http://127.0.0.1:9100/");
        assert!(Proxies::new(&config).unwrap().choose(&local).is_some());
        config.no_proxy = "other".to_owned();
        assert!(Proxies::new(&config).unwrap().choose(&local).is_none());
        config.url = GoUrl::parse("ftp://proxy").ok();
        assert_eq!(Proxies::new(&config).err(), Some(SetupError::ProxyScheme("ftp".to_owned())));
    }
}
