//! One `%` directive of Go's `fmt.Sprintf` over a template value.

use model::go_float::FloatG;
use model::labels::Quoted;

use super::printf::{float_g, go_exponent};
use super::value::Value;

/// What stands between `%` and the verb.
#[derive(Clone, Default)]
pub(super) struct Directive {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// `%#v`: as Go source.
    source: bool,
}

impl Directive {
    /// An operand of the format.
    pub(super) fn operand(mut self, verb: char, value: &Value) -> String {
        match verb {
            'T' => match value {
                Value::Nil => self.pad("<nil>"),
                value => self.text(value.type_name()),
            },
            'v' => {
                // Both flags mean other things here, of which only Go source shows with these values.
                self.source = std::mem::take(&mut self.sharp);
                self.plus = false;
                self.value('v', value)
            }
            'p' | 'w' => self.bad(verb, value),
            verb => self.value(verb, value),
        }
    }

    /// A value or a part of one.
    fn value(&self, verb: char, value: &Value) -> String {
        match value {
            Value::Nil if verb == 'v' => self.pad("<nil>"),
            Value::Bool(b) if matches!(verb, 'v' | 't') => self.pad(&b.to_string()),
            Value::Int(n) => self.int(verb, *n).unwrap_or_else(|| self.bad(verb, value)),
            Value::Float(v) => self.float(verb, *v).unwrap_or_else(|| self.bad(verb, value)),
            Value::Text(text) => self.string(verb, text).unwrap_or_else(|| self.bad(verb, value)),
            Value::Labels(labels) => {
                let text = |text: &str| self.value(verb, &Value::text(text));
                self.map("map[string]string", labels.iter().map(|(name, label)| (text(name), text(label))))
            }
            Value::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(name, v)| (self.value(verb, &Value::text(name.as_str())), self.value(verb, v)));
                self.map("map[string]interface {}", entries)
            }
            // Types with a text form of their own.
            Value::Histogram(_) | Value::Time(_) | Value::Duration(_) if "vsxXq".contains(verb) => {
                self.string(if self.source { 's' } else { verb }, &value.to_string()).unwrap_or_default()
            }
            Value::Sample(_) | Value::Samples(_) | Value::Alert(_) if matches!(verb, 'v' | 's') => {
                value.to_string()
            }
            _ => self.bad(verb, value),
        }
    }

    /// What a verb gives that the type does not have.
    fn bad(&self, verb: char, value: &Value) -> String {
        format!("%!{verb}({})", self.typed(value))
    }

    /// `type=value`, the value under the flags at hand.
    pub(super) fn typed(&self, value: &Value) -> String {
        match value {
            Value::Nil => "<nil>".to_owned(),
            value => format!("{}={}", value.type_name(), self.value('v', value)),
        }
    }

    fn map(&self, go_type: &str, entries: impl Iterator<Item = (String, String)>) -> String {
        let entries: Vec<String> = entries.map(|(name, value)| format!("{name}:{value}")).collect();
        match self.source {
            true => format!("{go_type}{{{}}}", entries.join(", ")),
            false => format!("map[{}]", entries.join(" ")),
        }
    }

    fn int(&self, verb: char, n: i64) -> Option<String> {
        let character = u32::try_from(n).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        Some(match verb {
            'v' | 'd' => self.integer(n, 10, "", false),
            'b' => self.integer(n, 2, "0b", false),
            'o' => self.integer(n, 8, "0", false),
            'O' => {
                let prefixed = Self { sharp: true, ..self.clone() };
                prefixed.integer(n, 8, "0o", false)
            }
            'x' => self.integer(n, 16, "0x", false),
            'X' => self.integer(n, 16, "0X", true),
            'c' => self.pad(&character.to_string()),
            'q' => self.pad(&quoted_character(character, self.plus)),
            'U' => {
                let digits = self.precision.unwrap_or(4).max(4);
                let shown = self.sharp
                    && i64::from(u32::from(character)) == n
                    && !quoted_character(character, false).contains('\\');
                let shown = if shown { format!(" '{character}'") } else { String::new() };
                self.pad_with_spaces(&format!("U+{n:0digits$X}{shown}"))
            }
            _ => return None,
        })
    }

    fn integer(&self, n: i64, radix: u32, prefix: &str, upper: bool) -> String {
        let magnitude = n.unsigned_abs();
        if self.precision == Some(0) && magnitude == 0 {
            return self.pad_with_spaces("");
        }
        let is_signed = n < 0 || self.plus || self.space;
        let digits = match (self.precision, self.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width.saturating_sub(usize::from(is_signed)),
            _ => 0,
        };
        let mut text = match radix {
            2 => format!("{magnitude:0digits$b}"),
            8 => format!("{magnitude:0digits$o}"),
            16 if upper => format!("{magnitude:0digits$X}"),
            16 => format!("{magnitude:0digits$x}"),
            _ => format!("{magnitude:0digits$}"),
        };
        if self.sharp && !(prefix == "0" && text.starts_with('0')) {
            text.insert_str(0, prefix);
        }
        self.pad_with_spaces(&self.signed(n < 0, &text))
    }

    fn float(&self, verb: char, v: f64) -> Option<String> {
        if !"vbeEfFgGxX".contains(verb) {
            return None;
        }
        if v.is_nan() || v.is_infinite() {
            let sign = match v {
                v if v == f64::NEG_INFINITY => "-",
                _ if self.plus => "+",
                _ if self.space => " ",
                v if v.is_nan() => "",
                _ => "+",
            };
            let name = if v.is_nan() { "NaN" } else { "Inf" };
            return Some(self.pad_with_spaces(&format!("{sign}{name}")));
        }
        let mut text = self.magnitude(verb, v.abs());
        if self.sharp && verb != 'b' {
            text = self.with_point(verb, &text);
        }
        let text = self.signed(v.is_sign_negative(), &text);
        let missing = self.width.unwrap_or(0).saturating_sub(text.len());
        if !self.zero || self.minus || missing == 0 {
            return Some(self.pad(&text));
        }
        // The sign stands before the zeros.
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
        Some(format!("{sign}{}{digits}", "0".repeat(missing)))
    }

    fn magnitude(&self, verb: char, v: f64) -> String {
        let text = match verb {
            'f' | 'F' => format!("{v:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => go_exponent(&format!("{v:.*e}", self.precision.unwrap_or(6))),
            'b' => {
                let (mantissa, power) = binary(v);
                format!("{mantissa}p{power:+}")
            }
            'x' | 'X' => hexadecimal(v, self.precision),
            _ => match self.precision {
                Some(precision) => float_g(v, precision),
                None => FloatG(v).to_string(),
            },
        };
        if verb.is_ascii_uppercase() { text.to_uppercase() } else { text }
    }

    /// `#`: a point in any case, and with `%g` and `%x` the zeros at the end.
    fn with_point(&self, verb: char, text: &str) -> String {
        let is_hex = matches!(verb, 'x' | 'X');
        let end = text.find(|c: char| matches!(c, 'p' | 'P') || (!is_hex && matches!(c, 'e' | 'E')));
        let (number, exponent) = text.split_at(end.unwrap_or(text.len()));
        // Of `%X` the zeros are cut, as Go does.
        let mut wanted = match verb {
            'v' | 'g' | 'G' | 'x' => self.precision.unwrap_or(6),
            _ => 0,
        };
        let significant = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
        wanted = wanted.saturating_sub(significant);
        let mut out = number.to_owned();
        if !number.contains('.') {
            if number == "0" {
                wanted = wanted.saturating_sub(1);
            }
            out.push('.');
        }
        out.push_str(&"0".repeat(wanted));
        out + exponent
    }

    fn string(&self, verb: char, text: &str) -> Option<String> {
        Some(match verb {
            'v' if self.source => self.quoted(text),
            'v' | 's' => self.text(text),
            'q' => self.quoted(text),
            'x' | 'X' => self.bytes(verb, text),
            _ => return None,
        })
    }

    fn text(&self, text: &str) -> String {
        self.pad(self.cut(text))
    }

    fn quoted(&self, text: &str) -> String {
        let text = self.cut(text);
        let is_raw = |c: char| c != '`' && c != '\u{7f}' && c != '\u{feff}' && (c >= ' ' || c == '\t');
        if self.sharp && text.chars().all(is_raw) {
            return self.pad(&format!("`{text}`"));
        }
        let quoted = Quoted(text).to_string();
        self.pad(&if self.plus { ascii(&quoted) } else { quoted })
    }

    fn bytes(&self, verb: char, text: &str) -> String {
        let bytes = &text.as_bytes()[..self.precision.unwrap_or(usize::MAX).min(text.len())];
        let prefix = if self.sharp { if verb == 'x' { "0x" } else { "0X" } } else { "" };
        let hex = |byte: &u8| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
        let shown = match self.space {
            _ if bytes.is_empty() => String::new(),
            true => bytes.iter().map(|byte| format!("{prefix}{}", hex(byte))).collect::<Vec<_>>().join(" "),
            false => bytes.iter().map(hex).fold(prefix.to_owned(), |shown, byte| shown + &byte),
        };
        self.pad(&shown)
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        match self.precision.and_then(|n| text.char_indices().nth(n)) {
            Some((end, _)) => &text[..end],
            None => text,
        }
    }

    fn signed(&self, negative: bool, magnitude: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        format!("{sign}{magnitude}")
    }

    /// Filled up to the width: with spaces, or where `0` says so with zeros on the left.
    fn pad(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        match (self.minus, self.zero) {
            (false, true) => "0".repeat(missing) + text,
            _ => self.pad_with_spaces(text),
        }
    }

    fn pad_with_spaces(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        if self.minus { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }
}

/// A finite float that is not negative as an integer times two to a power.
fn binary(v: f64) -> (u64, i64) {
    let bits = v.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i64);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// Go's `strconv.FormatFloat(v, 'x', precision, 64)`.
fn hexadecimal(v: f64, precision: Option<usize>) -> String {
    let (mantissa, power) = binary(v);
    let (mut mantissa, mut power) = (mantissa << 8, if v == 0.0 { 0 } else { power + 52 });
    // The leading one stands at bit 60.
    while mantissa != 0 && mantissa >> 60 == 0 {
        mantissa <<= 1;
        power -= 1;
    }
    if let Some(digits) = precision.filter(|digits| *digits < 15) {
        let cut = 60 - 4 * digits;
        let rest = mantissa & ((1 << cut) - 1);
        let half = 1 << (cut - 1);
        mantissa >>= cut;
        mantissa += u64::from(rest > half || (rest == half && mantissa & 1 == 1));
        mantissa <<= cut;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            power += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let shown = match precision {
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if shown.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    format!("0x{}{point}{shown}p{sign}{:02}", mantissa >> 60, power.unsigned_abs())
}

/// A character in single quotes, as Go's `strconv.QuoteRune` writes it.
fn quoted_character(c: char, in_ascii: bool) -> String {
    let quoted = Quoted(c.encode_utf8(&mut [0; 4])).to_string();
    let inner = match c {
        '"' => "\"",
        '\'' => "\\'",
        _ => &quoted[1..quoted.len() - 1],
    };
    let quoted = format!("'{inner}'");
    if in_ascii { ascii(&quoted) } else { quoted }
}

/// Other characters than ASCII's as escapes.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match u32::from(c) {
            0..=0x7f => out.push(c),
            n @ ..=0xffff => out.push_str(&format!("\\u{n:04x}")),
            n => out.push_str(&format!("\\U{n:08x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::super::printf::sprintf;
    use super::*;

    /// What a program in Go gives for each operand and format: operand, format, and the result as a JSON string.
    const TABLE: &str = include_str!("printf.tsv");

    #[test]
    fn as_go_formats() {
        let operand = |name: &str| match name {
            "true" => Value::Bool(true),
            "labels" => Value::Labels(Labels::from_pairs([("a", "b"), ("c", "d")])),
            "nil" => Value::Nil,
            "text1" => Value::text("h\u{e9}llo"),
            "text2" => Value::text("a\"b`\n\u{7f}\u{263a}"),
            "NaN" => Value::Float(f64::NAN),
            "+Inf" => Value::Float(f64::INFINITY),
            "-Inf" => Value::Float(f64::NEG_INFINITY),
            number => number.parse().map_or_else(|_| Value::Float(number.parse().unwrap()), Value::Int),
        };
        let mut wrong = Vec::new();
        for line in TABLE.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, format, want] = columns[..] else { panic!("{line}") };
            let want: String = serde_json::from_str(want).unwrap();
            let got = sprintf(format, &[operand(name)]);
            if got != want {
                wrong.push(format!("{name} {format}: {got:?}, want {want:?}"));
            }
        }
        assert!(TABLE.lines().count() > 1000);
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}
