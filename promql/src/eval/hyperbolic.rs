//! Hyperbolic functions and their inverses by the formulas of Go's library; see [`super::power`].

use std::f64::consts::LN_2;

use super::power::{exp, ln};

/// The hyperbolic cosine.
pub(crate) fn cosh(x: f64) -> f64 {
    let e = exp(x.abs());
    if x.abs() > 21.0 { e * 0.5 } else { (e + 1.0 / e) * 0.5 }
}

/// The hyperbolic sine.
pub(crate) fn sinh(x: f64) -> f64 {
    let e = exp(x.abs());
    match x.abs() {
        size if size > 21.0 => (e * 0.5).copysign(x),
        size if size > 0.5 => ((e - 1.0 / e) * 0.5).copysign(x),
        // Near zero the difference of exponentials loses all digits.
        _ => x.sinh(),
    }
}

/// Beyond this, adding or subtracting 1 from a square changes nothing.
const LARGE: f64 = 268_435_456.0;

/// The inverse of the hyperbolic sine.
pub(crate) fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let root = (size * size + 1.0).sqrt();
    let result = match size {
        _ if !x.is_finite() || size < 1.0 / LARGE => return x,
        _ if size > LARGE => ln(size) + LN_2,
        _ if size > 2.0 => ln(2.0 * size + 1.0 / (root + size)),
        _ => (size + size * size / (1.0 + root)).ln_1p(),
    };
    result.copysign(x)
}

/// The inverse of the hyperbolic cosine; NaN below 1.
pub(crate) fn acosh(x: f64) -> f64 {
    match x {
        _ if x.is_nan() || x < 1.0 => f64::NAN,
        _ if x >= LARGE => ln(x) + LN_2,
        _ if x > 2.0 => ln(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())),
        _ => {
            let above = x - 1.0;
            (above + (2.0 * above + above * above).sqrt()).ln_1p()
        }
    }
}

/// The inverse of the hyperbolic tangent; NaN beyond 1.
pub(crate) fn atanh(x: f64) -> f64 {
    let size = x.abs();
    let twice = size + size;
    let result = match size {
        _ if size < 1.0 / LARGE => return x,
        _ if size < 0.5 => 0.5 * (twice + twice * size / (1.0 - size)).ln_1p(),
        _ if size == 1.0 => f64::INFINITY,
        _ => 0.5 * (twice / (1.0 - size)).ln_1p(),
    };
    result.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_exact_values() {
        type Pair = (fn(f64) -> f64, fn(f64) -> f64);
        let functions: [Pair; 5] = [
            (sinh, f64::sinh),
            (cosh, f64::cosh),
            (asinh, f64::asinh),
            (acosh, f64::acosh),
            (atanh, f64::atanh),
        ];
        let sizes =
            [0.0, 1e-10, 0.1, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 30.0, 700.0, 1e10, f64::INFINITY, f64::NAN];
        for x in sizes.into_iter().flat_map(|x| [x, -x]) {
            for (at, (ours, exact)) in functions.iter().enumerate() {
                let (got, want) = (ours(x), exact(x));
                let near =
                    got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= 1e-13 * want.abs();
                assert!(near, "{at} of {x}: {got} {want}");
            }
        }
        assert!(asinh(-0.0).is_sign_negative() && atanh(-0.0).is_sign_negative());
    }
}
