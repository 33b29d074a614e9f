//! Go's `fmt.Sprintf`, `fmt.Sprint` and `fmt.Sprintln` over template values.

use super::value::Value;
use super::verb::Directive;

/// Characters that one operand may be padded to.
pub(super) const MAX_WIDTH: usize = 1000;
/// What Go takes for a width or precision among the operands.
const MAX_STAR: i64 = 1_000_000;

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut operands = Operands { args, next: 0, reordered: false, good: true };
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        out.push_str(text);
        rest = after;
        let mut d = flags(&mut rest);
        operands.good = true;
        let mut indexed = operands.index(&mut rest);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match operands.star() {
                Some(n) => {
                    d.minus |= n < 0;
                    d.width = Some(bounded(n.unsigned_abs()));
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
            indexed = false;
        } else {
            d.width = number(&mut rest);
            // An index belongs before the verb.
            operands.good &= !(indexed && d.width.is_some());
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            operands.good &= !indexed;
            indexed = operands.index(&mut rest);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match operands.star().filter(|n| *n >= 0) {
                    Some(n) => d.precision = Some(bounded(n.unsigned_abs())),
                    None => out.push_str("%!(BADPREC)"),
                }
                indexed = false;
            } else {
                d.precision = Some(number(&mut rest).unwrap_or(0));
            }
        }
        if !indexed {
            operands.index(&mut rest);
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
        } else if !operands.good {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else {
            match operands.take() {
                Some(value) => out.push_str(&d.operand(verb, value)),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            }
        }
    }
    out.push_str(rest);
    if !operands.reordered && operands.next < args.len() {
        let extra: Vec<String> =
            args[operands.next..].iter().map(|arg| Directive::default().typed(arg)).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn flags(text: &mut &str) -> Directive {
    let mut d = Directive::default();
    while let Some(flag) = text.chars().next().filter(|c| "-+# 0".contains(*c)) {
        match flag {
            '-' => d.minus = true,
            '+' => d.plus = true,
            '#' => d.sharp = true,
            ' ' => d.space = true,
            _ => d.zero = true,
        }
        *text = &text[1..];
    }
    d
}

fn number(text: &mut &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    (digits > 0).then(|| bounded(number.parse().unwrap_or(u64::MAX)))
}

fn bounded(n: u64) -> usize {
    usize::try_from(n).map_or(MAX_WIDTH, |n| n.min(MAX_WIDTH))
}

/// The operands, and which one is next.
struct Operands<'a> {
    args: &'a [Value],
    next: usize,
    /// An index was used: operands that are left over are no mistake.
    reordered: bool,
    /// The directive at hand has no index that is wrong.
    good: bool,
}

impl<'a> Operands<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        Some(arg)
    }

    /// A width or precision, which must be an integer that Go does not find too large.
    fn star(&mut self) -> Option<i64> {
        match self.take()? {
            Value::Int(n) => Some(*n).filter(|n| (-MAX_STAR..=MAX_STAR).contains(n)),
            _ => None,
        }
    }

    /// `[n]`: the operand that follows is the n-th. Returns whether an index is there.
    fn index(&mut self, text: &mut &str) -> bool {
        let Some(after) = text.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some((number, rest)) = after.split_once(']') else {
            self.good = false;
            *text = after;
            return false;
        };
        *text = rest;
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        match number.parse::<usize>() {
            Ok(n) if is_number && (1..=self.args.len()).contains(&n) => self.next = n - 1,
            _ => self.good = false,
        }
        is_number
    }
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
pub(super) fn go_exponent(text: &str) -> String {
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
