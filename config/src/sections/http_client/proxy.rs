//! Proxies.

use crate::secret::{Secret, read_secrets};
use crate::url::GoUrl;
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// Proxy settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    /// `proxy_url`.
    pub url: Option<GoUrl>,
    /// `no_proxy`: comma separated hosts, domains, addresses, CIDRs, each with an optional port.
    pub no_proxy: String,
    /// Use HTTP_PROXY, HTTPS_PROXY, NO_PROXY; excludes the two above.
    pub from_environment: bool,
    /// Headers sent to the proxy with CONNECT, sorted by name.
    pub connect_header: Vec<(String, Vec<Secret>)>,
}

impl ProxyConfig {
    pub(super) fn read(f: &mut Fields<'_>) -> Result<Self, Fault> {
        let proxy = Self {
            url: f.url("proxy_url")?,
            no_proxy: f.text("no_proxy", "")?,
            from_environment: f.bool("proxy_from_environment", false)?,
            connect_header: f.map("proxy_connect_header", read_secrets)?,
        };
        let has_url = proxy.url.as_ref().is_some_and(|url| !url.reveal().is_empty());
        let fault = |field, message| Err(f.fault(field, message));
        if !proxy.connect_header.is_empty() && !proxy.from_environment && !has_url {
            return fault(
                "proxy_connect_header",
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
            );
        }
        if proxy.from_environment && has_url {
            return fault(
                "proxy_url",
                "if proxy_from_environment is configured, proxy_url must not be configured",
            );
        }
        if proxy.from_environment && !proxy.no_proxy.is_empty() {
            return fault(
                "no_proxy",
                "if proxy_from_environment is configured, no_proxy must not be configured",
            );
        }
        if proxy.url.is_none() && !proxy.no_proxy.is_empty() {
            return fault("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
        }
        Ok(proxy)
    }
}
