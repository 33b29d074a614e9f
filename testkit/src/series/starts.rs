//! Start timestamps in `load` commands: `metric{...}@st -1mx3`.

use promql::duration_literal;

use crate::script::parse::{ScriptError, error};

/// Most values that a list of start timestamps may stand for.
const MAX_STARTS: u64 = 100_000;

/// Start timestamps: `_`, `_xN`, `-1m`, `-1mxN`, `-30s-1mxN`.
pub(super) fn parse(line: usize, text: &str) -> Result<Vec<Option<i64>>, ScriptError> {
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let (first, step, times) =
            start(item).map_err(|reason| error(line, format!("invalid ST item {item:?}: {reason}")))?;
        if values.len() as u64 + times > MAX_STARTS {
            return Err(error(line, format!("more than {MAX_STARTS} start timestamps")));
        }
        let mut next = first;
        for _ in 0..times {
            values.push(next);
            next = next.and_then(|next| next.checked_add(step));
        }
    }
    Ok(values)
}

/// The first value, what is added from one to the next, and how many values there are.
fn start(item: &str) -> Result<(Option<i64>, i64, u64), String> {
    let count = |text: &str| text.parse::<u64>().map_err(|_| "invalid repeat count".to_owned());
    if let Some(rest) = item.strip_prefix('_') {
        return match rest.strip_prefix('x') {
            None if rest.is_empty() => Ok((None, 0, 1)),
            None => Err("expected x behind _".to_owned()),
            Some(times) => Ok((None, 0, count(times)?)),
        };
    }
    let (first, rest) = signed_duration(item)?;
    if rest.is_empty() {
        return Ok((Some(first), 0, 1));
    }
    if let Some(times) = rest.strip_prefix('x') {
        return Ok((Some(first), 0, count(times)?.saturating_add(1)));
    }
    if !rest.starts_with(['+', '-']) {
        return Err(format!("unexpected {rest:?} after duration"));
    }
    let (step, rest) = signed_duration(rest)?;
    let times = rest.strip_prefix('x').ok_or("expected x<count> after step duration")?;
    Ok((Some(first), step, count(times)?.saturating_add(1)))
}

/// A duration with an optional sign as milliseconds, and what follows it.
fn signed_duration(text: &str) -> Result<(i64, &str), String> {
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..].bytes().take_while(|b| b.is_ascii_alphabetic() && *b != b'x').count();
    let (duration, rest) = unsigned.split_at(digits + unit);
    Ok((sign * duration_literal::seconds_to_millis(duration_literal::parse_seconds(duration)?), rest))
}
