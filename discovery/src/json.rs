//! JSON as Go's `encoding/json` reads it, where it takes more than the standard allows: bytes that are no UTF-8 and halves
//! of surrogate pairs become U+FFFD, `null` stands for nothing of any type, names of fields may have any case.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Reads one value; anything but white space after it is an error.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_str(&text_of(text)).map_err(|e| e.to_string())
}

/// Decodes an answer. As in Go, null is as good as missing.
pub fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut value = serde_json::from_str(&text_of(text))?;
    drop_nulls(&mut value);
    serde_json::from_value(value)
}

/// The depth is that of the parser, which stops at 128.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

/// The text with U+FFFD in the place of each byte that is no UTF-8 and of each escape that is half a surrogate pair.
fn text_of(text: &[u8]) -> Cow<'_, str> {
    let text = match str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut decoded = String::with_capacity(text.len());
            for chunk in text.utf8_chunks() {
                decoded.push_str(chunk.valid());
                decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            Cow::Owned(decoded)
        }
    };
    match text.contains("\\u") {
        true => Cow::Owned(without_half_pairs(&text)),
        false => text,
    }
}

fn without_half_pairs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match (escape(rest), rest.get(6..).and_then(escape)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // The backslash and what it escapes, so that `\\u` is not taken for an escape.
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// The number of an escape `\uXXXX` at the start of a text.
fn escape(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The fields of an object in the order of the text, repeated ones included.
#[derive(Debug)]
pub struct Object(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Whether a key of an object means the field of this name, whatever its case.
pub fn names(key: &str, field: &str) -> bool {
    let folded = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    key == field || key.chars().flat_map(folded).eq(field.chars().flat_map(folded))
}

/// A string; `null` is the empty one.
pub fn string(value: Value, path: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        other => Err(format!("{path}: expected a string, found {}", kind(&other))),
    }
}

/// What a value is, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced() {
        for (bytes, want) in [
            (&b"\"a\""[..], "a"),
            (b"\"a\xffb\xc3\"", "a\u{fffd}b\u{fffd}"),
            (br#""\ud83d\ude00""#, "\u{1f600}"),
            (br#""\ud83d""#, "\u{fffd}"),
            (br#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (br#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (br#""\\ud83d""#, "\\ud83d"),
            (br#""\u0041\"\\\u00e9""#, "A\"\\\u{e9}"),
        ] {
            assert_eq!(read::<String>(bytes).as_deref(), Ok(want));
        }
        for bad in [&b"\"\\ud8\""[..], b"\"\\", b"\"\\u", b"\"a\" b", b""] {
            assert!(read::<String>(bad).is_err());
        }
    }

    #[test]
    fn fields_have_any_case() {
        assert!(names("targets", "targets") && names("TarGets", "targets"));
        assert!(names("target\u{17f}", "targets") && !names("target", "targets"));
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Server {
        name: String,
        tags: Vec<String>,
    }

    #[test]
    fn null_is_missing() {
        let decoded: Vec<Server> = decode(
            br#"[{"name": null, "tags": ["a", null], "other": [null]}, null, {"tags": null, "name": "n"}]"#,
        )
        .unwrap();
        let want = [
            Server { name: String::new(), tags: vec!["a".to_owned()] },
            Server { name: "n".to_owned(), tags: Vec::new() },
        ];
        assert_eq!(decoded, want);
    }

    #[test]
    fn nested_without_end_is_refused() {
        assert!(decode::<Value>(&[b'['; 100_000]).is_err());
    }
}
