//! A YAML mapping under construction.

use model::Labels;
use model::go_float::FloatE;
use model::relabel::Rule;
use model::time::DurationText;

use super::relabel;
use crate::sections::global::ScrapeProtocol;
use crate::sections::http_client::{Secret, SecretSource};
use crate::size::SizeText;
use crate::yaml::writer::Tree;

/// A mapping under construction. As in Go's `omitempty`, most ways to add a field leave out a zero value.
#[derive(Default)]
pub(super) struct Map(pub(super) Vec<(String, Tree)>);

impl Map {
    pub(super) fn put(&mut self, name: &str, value: Tree) -> &mut Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// Unless it is an empty mapping.
    pub(super) fn unless_empty(&mut self, name: &str, value: Tree) -> &mut Self {
        if value == Tree::Map(Vec::new()) { self } else { self.put(name, value) }
    }

    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.put(name, Tree::text(text)) }
    }

    /// A number or boolean, unless it is zero or false.
    pub(super) fn unless_zero<T: ToString + Default + PartialEq>(
        &mut self,
        name: &str,
        value: T,
    ) -> &mut Self {
        if value == T::default() { self } else { self.put(name, Tree::raw(value)) }
    }

    /// A number or boolean.
    pub(super) fn always(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.put(name, Tree::raw(value))
    }

    pub(super) fn duration(&mut self, name: &str, ms: i64) -> &mut Self {
        if ms == 0 { self } else { self.put(name, Tree::text(DurationText(ms))) }
    }

    pub(super) fn float(&mut self, name: &str, value: f64) -> &mut Self {
        if value == 0.0 { self } else { self.put(name, float(value)) }
    }

    pub(super) fn size(&mut self, name: &str, bytes: i64) -> &mut Self {
        if bytes == 0 { self } else { self.put(name, Tree::text(SizeText(bytes))) }
    }

    pub(super) fn texts(&mut self, name: &str, texts: &[String]) -> &mut Self {
        self.list(name, texts, |text| Tree::text(text))
    }

    pub(super) fn text_map(&mut self, name: &str, map: &[(String, String)]) -> &mut Self {
        if map.is_empty() { self } else { self.put(name, text_map(map)) }
    }

    pub(super) fn list<T>(&mut self, name: &str, items: &[T], print: impl Fn(&T) -> Tree) -> &mut Self {
        if items.is_empty() { self } else { self.put(name, Tree::List(items.iter().map(print).collect())) }
    }

    pub(super) fn rules(&mut self, name: &str, rules: &[Rule]) -> &mut Self {
        self.list(name, rules, |rule| relabel(rule.spec()))
    }

    pub(super) fn protocols(&mut self, name: &str, protocols: &[ScrapeProtocol]) -> &mut Self {
        self.list(name, protocols, |p| Tree::text(p.as_str()))
    }

    /// One of `name`, `name_file`, `name_ref`. An inline value is shown only if it is not `secret`.
    pub(super) fn source(
        &mut self,
        [inline, file, reference]: [&str; 3],
        secret: bool,
        source: Option<&SecretSource>,
    ) -> &mut Self {
        match source {
            None => self,
            Some(SecretSource::Inline(text)) if secret => self.secret(inline, text),
            Some(SecretSource::Inline(text)) => self.text(inline, text.reveal()),
            Some(SecretSource::File(path)) => self.text(file, &path.to_string_lossy()),
            Some(SecretSource::Reference(name)) => self.text(reference, name),
        }
    }

    pub(super) fn secret(&mut self, name: &str, secret: &Secret) -> &mut Self {
        if secret.is_empty() { self } else { self.put(name, hidden(secret)) }
    }

    pub(super) fn done(&mut self) -> Tree {
        Tree::Map(std::mem::take(&mut self.0))
    }
}

pub(super) fn hidden(secret: &Secret) -> Tree {
    if secret.is_empty() { Tree::Null } else { Tree::text("<secret>") }
}

/// As Go's `%g` with the fewest digits.
pub(super) fn float(value: f64) -> Tree {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..21).contains(&exponent) {
        return Tree::raw(value);
    }
    Tree::Raw(FloatE(value).to_string())
}

pub(super) fn text_map(map: &[(String, String)]) -> Tree {
    Tree::Map(map.iter().map(|(name, value)| (name.clone(), Tree::text(value))).collect())
}

pub(super) fn labels(labels: &Labels) -> Tree {
    Tree::Map(labels.iter().map(|(name, value)| (name.to_owned(), Tree::text(value))).collect())
}
