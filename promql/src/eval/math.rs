//! Functions of one float, where Go's differ from Rust's.

use super::{hyperbolic, power, trigonometry};

/// Go's `math.Max`: NaN if either is, but +Inf beats NaN; +0 is greater than -0.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && a == b {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`: NaN if either is, but -Inf beats NaN; -0 is less than +0.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && a == b {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// `sgn`: the sign, with zeros and NaN as they are.
pub(crate) fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// `round` to a multiple, given its inverse; ties go up.
pub(crate) fn round_to(v: f64, inverse: f64) -> f64 {
    (v * inverse + 0.5).floor() / inverse
}

/// The plain function of that name.
pub(crate) fn function(name: &str) -> Option<fn(f64) -> f64> {
    use std::f64::consts::PI;
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => power::exp,
        "sqrt" => f64::sqrt,
        "ln" => power::ln,
        "log2" => power::log2,
        "log10" => power::log10,
        "sin" => trigonometry::sin,
        "cos" => trigonometry::cos,
        "tan" => trigonometry::tan,
        "asin" => trigonometry::asin,
        "acos" => trigonometry::acos,
        "atan" => trigonometry::atan,
        "sinh" => hyperbolic::sinh,
        "cosh" => hyperbolic::cosh,
        "tanh" => hyperbolic::tanh,
        "asinh" => hyperbolic::asinh,
        "acosh" => hyperbolic::acosh,
        "atanh" => hyperbolic::atanh,
        "rad" => |v| v * PI / 180.0,
        "deg" => |v| v * 180.0 / PI,
        "sgn" => sign,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes() {
        assert!(go_max(f64::NAN, 1.0).is_nan() && go_min(1.0, f64::NAN).is_nan());
        assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(go_min(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(go_max(-0.0, 0.0).is_sign_positive() && go_min(0.0, -0.0).is_sign_negative());
        assert_eq!((go_max(1.0, 2.0), go_min(1.0, 2.0)), (2.0, 1.0));
    }

    #[test]
    fn rounding_and_signs() {
        assert_eq!((round_to(2.5, 1.0), round_to(-2.5, 1.0), round_to(5.3, 1.0 / 5.0)), (3.0, -2.0, 5.0));
        assert!(sign(-0.0).is_sign_negative() && sign(f64::NAN).is_nan());
    }
}
