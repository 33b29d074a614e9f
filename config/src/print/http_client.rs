//! How HTTP clients are printed.

use super::map::{Map, hidden};
use crate::sections::http_client::{
    Auth, HttpClientConfig, OAuth2, ProxyConfig, Secret, SecretSource, TlsConfig,
};
use crate::yaml::writer::Tree;

pub(super) fn http_client(m: &mut Map, http: &HttpClientConfig) {
    match &http.auth {
        Auth::None => {}
        Auth::Basic(basic) => {
            let mut b = Map::default();
            b.source(["username", "username_file", "username_ref"], false, basic.username.as_ref()).source(
                ["password", "password_file", "password_ref"],
                true,
                basic.password.as_ref(),
            );
            m.put("basic_auth", b.done());
        }
        Auth::Authorization(authorization) => {
            let mut a = Map::default();
            a.text("type", &authorization.scheme).source(
                ["credentials", "credentials_file", "credentials_ref"],
                true,
                authorization.credentials.as_ref(),
            );
            m.put("authorization", a.done());
        }
        Auth::OAuth2(oauth2_config) => {
            m.put("oauth2", oauth2(oauth2_config));
        }
    }
    tls(m, &http.tls);
    m.always("follow_redirects", http.follow_redirects).always("enable_http2", http.enable_http2);
    proxy(m, &http.proxy);
    if !http.headers.is_empty() {
        let headers = http.headers.iter().map(|header| {
            let mut h = Map::default();
            h.texts("values", &header.values).list("secrets", &header.secrets, hidden).list(
                "files",
                &header.files,
                |file| Tree::text(file.display()),
            );
            (header.name.clone(), h.done())
        });
        m.put("http_headers", Tree::Map(headers.collect()));
    }
}

pub(super) fn oauth2(o: &OAuth2) -> Tree {
    let mut m = Map::default();
    m.text("client_id", &o.client_id)
        .source(["client_secret", "client_secret_file", "client_secret_ref"], true, o.client_secret.as_ref())
        .text("client_certificate_key_id", &o.client_certificate_key_id)
        .source(
            ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"],
            true,
            o.client_certificate_key.as_ref(),
        )
        .text("grant_type", &o.grant_type)
        .text("signature_algorithm", &o.signature_algorithm)
        .text("iss", &o.iss)
        .text("audience", &o.audience)
        .unless_empty(
            "claims",
            Tree::Map(o.claims.iter().map(|(name, value)| (name.clone(), json(value))).collect()),
        )
        .texts("scopes", &o.scopes)
        .text("token_url", &o.token_url)
        .text_map("endpoint_params", &o.endpoint_params);
    tls(&mut m, &o.tls);
    proxy(&mut m, &o.proxy);
    m.done()
}

pub(super) fn json(value: &serde_json::Value) -> Tree {
    use serde_json::Value as Json;
    match value {
        Json::Null => Tree::Null,
        Json::Bool(b) => Tree::raw(b),
        Json::Number(n) => Tree::raw(n),
        Json::String(text) => Tree::text(text),
        Json::Array(items) => Tree::List(items.iter().map(json).collect()),
        Json::Object(map) => Tree::Map(map.iter().map(|(name, value)| (name.clone(), json(value))).collect()),
    }
}

pub(super) fn tls(m: &mut Map, t: &TlsConfig) {
    if *t == TlsConfig::default() {
        return;
    }
    // Go's order is values, files, references, not one secret after the other.
    let mut section = Map::default();
    let is_inline = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::Inline(_)));
    let is_file = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::File(_)));
    let is_reference = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::Reference(_)));
    let sources = [
        (["ca", "ca_file", "ca_ref"], false, &t.ca),
        (["cert", "cert_file", "cert_ref"], false, &t.cert),
        (["key", "key_file", "key_ref"], true, &t.key),
    ];
    for kind in [is_inline as fn(&Option<SecretSource>) -> bool, is_file, is_reference] {
        for (names, secret, source) in sources.iter().filter(|(_, _, source)| kind(source)) {
            section.source(*names, *secret, source.as_ref());
        }
    }
    section
        .text("server_name", &t.server_name)
        .always("insecure_skip_verify", t.insecure_skip_verify)
        .text("min_version", t.min_version.map_or("", |v| v.as_str()))
        .text("max_version", t.max_version.map_or("", |v| v.as_str()));
    m.put("tls_config", section.done());
}

pub(super) fn proxy(m: &mut Map, p: &ProxyConfig) {
    if let Some(url) = &p.url {
        m.put("proxy_url", Tree::text(url));
    }
    m.text("no_proxy", &p.no_proxy).unless_zero("proxy_from_environment", p.from_environment);
    let secrets = |secrets: &[Secret]| Tree::List(secrets.iter().map(hidden).collect());
    let headers = p.connect_header.iter().map(|(name, values)| (name.clone(), secrets(values)));
    m.unless_empty("proxy_connect_header", Tree::Map(headers.collect()));
}
