//! Integers in bit buckets: a prefix of ones tells how many bits follow. Histogram chunks and start timestamps use
//! them. Source: Prometheus `tsdb/chunkenc/varbit.go`.

use super::bits::{BitReader, BitWriter};

/// Payload bits by the number of leading ones of the prefix; a zero ends the prefix unless it has eight ones.
const PAYLOAD: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `n` bits of a bucket can hold a value: -(2^(n-1)-1) to 2^(n-1). The range is shifted by one against two's
/// complement in both XOR and varbit buckets.
#[inline]
pub(crate) fn fits(value: i64, n: u32) -> bool {
    let half = 1i64 << (n - 1);
    -half < value && value <= half
}

/// The value of a bucket's `n` bits, 1 to 64; the inverse of taking the low bits of what [`fits`]. With 64 bits the
/// range is that of two's complement.
#[inline]
pub(crate) fn unfold(bits: u64, n: u32) -> i64 {
    if n == 64 { bits as i64 } else { ((bits.wrapping_sub(1) << (64 - n)) as i64 >> (64 - n)) + 1 }
}

fn write_bucket(w: &mut BitWriter, bucket: usize, value: u64) {
    match bucket {
        0 => w.write_bit(false),
        8 => {
            w.write(0xff, 8);
            w.write(value, 64);
        }
        ones => {
            let prefix = (1u64 << (ones + 1)) - 2;
            let n = PAYLOAD[ones];
            w.write(prefix << n | value & ((1 << n) - 1), ones as u32 + 1 + n);
        }
    }
}

/// Writes a signed integer.
#[inline]
pub fn write_int(w: &mut BitWriter, value: i64) {
    let bucket = match value {
        0 => 0,
        _ => (1..8).find(|&b| fits(value, PAYLOAD[b])).unwrap_or(8),
    };
    write_bucket(w, bucket, value as u64);
}

/// Writes an unsigned integer.
#[inline]
pub fn write_uint(w: &mut BitWriter, value: u64) {
    let needed = 64 - value.leading_zeros();
    let bucket = PAYLOAD.iter().position(|&n| needed <= n).unwrap_or(8);
    write_bucket(w, bucket, value);
}

#[inline]
fn read_bucket(r: &mut BitReader<'_>) -> (u64, u32) {
    r.refill();
    let ones = r.peek().leading_ones().min(8);
    r.skip((ones + 1).min(8));
    let n = PAYLOAD[ones as usize];
    (r.read(n), n)
}

/// Reads a signed integer.
#[inline]
pub fn read_int(r: &mut BitReader<'_>) -> i64 {
    match read_bucket(r) {
        (_, 0) => 0,
        (bits, n) => unfold(bits, n),
    }
}

/// Reads an unsigned integer.
#[inline]
pub fn read_uint(r: &mut BitReader<'_>) -> u64 {
    read_bucket(r).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl Fn(&mut BitWriter)) -> String {
        let mut w = BitWriter::default();
        write(&mut w);
        w.write(1, 1);
        let text: String = w.bytes().iter().map(|byte| format!("{byte:08b}")).collect();
        text.trim_end_matches('0')[..].strip_suffix('1').unwrap().to_owned()
    }

    #[test]
    fn bucket_edges() {
        for (value, want) in [
            (0, "0"),
            (1, "10 001"),
            (-3, "10 101"),
            (4, "10 100"),
            (-4, "110 111100"),
            (5, "110 000101"),
            (32, "110 100000"),
            (-32, "1110 111100000"),
            (256, "1110 100000000"),
            (-256, "11110 111100000000"),
            (2049, "111110 000000100000000001"),
            (131_072, "111110 100000000000000000"),
            (131_073, "1111110 0000000100000000000000001"),
            (-16_777_216, "11111110 11111111111111111111111111111111000000000000000000000000"),
        ] {
            assert_eq!(text(|w| write_int(w, value)), want.replace(' ', ""), "{value}");
        }
        assert_eq!(text(|w| write_int(w, i64::MIN)), format!("11111111{:064b}", 1u64 << 63));
        for (value, want) in [
            (0, "0"),
            (7, "10 111"),
            (8, "110 001000"),
            (511, "1110 111111111"),
            (262_143, "111110 111111111111111111"),
            (262_144, "1111110 0000001000000000000000000"),
        ] {
            assert_eq!(text(|w| write_uint(w, value)), want.replace(' ', ""), "{value}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(values in prop::collection::vec((any::<i64>(), 0u32..64), 0..50)) {
            let values: Vec<i64> = values.iter().map(|(v, shift)| v >> shift).collect();
            let mut w = BitWriter::default();
            for &v in &values {
                write_int(&mut w, v);
                write_uint(&mut w, v as u64);
            }
            let mut r = BitReader::new(w.bytes());
            for &v in &values {
                prop_assert_eq!(read_int(&mut r), v);
                prop_assert_eq!(read_uint(&mut r), v as u64);
            }
            prop_assert!(!r.overrun());
        }

        #[test]
        fn unfold_undoes_the_cut(value: i64, shift in 0u32..64, n in 1u32..64) {
            let value = value >> shift;
            if fits(value, n) {
                prop_assert_eq!(unfold(value as u64 & ((1 << n) - 1), n), value);
            }
        }
    }
}
