//! Sections that are known by their fields and checked, but not acted upon in this version: discovery kinds and cloud
//! authentication. A table says which fields a section has; what was written is kept for printing.

use super::http_client::HttpClientConfig;

/// A checked entry of such a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Name of the section in the configuration, such as `kubernetes_sd_configs`.
    pub name: &'static str,
    /// Present fields with their values, in the table's order.
    pub fields: Vec<(&'static str, FieldValue)>,
    /// The inline HTTP client, for the kinds that have one.
    pub http: Option<Box<HttpClientConfig>>,
}

/// The value of one field of a [`Section`].
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Text.
    Text(String),
}
