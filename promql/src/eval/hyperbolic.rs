//! Hyperbolic functions and their inverses by the formulas of Go's library; see [`super::power`].

use std::f64::consts::LN_2;

use super::power::{exp, ln, ln_1p};
use super::trigonometry::polynomial;

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
        _ => near_sinh(x),
    }
}

/// The hyperbolic sine near zero: a quotient of Hart and Cheney's.
fn near_sinh(x: f64) -> f64 {
    const ABOVE: [f64; 4] = [
        -2.630_563_213_397_497e1,
        -2.894_211_355_989_564e3,
        -8.991_272_022_039_509e4,
        -6.307_673_640_497_717e5,
    ];
    const BELOW: [f64; 4] =
        [1.0, -1.736_789_535_582_337e2, 1.521_517_378_790_019e4, -6.307_673_640_497_717e5];
    let square = x * x;
    polynomial(&ABOVE, square) * x / polynomial(&BELOW, square)
}

/// The hyperbolic tangent.
pub(crate) fn tanh(x: f64) -> f64 {
    const ABOVE: [f64; 3] = [-9.643_991_794_250_523e-1, -9.928_772_310_019_185e1, -1.614_687_684_417_084_5e3];
    const BELOW: [f64; 4] =
        [1.0, 1.128_116_784_916_329_3e2, 2.235_488_390_601_004_5e3, 4.844_063_053_251_255e3];
    /// Half the logarithm of 2^127: beyond, nothing is left of the difference from 1.
    const ONE_FROM: f64 = 4.401_484_596_555_652_5e1;
    let square = x * x;
    match x.abs() {
        _ if x.is_nan() || x == 0.0 => x,
        size if size > ONE_FROM => 1.0_f64.copysign(x),
        size if size >= 0.625 => (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x),
        _ => x + x * square * polynomial(&ABOVE, square) / polynomial(&BELOW, square),
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
        _ => ln_1p(size + size * size / (1.0 + root)),
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
            ln_1p(above + (2.0 * above + above * above).sqrt())
        }
    }
}

/// The inverse of the hyperbolic tangent; NaN beyond 1.
pub(crate) fn atanh(x: f64) -> f64 {
    let size = x.abs();
    let twice = size + size;
    let result = match size {
        _ if size < 1.0 / LARGE => return x,
        _ if size < 0.5 => 0.5 * ln_1p(twice + twice * size / (1.0 - size)),
        _ if size == 1.0 => f64::INFINITY,
        _ => 0.5 * ln_1p(twice / (1.0 - size)),
    };
    result.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_exact_values() {
        type Pair = (fn(f64) -> f64, fn(f64) -> f64);
        let functions: [Pair; 6] = [
            (sinh, f64::sinh),
            (cosh, f64::cosh),
            (tanh, f64::tanh),
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

    /// Where the C library says something else: as Prometheus says.
    #[test]
    fn last_digits() {
        let at = |n: f64| n / 11_000.0 * 2.0 - 1.0;
        for (got, want) in [
            (sinh(at(2753.0)), -0.5204803142732657),
            (tanh(at(1.0)), -0.7615177864103858),
            (asinh(at(3511.0)), -0.35418456233843465),
            (atanh(at(1745.0)), -0.8342046951855352),
            (cosh(at(1597.0) * 1e3), f64::INFINITY),
        ] {
            assert_eq!(got, want);
        }
    }
}
