//! YAML as a tree of nodes with positions. Prometheus reads its files with Go's yaml.v2, whose dialect this is:
//! anchors, aliases and merge keys; `yes` and `on` are booleans; only the first document counts; a key may stand only
//! once. Which type a plain scalar has is decided by its reader, so a version `1.10` stays text where text is wanted.
//! [`fields`] reads mappings into typed values, [`writer`] writes trees.

pub mod encoding;
pub mod fields;
pub mod writer;

use std::collections::HashMap;
use std::fmt;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

/// Nodes of one document after aliases are expanded, at most: bounds what a few bytes of aliases can blow up to.
const MAX_NODES: usize = 1_000_000;

/// A place in a text, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Pos {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Something wrong at a place of a text; [`crate::error::ConfigError`] adds the file and shows the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Where.
    pub pos: Pos,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(pos: Pos, message: impl Into<String>) -> Self {
        Self { pos, message: message.into() }
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub pos: Pos,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, or what may be read as another scalar type.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in order, merge keys resolved, no key twice.
    Mapping(Vec<Entry>),
}

/// A scalar as written, quotes and escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// Neither quoted nor tagged as a string: may be a number, a boolean or null.
    pub plain: bool,
    style: ScalarStyle,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key starts.
    pub pos: Pos,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Nothing, at the start.
    pub fn null() -> Self {
        Self::plain("")
    }

    /// An unquoted scalar, for asking what a text would be read as.
    pub(super) fn plain(text: &str) -> Self {
        let scalar = Scalar { text: text.to_owned(), plain: true, style: ScalarStyle::Plain };
        Self { pos: Pos::START, value: Value::Scalar(scalar) }
    }

    /// Whether this is `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(s) => s.plain && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// What kind of value this is, for messages where a secret may stand: `a list`, `a mapping`, `a text`.
    pub fn describe_kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(_) => "a text",
        }
    }

    /// What this is, for messages: `a list`, `a mapping`, `"text"`.
    pub fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar(s) => {
                const SHOWN: usize = 40;
                match s.text.char_indices().nth(SHOWN) {
                    Some((end, _)) => format!("{:?}...", &s.text[..end]),
                    None => format!("{:?}", s.text),
                }
            }
        }
    }

    /// Where the character at byte `offset` of the scalar's text stands in `source`, the text this was parsed from.
    /// Exact for plain and quoted one-line scalars without escapes and for literal blocks (`|`); otherwise the place
    /// where the scalar starts.
    pub fn place_of(&self, offset: usize, source: &str) -> Pos {
        let Some(scalar) = self.scalar() else { return self.pos };
        let before = scalar.text.get(..offset).unwrap_or(&scalar.text);
        let line = source.lines().nth(self.pos.line as usize - 1).unwrap_or("");
        let from = |skip: usize| line.chars().skip(self.pos.column as usize - 1 + skip);
        let on_line = |skip: usize| {
            from(skip).collect::<String>().starts_with(&scalar.text).then(|| Pos {
                line: self.pos.line,
                column: self.pos.column + (skip + before.chars().count()) as u32,
            })
        };
        let place = match scalar.style {
            ScalarStyle::Plain => on_line(0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => on_line(1),
            // The block starts at its first line that is not empty.
            ScalarStyle::Literal => {
                let skipped = scalar.text.len() - scalar.text.trim_start_matches('\n').len();
                let down = before.matches('\n').count() + self.pos.line as usize;
                let in_line = before.rsplit('\n').next().unwrap_or("").chars().count();
                let line = down.saturating_sub(skipped) as u32;
                Some(Pos { line, column: self.pos.column + in_line as u32 })
            }
            _ => None,
        };
        place.unwrap_or(self.pos)
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Self::count).sum(),
            Value::Mapping(entries) => entries.iter().map(|e| 1 + e.value.count()).sum(),
        }
    }
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Parses the first document of a text; an empty text is a null node.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut options = Options::default();
    options.block_scalar_eof_without_line_feed = true;
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node::null()),
            event => return builder.node(event, &span),
        }
    }
}

/// The text of a `!!binary` scalar.
fn decode_binary(text: &str, pos: Pos) -> Result<String, Fault> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text.replace(['\n', '\r'], ""))
        .map_err(|_| Fault::new(pos, "!!binary value contains invalid base64 data"))?;
    String::from_utf8(bytes).map_err(|_| Fault::new(pos, "!!binary value is not UTF-8 text"))
}

struct Builder<'t> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.events.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(e)) => {
                let pos = Pos { line: e.marker().line() as u32, column: e.marker().col() as u32 + 1 };
                Err(Fault::new(pos, format!("not valid YAML: {}", e.info())))
            }
            None => Err(Fault::new(Pos::START, "not valid YAML: the document ends too early")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, Fault> {
        let pos = Pos { line: span.start.line() as u32, column: span.start.col() as u32 + 1 };
        self.grow(1, pos)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(|t| (t.handle() == "tag:yaml.org,2002:", t.suffix()));
                let (text, plain) = match tag {
                    None => (text.into_owned(), style == ScalarStyle::Plain),
                    Some((true, "binary")) => (decode_binary(&text, pos)?, false),
                    Some((true, suffix)) => (text.into_owned(), suffix != "str"),
                    Some((false, _)) => (text.into_owned(), false),
                };
                (anchor, Value::Scalar(Scalar { text, plain, style }))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Value::Sequence(self.sequence()?)),
            Event::MappingStart(_, anchor, _) => (anchor, Value::Mapping(self.mapping()?)),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(Fault::new(pos, "an alias may not stand inside the value that it names"));
                };
                self.grow(node.count(), pos)?;
                return Ok(node);
            }
            other => return Err(Fault::new(pos, format!("not valid YAML: unexpected {other:?}"))),
        };
        let node = Node { pos, value };
        if anchor != 0 {
            self.grow(node.count(), pos)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn grow(&mut self, by: usize, pos: Pos) -> Result<(), Fault> {
        self.nodes += by;
        if self.nodes > MAX_NODES {
            return Err(Fault::new(pos, format!("more than {MAX_NODES} values, aliases expanded")));
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Fault> {
        let mut entries = Entries::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries.list);
            }
            let key = self.node(event, &span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span)?;
            let Value::Scalar(scalar) = key.value else {
                return Err(Fault::new(key.pos, "a key must be a text, not a list or mapping"));
            };
            if scalar.plain && scalar.text == "<<" {
                entries.merge(value)?;
            } else {
                entries.add(Entry { key: scalar.text, pos: key.pos, value })?;
            }
        }
    }
}

/// The entries of a mapping under construction. As in yaml.v2, a merge and a key written beside it may set the same
/// field; the later one wins.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    /// Index in `list`, and whether the entry was written here rather than merged in.
    by_key: HashMap<String, (usize, bool)>,
}

impl Entries {
    fn add(&mut self, entry: Entry) -> Result<(), Fault> {
        match self.by_key.get(&entry.key).copied() {
            Some((first, true)) => {
                let first = self.list[first].pos;
                Err(Fault::new(
                    entry.pos,
                    format!("duplicate field {:?}; it is already set at line {}", entry.key, first.line),
                ))
            }
            _ => {
                self.put(entry, true);
                Ok(())
            }
        }
    }

    fn put(&mut self, entry: Entry, written_here: bool) {
        match self.by_key.get_mut(&entry.key) {
            Some((at, written)) => {
                *written |= written_here;
                self.list[*at] = entry;
            }
            None => {
                self.by_key.insert(entry.key.clone(), (self.list.len(), written_here));
                self.list.push(entry);
            }
        }
    }

    fn merge(&mut self, from: Node) -> Result<(), Fault> {
        match from.value {
            Value::Mapping(entries) => entries.into_iter().for_each(|entry| self.put(entry, false)),
            Value::Sequence(items) => {
                // Earlier mappings take precedence, so they are put last.
                for item in items.into_iter().rev() {
                    let Value::Mapping(entries) = item.value else {
                        return Err(Fault::new(
                            item.pos,
                            "a merge key (<<) needs a mapping or a list of mappings",
                        ));
                    };
                    entries.into_iter().for_each(|entry| self.put(entry, false));
                }
            }
            Value::Scalar(_) => {
                return Err(Fault::new(from.pos, "a merge key (<<) needs a mapping or a list of mappings"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes in a compact form: `[a, b]`, `{k: v}`, `'quoted'`, `plain`.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Scalar(s) if s.plain => s.text.clone(),
            Value::Scalar(s) => format!("'{}'", s.text),
            Value::Sequence(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
            Value::Mapping(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    #[test]
    fn documents() {
        for (text, want) in [
            ("", ""),
            ("# nothing", ""),
            ("---\n", "~"),
            ("a: 1\n---\nb: [", "{a: 1}"),
            ("a: [x, 'y', \"z\\n\"]", "{a: [x, 'y', 'z\n']}"),
            ("a: |\n  one\n  two\nb: >-\n  three\n  four", "{a: 'one\ntwo\n', b: 'three four'}"),
            ("a: &x {k: 1}\nb: *x", "{a: {k: 1}, b: {k: 1}}"),
            ("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3", "{a: {k: 1, l: 2}, b: {k: 3, l: 2}}"),
            ("b:\n  <<: [{k: 1}, {k: 2, m: 3}]", "{b: {k: 1, m: 3}}"),
            ("a: !!str 12\nb: !!int '12'\nc: !mine x", "{a: '12', b: 12, c: 'x'}"),
            ("12: a\ntrue: b", "{12: a, true: b}"),
            ("a: !!binary aGk=", "{a: 'hi'}"),
        ] {
            assert_eq!(show(&parse(text).unwrap()), want, "{text}");
        }
    }

    #[test]
    fn faults() {
        for (text, place, message) in [
            ("a: 1\na: 2", "2:1", "duplicate field \"a\"; it is already set at line 1"),
            ("a: [1", "1:4", "not valid YAML: "),
            ("a: b: c", "1:5", "not valid YAML: "),
            ("[a]: 1", "1:1", "a key must be a text, not a list or mapping"),
            ("a: *nope", "1:4", "not valid YAML: "),
            ("a: !!binary '?'", "1:13", "!!binary value contains invalid base64 data"),
            ("a: !!binary /w==", "1:13", "!!binary value is not UTF-8 text"),
            ("<<: 1", "1:5", "a merge key (<<) needs a mapping or a list of mappings"),
            ("a: &x [*x]", "1:8", "an alias may not stand inside the value that it names"),
            ("a:\n\t- b", "2:2", "not valid YAML: "),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.message.starts_with(message), "{text}: {fault}");
            assert_eq!(fault.pos.to_string(), place, "{text}: {fault}");
        }
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..20 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(parse(&text).unwrap_err().message.contains("aliases expanded"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
    }

    #[test]
    fn places_inside_scalars() {
        let text = "a: up{x\nb: 'sum(y'\nc: |\n\n    one +\n    two\nd: >\n  x";
        let Value::Mapping(entries) = parse(text).unwrap().value else { panic!() };
        let place = |i: usize, offset| entries[i].value.place_of(offset, text).to_string();
        assert_eq!(place(0, 2), "1:6");
        assert_eq!(place(1, 4), "2:9");
        assert_eq!(place(2, 1), "5:5");
        assert_eq!(place(2, 9), "6:7");
        assert_eq!(place(3, 0), "8:3");
    }
}
