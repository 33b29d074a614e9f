//! Bucket bounds from bucket indices.

use super::CUSTOM_BUCKETS_SCHEMA;

/// The finest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// The coarsest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;

/// Whether a schema number has a meaning.
pub fn is_valid_schema(schema: i32) -> bool {
    is_exponential(schema) || schema == CUSTOM_BUCKETS_SCHEMA
}

/// Whether bounds are powers of a base.
pub(super) fn is_exponential(schema: i32) -> bool {
    (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&schema)
}

/// Roots of two: 2^(1/2), 2^(1/4), ... 2^(1/256). Every bound is a product of some of them. The first is one unit in
/// the last place below the nearest double, because the bounds that exporters and Prometheus agree on are: with these
/// factors all 256 come out bit for bit.
const ROOTS: [f64; EXPONENTIAL_SCHEMA_MAX as usize] = [
    std::f64::consts::SQRT_2.next_down(),
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
];

/// Bounds of schema 8 in [0.5, 1); a coarser schema takes every second, fourth and so on.
const FRACTIONS: [f64; 256] = {
    let mut fractions = [0.5; 256];
    let mut i = 0;
    while i < 256 {
        let mut bit = 0;
        while bit < 8 {
            if i & (128 >> bit) != 0 {
                fractions[i] *= ROOTS[bit];
            }
            bit += 1;
        }
        i += 1;
    }
    fractions
};

/// The upper bound of the bucket with an index; the lower bound of the next. The bucket that would end above the
/// largest double ends at it, so that the one after it holds the infinities.
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    let (fraction, exponent) = if schema <= 0 {
        (0.5, (i64::from(index) << -schema.max(EXPONENTIAL_SCHEMA_MIN)) + 1)
    } else {
        let schema = schema.min(EXPONENTIAL_SCHEMA_MAX);
        let within = (index & ((1 << schema) - 1)) as usize;
        (FRACTIONS[within << (EXPONENTIAL_SCHEMA_MAX - schema)], i64::from(index >> schema) + 1)
    };
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scale_by_power(fraction, exponent) }
}

/// `fraction * 2^exponent` with one rounding, for a fraction in [0.5, 1).
fn scale_by_power(fraction: f64, exponent: i64) -> f64 {
    let power = |e: i64| f64::from_bits(((e + 1023) as u64) << 52);
    match exponent {
        ..-1074 => 0.0,
        // Exact until the last factor, which rounds into the subnormals.
        -1074..-1020 => fraction * power(-900) * power(exponent + 900),
        -1020..=1023 => fraction * power(exponent),
        1024 => fraction * 2.0 * power(1023),
        1025.. => f64::INFINITY,
    }
}

/// The bound above the bucket with an index (the one below is that of `index - 1`).
pub(super) fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(index) => custom_values.get(index).copied().unwrap_or(f64::INFINITY),
    }
}

/// The index that a bucket has in a coarser schema.
pub(super) fn index_in(index: i32, from: i32, to: i32) -> i32 {
    (index.wrapping_sub(1) >> (from - to).clamp(0, 31)).wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_known_buckets() {
        for (index, schema, want) in [
            (0, 0, 1.0),
            (-1, 0, 0.5),
            (10, 0, 1024.0),
            (1, 1, std::f64::consts::SQRT_2.next_down()),
            (2, 1, 2.0),
            (-1, 2, 0.8408964152537144),
            (255, 8, 1.9945921121709396),
            (85, 8, 1.2587844395497165),
            (1, -1, 4.0),
            (-3, -1, 0.015625),
            (1, -4, 65536.0),
            (-74, -4, 0.0),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (64, -4, f64::MAX),
            (65, -4, f64::INFINITY),
            (262_144, 8, f64::MAX),
            (262_143, 8, 1.7928322734501122e+308),
            (262_145, 8, f64::INFINITY),
            (-1074, 0, 5e-324),
            (-1075, 0, 0.0),
            (-1022, 0, f64::MIN_POSITIVE),
            (-1023, 0, f64::MIN_POSITIVE / 2.0),
            (i32::MAX, 8, f64::INFINITY),
            (i32::MIN, -4, 0.0),
        ] {
            let got = exponential_bound(index, schema);
            assert_eq!(got, want, "index {index} schema {schema}");
        }
    }

    #[test]
    fn bounds_of_custom_buckets() {
        let custom = [1.0, 5.0];
        for (index, want) in
            [(-1, f64::NEG_INFINITY), (0, 1.0), (1, 5.0), (2, f64::INFINITY), (9, f64::INFINITY)]
        {
            assert_eq!(bound(index, CUSTOM_BUCKETS_SCHEMA, &custom), want);
        }
    }

    #[test]
    fn a_coarser_schema_shares_its_bounds_with_finer_ones() {
        for schema in EXPONENTIAL_SCHEMA_MIN + 1..=EXPONENTIAL_SCHEMA_MAX {
            for index in -50..50 {
                let fine = index * 2;
                assert_eq!(exponential_bound(fine, schema), exponential_bound(index, schema - 1));
                assert_eq!(index_in(fine, schema, schema - 1), index);
                assert_eq!(index_in(fine - 1, schema, schema - 1), index);
            }
        }
    }
}
