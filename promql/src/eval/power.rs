//! `^`, the exponential and logarithms by the methods of Go's library on x86-64, so that answers agree with Prometheus's
//! to the last digit: powers by repeated squaring, logarithms by the series of fdlibm, the exponential after Shibata,
//! "Efficient evaluation methods of elementary functions suitable for SIMD computation" (2010).

use model::go_math::{LN_2_HIGH, LN_2_LOW, LN_SERIES, join, split};

pub(crate) use model::go_math::{ln, log2};

/// `x ^ y`: the whole part of the exponent by squaring, the rest by logarithm.
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    let (whole, mut rest) = (y.abs().trunc(), y.abs().fract());
    if x == 1.0 || y == 0.0 || x == 0.0 || !x.is_finite() || !y.is_finite() || whole >= 9e18 {
        return x.powf(y);
    }
    match y {
        1.0 => return x,
        0.5 => return x.sqrt(),
        -0.5 => return 1.0 / x.sqrt(),
        _ if rest != 0.0 && x < 0.0 => return f64::NAN,
        _ => {}
    }
    let mut left = whole as i64;
    // The result is `f * 2^e`, the square at hand `square * 2^square_e`.
    let (mut f, mut e) = (1.0, 0_i64);
    if rest != 0.0 {
        if rest > 0.5 {
            rest -= 1.0;
            left += 1;
        }
        f = exp(rest * ln(x));
    }
    let (mut square, mut square_e) = split(x);
    while left != 0 {
        if square_e.abs() > 1 << 12 {
            // Far beyond all that fits.
            e += square_e;
            break;
        }
        if left & 1 == 1 {
            f *= square;
            e += square_e;
        }
        square *= square;
        square_e *= 2;
        if square < 0.5 {
            square += square;
            square_e -= 1;
        }
        left >>= 1;
    }
    if y < 0.0 { join(1.0 / f, -e) } else { join(f, e) }
}

/// The exponential: of `2^k e^(16 r)`, with `e^r - 1` by Taylor's series, squared four times.
pub(crate) fn exp(x: f64) -> f64 {
    /// Reciprocals of factorials, that of 8 first.
    const SERIES: [f64; 7] = [
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
    ];
    const LN_2_HIGH: f64 = 0.693_147_180_559_662_956_511_601_805_686_950_683_593_75;
    const LN_2_LOW: f64 = 0.282_352_905_630_315_771_225_884_481_750_134_360_255_254_120_68e-12;
    if !x.is_finite() || !(-745.2..=709.782_712_893_384).contains(&x) {
        return x.exp();
    }
    let k = (x * std::f64::consts::LOG2_E).round_ties_even();
    if k >= 1024.0 {
        // Go's method gives up a little below the largest number.
        return f64::INFINITY;
    }
    let r = (-k).mul_add(LN_2_LOW, (-k).mul_add(LN_2_HIGH, x)) * 0.0625;
    let series = SERIES[1..].iter().fold(SERIES[0], |sum, c| sum.mul_add(r, *c)).mul_add(r, 1.0);
    // `y` stands for `e^r - 1`, whose square is `y (y + 2) + 1`.
    let mut y = r * series;
    for _ in 0..3 {
        y *= y + 2.0;
    }
    join(y.mul_add(y + 2.0, 1.0), k as i64)
}

/// The natural logarithm of `1 + x`, exact where `x` is small: as [`ln`], with what rounding took from `1 + x`.
pub(crate) fn ln_1p(x: f64) -> f64 {
    const SQRT_2_MANTISSA: u64 = 0x6_a09e_667f_3bcd;
    if !x.is_finite() || x <= -1.0 {
        return x.ln_1p();
    }
    let size = x.abs();
    if size < 1.0 / 536_870_912.0 {
        // 2^-29, and 2^-54.
        return if size < 5.551_115_123_125_783e-17 { x } else { x - x * x * 0.5 };
    }
    let (mut f, mut k, mut lost, mut is_near) = (x, 0.0, 0.0, false);
    if !(std::f64::consts::FRAC_1_SQRT_2 - 1.0 < x && x < std::f64::consts::SQRT_2 - 1.0) {
        let sum = if size < 9_007_199_254_740_992.0 { 1.0 + x } else { x };
        let mut exponent = (sum.to_bits() >> 52) as i64 - 1023;
        if size < 9_007_199_254_740_992.0 {
            lost = if exponent > 0 { 1.0 - (sum - x) } else { x - (sum - 1.0) } / sum;
        }
        // Around 1, from the root of one half to that of two.
        let mantissa = sum.to_bits() & ((1 << 52) - 1);
        let halved = mantissa >= SQRT_2_MANTISSA;
        exponent += i64::from(halved);
        f = f64::from_bits(mantissa | if halved { 1022 << 52 } else { 1023 << 52 }) - 1.0;
        is_near = if halved { ((1 << 52) - mantissa) >> 2 == 0 } else { mantissa == 0 };
        k = exponent as f64;
    }
    let half_square = 0.5 * f * f;
    if is_near {
        if f == 0.0 {
            return if k == 0.0 { 0.0 } else { k * LN_2_HIGH + (lost + k * LN_2_LOW) };
        }
        let rest = half_square * (1.0 - 2.0 / 3.0 * f);
        return if k == 0.0 { f - rest } else { k * LN_2_HIGH - ((rest - (k * LN_2_LOW + lost)) - f) };
    }
    let s = f / (2.0 + f);
    let s2 = s * s;
    let series = s2 * LN_SERIES.iter().rev().skip(1).fold(LN_SERIES[6], |sum, c| c + s2 * sum);
    if k == 0.0 {
        return f - (half_square - s * (half_square + series));
    }
    k * LN_2_HIGH - ((half_square - (s * (half_square + series) + (k * LN_2_LOW + lost))) - f)
}

/// The decimal logarithm.
pub(crate) fn log10(x: f64) -> f64 {
    ln(x) * std::f64::consts::LOG10_E
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differs in the last few digits at most.
    fn near(a: f64, b: f64) -> bool {
        a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-13 * b.abs()
    }

    #[test]
    fn near_the_exact_values() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            -0.1,
            2.0,
            0.75,
            3.7,
            -2.5,
            10.0,
            1000.0,
            1e-310,
            5e-324,
            1e300,
            -1e300,
            255.5,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        for x in values {
            let logarithms = [(ln(x), x.ln()), (log2(x), x.log2()), (log10(x), x.log10())];
            let exponentials = [(exp(x), x.exp())];
            for (got, want) in logarithms.into_iter().chain(exponentials) {
                assert!(near(got, want), "{x}: {got} {want}");
            }
            for y in
                [0.0, 1.0, 2.0, 3.0, -1.0, -3.0, 0.5, -0.5, 0.25, 3.7, -7.9, 63.0, 1e3, 1e19, 1e300, -1e300]
            {
                let (got, want) = (pow(x, y), x.powf(y));
                assert!(near(got, want) || want.abs() < 1e-300, "{x} ^ {y}: {got} {want}");
            }
            assert!(near(pow(x, f64::NEG_INFINITY), x.powf(f64::NEG_INFINITY)));
        }
    }

    #[test]
    fn as_go_rounds_them() {
        assert_eq!(log10(3.0), 0.4771212547196624);
        assert_eq!(exp(709.5), f64::INFINITY);
        assert_eq!((log2(8.0), log2(0.125), log10(1000.0)), (3.0, -3.0, 3.0));
        assert_eq!((pow(2.0, 0.5), pow(-2.0, 3.0), pow(2.0, -1074.0)), (2f64.sqrt(), -8.0, 5e-324));
        assert_eq!(
            (pow(2.0, 1023.0), pow(2.0, 1024.0)),
            (f64::MAX / 2.0 + 4.99006302254609e291, f64::INFINITY)
        );
    }
}
