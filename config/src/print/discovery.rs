//! How discovery sections are printed.

use model::time::DurationText;

use super::http_client::{http_client, tls};
use super::map::{Map, hidden, text_map};
use crate::sections::discovery::{SdConfig, StaticGroup};
use crate::sections::schema::{FieldValue, Section};
use crate::yaml::writer::Tree;

/// Discovery sections come last, sorted by name.
pub(super) fn discovery(m: &mut Map, configs: &[SdConfig]) {
    let mut sections: Vec<(&str, Vec<Tree>)> = Vec::new();
    for config in configs {
        let (name, entries) = match config {
            SdConfig::Static(groups) => ("static_configs", groups.iter().map(static_group).collect()),
            SdConfig::File(sd) => {
                let mut m = Map::default();
                m.texts("files", &sd.files).duration("refresh_interval", sd.refresh_interval_ms);
                ("file_sd_configs", vec![m.done()])
            }
            SdConfig::Http(sd) => {
                let mut m = Map::default();
                http_client(&mut m, &sd.http);
                m.duration("refresh_interval", sd.refresh_interval_ms).put("url", Tree::text(&sd.url));
                ("http_sd_configs", vec![m.done()])
            }
            SdConfig::Dns(sd) => {
                let mut m = Map::default();
                m.texts("names", &sd.names)
                    .duration("refresh_interval", sd.refresh_interval_ms)
                    .put("type", Tree::text(sd.record.as_str()))
                    .always("port", sd.port);
                ("dns_sd_configs", vec![m.done()])
            }
            SdConfig::Other(section) => (section.name, vec![schema_section(section)]),
        };
        match sections.iter_mut().find(|(other, _)| *other == name) {
            Some((_, all)) => all.extend(entries),
            None => sections.push((name, entries)),
        }
    }
    sections.sort_by_key(|(name, _)| *name);
    for (name, entries) in sections {
        m.put(name, Tree::List(entries));
    }
}

pub(super) fn static_group(group: &StaticGroup) -> Tree {
    let mut m = Map::default();
    m.put("targets", Tree::List(group.targets.iter().map(Tree::text).collect()));
    m.text_map("labels", &group.labels).done()
}

pub(super) fn schema_section(section: &Section) -> Tree {
    let mut m = Map::default();
    for (field, value) in &section.fields {
        if let FieldValue::Http(http) = value {
            http_client(&mut m, http);
            continue;
        }
        if value.is_zero() && !field.always {
            continue;
        }
        let out = match value {
            FieldValue::Text(text) => Tree::text(text),
            FieldValue::Secret(secret) => hidden(secret),
            FieldValue::Int(n) => Tree::raw(n),
            FieldValue::Bool(b) => Tree::raw(b),
            FieldValue::Duration(ms) => Tree::text(DurationText(*ms)),
            FieldValue::Texts(texts) => Tree::List(texts.iter().map(Tree::text).collect()),
            FieldValue::TextMap(map) => text_map(map),
            FieldValue::Url(url) => url.as_ref().map_or(Tree::Null, Tree::text),
            FieldValue::Tls(config) => {
                tls(&mut m, config);
                continue;
            }
            FieldValue::Nested(section) => section.as_ref().map_or(Tree::Null, schema_section),
            FieldValue::List(sections) => Tree::List(sections.iter().map(schema_section).collect()),
            FieldValue::Http(_) => continue,
        };
        m.put(field.name, out);
    }
    m.done()
}
