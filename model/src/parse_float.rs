//! Text to floats as Go's `strconv.ParseFloat(text, 64)` reads it. All numbers that come from outside and that
//! Prometheus hands to it are read here.

/// Why a text is no float; the texts are Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloatError {
    /// Not a number.
    #[error("invalid syntax")]
    Syntax,
    /// A number too large for a double.
    #[error("value out of range")]
    Range,
}

/// Reads a float: decimal, or hexadecimal with an exponent of two (`0x1.8p3`); an underscore between two digits;
/// `Inf` and `Infinity` with or without a sign and `NaN` without, in any case. What is too small becomes 0 or the
/// nearest denormal.
pub fn parse_float(text: &str) -> Result<f64, FloatError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = |v: f64| if negative { -v } else { v };
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Ok(signed(f64::INFINITY));
    }
    let hex = matches!(unsigned.as_bytes(), [b'0', b'x' | b'X', ..]);
    let plain: String;
    let digits: &str = if unsigned.contains('_') {
        if !underscores_separate_digits(unsigned, hex) {
            return Err(FloatError::Syntax);
        }
        plain = unsigned.replace('_', "");
        &plain
    } else {
        unsigned
    };
    if hex {
        return hexadecimal(&digits[2..]).map(signed);
    }
    // The standard library also takes another sign and its own words.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(FloatError::Syntax);
    }
    let v: f64 = digits.parse().map_err(|_| FloatError::Syntax)?;
    if v.is_infinite() { Err(FloatError::Range) } else { Ok(signed(v)) }
}

/// Whether every underscore stands between two digits; the prefix of hexadecimal numbers counts as a digit, and so do
/// `a` to `f` anywhere after it.
fn underscores_separate_digits(text: &str, hex: bool) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at).map(|b| (at, b)))
            .is_some_and(|(at, b)| b.is_ascii_digit() || (hex && (b.is_ascii_hexdigit() || at == 1)))
    };
    (0..bytes.len())
        .filter(|at| bytes[*at] == b'_')
        .all(|at| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)))
}

/// Bits of a double's mantissa.
const MANTISSA_BITS: i64 = 53;
/// The power of two of the smallest denormal.
const MIN_EXPONENT: i64 = -1074;

/// `1.8p3`, rounded to the nearest double, halves to even.
fn hexadecimal(text: &str) -> Result<f64, FloatError> {
    let (digits, exponent) = text.split_once(['p', 'P']).ok_or(FloatError::Syntax)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 {
        return Err(FloatError::Syntax);
    }
    // The leading digits as a number, how many powers of two it is short of, and whether anything was cut off.
    let (mut mantissa, mut power, mut inexact) = (0u64, 0i64, false);
    for (n, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = char::from(byte).to_digit(16).ok_or(FloatError::Syntax)?;
        let room = mantissa >> 60 == 0;
        if room {
            mantissa = mantissa << 4 | u64::from(digit);
        } else {
            inexact |= digit != 0;
        }
        let before_point = n < whole.len();
        power += i64::from(before_point && !room) * 4 - i64::from(!before_point && room) * 4;
    }
    let (negative, exponent) = match exponent.as_bytes().first() {
        Some(b'-') => (true, &exponent[1..]),
        Some(b'+') => (false, &exponent[1..]),
        _ => (false, exponent),
    };
    if exponent.is_empty() || !exponent.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FloatError::Syntax);
    }
    // Go stops counting here, too: such a number is 0 or out of range, whatever its digits.
    const MAX_EXPONENT: i64 = 1 << 40;
    let exponent = exponent.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    power += if negative { -exponent } else { exponent };
    if mantissa == 0 {
        return Ok(0.0);
    }
    // The mantissa's last bit that the double keeps stands for two to this power.
    let bits = i64::from(64 - mantissa.leading_zeros());
    let unit = (power + bits - MANTISSA_BITS).max(MIN_EXPONENT);
    let cut = unit - power;
    let rounded = match cut {
        ..=0 => mantissa << -cut,
        1..=64 => {
            let wide = u128::from(mantissa) << 64 >> cut;
            let (kept, rest) = ((wide >> 64) as u64, wide as u64);
            let half = 1 << 63;
            kept + u64::from(rest > half || (rest == half && (inexact || kept & 1 == 1)))
        }
        _ => 0,
    };
    // Powers of two are multiplied exactly, in steps that a double holds.
    let mut v = rounded as f64;
    let mut left = unit;
    while left != 0 && v.is_finite() {
        let step = left.clamp(-1000, 1000);
        v *= 2f64.powi(step as i32);
        left -= step;
    }
    if v.is_infinite() { Err(FloatError::Range) } else { Ok(v) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Go says, as bits.
    const ACCEPTED: &[(&str, u64)] = &[
        ("1_000", 0x408f_4000_0000_0000),
        ("0x1p4", 0x4030_0000_0000_0000),
        ("0x_1p4", 0x4030_0000_0000_0000),
        ("0x1_0p4", 0x4070_0000_0000_0000),
        ("0x1p1_0", 0x4090_0000_0000_0000),
        ("1e1_0", 0x4202_a05f_2000_0000),
        ("iNf", 0x7ff0_0000_0000_0000),
        ("-INFINITY", 0xfff0_0000_0000_0000),
        ("0x1p-1074", 1),
        ("0x1p-1075", 0),
        ("0x1.8p-1075", 1),
        ("0x1.00000000000000000001p-1075", 1),
        ("0x1.fffffffffffff7p1023", 0x7fef_ffff_ffff_ffff),
        ("0x.fffffffffffffp-1022", 0x000f_ffff_ffff_ffff),
        ("0x1.00000000000008p0", 0x3ff0_0000_0000_0000),
        ("0x1.000000000000080001p0", 0x3ff0_0000_0000_0001),
        ("0x1.00000000000018p0", 0x3ff0_0000_0000_0002),
        ("0x123456789abcdef123p-4", 0x43f2_3456_789a_bcdf),
        ("0x0p99999999999999999999", 0),
        ("0x1p-99999999999999999999", 0),
        ("-0x0p0", 0x8000_0000_0000_0000),
        ("+.5", 0x3fe0_0000_0000_0000),
        ("5.", 0x4014_0000_0000_0000),
        ("1e-400", 0),
        ("0e99999999999", 0),
        ("-0", 0x8000_0000_0000_0000),
    ];

    #[test]
    fn reads_what_go_reads() {
        for (text, bits) in ACCEPTED {
            assert_eq!(parse_float(text).map(f64::to_bits), Ok(*bits), "{text}");
        }
        assert!(parse_float("nAn").unwrap().is_nan());
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "", "+", "-", ".", "e5", "+NaN", "-nan", "infinit", "_1", "1_", "1__0", "1_e5", "1_.5", "1._5",
            "0x1", "0x", "0xp1", "0x.p1", "0x1p", "0x1p+", "0x1p+-1", "0x1.8.p1", "0xg p1", "0b11", "0o7",
            "++1", "1 ", " 1", "+-1", "-+inf", "1e", "1e+", "é", "0x_p1", "0x1_p1", "1,5",
        ] {
            assert_eq!(parse_float(text), Err(FloatError::Syntax), "{text:?}");
        }
        for text in
            ["1e309", "-1e309", "0x1p1024", "0x1.fffffffffffff8p1023", "0x1p99999999999999999999", "1_0e400"]
        {
            assert_eq!(parse_float(text), Err(FloatError::Range), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_is_exact(bits in any::<u64>()) {
            let v = f64::from_bits(bits);
            prop_assume!(v.is_finite());
            let (mantissa, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
            let sign = if v.is_sign_negative() { "-" } else { "" };
            let text = match exponent {
                0 => format!("{sign}0x{mantissa:x}p-1074"),
                _ => format!("{sign}0x1.{mantissa:013x}p{}", exponent - 1023),
            };
            prop_assert_eq!(parse_float(&text).map(f64::to_bits), Ok(bits));
        }

        #[test]
        fn decimal_is_the_standard_librarys(v in any::<f64>()) {
            prop_assume!(v.is_finite());
            prop_assert_eq!(parse_float(&v.to_string()).map(f64::to_bits), Ok(v.to_bits()));
        }

        #[test]
        fn bears_anything(text in "[-+0-9a-fxpinINF_.]{0,40}") {
            let _ = parse_float(&text);
        }
    }
}
