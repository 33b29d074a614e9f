//! Writes a tree as YAML the way Go's yaml.v2 does: block style, lists not indented, quotes only where needed.

use crate::yaml::Node;
use crate::yaml::fields::{boolean, number};

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// `null`
    Null,
    /// A text, quoted if it would be read as something else.
    Text(String),
    /// A number or a boolean, as it is.
    Raw(String),
    /// A list.
    List(Vec<Tree>),
    /// A list of texts on one line.
    Flow(Vec<String>),
    /// A mapping, in order.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// A number or a boolean.
    pub fn raw(value: impl ToString) -> Self {
        Self::Raw(value.to_string())
    }

    /// A text.
    pub fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }
}

/// The text of a document.
pub(crate) fn write(root: &Tree) -> String {
    let mut out = String::new();
    match root {
        Tree::Map(entries) if !entries.is_empty() => write_map(&mut out, entries, 0),
        Tree::List(items) if !items.is_empty() => write_list(&mut out, items, 0),
        other => {
            out.push_str(&inline(other, 0));
            out.push('\n');
        }
    }
    out
}

fn write_map(out: &mut String, entries: &[(String, Tree)], indent: usize) {
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 || !out.ends_with("- ") {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&scalar(key, 0));
        out.push(':');
        match value {
            Tree::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                write_map(out, entries, indent + 2);
            }
            Tree::List(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, indent);
            }
            other => {
                out.push(' ');
                out.push_str(&inline(other, indent + 2));
                out.push('\n');
            }
        }
    }
}

fn write_list(out: &mut String, items: &[Tree], indent: usize) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 || !out.ends_with("- ") {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str("- ");
        match item {
            Tree::Map(entries) if !entries.is_empty() => write_map(out, entries, indent + 2),
            Tree::List(items) if !items.is_empty() => write_list(out, items, indent + 2),
            other => {
                out.push_str(&inline(other, indent + 2));
                out.push('\n');
            }
        }
    }
}

fn inline(value: &Tree, indent: usize) -> String {
    match value {
        Tree::Null => "null".to_owned(),
        Tree::Raw(text) => text.clone(),
        Tree::Text(text) => scalar(text, indent),
        Tree::Flow(texts) => {
            let texts: Vec<String> = texts.iter().map(|t| flow_scalar(t)).collect();
            format!("[{}]", texts.join(", "))
        }
        Tree::List(_) => "[]".to_owned(),
        Tree::Map(_) => "{}".to_owned(),
    }
}

fn scalar(text: &str, indent: usize) -> String {
    if text.contains('\n') && text.chars().all(|c| c == '\n' || is_printable(c)) {
        return literal(text, indent);
    }
    match (is_plain_string(text), plain_fits(text, false)) {
        (true, true) => text.to_owned(),
        (true, false) if text.chars().all(is_printable) => format!("'{}'", text.replace('\'', "''")),
        _ => double_quoted(text),
    }
}

fn flow_scalar(text: &str) -> String {
    match (is_plain_string(text), plain_fits(text, true)) {
        (true, true) => text.to_owned(),
        (true, false) if text.chars().all(is_printable) => format!("'{}'", text.replace('\'', "''")),
        _ => double_quoted(text),
    }
}

/// A block scalar (`|`), with its chomping indicator.
fn literal(text: &str, indent: usize) -> String {
    let hint = if text.starts_with([' ', '\n']) { "2" } else { "" };
    let chomping = match text {
        _ if !text.ends_with('\n') => "-",
        "\n" => "+",
        _ if text.ends_with("\n\n") => "+",
        _ => "",
    };
    let mut out = format!("|{hint}{chomping}");
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent.max(2)));
            out.push_str(line);
        }
    }
    out
}

/// Whether an unquoted text would be read as a string rather than a number, a boolean, null or a date.
fn is_plain_string(text: &str) -> bool {
    let node = Node::plain(text);
    let date_like =
        text.len() >= 5 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit) && text.as_bytes()[4] == b'-';
    // `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, which YAML 1.1 reads as a number to the base of 60.
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let sixtieth = |p: &str| matches!(p.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let base_60 =
        whole.strip_prefix(['+', '-']).unwrap_or(whole).split_once(':').is_some_and(|(first, rest)| {
            first.starts_with(|c: char| c.is_ascii_digit())
                && digits(first)
                && digits(fraction)
                && rest.split(':').all(sixtieth)
        });
    !(node.is_null()
        || boolean(&node).is_ok()
        || number(&node).is_some()
        || text == "<<"
        || date_like
        || base_60)
}

/// Whether the characters of a text allow it to stand without quotes.
fn plain_fits(text: &str, in_flow: bool) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let blank_after = |i: usize| chars.get(i + 1).is_none_or(|c| *c == ' ' || *c == '\t');
    let (Some(first), Some(last)) = (chars.first(), chars.last()) else { return false };
    if *first == ' ' || *last == ' ' || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    let first_is_fine = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
            false
        }
        '?' | ':' => !in_flow && !blank_after(0),
        '-' => !blank_after(0),
        _ => true,
    };
    first_is_fine
        && chars.iter().enumerate().skip(1).all(|(i, c)| match c {
            ',' | '?' | '[' | ']' | '{' | '}' => !in_flow,
            ':' => !in_flow && !blank_after(i),
            '#' => chars[i - 1] != ' ' && chars[i - 1] != '\t',
            _ => true,
        })
        && chars.iter().all(|c| is_printable(*c))
}

fn is_printable(c: char) -> bool {
    !c.is_control() && c != '\u{feff}' && !matches!(c, '\u{2028}' | '\u{2029}')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02X}", c as u32)),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Value, parse};
    use proptest::prelude::*;

    #[test]
    fn texts() {
        for (text, want) in [
            ("up", "up"),
            ("", "\"\""),
            ("yes", "\"yes\""),
            ("12", "\"12\""),
            ("1m", "1m"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("a #b", "'a #b'"),
            ("*", "'*'"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("it's", "it's"),
            ("'quoted'", "'''quoted'''"),
            ("(.*);(.+)", "(.*);(.+)"),
            ("$1:9100", "$1:9100"),
            ("tab\tx", "\"tab\\tx\""),
            ("2020-01-01", "\"2020-01-01\""),
            ("12:30", "\"12:30\""),
            ("1:2.5", "\"1:2.5\""),
            ("12:90", "12:90"),
            ("1.2.3.4:9093", "1.2.3.4:9093"),
            ("localhost:9090", "localhost:9090"),
            ("<secret>", "<secret>"),
            ("1.10", "\"1.10\""),
            ("null", "\"null\""),
        ] {
            assert_eq!(scalar(text, 0), want);
        }
        assert_eq!(flow_scalar("a,b"), "'a,b'");
        assert_eq!(flow_scalar("a:b"), "'a:b'");
    }

    #[test]
    fn shapes() {
        let text = |t: &str| Tree::text(t);
        let tree = Tree::Map(vec![
            ("a".into(), Tree::Map(vec![("b".into(), Tree::raw(1)), ("c".into(), Tree::Map(vec![]))])),
            (
                "l".into(),
                Tree::List(vec![
                    Tree::Map(vec![("k".into(), text("v")), ("m".into(), Tree::List(vec![text("x")]))]),
                    Tree::List(vec![text("w"), text("z")]),
                    Tree::Null,
                ]),
            ),
            ("f".into(), Tree::Flow(vec!["p".into(), "q".into()])),
            ("t".into(), text("one\ntwo\n")),
        ]);
        let want = "a:\n  b: 1\n  c: {}\nl:\n- k: v\n  m:\n  - x\n- - w\n  - z\n- null\nf: [p, q]\nt: |\n  one\n  two\n";
        assert_eq!(write(&tree), want);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "\\PC{0,12}|[ -~]{0,12}|[a-z\n ]{0,10}", key in "[a-z]{1,3}") {
            let tree = Tree::Map(vec![
                (key.clone(), Tree::text(&text)),
                ("Flow".into(), Tree::Flow(vec![text.clone()])),
                ("Last".into(), Tree::List(vec![Tree::text(&text)])),
            ]);
            let written = write(&tree);
            let root = parse(&written).unwrap();
            let Value::Mapping(entries) = root.value else { panic!("{written}") };
            let read = |node: &Node| match (&node.value, node.is_null(), number(node), boolean(node)) {
                (Value::Scalar(s), false, None, Err(_)) => s.text.clone(),
                other => panic!("{written}: {other:?}"),
            };
            prop_assert_eq!(read(&entries[0].value), text.clone());
            for entry in &entries[1..] {
                let Value::Sequence(items) = &entry.value.value else { panic!("{written}") };
                prop_assert_eq!(read(&items[0]), text.clone(), "{}", written);
            }
        }
    }
}
