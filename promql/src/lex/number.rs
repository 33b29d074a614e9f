//! Number and duration literals.

use model::labels::Quoted;
use model::parse_float::parse_float;

use crate::lex::scan::{Scanner, State, Step, is_alphanumeric};
use crate::lex::token::Kind;

const DECIMAL: &str = "0123456789";
const HEXADECIMAL: &str = "0123456789abcdefABCDEF";

impl Scanner<'_> {
    /// Scans a number, which need not be valid; [`parse_number`] finds out.
    pub(super) fn number(&mut self) -> Result<(), String> {
        if !self.take_number() {
            return Err(format!("bad number syntax: {}", Quoted(self.word())));
        }
        self.emit(Kind::Number);
        Ok(())
    }

    pub(super) fn number_or_duration(&mut self) -> Step {
        if self.take_number() {
            self.emit(Kind::Number);
        } else if self.take_duration() {
            self.emit(Kind::Duration);
        } else {
            return Err(format!("bad number or duration syntax: {}", Quoted(self.word())));
        }
        Ok(State::Statements)
    }

    /// Takes the rest of a duration whose first digits were read.
    fn take_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        // Covers `ms`; units such as `hs` are found when the duration is parsed.
        self.accept("s");
        while self.accept(DECIMAL) {
            while self.accept(DECIMAL) {}
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        if self.peek().is_some_and(is_alphanumeric) {
            // The message shows the character that is too much.
            self.next();
            return false;
        }
        true
    }

    fn take_number(&mut self) -> bool {
        let begin = self.pos;
        let mut digits = DECIMAL;
        // In a series description `0x3` repeats a zero.
        if !self.series && self.accept("0") && self.accept("xX") {
            self.accept("_");
            digits = HEXADECIMAL;
        }
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        loop {
            if (dot && self.is(".")) || (exponent && self.is("eE")) {
                self.pos += 1;
                return false;
            }
            if self.accept(".") {
                dot = true;
                if self.accept("_.") || digits == HEXADECIMAL {
                    return false;
                }
            } else if self.accept("eE") {
                exponent = true;
                self.accept("+-");
                if self.accept("._eE") || self.at_end() {
                    return false;
                }
            } else if self.accept("_") {
                if self.accept("._eE") || self.at_end() {
                    return false;
                }
            } else if self.is(digits) {
                while self.accept(digits) {}
            } else {
                break;
            }
        }
        self.pos > begin && ((self.series && self.is("x")) || !self.peek().is_some_and(is_alphanumeric))
    }
}

/// The value of a number literal: decimal, hexadecimal, octal (a leading zero), underscores between digits, `Inf` and
/// `NaN` in any case. The error is Go's text.
pub fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(value) = parse_integer(text) {
        return Ok(value as f64);
    }
    parse_float(text).map_err(|reason| format!("strconv.ParseFloat: parsing {}: {reason}", Quoted(text)))
}

/// A Go integer literal that fits 64 bits.
fn parse_integer(text: &str) -> Option<i64> {
    if !underscores_separate_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()
}

/// Whether every underscore stands between two digits; a prefix such as `0x` counts as a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|b| if is_hex { b.is_ascii_hexdigit() || at == 1 } else { b.is_ascii_digit() })
    };
    (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(|at| at > 0 && is_digit(at - 1) && is_digit(at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, want) in [
            ("1", 1.0),
            ("010", 8.0),
            ("09", 9.0),
            ("0x1F", 31.0),
            ("0X_1f", 31.0),
            ("1_000", 1000.0),
            ("1_0.5", 10.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("9223372036854775808", 9223372036854775808.0),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(want), "{text}");
        }
        assert!(parse_number("NaN").unwrap().is_nan());
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, want) in [
            ("0x1.8", "strconv.ParseFloat: parsing \"0x1.8\": invalid syntax"),
            ("1e999", "strconv.ParseFloat: parsing \"1e999\": value out of range"),
            ("0x", "strconv.ParseFloat: parsing \"0x\": invalid syntax"),
            ("1__0", "strconv.ParseFloat: parsing \"1__0\": invalid syntax"),
        ] {
            assert_eq!(parse_number(text), Err(want.to_owned()));
        }
    }
}
