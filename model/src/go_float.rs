//! Floats as text the way Go writes them, for queries, logs and test files. The API's form is that of
//! [`crate::api_float`].

use std::fmt::{self, Write};

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
    } else {
        write!(f, "{v}")
    }
}

/// Go's `strconv.FormatFloat(v, 'e', -1, 64)`: always an exponent, with a sign and two digits at least.
pub struct FloatE(pub f64);

impl fmt::Display for FloatE {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { exponent(f, self.0) } else { plain(f, self.0) }
    }
}

/// Rust writes `1.5e7`, Go `1.5e+07`.
fn exponent(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    f.write_str(digits)?;
    f.write_char('e')?;
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    write!(f, "{sign}{exponent:0>2}")
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
}
