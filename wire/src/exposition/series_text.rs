//! The text of a series to its labels: the slow path, taken once per series and not once per sample.
//!
//! A key is either series text as exposed (`name{a="1"}`, `{"quoted.name",a="1"}`) or, for series that no text stands
//! for, [`SEPARATOR`], the metric's name and then per label [`SEPARATOR`], name, [`SEPARATOR`], value. No text starts
//! with that byte, and no UTF-8 contains it.

use std::borrow::Cow;

use model::labels::METRIC_NAME;
use model::metadata::MetricType;

use super::Series;
use super::number::{openmetrics_float, parse_bound};
use super::quote::quoted;

/// Starts a key that is not series text, and separates its parts.
pub(super) const SEPARATOR: u8 = 0xff;

/// The label of a metric's type, when types become labels.
pub const TYPE_LABEL: &str = "__type__";
/// The label of a metric's unit, when units become labels.
pub const UNIT_LABEL: &str = "__unit__";

/// Labels as exposed, sorted by name. Names may repeat and values may be empty: what that means is for the reader to
/// say (Prometheus refuses the one, and takes the other as "do not add the target's label" under `honor_labels`).
pub type RawLabels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Series text that gives no labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Quoted names are not checked while scanning.
    #[error("invalid metric name or label names: {0}")]
    NotUtf8(String),
    /// Not series text; parsers do not give such keys.
    #[error("not a series: {0}")]
    Malformed(String),
}

impl<'p> Series<'p> {
    /// Writes the labels of the series into `out`, replacing what was there: escapes resolved, `le` of histograms and
    /// `quantile` of summaries in canonical form, and with `type_and_unit` the labels of the type-and-unit feature in
    /// place of exposed ones.
    pub fn labels(&self, type_and_unit: bool, out: &mut RawLabels<'p>) -> Result<(), LabelsError> {
        decode(self.key, out)?;
        let normalized = match self.kind {
            MetricType::Summary => "quantile",
            MetricType::Histogram => "le",
            _ => "",
        };
        for (name, value) in out.iter_mut() {
            if name == normalized
                && let Some(v) = parse_bound(value)
            {
                *value = Cow::Owned(openmetrics_float(v));
            }
        }
        if type_and_unit {
            for (label, value) in type_and_unit_labels(self.kind, self.unit) {
                out.retain(|(name, _)| name != label);
                out.push((Cow::Borrowed(label), Cow::Borrowed(value)));
            }
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(())
    }
}

/// The labels that say a type and a unit, where these are known.
pub(super) fn type_and_unit_labels(
    kind: MetricType,
    unit: &str,
) -> impl Iterator<Item = (&'static str, &str)> {
    let kind = if kind == MetricType::Unknown { "" } else { kind.as_str() };
    [(TYPE_LABEL, kind), (UNIT_LABEL, unit)].into_iter().filter(|(_, value)| !value.is_empty())
}

/// Splits a key into its labels, in the order of the text, the metric's name first.
pub(super) fn decode<'p>(key: &'p [u8], out: &mut RawLabels<'p>) -> Result<(), LabelsError> {
    out.clear();
    if let Some((&SEPARATOR, rest)) = key.split_first() {
        return decode_separated(key, rest, out);
    }
    let malformed = || LabelsError::Malformed(quoted(key));
    let (name, mut rest) = match key.iter().position(|b| matches!(b, b'{' | b' ' | b'\t')) {
        Some(at) => key.split_at(at),
        None => (key, &b""[..]),
    };
    if !name.is_empty() {
        out.push((Cow::Borrowed(METRIC_NAME), text_of(key, name)?));
    }
    rest = trim(rest);
    if rest.is_empty() {
        return if out.is_empty() { Err(malformed()) } else { Ok(()) };
    }
    rest = rest.strip_prefix(b"{").ok_or_else(malformed)?;
    decode_pairs(key, rest, true, out)
}

/// The pairs between braces, up to the closing one. `may_name` allows a quoted string alone: the metric's name.
pub(super) fn decode_pairs<'p>(
    key: &'p [u8],
    mut rest: &'p [u8],
    may_name: bool,
    out: &mut RawLabels<'p>,
) -> Result<(), LabelsError> {
    let malformed = || LabelsError::Malformed(quoted(key));
    loop {
        rest = trim(rest);
        match rest.first() {
            Some(b'}') => return Ok(()),
            Some(b',') => {
                rest = &rest[1..];
                continue;
            }
            Some(_) => {}
            None => return Err(malformed()),
        }
        let is_quoted = rest.first() == Some(&b'"');
        let name = if is_quoted {
            take_quoted(&mut rest).ok_or_else(malformed)?
        } else {
            let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            let (name, after) = rest.split_at(len);
            rest = after;
            name
        };
        rest = trim(rest);
        if let Some(after) = rest.strip_prefix(b"=") {
            rest = trim(after);
            let value = take_quoted(&mut rest).ok_or_else(malformed)?;
            out.push((text_of(key, name)?, text_of(key, value)?));
        } else if is_quoted && may_name {
            out.insert(0, (Cow::Borrowed(METRIC_NAME), text_of(key, name)?));
        } else {
            return Err(malformed());
        }
    }
}

fn decode_separated<'p>(key: &'p [u8], rest: &'p [u8], out: &mut RawLabels<'p>) -> Result<(), LabelsError> {
    let plain = |part: &'p [u8]| {
        std::str::from_utf8(part).map(Cow::Borrowed).map_err(|_| LabelsError::NotUtf8(quoted(key)))
    };
    let mut parts = rest.split(|b| *b == SEPARATOR);
    out.push((Cow::Borrowed(METRIC_NAME), plain(parts.next().unwrap_or_default())?));
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        out.push((plain(name)?, plain(value)?));
    }
    Ok(())
}

/// Starts a key of the separated form.
pub(super) fn start_separated(key: &mut Vec<u8>, metric: &str) {
    key.push(SEPARATOR);
    key.extend_from_slice(metric.as_bytes());
}

/// Appends one label to a key of the separated form.
pub(super) fn push_separated(key: &mut Vec<u8>, name: &str, value: &str) {
    key.push(SEPARATOR);
    key.extend_from_slice(name.as_bytes());
    key.push(SEPARATOR);
    key.extend_from_slice(value.as_bytes());
}

/// The inside of the quotes at the start of `rest`, which then starts behind them.
pub(super) fn take_quoted<'p>(rest: &mut &'p [u8]) -> Option<&'p [u8]> {
    let inside = rest.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        match inside.get(at)? {
            b'"' => break,
            // NUL bytes between a backslash and what it escapes do not count.
            b'\\' => {
                at += 1;
                while inside.get(at) == Some(&0) {
                    at += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    *rest = &inside[at + 1..];
    Some(&inside[..at])
}

fn text_of<'p>(key: &[u8], raw: &'p [u8]) -> Result<Cow<'p, str>, LabelsError> {
    std::str::from_utf8(raw).map(unescape).map_err(|_| LabelsError::NotUtf8(quoted(key)))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &bytes[blanks..]
}

/// The name behind `# TYPE` and its like, without quotes; bytes that are no UTF-8 are replaced.
pub(super) fn family_name(raw: &[u8]) -> Cow<'_, str> {
    match raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inside) => match String::from_utf8_lossy(inside) {
            Cow::Borrowed(text) => unescape(text),
            Cow::Owned(text) => Cow::Owned(unescape(&text).into_owned()),
        },
        None => String::from_utf8_lossy(raw),
    }
}

/// Resolves `\\`, `\"` and `\n`; other escapes stay as they are.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    resolve(text, true)
}

/// Resolves `\\` and `\n`, the escapes of help texts in the Prometheus format.
pub(super) fn unescape_help(text: &str) -> Cow<'_, str> {
    resolve(text, false)
}

fn resolve(text: &str, quotes: bool) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(first);
    out.push_str(plain);
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (escaped, len) = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => ("\\", 2),
            Some(b'n') => ("\n", 2),
            Some(b'"') if quotes => ("\"", 2),
            _ => ("\\", 1),
        };
        out.push_str(escaped);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(key: &[u8]) -> Result<Vec<(String, String)>, LabelsError> {
        let mut out = Vec::new();
        decode(key, &mut out)?;
        Ok(out.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    #[test]
    fn both_key_forms() {
        for (key, want) in [
            (&b"up"[..], &[("__name__", "up")][..]),
            (b"up{}", &[("__name__", "up")]),
            (b"up \t{ a = \"1\" , b=\"\", }", &[("__name__", "up"), ("a", "1"), ("b", "")]),
            (br#"x{a="\"\\\n\q",a="2"}"#, &[("__name__", "x"), ("a", "\"\\\n\\q"), ("a", "2")]),
            (br#"{a="1","b.c","d e"="f"}"#, &[("__name__", "b.c"), ("a", "1"), ("d e", "f")]),
            (b"\xffup", &[("__name__", "up")]),
            (b"\xffa.b\xffle\xff1.0\xffx\xff", &[("__name__", "a.b"), ("le", "1.0"), ("x", "")]),
        ] {
            assert_eq!(decoded(key), Ok(pairs(want)), "{}", quoted(key));
        }
        assert!(matches!(decoded(b"{\"\xfe\"}"), Err(LabelsError::NotUtf8(_))));
        for key in [&b""[..], b"a{", b"a{b", b"a{b=", b"a{b=\"", b"a{b=\"\\", b"a{b}", b"a{1}", b"a b"] {
            assert!(matches!(decoded(key), Err(LabelsError::Malformed(_))), "{}", quoted(key));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(key in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decoded(&key);
        }

        #[test]
        fn unescape_undoes_escape(text in "\\PC{0,20}[\\\\\"\n]{0,4}\\PC{0,20}") {
            let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
