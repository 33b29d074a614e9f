//! Number and string literals.
//!
//! The text of a string literal may in Prometheus hold any bytes (`"\xff"`). Here a byte that belongs to no UTF-8
//! character is kept as a private character, so that errors and printed queries still show it, names that have one are
//! refused, and answers show a replacement character, as Prometheus's JSON does.

use std::borrow::Cow;
use std::fmt;

use model::labels::Quoted;

pub use crate::lex::{parse_number, unquote};

/// Private characters from here on stand for single bytes; those for 0x80 to 0xff occur.
const BYTES: u32 = 0x10_ff00;

/// Bytes as text, those that are no UTF-8 as private characters.
pub(crate) fn from_bytes(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut text = String::with_capacity(error.as_bytes().len() + 3);
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(
                    chunk.invalid().iter().filter_map(|byte| char::from_u32(BYTES + u32::from(*byte))),
                );
            }
            text
        }
    }
}

/// The byte that a character stands for.
fn byte(c: char) -> Option<u32> {
    u32::from(c).checked_sub(BYTES).filter(|byte| (0x80..=0xff).contains(byte))
}

/// Whether a label or metric may be called so: any text but the empty one.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| byte(c).is_some())
}

/// The text with replacement characters for bytes that are no UTF-8.
pub fn lossy(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| byte(c).is_some()) {
        Cow::Owned(
            text.chars().map(|c| if byte(c).is_some() { char::REPLACEMENT_CHARACTER } else { c }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// The text as a literal in double quotes.
pub struct QuotedText<'a>(pub &'a str);

impl fmt::Display for QuotedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in self.0.split_inclusive(|c| byte(c).is_some()) {
            let last = part.chars().next_back().filter(|c| byte(*c).is_some());
            let valid = &part[..part.len() - last.map_or(0, char::len_utf8)];
            let quoted = Quoted(valid).to_string();
            f.write_str(&quoted[1..quoted.len() - 1])?;
            if let Some(byte) = last.and_then(byte) {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        for (bytes, quoted, shown, valid) in [
            (&b"plain \"\n"[..], r#""plain \"\n""#, "plain \"\n", true),
            (b"a\xc5z\xff", r#""a\xc5z\xff""#, "a\u{fffd}z\u{fffd}", false),
            ("é\u{a0}".as_bytes(), r#""é\u00a0""#, "é\u{a0}", true),
            (b"", "\"\"", "", false),
        ] {
            let text = from_bytes(bytes.to_vec());
            assert_eq!(QuotedText(&text).to_string(), quoted);
            assert_eq!(lossy(&text), shown);
            assert_eq!(is_valid_name(&text), valid);
        }
    }
}
