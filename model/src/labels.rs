//! A series' label set: sorted by name, names unique, no empty values, packed in one shared allocation.
//!
//! Packing: for each label, in order, the length of the name, the name, the length of the value, the value. A length
//! below 127 is one character; a longer one is `\x7f` and five characters of seven bits each, low bits first. All
//! length characters are ASCII, so the whole is a `str` and every slice of it is checked for free.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The labels that describe a metric as such.
pub const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];
/// The label that holds a classic histogram's upper bucket bound.
pub const BUCKET_LABEL: &str = "le";

const LONG: u8 = 0x7f;

/// An immutable label set. Cloning shares the allocation.
///
/// Order is Prometheus's `labels.Compare`: label by label, name before value, a prefix before its extension.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    packed: Arc<str>,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self { packed: Arc::from("") }
    }

    /// Builds a set from pairs in any order. Empty values are left out; of pairs with the same name the last wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.finish()
    }

    /// Builds a set from pairs that are already sorted by name, unique and not empty; the hot path of scraping and
    /// of reading an index. The order is checked in debug builds only.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::from_sorted_in(&mut String::with_capacity(128), pairs)
    }

    /// As [`Labels::from_sorted`]; for many sets in a row, which are all put together in the same buffer.
    pub fn from_sorted_in<'a>(
        buffer: &mut String,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        buffer.clear();
        let mut previous = "";
        for (name, value) in pairs {
            debug_assert!(
                previous < name || buffer.is_empty(),
                "labels out of order: {previous:?}, {name:?}"
            );
            previous = name;
            push_packed(buffer, name);
            push_packed(buffer, value);
        }
        Self { packed: Arc::from(buffer.as_str()) }
    }

    /// The value of a label; `None` when the set has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value of `__name__`.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.packed }
    }

    /// How many labels the set has.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no labels.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Whether the other set shares this one's allocation, and hence is equal; a quick look that may miss equal sets.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.packed, &other.packed)
    }

    /// The packed form, equal exactly when the sets are equal; for hashing and map keys. Not a storage format.
    pub fn packed(&self) -> &str {
        &self.packed
    }

    /// A hash that is stable within this version of Trivium; not for disk or wire.
    pub fn stable_hash(&self) -> u64 {
        xxhash_rust::xxh64::xxh64(self.packed.as_bytes(), 0)
    }

    /// The labels whose names are in `names` (`by`), which need not be sorted.
    pub fn keep<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The labels whose names are not in `names` (`without`); `__name__` stays unless named.
    pub fn drop_names<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| !names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The set with a label added or replaced, or removed if the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let before = self.iter().take_while(|(n, _)| *n < name);
        let after = self.iter().skip_while(|(n, _)| *n <= name);
        let new = (!value.is_empty()).then_some((name, value));
        Self::from_sorted(before.chain(new).chain(after))
    }

    /// The set without `__name__`.
    pub fn without_metric_name(&self) -> Self {
        match self.metric_name() {
            Some(_) => Self::from_sorted(self.iter().filter(|(n, _)| *n != METRIC_NAME)),
            None => self.clone(),
        }
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        // Sets that are compared mostly share a long beginning: what counts is the text in which they first differ.
        let (mine, others) = (self.packed.as_bytes(), other.packed.as_bytes());
        let common = common_prefix(mine, others);
        if common == mine.len() || common == others.len() {
            return mine.len().cmp(&others.len());
        }
        let mut at = 0;
        loop {
            let (text, rest) = take_packed(&self.packed[at..]);
            let end = self.packed.len() - rest.len();
            if common < end - text.len() {
                // The lengths differ, so neither text ends before the other differs from it, or is its beginning.
                return text.cmp(take_packed(&other.packed[at..]).0);
            }
            if common < end {
                return mine[common].cmp(&others[common]);
            }
            at = end;
        }
    }
}

/// How many leading bytes are equal.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let whole = 8 * words.take_while(|(a, b)| a == b).count();
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

/// Prometheus's form: `{__name__="up", job="node"}`; a name outside the classic alphabet is quoted.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_classic_label_name(name) {
                write!(f, "{name}={}", Quoted(value))?;
            } else {
                write!(f, "{}={}", Quoted(name), Quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text in double quotes, escaped as Go's `strconv.Quote` does it.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{b}' => f.write_str("\\v")?,
                '\u{c}' => f.write_str("\\f")?,
                c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\x{:02x}", c as u32)?,
                c if c.is_ascii() || is_printable(c) => f.write_char(c)?,
                c if (c as u32) < 0x1_0000 => write!(f, "\\u{:04x}", c as u32)?,
                c => write!(f, "\\U{:08x}", c as u32)?,
            }
        }
        f.write_char('"')
    }
}

/// Go's `unicode.IsPrint` beyond ASCII: letters, marks, numbers, punctuation and symbols, but no spaces.
fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<Option<regex::Regex>> =
        LazyLock::new(|| regex::Regex::new(r"[\p{L}\p{M}\p{N}\p{P}\p{S}]").ok());
    PRINTABLE.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, the label names that need no quotes.
pub fn is_classic_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, the metric names that need no quotes.
pub fn is_classic_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// The labels of one set, in order.
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = take_packed(self.rest);
        let (value, rest) = take_packed(rest);
        self.rest = rest;
        Some((name, value))
    }
}

fn push_packed(packed: &mut String, text: &str) {
    if text.len() < LONG as usize {
        packed.push(text.len() as u8 as char);
    } else {
        packed.push(LONG as char);
        for group in 0..5 {
            packed.push(((text.len() >> (7 * group)) & 0x7f) as u8 as char);
        }
    }
    packed.push_str(text);
}

fn take_packed(packed: &str) -> (&str, &str) {
    let bytes = packed.as_bytes();
    match bytes.first() {
        Some(&LONG) => {
            let len = (0..5).fold(0usize, |len, group| len | (bytes[1 + group] as usize) << (7 * group));
            (&packed[6..6 + len], &packed[6 + len..])
        }
        Some(&len) => (&packed[1..1 + len as usize], &packed[1 + len as usize..]),
        None => ("", ""),
    }
}

/// Gathers labels in any order and makes a [`Labels`] of them.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name, unique.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// A builder without labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.position(name) {
            Ok(at) if value.is_empty() => drop(self.pairs.remove(at)),
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        if let Ok(at) = self.position(name) {
            self.pairs.remove(at);
        }
        self
    }

    /// The value of a label, or "" when it is not set.
    pub fn get(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| &self.pairs[at].1)
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Keeps the labels for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.pairs.retain(|(n, v)| keep(n, v));
    }

    /// The set as built so far.
    pub fn finish(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn display_is_prometheus_form() {
        let labels =
            Labels::from_pairs([("job", "a\"b\\\n"), ("__name__", "up"), ("x.y", "1"), ("empty", "")]);
        assert_eq!(labels.to_string(), r#"{__name__="up", job="a\"b\\\n", "x.y"="1"}"#);
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn order_is_label_by_label() {
        let l = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert!(l(&[("a", "1")]) < l(&[("a", "1"), ("b", "1")]));
        assert!(l(&[("a", "2")]) > l(&[("a", "1"), ("b", "1")]));
        assert!(l(&[("a", "1"), ("c", "0")]) > l(&[("a", "1"), ("b", "9")]));
        assert!(l(&[("a", "10")]) < l(&[("a", "9")]));
    }

    proptest! {
        #[test]
        fn holds_what_a_map_holds(pairs in prop::collection::vec(("[a-z]{1,3}", "\\PC{0,200}"), 0..12), probe in "[a-z]{1,3}") {
            let mut map = std::collections::BTreeMap::new();
            for (name, value) in &pairs {
                if value.is_empty() { map.remove(name); } else { map.insert(name.clone(), value.clone()); }
            }
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n, v)));
            prop_assert_eq!(labels.len(), map.len());
            prop_assert_eq!(labels.get(&probe), map.get(&probe).map(String::as_str));
            prop_assert!(labels.iter().eq(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
            prop_assert_eq!(labels.to_builder().finish(), labels.clone());
            for (other_name, other_value) in &pairs {
                let set = labels.to_builder().set(other_name, other_value).finish();
                prop_assert_eq!(&labels.with(other_name, other_value), &set);
                let other = set.to_builder().remove(&probe).finish();
                prop_assert_eq!(labels.cmp(&other), labels.iter().cmp(other.iter()));
                prop_assert_eq!(other.cmp(&labels), other.iter().cmp(labels.iter()));
            }
            prop_assert_eq!(labels.keep(&["a", "b"]).len() + labels.drop_names(&["b", "a"]).len(), labels.len());
        }
    }
}
