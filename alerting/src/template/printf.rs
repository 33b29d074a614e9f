//! Go's `fmt.Sprintf`, `fmt.Sprint` and `fmt.Sprintln` over template values.

use model::go_float::FloatG;
use model::labels::Quoted;

use super::value::Value;

/// Characters that one operand may be padded to.
const MAX_WIDTH: usize = 1000;

/// One `%` directive.
#[derive(Default)]
struct Directive {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut reordered = false;
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        out.push_str(text);
        let mut d = Directive::default();
        rest = after;
        while let Some(flag) = rest.chars().next().filter(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => d.minus = true,
                '+' => d.plus = true,
                '#' => d.sharp = true,
                ' ' => d.space = true,
                _ => d.zero = true,
            }
            rest = &rest[1..];
        }
        reordered |= index(&mut rest, &mut next);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match args.get(next) {
                Some(Value::Int(n)) => {
                    d.minus |= *n < 0;
                    d.width = Some(n.unsigned_abs().min(MAX_WIDTH as u64) as usize);
                }
                _ => out.push_str("%!(BADWIDTH)"),
            }
            next += 1;
        } else {
            d.width = number(&mut rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            reordered |= index(&mut rest, &mut next);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match args.get(next) {
                    Some(Value::Int(n)) if *n >= 0 => d.precision = Some((*n as usize).min(MAX_WIDTH)),
                    _ => out.push_str("%!(BADPREC)"),
                }
                next += 1;
            } else {
                d.precision = Some(number(&mut rest).unwrap_or(0));
            }
        }
        reordered |= index(&mut rest, &mut next);
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        match args.get(next) {
            Some(value) => out.push_str(&d.format(verb, value)),
            None => out.push_str(&format!("%!{verb}(MISSING)")),
        }
        next += 1;
    }
    out.push_str(rest);
    if !reordered && next < args.len() {
        let extra: Vec<String> = args[next..].iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn number(text: &mut &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    (digits > 0).then(|| number.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH))
}

/// `[n]`: the operand that follows is the n-th.
fn index(text: &mut &str, next: &mut usize) -> bool {
    let Some((number, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) else { return false };
    match number.parse::<usize>() {
        Ok(n) if n >= 1 => {
            *next = n - 1;
            *text = rest;
            true
        }
        _ => false,
    }
}

fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        value => format!("{}={value}", value.type_name()),
    }
}

impl Directive {
    fn format(&self, verb: char, value: &Value) -> String {
        let text = match (verb, value) {
            ('v', Value::Nil) => "<nil>".to_owned(),
            (_, Value::Nil) => return format!("%!{verb}(<nil>)"),
            ('T', value) => value.type_name().to_owned(),
            ('v' | 't', Value::Bool(b)) => b.to_string(),
            ('v' | 'd', Value::Int(n)) => {
                return self.pad_number(&self.signed(*n < 0, &n.unsigned_abs().to_string()));
            }
            ('b' | 'o' | 'x' | 'X', Value::Int(n)) => return self.pad_number(&self.radix(verb, *n)),
            ('c', Value::Int(n)) => {
                u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
            }
            ('q', Value::Int(n)) => {
                format!("'{}'", u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'))
            }
            ('U', Value::Int(n)) => format!("U+{n:04X}"),
            ('v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(v)) => {
                if v.is_nan() {
                    return self.pad(&self.signed(false, "NaN"));
                }
                if v.is_infinite() {
                    let sign = if *v < 0.0 {
                        '-'
                    } else if self.space && !self.plus {
                        ' '
                    } else {
                        '+'
                    };
                    return self.pad(&format!("{sign}Inf"));
                }
                return self.pad_number(&self.signed(v.is_sign_negative(), &self.float(verb, v.abs())));
            }
            ('v' | 's', Value::Text(text)) => self.cut(text).to_owned(),
            ('q', Value::Text(text)) => Quoted(self.cut(text)).to_string(),
            ('x' | 'X', Value::Text(text)) => text
                .bytes()
                .map(|b| if verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") })
                .collect(),
            // Types with a text form of their own.
            ('s' | 'v', Value::Histogram(_) | Value::Time(_) | Value::Duration(_)) => value.to_string(),
            (
                'v' | 's',
                Value::Labels(_) | Value::Map(_) | Value::Sample(_) | Value::Samples(_) | Value::Alert(_),
            ) => value.to_string(),
            (verb, value) => return format!("%!{verb}({})", typed(value)),
        };
        self.pad(&text)
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

    fn radix(&self, verb: char, n: i64) -> String {
        let magnitude = n.unsigned_abs();
        let (prefix, digits) = match verb {
            'b' => ("0b", format!("{magnitude:b}")),
            'o' => ("0", format!("{magnitude:o}")),
            'x' => ("0x", format!("{magnitude:x}")),
            _ => ("0X", format!("{magnitude:X}")),
        };
        self.signed(n < 0, &format!("{}{digits}", if self.sharp { prefix } else { "" }))
    }

    fn float(&self, verb: char, v: f64) -> String {
        let text = match verb {
            'f' | 'F' => format!("{v:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => go_exponent(&format!("{v:.*e}", self.precision.unwrap_or(6))),
            _ => match self.precision {
                Some(precision) => float_g(v, precision),
                None => FloatG(v).to_string(),
            },
        };
        if verb.is_ascii_uppercase() { text.to_uppercase() } else { text }
    }

    fn pad_number(&self, text: &str) -> String {
        if !self.zero || self.minus {
            return self.pad(text);
        }
        let sign = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
    }

    fn pad(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        if self.minus { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
fn go_exponent(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Go's `%.<precision>g`.
pub(super) fn float_g(v: f64, precision: usize) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let precision = precision.max(1);
    let scientific = format!("{v:.*e}", precision - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= precision as i32 {
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        go_exponent(&format!("{}e{exponent}", trim(digits)))
    } else {
        trim(&format!("{v:.*}", (precision as i32 - 1 - exponent).max(0) as usize))
    }
}

/// `fmt.Sprint`: a space between two operands neither of which is a text.
pub(super) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in args.iter().enumerate() {
        let text = |value: &Value| matches!(value, Value::Text(_));
        if i > 0 && !text(value) && !text(&args[i - 1]) {
            out.push(' ');
        }
        out.push_str(&value.to_string());
    }
    out
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(args: &[Value]) -> String {
    let texts: Vec<String> = args.iter().map(Value::to_string).collect();
    texts.join(" ") + "\n"
}
