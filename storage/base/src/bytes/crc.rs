//! CRC-32C, the checksum of every Prometheus file: Castagnoli polynomial, reflected 0x82F63B78.

use crc_fast::{CrcAlgorithm, Digest};

/// A CRC-32C sum. A type of its own, so that it cannot be mixed up with the IEEE sum of gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32c(pub u32);

impl Crc32c {
    /// The sum of some bytes.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        // The algorithm's sums have 32 bits.
        Self(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32)
    }

    /// The sum of several pieces as if they were one.
    #[inline]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        for part in parts {
            digest.update(part);
        }
        Self(digest.finalize() as u32)
    }

    /// As all files store it: four bytes, big-endian.
    #[inline]
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, from the definition.
    fn naive(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }

    #[test]
    fn check_value() {
        assert_eq!(Crc32c::of(b"123456789"), Crc32c(0xE306_9283));
        assert_eq!(Crc32c::of(b""), Crc32c(0));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index) {
            let at = at.index(bytes.len() + 1);
            prop_assert_eq!(Crc32c::of(&bytes).0, naive(&bytes));
            prop_assert_eq!(Crc32c::of_parts(&[&bytes[..at], &bytes[at..]]).0, naive(&bytes));
        }
    }
}
