//! Floats as text the way Go writes them, for queries, logs and test files. The API's form is that of
//! [`crate::api_float`].

use std::fmt::{self, Write};

use crate::shortest::Shortest;

/// Go's `%g` with the shortest digits: an exponent below 1e-4 and from 1e6.
#[derive(Clone, Copy, Debug)]
pub struct FloatG(pub f64);

/// Go's `%f` with the shortest digits, never an exponent.
#[derive(Clone, Copy, Debug)]
pub struct FloatF(pub f64);

impl fmt::Display for FloatG {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude.is_finite() && magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
            exponent(f, self.0)
        } else {
            plain(f, self.0)
        }
    }
}

impl fmt::Display for FloatF {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        plain(f, self.0)
    }
}

fn plain(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    if v == f64::INFINITY {
        f.write_str("+Inf")
    } else if v == f64::NEG_INFINITY {
        f.write_str("-Inf")
    } else if v.is_nan() {
        f.write_str("NaN")
    } else {
        sign(f, v)?;
        let shortest = Shortest::of(v);
        let digits = ascii(shortest.digits());
        match usize::try_from(shortest.point) {
            Ok(point) if point >= digits.len() => write!(f, "{digits:0<point$}"),
            Ok(point) if point > 0 => write!(f, "{}.{}", &digits[..point], &digits[point..]),
            _ => {
                f.write_str("0.")?;
                (0..shortest.point.unsigned_abs()).try_for_each(|_| f.write_char('0'))?;
                f.write_str(digits)
            }
        }
    }
}

fn sign(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    if v.is_sign_negative() { f.write_char('-') } else { Ok(()) }
}

fn ascii(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

/// Go's `strconv.FormatFloat(v, 'e', -1, 64)`: always an exponent, with a sign and two digits at least.
pub struct FloatE(pub f64);

impl fmt::Display for FloatE {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { exponent(f, self.0) } else { plain(f, self.0) }
    }
}

fn exponent(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    sign(f, v)?;
    let shortest = Shortest::of(v);
    let digits = ascii(shortest.digits());
    f.write_str(&digits[..1])?;
    if digits.len() > 1 {
        write!(f, ".{}", &digits[1..])?;
    }
    let exponent = if v == 0.0 { 0 } else { shortest.point - 1 };
    write!(f, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (v, g, f) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-1.5, "-1.5", "-1.5"),
            (100000.0, "100000", "100000"),
            (999999.5, "999999.5", "999999.5"),
            (1e6, "1e+06", "1000000"),
            (123456789.0, "1.23456789e+08", "123456789"),
            (1e20, "1e+20", "100000000000000000000"),
            (1e21, "1e+21", "1000000000000000000000"),
            (1e300, "1e+300", &format!("1{}", "0".repeat(300))),
            (0.0001, "0.0001", "0.0001"),
            (0.00001234, "1.234e-05", "0.00001234"),
            (1e-6, "1e-06", "0.000001"),
            (2.5e-7, "2.5e-07", "0.00000025"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(FloatG(v).to_string(), g);
            assert_eq!(FloatF(v).to_string(), f);
        }
    }

    #[test]
    fn halves_are_even_in_every_form() {
        // Half way between two decimals of 16 digits.
        let v = 571_569_229_053.0 + 0.78125;
        assert_eq!(FloatF(-v).to_string(), "-571569229053.7812");
        assert_eq!(FloatG(v).to_string(), "5.715692290537812e+11");
        assert_eq!(FloatE(v).to_string(), "5.715692290537812e+11");
        assert_eq!(crate::api_float::float_text(v), "571569229053.7812");
        assert_eq!(FloatE(0.0).to_string(), "0e+00");
        assert_eq!(FloatF(2f64.powi(-44)).to_string(), "0.00000000000005684341886080802");
    }
}
