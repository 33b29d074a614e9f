//! Trigonometric functions by the methods that Go's library took from Cephes (Moshier, 1989), so that answers agree with
//! Prometheus's to the last digit: an argument is reduced to an eighth of the circle, and there a polynomial or a
//! quotient of two stands for the function.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// A quarter of pi in three parts, the first two with zeros at their ends: their products with octants are exact.
const FRAC_PI_4_PARTS: [f64; 3] =
    [7.853_981_256_484_985e-1, 3.774_894_707_930_798e-8, 2.695_151_429_079_059_5e-15];
/// From here on the parts do not suffice.
const HUGE: f64 = 536_870_912.0;

const SINE: [f64; 6] = [
    1.589_623_015_765_465_6e-10,
    -2.505_074_776_285_780_7e-8,
    2.755_731_362_138_572_2e-6,
    -1.984_126_982_958_954e-4,
    8.333_333_333_322_118e-3,
    -1.666_666_666_666_663e-1,
];
const COSINE: [f64; 6] = [
    -1.135_853_652_138_768_2e-11,
    2.087_570_084_197_473e-9,
    -2.755_731_417_929_674e-7,
    2.480_158_728_885_170_4e-5,
    -1.388_888_888_887_305_6e-3,
    4.166_666_666_666_659_5e-2,
];

/// A polynomial, the coefficient of the highest power first.
pub(super) fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    match coefficients.split_first() {
        Some((first, rest)) => rest.iter().fold(*first, |sum, c| sum * x + c),
        None => 0.0,
    }
}

/// The even octant nearest to a positive angle, modulo 8, and the way to it.
fn octant(x: f64) -> (u64, f64) {
    if x >= HUGE {
        return octant_of_huge(x);
    }
    let below = (x * (4.0 / PI)) as u64;
    let even = below + (below & 1);
    let [a, b, c] = FRAC_PI_4_PARTS.map(|part| even as f64 * part);
    (even & 7, x - a - b - c)
}

/// The same by Payne and Hanek: of the product with 4/pi only the bits around the point are computed.
fn octant_of_huge(x: f64) -> (u64, f64) {
    /// Binary digits of 4/pi, the first word left of the point.
    const DIGITS: [u64; 20] = [
        0x0000_0000_0000_0001,
        0x45f3_06dc_9c88_2a53,
        0xf84e_afa3_ea69_bb81,
        0xb6c5_2b32_7887_2083,
        0xfca2_c757_bd77_8ac3,
        0x6e48_dc74_849b_a5c0,
        0x0c92_5dd4_13a3_2439,
        0xfc3b_d639_6253_4e7d,
        0xd104_6bea_5d76_8909,
        0xd338_e04d_68be_fc82,
        0x7323_ac73_06a6_73e9,
        0x3908_bf17_7bf2_5076,
        0x3ff1_2fff_bc0b_301f,
        0xde5e_2316_b414_da3e,
        0xda6c_fd9e_4f96_136e,
        0x9e8c_7ecd_3cbf_d45a,
        0xea4f_758f_d7cb_e2f6,
        0x7a0e_73ef_14a5_25d4,
        0xd7f6_bf62_3f1a_ba10,
        0xac06_608d_f8f6_d757,
    ];
    let bits = x.to_bits();
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    // The exponent of the mantissa's last bit, 61 bits on: the product's first three bits are then the octant.
    let from = ((bits >> 52 & 0x7ff) as usize + 61).saturating_sub(1075);
    let (word, shift) = (from / 64, from % 64);
    let digits = |at: usize| -> u128 {
        let pair = |at: usize| u128::from(DIGITS.get(word + at).copied().unwrap_or(0));
        (pair(at) << 64 | pair(at + 1)) << shift >> 64 & u128::from(u64::MAX)
    };
    let tail = digits(1) * mantissa + ((digits(2) * mantissa) >> 64);
    let product = ((digits(0) * mantissa) << 64).wrapping_add(tail);
    let (octant, low) = ((product >> 125) as u64, product as u64);
    let fraction = (product << 3 >> 64) as u64;
    // Cut off, not rounded; and where much is cut off in front, followed by bits that are three places off, as in Go.
    let shift = fraction.leading_zeros() + 1;
    let mantissa = fraction.checked_shl(shift).unwrap_or(0) | low >> (64 - shift.min(64)).min(63);
    let fraction = f64::from_bits(u64::from(1023 - shift) << 52 | mantissa >> 12);
    match octant & 1 {
        0 => (octant, fraction * FRAC_PI_4),
        _ => ((octant + 1) & 7, (fraction - 1.0) * FRAC_PI_4),
    }
}

/// The sine near zero.
fn near_sine(z: f64) -> f64 {
    let square = z * z;
    z + z * square * polynomial(&SINE, square)
}

/// The cosine near zero.
fn near_cosine(z: f64) -> f64 {
    let square = z * z;
    1.0 - 0.5 * square + square * square * polynomial(&COSINE, square)
}

/// The sine of an angle in radians.
pub(crate) fn sin(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x.sin();
    }
    let (octant, z) = octant(x.abs());
    let v = if matches!(octant, 2 | 6) { near_cosine(z) } else { near_sine(z) };
    if (octant > 3) != (x < 0.0) { -v } else { v }
}

/// The cosine of an angle in radians.
pub(crate) fn cos(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (octant, z) = octant(x.abs());
    let v = if matches!(octant, 2 | 6) { near_sine(z) } else { near_cosine(z) };
    if matches!(octant, 2 | 4) { -v } else { v }
}

/// The tangent of an angle in radians.
pub(crate) fn tan(x: f64) -> f64 {
    const ABOVE: [f64; 3] =
        [-1.309_369_391_813_837_9e4, 1.153_516_648_385_874_2e6, -1.795_652_519_764_848_8e7];
    const BELOW: [f64; 5] = [
        1.0,
        1.368_129_634_706_929_6e4,
        -1.320_892_344_402_109_7e6,
        2.500_838_018_233_579e7,
        -5.386_957_559_294_546_4e7,
    ];
    if x == 0.0 || !x.is_finite() {
        return x.tan();
    }
    let (octant, z) = octant(x.abs());
    let square = z * z;
    let near = if square > 1e-14 {
        z + z * (square * polynomial(&ABOVE, square) / polynomial(&BELOW, square))
    } else {
        z
    };
    let v = if octant & 2 == 2 { -1.0 / near } else { near };
    if x < 0.0 { -v } else { v }
}

/// The arctangent of a number from 0 to 0.66.
fn near_atan(x: f64) -> f64 {
    const ABOVE: [f64; 5] = [
        -8.750_608_600_031_904e-1,
        -1.615_753_718_733_365_2e1,
        -7.500_855_792_314_705e1,
        -1.228_866_684_490_136_1e2,
        -6.485_021_904_942_025e1,
    ];
    const BELOW: [f64; 6] = [
        1.0,
        2.485_846_490_142_306_2e1,
        1.650_270_098_316_988_5e2,
        4.328_810_604_912_902_7e2,
        4.853_903_996_359_137e2,
        1.945_506_571_482_614e2,
    ];
    let square = x * x;
    x * (square * polynomial(&ABOVE, square) / polynomial(&BELOW, square)) + x
}

/// The arctangent of a positive number.
fn positive_atan(x: f64) -> f64 {
    /// What half of pi is more than its nearest number.
    const MORE: f64 = 6.123_233_995_736_766e-17;
    const TAN_OF_3_EIGHTHS: f64 = 2.414_213_562_373_095;
    if x <= 0.66 {
        near_atan(x)
    } else if x > TAN_OF_3_EIGHTHS {
        FRAC_PI_2 - near_atan(1.0 / x) + MORE
    } else {
        FRAC_PI_4 + near_atan((x - 1.0) / (x + 1.0)) + 0.5 * MORE
    }
}

/// The arctangent in radians.
pub(crate) fn atan(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { positive_atan(x.abs()).copysign(x) }
}

/// The arcsine in radians; NaN beyond 1.
pub(crate) fn asin(x: f64) -> f64 {
    let size = x.abs();
    if x == 0.0 || x.is_nan() || size > 1.0 {
        return x.asin();
    }
    let other = (1.0 - size * size).sqrt();
    let angle =
        if size > 0.7 { FRAC_PI_2 - positive_atan(other / size) } else { positive_atan(size / other) };
    angle.copysign(x)
}

/// The arccosine in radians; NaN beyond 1.
pub(crate) fn acos(x: f64) -> f64 {
    FRAC_PI_2 - asin(x)
}

/// The angle of a point, in radians.
pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    if x == 0.0 || y == 0.0 || !x.is_finite() || !y.is_finite() {
        return y.atan2(x);
    }
    let angle = atan(y / x);
    match x < 0.0 {
        true if angle <= 0.0 => angle + PI,
        true => angle - PI,
        false => angle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_exact_values() {
        type Pair = (fn(f64) -> f64, fn(f64) -> f64);
        let functions: [Pair; 6] = [
            (sin, f64::sin),
            (cos, f64::cos),
            (tan, f64::tan),
            (asin, f64::asin),
            (acos, f64::acos),
            (atan, f64::atan),
        ];
        let mut xs = vec![
            0.0,
            1e-300,
            1e-10,
            0.66,
            0.7,
            1.0,
            2.5,
            5.4e8,
            1e15,
            1e22,
            1e100,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        xs.extend((1..2000).map(|n| f64::from(n) * 0.0137));
        xs.extend((1..300).map(|n| 1.7_f64.powi(n)));
        for x in xs.into_iter().flat_map(|x| [x, -x]) {
            for (at, (ours, exact)) in functions.iter().enumerate() {
                let (got, want) = (ours(x), exact(x));
                let near = got == want
                    || got.is_nan() && want.is_nan()
                    || (got - want).abs() <= 4e-16 + 1e-14 * want.abs().max(if at == 2 { 1.0 } else { 0.0 })
                    || at == 2 && (1.0 / got - 1.0 / want).abs() < 1e-15;
                assert!(near, "{at} of {x}: {got} {want}");
            }
            for y in [-2.0, -0.0, 0.0, 1e-9, 3.0, f64::INFINITY] {
                let (got, want) = (atan2(y, x), y.atan2(x));
                assert!(got.is_nan() && want.is_nan() || (got - want).abs() < 2e-15, "{y} {x}: {got} {want}");
            }
        }
        assert!(sin(-0.0).is_sign_negative() && tan(-0.0).is_sign_negative());
        assert!(asin(-0.0).is_sign_negative() && atan(-0.0).is_sign_negative());
    }

    /// Where the C library says something else: as Prometheus says.
    #[test]
    fn last_digits() {
        let at = |n: f64, scale: f64| (n / 11_000.0 * 2.0 - 1.0) * scale;
        for (got, want) in [
            (sin(at(2.0, 1.0)), -0.8412744556120115),
            (cos(at(1.0, 1.0)), 0.5404552916611908),
            (tan(-1.0), -1.557407724654902),
            (sin(at(1.0, 1e15)), -0.0012897793993531701),
            (cos(-1e15), -0.5131937377869702),
            (tan(-1e15), 1.6724147821275832),
            (asin(at(1.0, 1.0)), -1.5517267860701074),
            (acos(at(1.0, 1.0)), 3.1225231128650037),
            (atan(at(5.0, 1.0)), -0.784943411268723),
            (atan(at(0.0, 1e3)), -1.5697963271282296),
            (atan2(-1.0, -5.0), -2.9441970937399122),
            (atan(f64::INFINITY), FRAC_PI_2),
        ] {
            assert_eq!(got, want);
        }
    }
}
