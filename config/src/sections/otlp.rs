//! The `otlp` and `tracing` sections: checked, and in this version not acted upon.

use crate::context::Context;
use crate::sections::http_client::{TlsConfig, check_plain_headers};
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// The `otlp` section: how received OTLP metrics become series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Every resource attribute becomes a label.
    pub promote_all_resource_attributes: bool,
    /// These become labels.
    pub promote_resource_attributes: Vec<String>,
    /// These do not, when all others do.
    pub ignore_resource_attributes: Vec<String>,
    /// How names are translated; "" when the section is null.
    pub translation_strategy: &'static str,
    /// Keep `service.name` and the like beside `job` and `instance`.
    pub keep_identifying_resource_attributes: bool,
    /// Turn explicit bucket histograms into native ones with custom buckets.
    pub convert_histograms_to_nhcb: bool,
    /// Scope name, version and attributes become labels.
    pub promote_scope_metadata: bool,
    /// Put `key_` before labels that start with `_`.
    pub label_name_underscore_sanitization: bool,
    /// Keep `__` within label names.
    pub label_name_preserve_multiple_underscores: bool,
}

const STRATEGIES: [&str; 4] = [
    "UnderscoreEscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
    "NoTranslation",
];

impl Default for Otlp {
    fn default() -> Self {
        Self {
            translation_strategy: STRATEGIES[0],
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            ..Self::null()
        }
    }
}

impl Otlp {
    /// What a null section means.
    pub fn null() -> Self {
        Self {
            promote_all_resource_attributes: false,
            promote_resource_attributes: Vec::new(),
            ignore_resource_attributes: Vec::new(),
            translation_strategy: "",
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: false,
            label_name_preserve_multiple_underscores: false,
        }
    }

    /// Reads the section. `utf8` says whether names may be more than classic.
    pub fn read(mut f: Fields<'_>, cx: &Context<'_>, utf8: bool) -> Result<Self, Fault> {
        let strategies = STRATEGIES.map(|name| (name, name));
        let otlp = Self {
            promote_all_resource_attributes: f.bool("promote_all_resource_attributes", false)?,
            promote_resource_attributes: f.texts("promote_resource_attributes")?,
            ignore_resource_attributes: f.texts("ignore_resource_attributes")?,
            translation_strategy: f.choice(
                "translation_strategy",
                STRATEGIES[0],
                &[strategies.as_slice(), &[("", "")]].concat(),
            )?,
            keep_identifying_resource_attributes: f.bool("keep_identifying_resource_attributes", false)?,
            convert_histograms_to_nhcb: f.bool("convert_histograms_to_nhcb", false)?,
            promote_scope_metadata: f.bool("promote_scope_metadata", false)?,
            label_name_underscore_sanitization: f.bool("label_name_underscore_sanitization", true)?,
            label_name_preserve_multiple_underscores: f
                .bool("label_name_preserve_multiple_underscores", true)?,
        };
        f.finish()?;
        let [promoted, ignored] = ["promote_resource_attributes", "ignore_resource_attributes"];
        if otlp.promote_all_resource_attributes && !otlp.promote_resource_attributes.is_empty() {
            return Err(f.fault(
                promoted,
                "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
            ));
        }
        if !otlp.promote_all_resource_attributes && !otlp.ignore_resource_attributes.is_empty() {
            return Err(f.fault(
                ignored,
                "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
            ));
        }
        let otlp = Self {
            promote_resource_attributes: trimmed(&f, promoted, "promoted", otlp.promote_resource_attributes)?,
            ignore_resource_attributes: trimmed(&f, ignored, "ignored", otlp.ignore_resource_attributes)?,
            ..otlp
        };
        if !utf8 && ["NoUTF8EscapingWithSuffixes", "NoTranslation"].contains(&otlp.translation_strategy) {
            let message = format!(
                "OTLP translation strategy {:?} is not allowed when UTF8 is disabled",
                otlp.translation_strategy
            );
            return Err(f.fault("translation_strategy", message));
        }
        cx.note(f.pos(), "otlp", "metrics are not received by OTLP");
        Ok(otlp)
    }
}

fn trimmed(
    f: &Fields<'_>,
    field: &str,
    adjective: &str,
    attributes: Vec<String>,
) -> Result<Vec<String>, Fault> {
    let attributes: Vec<String> = attributes.iter().map(|a| a.trim().to_owned()).collect();
    for (i, attribute) in attributes.iter().enumerate() {
        if attribute.is_empty() {
            return Err(
                f.fault(field, format!("invalid '{field}': empty {adjective} OTel resource attribute"))
            );
        }
        if attributes[..i].contains(attribute) {
            let message =
                format!("invalid '{field}': duplicated {adjective} OTel resource attribute {attribute:?}");
            return Err(f.fault(field, message));
        }
    }
    Ok(attributes)
}

/// The `tracing` section: where the server's own traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// `grpc` or `http`.
    pub client_type: &'static str,
    /// `host:port`.
    pub endpoint: String,
    /// Share of traces that is sent.
    pub sampling_fraction: f64,
    /// Without TLS.
    pub insecure: bool,
    /// TLS of the endpoint.
    pub tls: TlsConfig,
    /// Extra headers, sorted by name.
    pub headers: Vec<(String, String)>,
    /// "" or `gzip`.
    pub compression: &'static str,
    /// 0 for the exporter's default of 10s.
    pub timeout_ms: i64,
}

impl Tracing {
    /// Reads the section.
    pub fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let tracing = Self {
            client_type: f.choice("client_type", "grpc", &[("grpc", "grpc"), ("http", "http"), ("", "")])?,
            endpoint: f.text("endpoint", "")?,
            sampling_fraction: f.float("sampling_fraction", 0.0)?,
            insecure: f.bool("insecure", false)?,
            tls: TlsConfig::read(&mut f, cx)?,
            headers: f.text_map("headers")?,
            compression: f.choice("compression", "", &[("", ""), ("gzip", "gzip")])?,
            timeout_ms: f.duration("timeout", 0)?,
        };
        f.finish()?;
        check_plain_headers(
            &f,
            &tracing.headers,
            "custom authorization header configuration is not yet supported",
        )?;
        if tracing.endpoint.is_empty() {
            return Err(f.fault("endpoint", "tracing endpoint must be set"));
        }
        cx.note(f.pos(), "tracing", "the server's own traces are not sent");
        Ok(tracing)
    }
}
