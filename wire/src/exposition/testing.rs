//! What the tests of the formats share: entries as lines, and bodies that are wrong somewhere.

use model::SampleValue;

use std::fmt::Write;

use super::{Entry, ParseError};

/// One line per entry, up to the first error.
pub(super) fn described<'p>(entries: impl Iterator<Item = Result<Entry<'p>, ParseError>>) -> String {
    let mut out = String::new();
    for entry in entries {
        describe(&mut out, entry);
    }
    out
}

pub(super) fn describe(out: &mut String, entry: Result<Entry<'_>, ParseError>) {
    match entry {
        Ok(Entry::Series(series)) => {
            let mut labels = Vec::new();
            match series.labels(false, &mut labels) {
                Ok(()) => {}
                Err(error) => return writeln!(out, "{error}").unwrap(),
            }
            let name = labels.iter().position(|(n, _)| n == "__name__").map(|at| labels.remove(at).1);
            out.push_str(&name.unwrap_or_default());
            if !labels.is_empty() {
                let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
                write!(out, "{{{}}}", pairs.join(",")).unwrap();
            }
            match &series.value {
                SampleValue::Float(v) => write!(out, " = {v}").unwrap(),
                SampleValue::Histogram(h) => write!(out, " = {h:?}").unwrap(),
            }
            let at = |t: Option<i64>| t.map_or(String::new(), |t| format!(" @{t}"));
            out.push_str(&at(series.t));
            if series.start_t != 0 {
                write!(out, " from {}", series.start_t).unwrap();
            }
            for raw in series.exemplars.as_slice() {
                match raw.decode() {
                    Ok(e) => write!(out, " # {} {}{}", e.labels, e.v, at(e.t)).unwrap(),
                    Err(error) => write!(out, " # {error}").unwrap(),
                }
            }
            out.push('\n');
        }
        Ok(Entry::Type { family, kind }) => writeln!(out, "type {family} {kind}").unwrap(),
        Ok(Entry::Help { family, text }) => writeln!(out, "help {family} {text}").unwrap(),
        Ok(Entry::Unit { family, unit }) => writeln!(out, "unit {family} {unit}").unwrap(),
        Ok(Entry::Comment(text)) => writeln!(out, "comment {}", String::from_utf8_lossy(text)).unwrap(),
        Err(error) => writeln!(out, "error {error}").unwrap(),
    }
}

/// Feeds every prefix of `body`, and `body` with every byte left out or replaced by each of the bytes that mean
/// something, to `read`, which must come back.
pub(super) fn mutate(body: &str, mut read: impl FnMut(&[u8])) {
    mutate_bytes(body.as_bytes(), b"{}\",=\\ \n#\0\xff\x801", &mut read);
}

pub(super) fn mutate_bytes(body: &[u8], instead: &[u8], read: &mut impl FnMut(&[u8])) {
    for at in 0..body.len() {
        read(&body[..at]);
        let mut other = body.to_vec();
        for &byte in instead {
            other[at] = byte;
            read(&other);
            other.insert(at, body[at]);
            read(&other);
            other.remove(at);
        }
        other.remove(at);
        read(&other);
    }
}
