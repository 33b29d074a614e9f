//! String literals: scanning, and what they stand for.

use std::fmt;
use std::str::Chars;

use model::labels::Quoted;

use crate::lex::scan::{Scanner, State, Step};
use crate::lex::token::Kind;
use crate::literal::from_bytes;

impl Scanner<'_> {
    /// Scans a string whose opening quote was read.
    pub(super) fn string(&mut self, quote: char) -> Step {
        loop {
            match self.next() {
                Some('\\') if quote != '`' => self.escape(quote)?,
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                None if quote == '`' => return Err("unterminated raw string".to_owned()),
                None => return Err("unterminated quoted string".to_owned()),
                Some('\n') if quote != '`' => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        Ok(State::Statements)
    }

    /// Checks an escape sequence whose backslash was read.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        let unterminated = || Err("escape sequence not terminated".to_owned());
        let (digits, radix, max) = match self.peek() {
            Some(c) if c == quote || "abfnrtv\\".contains(c) => {
                self.next();
                return Ok(());
            }
            Some('0'..='7') => (3, 8, 255),
            Some(c @ ('x' | 'u' | 'U')) => {
                self.next();
                match c {
                    'x' => (2, 16, 255),
                    'u' => (4, 16, u32::from(char::MAX)),
                    _ => (8, 16, u32::from(char::MAX)),
                }
            }
            None => return unterminated(),
            Some(c) => return Err(format!("unknown escape sequence {}", UnicodeChar(c))),
        };
        let mut code: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.next() else { return unterminated() };
            let Some(digit) = c.to_digit(radix) else {
                return Err(format!("illegal character {} in escape sequence", UnicodeChar(c)));
            };
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        if code > max || (0xd800..0xe000).contains(&code) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

/// What a scanned literal stands for, with bytes that are no UTF-8 kept as [`crate::literal`] says; `None` when it is none.
pub fn unquote(literal: &str) -> Option<String> {
    let quote = literal.chars().next().filter(|c| "\"'`".contains(*c))?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' || !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let unescaped = if c == '\\' { unescape(&mut chars)? } else { Unescaped::Char(c) };
        match unescaped {
            Unescaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unescaped::Byte(byte) => bytes.push(byte),
        }
    }
    Some(from_bytes(bytes))
}

enum Unescaped {
    Char(char),
    /// Possibly part of a longer character.
    Byte(u8),
}

fn unescape(chars: &mut Chars<'_>) -> Option<Unescaped> {
    let byte = |code: u32| u8::try_from(code).ok().map(Unescaped::Byte);
    match chars.next()? {
        'a' => byte(0x07),
        'b' => byte(0x08),
        'f' => byte(0x0c),
        'n' => byte(0x0a),
        'r' => byte(0x0d),
        't' => byte(0x09),
        'v' => byte(0x0b),
        c @ '0'..='7' => byte(digits(chars, 2, 8, c.to_digit(8)?)?),
        'x' => byte(digits(chars, 2, 16, 0)?),
        'u' => char::from_u32(digits(chars, 4, 16, 0)?).map(Unescaped::Char),
        'U' => char::from_u32(digits(chars, 8, 16, 0)?).map(Unescaped::Char),
        c => Some(Unescaped::Char(c)),
    }
}

/// A number of `digits` more digits, `first` being what precedes them.
fn digits(chars: &mut Chars<'_>, count: usize, radix: u32, first: u32) -> Option<u32> {
    (0..count).try_fold(first, |code, _| {
        let digit = chars.next()?.to_digit(radix)?;
        code.checked_mul(radix)?.checked_add(digit)
    })
}

/// A character in single quotes as Go's `%q` writes it; none is what Go makes of the end of the text.
pub(crate) struct QuotedChar(pub Option<char>);

impl fmt::Display for QuotedChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.unwrap_or('\u{fffd}') {
            '\'' => f.write_str(r"'\''"),
            '"' => f.write_str("'\"'"),
            c => {
                let quoted = Quoted(c.encode_utf8(&mut [0; 4])).to_string();
                write!(f, "'{}'", quoted.trim_matches('"'))
            }
        }
    }
}

/// A character as Go's `%#U` writes it: `U+0041 'A'`.
struct UnicodeChar(char);

impl fmt::Display for UnicodeChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))?;
        let is_printable = matches!(self.0, '"' | '\\')
            || Quoted(self.0.encode_utf8(&mut [0; 4])).to_string().len() == self.0.len_utf8() + 2;
        if is_printable { write!(f, " '{}'", self.0) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::scan;

    #[test]
    fn literals() {
        for (literal, want) in [
            (r#""plain""#, "plain"),
            (r#"'it\'s'"#, "it's"),
            (r"`raw \n`", r"raw \n"),
            (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
            (r#""\101\x41\u0041\U00000041""#, "AAAA"),
            (r#""\xc3\xb6ö\u00f6""#, "ööö"),
        ] {
            assert_eq!(unquote(literal).as_deref(), Some(want), "{literal}");
            assert!(scan(literal, false).error.is_empty(), "{literal}");
        }
    }

    #[test]
    fn errors() {
        for (text, want) in [
            (r#""a"#, "unterminated quoted string"),
            ("'a\n'", "unterminated quoted string"),
            ("`a", "unterminated raw string"),
            (r#""\q""#, "unknown escape sequence U+0071 'q'"),
            (r#""\x4z""#, "illegal character U+007A 'z' in escape sequence"),
            (r#""\ud800""#, "escape sequence is an invalid Unicode code point"),
            (r#""\400""#, "escape sequence is an invalid Unicode code point"),
            (r#""\"#, "escape sequence not terminated"),
            ("'\u{fffd}'", "invalid UTF-8 rune"),
        ] {
            assert_eq!(scan(text, false).error, want, "{text}");
        }
    }
}
