//! Floats as text, in the form of Prometheus's API: shortest digits that read back equal, an exponent only for
//! magnitudes below 1e-6 or from 1e21 on. Source: `web/api/v1/json_codec.go`, `util/jsonutil`.

use crate::shortest::{Shortest, even_neighbour};

/// What numbers are appended to.
pub trait AsciiSink {
    /// Appends ASCII characters.
    fn put(&mut self, ascii: &[u8]);
}

impl AsciiSink for String {
    fn put(&mut self, ascii: &[u8]) {
        self.push_str(str::from_utf8(ascii).unwrap_or_default());
    }
}

impl AsciiSink for Vec<u8> {
    fn put(&mut self, ascii: &[u8]) {
        self.extend_from_slice(ascii);
    }
}

/// Appends a float. NaN, `+Inf` and `-Inf` as Prometheus spells them; an exponent has a sign and two digits at least.
pub fn push_float(out: &mut impl AsciiSink, v: f64) {
    // By conversion, which takes no call of a function.
    if (v as i64) as f64 == v && v.abs() < 1e15 {
        return push_integer(out, v);
    }
    if v.is_nan() {
        return out.put(b"NaN");
    }
    if v.is_infinite() {
        return out.put(if v > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(v);
    if v.abs() >= 1e-6 && v.abs() < 1e15 && !shortest.contains(['e', 'E']) {
        // A fraction without an exponent is in the API's form already, but for halves.
        let text = shortest.as_bytes();
        let decimals = text.iter().rev().take_while(|b| **b != b'.').count();
        let last = text.last().copied().unwrap_or(b'0');
        if even_neighbour(v.abs(), last, -(decimals as i32)).is_none() {
            return out.put(text);
        }
    }
    push_shaped(out, v);
}

/// Appends an integral float below 2^53 in magnitude; keeps the sign of -0.
fn push_integer(out: &mut impl AsciiSink, v: f64) {
    push_signed(out, v.is_sign_negative(), v.abs() as u64);
}

fn push_u64(out: &mut impl AsciiSink, n: u64) {
    push_signed(out, false, n);
}

fn push_signed(out: &mut impl AsciiSink, is_negative: bool, mut n: u64) {
    let mut text = [b'0'; 24];
    let mut at = text.len();
    while n >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    at -= 2;
    text[at..at + 2].copy_from_slice(&PAIRS[n as usize]);
    at += usize::from(n < 10);
    if is_negative {
        at -= 1;
        text[at] = b'-';
    }
    out.put(&text[at..]);
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Writes shortest digits in Prometheus's form.
fn push_shaped(out: &mut impl AsciiSink, v: f64) {
    let shortest = Shortest::of(v);
    let (digits, point) = (shortest.digits(), shortest.point);
    if v.is_sign_negative() {
        out.put(b"-");
    }
    if v.abs() < 1e-6 || v.abs() >= 1e21 {
        out.put(&digits[..1]);
        if digits.len() > 1 {
            out.put(b".");
            out.put(&digits[1..]);
        }
        let e = point - 1;
        out.put(if e < 0 { b"e-" } else { b"e+" });
        if e.abs() < 10 {
            out.put(b"0");
        }
        push_u64(out, u64::from(e.unsigned_abs()));
    } else if point <= 0 {
        out.put(b"0.");
        zeros(out, point.unsigned_abs() as usize);
        out.put(digits);
    } else {
        let point = point as usize;
        if digits.len() <= point {
            out.put(digits);
            zeros(out, point - digits.len());
        } else {
            out.put(&digits[..point]);
            out.put(b".");
            out.put(&digits[point..]);
        }
    }
}

fn zeros(out: &mut impl AsciiSink, n: usize) {
    (0..n).for_each(|_| out.put(b"0"));
}

/// A float as [`push_float`] writes it.
pub fn float_text(v: f64) -> String {
    let mut out = String::new();
    push_float(&mut out, v);
    out
}

/// Appends milliseconds as seconds: no decimals when whole, else exactly three.
pub fn push_timestamp(out: &mut impl AsciiSink, t_ms: i64) {
    let t = t_ms.unsigned_abs();
    push_signed(out, t_ms < 0, t / 1000);
    let ms = t % 1000;
    if ms != 0 {
        let digit = |n: u64| b'0' + (n % 10) as u8;
        out.put(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1.5e-6, "0.0000015"),
            (9.9e-7, "9.9e-07"),
            (1e-7, "1e-07"),
            (5e-324, "5e-324"),
            (1e20, "100000000000000000000"),
            (1.2345e20, "123450000000000000000"),
            (1e21, "1e+21"),
            (1.5e100, "1.5e+100"),
            (123456789.125, "123456789.125"),
            (1e15, "1000000000000000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float_text(v), want);
        }
    }

    #[test]
    fn timestamps() {
        for (t, want) in
            [(0, "0"), (1, "0.001"), (1_000, "1"), (1_435_781_451_781, "1435781451.781"), (-1_050, "-1.050")]
        {
            let mut out = String::new();
            push_timestamp(&mut out, t);
            assert_eq!(out, want);
        }
    }

    proptest! {
        /// The standard library prints the shortest digits without exponent: the oracle for that form, but for the last
        /// digit of halves, which `shortest.rs` compares with exact decimals.
        #[test]
        fn agrees_with_the_standard_library(v in any::<f64>()) {
            let text = float_text(v);
            if v.is_finite() {
                prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(v.to_bits()));
                if v == 0.0 || (1e-6..1e21).contains(&v.abs()) {
                    prop_assert_eq!(text.len(), v.to_string().len());
                }
            }
        }

        #[test]
        fn agrees_in_the_usual_range(v in -1e9f64..1e9) {
            if v == 0.0 || v.abs() >= 1e-6 {
                let text = float_text(v);
                prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(v.to_bits()));
                prop_assert_eq!(text.len(), v.to_string().len());
            }
        }
    }
}
