//! Reading byte-aligned fields one after the other: integers of fixed and variable length, strings.

use super::varint;

/// The bytes ended, or a length or integer in them is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data ends early or holds a length beyond its end")]
pub struct Truncated;

/// Walks over bytes. After an error the position is unspecified; no read panics or allocates.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// Starts at the front.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes, big-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes, big-endian, two's complement.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, Truncated> {
        self.array().map(i64::from_be_bytes)
    }

    /// Eight bytes, big-endian, IEEE 754.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, Truncated> {
        self.u64().map(f64::from_bits)
    }

    /// An unsigned variable-length integer.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u64, Truncated> {
        let (value, len) = varint::uvarint(self.rest).ok_or(Truncated)?;
        self.rest = self.rest.get(len..).ok_or(Truncated)?;
        Ok(value)
    }

    /// A signed variable-length integer.
    #[inline]
    pub fn varint(&mut self) -> Result<i64, Truncated> {
        self.uvarint().map(varint::unzigzag)
    }

    /// A count of things that take at least `min_size` bytes each: refused when they cannot all be there, so that a
    /// caller may allocate for the count.
    #[inline]
    pub fn count(&mut self, min_size: usize) -> Result<usize, Truncated> {
        let count = usize::try_from(self.uvarint()?).map_err(|_| Truncated)?;
        if count > self.rest.len() / min_size.max(1) { Err(Truncated) } else { Ok(count) }
    }

    /// A length as variable-length integer, and that number of bytes.
    #[inline]
    pub fn length_prefixed(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.count(1)?;
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order() {
        let mut r = ByteReader::new(&[1, 0, 2, 0, 0, 0, 3, 0xac, 2, 1, 2, b'h', b'i', 9]);
        assert_eq!((r.u8(), r.u16(), r.u32()), (Ok(1), Ok(2), Ok(3)));
        assert_eq!((r.uvarint(), r.varint()), (Ok(300), Ok(-1)));
        assert_eq!(r.length_prefixed(), Ok(&b"hi"[..]));
        assert_eq!((r.len(), r.u64()), (1, Err(Truncated)));
    }

    #[test]
    fn counts_are_bounded_by_what_is_there() {
        assert_eq!(ByteReader::new(&[3, 0, 0, 0]).count(1), Ok(3));
        assert_eq!(ByteReader::new(&[3, 0, 0]).count(1), Err(Truncated));
        assert_eq!(ByteReader::new(&[2, 0, 0, 0]).count(2), Err(Truncated));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0];
        assert_eq!(ByteReader::new(&huge).length_prefixed(), Err(Truncated));
    }
}
