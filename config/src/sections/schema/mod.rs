//! Sections that are known by their fields and checked, but not acted upon in this version: discovery kinds and cloud
//! authentication. A [`Schema`] says which fields a section has; what was written is kept for printing.

pub mod tables;

use crate::context::Context;
use crate::sections::http_client::{Auth, HttpClientConfig, Secret, TlsConfig};
use crate::url::GoUrl;
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// A checked entry of such a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Name in the configuration, such as `kubernetes_sd_configs`.
    pub name: &'static str,
    /// All fields in Prometheus's order, defaults filled in.
    pub fields: Vec<(&'static Field, FieldValue)>,
}

/// The value of one field of a [`Section`].
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "one per kind of field")]
pub enum FieldValue {
    Text(String),
    Secret(Secret),
    Int(i64),
    Bool(bool),
    Duration(i64),
    Texts(Vec<String>),
    TextMap(Vec<(String, String)>),
    Url(Option<GoUrl>),
    Tls(TlsConfig),
    Http(Box<HttpClientConfig>),
    Nested(Option<Section>),
    List(Vec<Section>),
}

/// What a kind of section looks like.
#[derive(Debug)]
pub struct Schema {
    /// Name in the configuration.
    pub name: &'static str,
    /// In Prometheus's order.
    pub fields: &'static [Field],
    /// Rules beyond each field's own; the error names the field to point at, "" for the section.
    pub check: fn(&Section) -> Result<(), (&'static str, String)>,
}

/// What a field looks like.
#[derive(Debug)]
pub struct Field {
    /// Name; "" for the inline HTTP client.
    pub name: &'static str,
    /// Its type, with the default.
    pub kind: Kind,
    /// Printed even when it is empty.
    pub always: bool,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Type of a field, with its default.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as the values they lead to")]
pub enum Kind {
    Text(&'static str),
    Secret,
    Int(i64),
    Bool(bool),
    /// Milliseconds.
    Duration(i64),
    Texts,
    TextMap,
    Url,
    /// A path, relative to the configuration file.
    Path,
    /// One of these texts; the first is the default, "" means that none is written.
    OneOf(&'static [&'static str]),
    Tls,
    /// The fields of the HTTP client, inline.
    Http,
    /// A section within; missing unless written.
    Nested(&'static Schema),
    /// A section within, always there.
    Inner(&'static Schema),
    List(&'static Schema),
}

impl Field {
    /// A field that is printed when it is not empty.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, always: false }
    }

    /// A field that is always printed.
    pub const fn shown(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, always: true }
    }
}

impl Schema {
    /// Reads a section.
    pub fn read(&'static self, mut f: Fields<'_>, cx: &Context<'_>) -> Result<Section, Fault> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in self.fields {
            fields.push((field, field.read(&mut f, cx)?));
        }
        f.finish()?;
        let section = Section { name: self.name, fields };
        (self.check)(&section).map_err(|(field, message)| match field {
            "" => f.fault_here(message),
            field => f.fault(field, message),
        })?;
        Ok(section)
    }
}

impl Field {
    fn read(&self, f: &mut Fields<'_>, cx: &Context<'_>) -> Result<FieldValue, Fault> {
        let name = self.name;
        Ok(match self.kind {
            Kind::Text(default) => FieldValue::Text(f.text(name, default)?),
            Kind::Secret => FieldValue::Secret(f.secret(name)?),
            Kind::Int(default) => FieldValue::Int(f.int(name, default)?),
            Kind::Bool(default) => FieldValue::Bool(f.bool(name, default)?),
            Kind::Duration(default) => FieldValue::Duration(f.duration(name, default)?),
            Kind::Texts => FieldValue::Texts(f.texts(name)?),
            Kind::TextMap => FieldValue::TextMap(f.text_map(name)?),
            Kind::Url => FieldValue::Url(f.url(name)?),
            Kind::Path => FieldValue::Text(cx.path(&f.text(name, "")?)),
            Kind::OneOf(values) => {
                let text = f.text(name, values.first().copied().unwrap_or(""))?;
                if !values.contains(&text.as_str()) {
                    let expected: Vec<&str> = values.iter().copied().filter(|v| !v.is_empty()).collect();
                    let message = format!(
                        "{}: expected one of {}, found {text:?}",
                        f.path_of(name),
                        expected.join(", ")
                    );
                    return Err(f.fault(name, message));
                }
                FieldValue::Text(text)
            }
            Kind::Tls => FieldValue::Tls(TlsConfig::read(f, cx)?),
            Kind::Http => FieldValue::Http(Box::new(HttpClientConfig::read(f, cx, true)?)),
            Kind::Nested(schema) => FieldValue::Nested(f.section(name, |f| schema.read(f, cx))?),
            Kind::Inner(schema) => {
                let empty = crate::yaml::Node::null();
                let section = match f.section(name, |f| schema.read(f, cx))? {
                    Some(section) => section,
                    None => schema.read(Fields::new(&empty, "")?, cx)?,
                };
                FieldValue::Nested(Some(section))
            }
            Kind::List(schema) => {
                FieldValue::List(f.list(name, |node, path| schema.read(Fields::new(node, path)?, cx))?)
            }
        })
    }
}

impl FieldValue {
    /// Whether this is Go's zero value.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Secret(secret) => secret.is_empty(),
            Self::Int(n) | Self::Duration(n) => *n == 0,
            Self::Bool(b) => !b,
            Self::Texts(texts) => texts.is_empty(),
            Self::TextMap(map) => map.is_empty(),
            Self::Url(url) => url.is_none(),
            Self::Tls(tls) => *tls == TlsConfig::default(),
            Self::Http(_) => false,
            Self::Nested(section) => {
                section.as_ref().is_none_or(|s| s.fields.iter().all(|(_, value)| value.is_zero()))
            }
            Self::List(sections) => sections.is_empty(),
        }
    }
}

/// What checks look at.
impl Section {
    fn value(&self, name: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// A text field; "" when there is no such field.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(FieldValue::Text(text)) => text,
            _ => "",
        }
    }

    /// A secret field that is not empty.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.value(name) {
            Some(FieldValue::Secret(secret)) if !secret.is_empty() => Some(secret),
            _ => None,
        }
    }

    /// Whether a field has a value other than zero.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !value.is_zero())
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(FieldValue::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A list of sections.
    pub fn sections(&self, name: &str) -> &[Section] {
        match self.value(name) {
            Some(FieldValue::List(sections)) => sections,
            _ => &[],
        }
    }

    /// A section within.
    pub fn section(&self, name: &str) -> Option<&Section> {
        match self.value(name) {
            Some(FieldValue::Nested(section)) => section.as_ref(),
            _ => None,
        }
    }

    /// The inline HTTP client.
    pub fn http(&self) -> Option<&HttpClientConfig> {
        self.fields.iter().find_map(|(_, value)| match value {
            FieldValue::Http(http) => Some(http.as_ref()),
            _ => None,
        })
    }

    /// How the inline HTTP client authenticates.
    pub fn auth(&self) -> &Auth {
        self.http().map_or(&Auth::None, |http| &http.auth)
    }

    /// Refuses an empty field.
    pub fn require(&self, name: &'static str, message: &str) -> Result<(), (&'static str, String)> {
        if self.is_set(name) { Ok(()) } else { Err((name, message.to_owned())) }
    }
}
