//! Reads the fields of one mapping into typed values, as yaml.v2 would: a missing field takes the default, `null`
//! gives the type's zero value, scalars convert where Go converts them, an unknown field is a fault.

use model::time::parse_duration;

use crate::secret::Secret;
use crate::size::parse_size;
use crate::url::GoUrl;
use crate::yaml::{Entry, Fault, Node, Pos, Value};

/// The fields of one section, and which of them were asked for.
pub struct Fields<'n> {
    entries: &'n [Entry],
    pos: Pos,
    path: String,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Over a mapping, or over null as an empty one. `path` names the section in messages; the root's is empty.
    pub fn new(node: &'n Node, path: impl Into<String>) -> Result<Self, Fault> {
        let path = path.into();
        let entries = match &node.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                let of = if path.is_empty() { "the configuration" } else { &path };
                let found = node.describe_kind();
                let message = format!("expected {of} to be a mapping of fields, found {found}");
                return Err(Fault::new(node.pos, message));
            }
        };
        Ok(Self { entries, pos: node.pos, path, known: Vec::new() })
    }

    /// Where the section starts.
    pub fn pos(&self) -> Pos {
        self.pos
    }

    /// What the section is called in messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The full name of one of its fields.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The entry of a field, null or not.
    pub fn entry(&mut self, name: &'static str) -> Option<&'n Entry> {
        self.known.push(name);
        self.entries.iter().find(|e| e.key == name)
    }

    /// The value of a field; null counts as there.
    pub fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        self.entry(name).map(|e| &e.value)
    }

    /// Whether the field is written, null or not, without taking note that it is known.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.key == name)
    }

    /// Whether the field is written and not null.
    pub fn is_written(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.key == name && !e.value.is_null())
    }

    /// A fault at a field's value, or at the section when the field is not written.
    pub fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        let pos = self.entries.iter().find(|e| e.key == name).map_or(self.pos, |e| match e.value.is_null() {
            true => e.pos,
            false => e.value.pos,
        });
        Fault::new(pos, message)
    }

    /// A fault of the section as a whole.
    pub fn fault_here(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.pos, message)
    }

    /// Refuses fields that are not known.
    pub fn finish(&self) -> Result<(), Fault> {
        let Some(unknown) = self.entries.iter().find(|e| !self.known.contains(&e.key.as_str())) else {
            return Ok(());
        };
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        let hint = match crate::suggestion::closest(&unknown.key, self.known.iter().copied()) {
            Some(near) => format!("; did you mean {near:?}?"),
            None => String::new(),
        };
        Err(Fault::new(unknown.pos, format!("unknown field {:?}{place}{hint}", unknown.key)))
    }

    fn read<T: Default>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Result<T, Fault> {
        match self.node(name) {
            None => Ok(default),
            Some(node) if node.is_null() => Ok(T::default()),
            Some(node) => {
                read(node).map_err(|e| Fault::new(node.pos, format!("{}: {e}", self.path_of(name))))
            }
        }
    }

    /// Any scalar as text.
    pub fn text(&mut self, name: &'static str, default: &str) -> Result<String, Fault> {
        self.read(name, default.to_owned(), text)
    }

    /// One of a few texts; `default` when missing, `zero` when null.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> Result<T, Fault> {
        let Some(node) = self.node(name) else { return Ok(default) };
        choice(node, choices).map_err(|e| Fault::new(node.pos, format!("{}: {e}", self.path_of(name))))
    }

    /// A boolean; `yes`, `on` and the like are accepted.
    pub fn bool(&mut self, name: &'static str, default: bool) -> Result<bool, Fault> {
        self.read(name, default, boolean)
    }

    /// A boolean that can be left open.
    pub fn optional_bool(&mut self, name: &'static str) -> Result<Option<bool>, Fault> {
        self.read(name, None, |node| boolean(node).map(Some))
    }

    /// A whole number; a fraction is cut off.
    pub fn int(&mut self, name: &'static str, default: i64) -> Result<i64, Fault> {
        self.read(name, default, integer)
    }

    /// A whole number that is not negative.
    pub fn uint(&mut self, name: &'static str, default: u64) -> Result<u64, Fault> {
        self.read(name, default, |node| {
            let wrong = || format!("expected a whole number of at least 0, found {}", node.describe());
            match number(node).ok_or_else(wrong)? {
                Number::Int(n) => u64::try_from(n).map_err(|_| wrong()),
                Number::Uint(n) => Ok(n),
                Number::Float(f) if f > -1.0 && f <= u64::MAX as f64 => Ok(f as u64),
                Number::Float(_) => Err(wrong()),
            }
        })
    }

    /// A number.
    pub fn float(&mut self, name: &'static str, default: f64) -> Result<f64, Fault> {
        self.read(name, default, |node| match number(node) {
            Some(Number::Int(n)) => Ok(n as f64),
            Some(Number::Uint(n)) => Ok(n as f64),
            Some(Number::Float(f)) => Ok(f),
            None => Err(format!("expected a number, found {}", node.describe())),
        })
    }

    /// A duration in milliseconds.
    pub fn duration(&mut self, name: &'static str, default_ms: i64) -> Result<i64, Fault> {
        self.read(name, default_ms, |node| {
            let text = text(node)
                .map_err(|_| format!("expected a duration such as 1m30s, found {}", node.describe()))?;
            parse_duration(&text).map_err(|e| e.to_string())
        })
    }

    /// A size in bytes; 0 when missing.
    pub fn size(&mut self, name: &'static str) -> Result<i64, Fault> {
        Ok(self.size_opt(name)?.unwrap_or(0))
    }

    /// As [`Fields::size`]; `None` where nothing is written.
    pub fn size_opt(&mut self, name: &'static str) -> Result<Option<i64>, Fault> {
        self.read(name, None, |node| {
            let text = text(node)
                .map_err(|_| format!("expected a size such as 512MB, found {}", node.describe()))?;
            parse_size(&text).map(Some).map_err(|e| e.to_string())
        })
    }

    /// A secret; messages never show it.
    pub fn secret(&mut self, name: &'static str) -> Result<Secret, Fault> {
        self.read(name, Secret::default(), |node| match node.scalar() {
            Some(scalar) => Ok(Secret::new(&scalar.text)),
            None => Err(format!("expected a text, found {}", node.describe())),
        })
    }

    /// A URL that may be missing.
    pub fn url(&mut self, name: &'static str) -> Result<Option<GoUrl>, Fault> {
        self.read(name, None, |node| {
            let text = text(node)?;
            GoUrl::parse(&text).map(Some).map_err(|e| crate::url::refused(&text, &e))
        })
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Fault> {
        self.list(name, |node, path| {
            if node.is_null() {
                return Ok(String::new());
            }
            text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))
        })
    }

    /// A mapping of names to texts, sorted by name.
    pub fn text_map(&mut self, name: &'static str) -> Result<Vec<(String, String)>, Fault> {
        self.map(name, |node, path| {
            if node.is_null() {
                return Ok(String::new());
            }
            text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))
        })
    }

    /// A mapping of names to anything, sorted by name.
    pub fn map<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&'n Node, &str) -> Result<T, Fault>,
    ) -> Result<Vec<(String, T)>, Fault> {
        let path = self.path_of(name);
        let Some(node) = self.node(name).filter(|n| !n.is_null()) else { return Ok(Vec::new()) };
        let Value::Mapping(entries) = &node.value else {
            return Err(Fault::new(
                node.pos,
                format!("{path}: expected a mapping, found {}", node.describe_kind()),
            ));
        };
        let mut map = Vec::with_capacity(entries.len());
        for entry in entries {
            map.push((entry.key.clone(), read(&entry.value, &format!("{path}.{}", entry.key))?));
        }
        map.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(map)
    }

    /// A list of anything; `read` gets each item with its path, such as `scrape_configs[0]`.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&'n Node, &str) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let path = self.path_of(name);
        let Some(node) = self.node(name).filter(|n| !n.is_null()) else { return Ok(Vec::new()) };
        let Value::Sequence(items) = &node.value else {
            let found = node.describe_kind();
            let message = format!("{path}: expected a list (items that start with \"- \"), found {found}");
            return Err(Fault::new(node.pos, message));
        };
        items.iter().enumerate().map(|(i, item)| read(item, &format!("{path}[{i}]"))).collect()
    }

    /// A section that may be missing; null counts as missing.
    pub fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Fields<'n>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let path = self.path_of(name);
        match self.node(name).filter(|n| !n.is_null()) {
            None => Ok(None),
            Some(node) => read(Fields::new(node, path)?).map(Some),
        }
    }
}

/// A scalar's text, whatever it could be read as.
pub fn text(node: &Node) -> Result<String, String> {
    match node.scalar() {
        Some(scalar) => Ok(scalar.text.clone()),
        None => Err(format!("expected a text, found {}", node.describe())),
    }
}

/// One of a few texts.
pub fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, String> {
    let names =
        || choices.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect::<Vec<_>>().join(", ");
    let found = if node.is_null() { String::new() } else { text(node)? };
    choices
        .iter()
        .find(|(name, _)| *name == found)
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("expected one of {}, found {}", names(), node.describe()))
}

/// A boolean, with the spellings of YAML 1.1.
pub fn boolean(node: &Node) -> Result<bool, String> {
    match node.scalar().filter(|s| s.plain).map(|s| s.text.as_str()) {
        Some("y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON") => Ok(true),
        Some("n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF") => {
            Ok(false)
        }
        _ => Err(format!("expected true or false, found {}", node.describe())),
    }
}

/// A whole number; a fraction is cut off.
pub fn integer(node: &Node) -> Result<i64, String> {
    let wrong = || format!("expected a whole number, found {}", node.describe());
    match number(node).ok_or_else(wrong)? {
        Number::Int(n) => Ok(n),
        Number::Float(f) if f.abs() <= i64::MAX as f64 => Ok(f as i64),
        Number::Uint(_) | Number::Float(_) => Err(wrong()),
    }
}

/// A number as yaml.v2 tells them apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Fits 64 bits with sign.
    Int(i64),
    /// Fits 64 bits without sign only.
    Uint(u64),
    /// Any other.
    Float(f64),
}

/// The number that a plain scalar is: decimal, `0x`, `0o`, leading-zero octal, `0b`, `_` between digits, floats,
/// `.inf`, `.nan`.
pub fn number(node: &Node) -> Option<Number> {
    let text = node.scalar().filter(|s| s.plain)?.text.as_str();
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(Number::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(Number::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Number::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, unsigned) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] if unsigned.bytes().all(|b| (b'0'..=b'7').contains(&b)) => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
        let magnitude = i128::from_str_radix(digits, radix).ok();
        if let Some(value) = magnitude.map(|m| if negative { -m } else { m }) {
            if let Ok(value) = i64::try_from(value) {
                return Some(Number::Int(value));
            }
            if let Ok(value) = u64::try_from(value) {
                return Some(Number::Uint(value));
            }
        }
    }
    let is_float = unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    plain.parse::<f64>().ok().filter(|f| is_float && f.is_finite()).map(Number::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn numbers_are_yaml_v2s() {
        for (text, want) in [
            ("12", Some(Number::Int(12))),
            ("-3", Some(Number::Int(-3))),
            ("+3", Some(Number::Int(3))),
            ("1_000", Some(Number::Int(1000))),
            ("0x1F", Some(Number::Int(31))),
            ("0o17", Some(Number::Int(15))),
            ("017", Some(Number::Int(15))),
            ("0b11", Some(Number::Int(3))),
            ("018", Some(Number::Int(18))),
            ("1.5", Some(Number::Float(1.5))),
            ("5e7", Some(Number::Float(5e7))),
            (".5", Some(Number::Float(0.5))),
            ("18446744073709551615", Some(Number::Uint(u64::MAX))),
            ("'12'", None),
            ("12s", None),
            ("inf", None),
            ("-", None),
            ("1e999", None),
        ] {
            assert_eq!(number(&parse(text).unwrap()), want, "{text}");
        }
    }

    #[test]
    fn fields_take_go_values() {
        let node = parse("t: 1.10\nb: yes\nn: null\nd: 1m\nl: [a, 2]\nm: {b: 1, a: x}").unwrap();
        let mut f = Fields::new(&node, "s").unwrap();
        assert_eq!(f.text("t", "x").unwrap(), "1.10");
        assert!(f.bool("b", false).unwrap());
        assert_eq!(f.int("n", 7).unwrap(), 0);
        assert_eq!(f.int("missing", 7).unwrap(), 7);
        assert_eq!(f.duration("d", 1).unwrap(), 60_000);
        assert_eq!(f.texts("l").unwrap(), ["a", "2"]);
        assert_eq!(f.text_map("m").unwrap(), [("a".into(), "x".into()), ("b".into(), "1".into())]);
        f.finish().unwrap();
    }

    #[test]
    fn faults_say_where_and_what() {
        let read = |text: &str, read: fn(&mut Fields<'_>) -> Result<(), Fault>| {
            let node = parse(text).unwrap();
            let fault =
                Fields::new(&node, "s").and_then(|mut f| read(&mut f).and_then(|()| f.finish())).unwrap_err();
            format!("{}: {fault}", fault.pos)
        };
        let int = |f: &mut Fields<'_>| f.int("a", 0).map(drop);
        assert_eq!(read("a: x", int), "1:4: s.a: expected a whole number, found \"x\"");
        assert_eq!(read("a: [1]", int), "1:4: s.a: expected a whole number, found a list");
        assert_eq!(read("a: 1\nab: 2", int), "2:1: unknown field \"ab\" in s; did you mean \"a\"?");
        assert_eq!(read("x", int), "1:1: expected s to be a mapping of fields, found a text");
        let list = |f: &mut Fields<'_>| f.texts("a").map(drop);
        assert_eq!(
            read("a: x", list),
            "1:4: s.a: expected a list (items that start with \"- \"), found a text"
        );
        let uint = |f: &mut Fields<'_>| f.uint("a", 0).map(drop);
        assert_eq!(read("a: -1", uint), "1:4: s.a: expected a whole number of at least 0, found \"-1\"");
        let secret = |f: &mut Fields<'_>| f.secret("a").map(drop);
        assert_eq!(read("a: [hunter2]", secret), "1:4: s.a: expected a text, found a list");
    }
}
