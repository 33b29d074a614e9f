//! How discovery sections are printed.

use model::time::DurationText;

use super::http_client::{http_client, tls};
use super::map::{Map, hidden, text_map};
use crate::sections::discovery::{SdConfig, StaticGroup};
use crate::sections::table::{Field, FieldValue};
use crate::yaml::writer::Tree;

/// Discovery sections come last, sorted by name.
pub(super) fn discovery(m: &mut Map, configs: &[SdConfig]) {
    let mut sections: Vec<(&str, Vec<Tree>)> = Vec::new();
    for config in configs {
        let name = config.section_name();
        let entries = match config {
            SdConfig::Static(groups) => groups.iter().map(static_group).collect(),
            mechanism => vec![section(&mechanism.fields())],
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

/// A section that is declared as a table.
pub(super) fn section(fields: &[Field<'_>]) -> Tree {
    let mut m = Map::default();
    for Field { name, value, always } in fields {
        if value.is_zero() && !always {
            continue;
        }
        let out = match value {
            FieldValue::Http(http) => {
                http_client(&mut m, http);
                continue;
            }
            FieldValue::Tls(config) => {
                tls(&mut m, config);
                continue;
            }
            FieldValue::Text(text) => Tree::text(text),
            FieldValue::Secret(secret) => hidden(secret),
            FieldValue::Int(n) => Tree::raw(n),
            FieldValue::Bool(b) => Tree::raw(b),
            FieldValue::Duration(ms) => Tree::text(DurationText(*ms)),
            FieldValue::Texts(texts) => Tree::List(texts.iter().map(Tree::text).collect()),
            FieldValue::TextMap(map) => text_map(map),
            FieldValue::Url(url) => url.map_or(Tree::Null, Tree::text),
            FieldValue::Nested(fields) => fields.as_deref().map_or(Tree::Null, section),
            FieldValue::List(sections) => Tree::List(sections.iter().map(|fields| section(fields)).collect()),
        };
        m.put(name, out);
    }
    m.done()
}
