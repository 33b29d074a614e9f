//! LEB128 integers as Go's `encoding/binary` writes them: seven bits a byte, low bits first, at most ten bytes.
//! Signed ones are zig-zag coded first.

/// The most bytes one integer takes.
pub const MAX_LEN: usize = 10;

/// Appends an unsigned integer.
#[inline]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_uvarint`] appends.
#[inline]
pub fn uvarint_len(value: u64) -> usize {
    // Seven bits a byte, and one byte for none.
    ((70 - (value | 1).leading_zeros()) / 7) as usize
}

/// Appends a signed integer.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, zigzag(value));
}

/// Reads an unsigned integer from the front; returns it and how many bytes it took. `None` when the bytes end early
/// or the integer exceeds 64 bits.
#[inline]
pub fn uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    match *bytes {
        [a, ..] if a < 0x80 => Some((u64::from(a), 1)),
        [a, b, ..] if b < 0x80 => Some((u64::from(a & 0x7f) | u64::from(b) << 7, 2)),
        _ => long_uvarint(bytes),
    }
}

fn long_uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        if byte < 0x80 {
            // The tenth byte holds the 64th bit alone.
            return (i < MAX_LEN - 1 || byte <= 1).then_some((value | u64::from(byte) << (7 * i), i + 1));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
    }
    None
}

/// Reads a signed integer from the front, as [`uvarint`].
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    uvarint(bytes).map(|(value, len)| (unzigzag(value), len))
}

/// Signed to unsigned, small magnitudes staying small.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bytes() {
        for (value, want) in [(0u64, vec![0u8]), (127, vec![127]), (128, vec![128, 1]), (300, vec![0xac, 2])]
        {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            assert_eq!(out, want);
        }
        for (value, want) in
            [(0i64, vec![0u8]), (-1, vec![1]), (1, vec![2]), (-64, vec![127]), (64, vec![128, 1])]
        {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn hostile_bytes() {
        assert_eq!(uvarint(&[]), None);
        assert_eq!(uvarint(&[0x80]), None);
        assert_eq!(uvarint(&[0xff; 11]), None);
        let mut eleven_bytes_long = [0x80; 11];
        eleven_bytes_long[10] = 0;
        assert_eq!(uvarint(&eleven_bytes_long), None);
        let mut max = [0xff; 10];
        max[9] = 1;
        assert_eq!(uvarint(&max), Some((u64::MAX, 10)));
        max[9] = 2;
        assert_eq!(uvarint(&max), None);
    }

    proptest! {
        #[test]
        fn round_trip(value: i64, shift in 0u32..64, tail: Vec<u8>) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let len = out.len();
            prop_assert_eq!(uvarint_len(zigzag(value)), len);
            out.extend(tail);
            prop_assert_eq!(varint(&out), Some((value, len)));
            prop_assert_eq!(varint(&out[..len - 1]), None);
        }
    }
}
