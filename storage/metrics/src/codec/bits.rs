//! Streams of bits. Bits fill bytes from the most significant one on.

use storage_base::bytes::varint;

/// Bytes by which the memory of a writer grows.
const GROWTH: usize = 64;

/// Takes bits, one value behind the other.
pub trait PutBits {
    /// Writes the low `n` bits of a value; `n` is 1 to 64, and the bits above are 0.
    fn write(&mut self, value: u64, n: u32);

    /// Writes an unsigned LEB128 integer, eight bits a byte, at the current bit.
    fn write_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.write(value, 8);
    }
}

/// Appends bits to bytes. The bytes are complete after every write: the unused low bits of the last one are zero.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// How many low bits of the last byte are unused, 0 to 7.
    free: u32,
}

impl BitWriter {
    /// Goes on after some bytes, of whose last one `free` (0 to 7) low bits are unused and zero.
    pub fn after(bytes: Vec<u8>, free: u32) -> Self {
        debug_assert!(free < 8 && (free == 0 || !bytes.is_empty()));
        Self { bytes, free }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, to patch a header in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Gives the bytes up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes the low `n` bits of a value; `n` is 1 to 64.
    #[inline]
    pub fn write(&mut self, value: u64, n: u32) {
        debug_assert!((1..=64).contains(&n));
        let mut value = value << (64 - n);
        let mut n = n;
        if self.free > 0
            && let Some(last) = self.bytes.last_mut()
        {
            *last |= (value >> (64 - self.free)) as u8;
            if n <= self.free {
                self.free -= n;
                return;
            }
            value <<= self.free;
            n -= self.free;
        }
        if self.bytes.capacity() - self.bytes.len() < 8 {
            self.grow();
        }
        // Eight bytes at once, of which those stay that are used, cost less than a copy of unknown length.
        let len = n.div_ceil(8);
        let end = self.bytes.len() + len as usize;
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self.bytes.truncate(end);
        self.free = 8 * len - n;
    }

    /// Makes room in small steps: a head has an open chunk for each series, and most of them stay short.
    #[cold]
    fn grow(&mut self) {
        self.bytes.reserve_exact(GROWTH);
    }

    /// Writes one bit.
    #[inline]
    pub fn write_bit(&mut self, bit: bool) {
        self.write(u64::from(bit), 1);
    }

    /// Writes a zig-zag LEB128 integer at the current bit.
    pub fn write_varint(&mut self, value: i64) {
        self.write_uvarint(varint::zigzag(value));
    }
}

impl PutBits for BitWriter {
    #[inline]
    fn write(&mut self, value: u64, n: u32) {
        Self::write(self, value, n);
    }
}

/// Appends many bits at once to bytes, which are complete when it has finished. Several times as fast as
/// [`BitWriter`].
#[derive(Debug)]
pub struct BitPacker<'o> {
    out: &'o mut Vec<u8>,
    /// Bits not in `out` yet, left-aligned.
    word: u64,
    /// How many, 0 to 63.
    used: u32,
}

impl<'o> BitPacker<'o> {
    /// Begins with a new byte.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, word: 0, used: 0 }
    }

    /// Writes what is left; the unused low bits of the last byte are zero.
    pub fn finish(self) {
        self.out.extend_from_slice(&self.word.to_be_bytes()[..self.used.div_ceil(8) as usize]);
    }
}

impl PutBits for BitPacker<'_> {
    #[inline(always)]
    fn write(&mut self, value: u64, n: u32) {
        debug_assert!((1..=64).contains(&n) && (n == 64 || value >> n == 0));
        let end = self.used + n;
        if end < 64 {
            self.word |= value << (64 - end);
            self.used = end;
        } else {
            let over = end - 64;
            self.out.extend_from_slice(&(self.word | value >> over).to_be_bytes());
            // Shifted twice because nothing may be over.
            self.word = value << (63 - over) << 1;
            self.used = over;
        }
    }
}

/// How many bits [`Bits::at`] gives.
pub const BITS_AT: u32 = 57;

/// Bits to be read at any place. Behind their end there are zeros.
///
/// It has no state: where the bits of a sample begin is known before it is known what the bits before them mean, so
/// that a processor decodes several samples at a time.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The last eight bytes; fewer are at its right.
    tail: u64,
}

impl<'a> Bits<'a> {
    /// The bits of some bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        let tail = match bytes.last_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        Self { bytes, tail }
    }

    /// The eight bytes from a byte on.
    #[inline(always)]
    fn word(&self, byte: usize) -> u64 {
        match self.bytes.get(byte..byte + 8).and_then(|word| word.first_chunk()) {
            Some(word) => u64::from_be_bytes(*word),
            None => match byte + 8 - self.bytes.len() {
                beyond @ ..8 => self.tail << (8 * beyond),
                _ => 0,
            },
        }
    }

    /// The bits from a bit on, left-aligned; the first [`BITS_AT`] of them count.
    #[inline(always)]
    pub fn at(&self, position: usize) -> u64 {
        self.word(position >> 3) << (position & 7)
    }

    /// `n` bits from a bit on; 1 to 64.
    #[inline(always)]
    pub fn read(&self, position: usize, n: u32) -> u64 {
        if n <= BITS_AT {
            self.at(position) >> (64 - n)
        } else {
            let high = self.at(position) >> 32;
            high << (n - 32) | self.at(position + 32) >> (96 - n)
        }
    }

    /// An unsigned LEB128 integer from a bit on, and where it ends; `None` when it exceeds 64 bits.
    #[inline]
    pub fn uvarint(&self, position: usize) -> Option<(u64, usize)> {
        let mut bytes = [0; varint::MAX_LEN];
        bytes[..8].copy_from_slice(&self.read(position, 64).to_be_bytes());
        bytes[8..].copy_from_slice(&(self.read(position + 64, 16) as u16).to_be_bytes());
        varint::uvarint(&bytes).map(|(value, len)| (value, position + 8 * len))
    }

    /// Whether they end before a position.
    #[inline]
    pub fn end_before(&self, position: usize) -> bool {
        position > 8 * self.bytes.len()
    }

    /// A writer that goes on from a position, behind a header.
    pub fn writer(&self, header: &[u8], position: usize) -> BitWriter {
        let stream = self.bytes.get(..position.div_ceil(8)).unwrap_or(self.bytes);
        let mut bytes = [header, stream].concat();
        let free = (position.wrapping_neg() % 8) as u32;
        if let Some(last) = bytes.last_mut() {
            *last &= 0xff << free;
        }
        BitWriter::after(bytes, free)
    }
}

/// Reads bits one behind the other. Behind the end it reads zeros and notes the fact: a caller whose loops are bounded
/// reads without checks and asks [`BitReader::overrun`] at the end.
///
/// The buffer holds the next bits, left-aligned; [`BitReader::refill`] brings them to at least 56.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bits: Bits<'a>,
    /// Next byte to load; beyond the end once zeros were loaded.
    next: usize,
    buffer: u64,
    /// Bits of `buffer` that count. Lower ones may be set; they will be loaded once more.
    valid: u32,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { bits: Bits::new(bytes), next: 0, buffer: 0, valid: 0 };
        reader.refill();
        reader
    }

    /// Loads until at least 56 bits are there to [`peek`](Self::peek).
    #[inline(always)]
    pub fn refill(&mut self) {
        self.buffer |= self.bits.word(self.next) >> self.valid;
        self.next += ((63 - self.valid) >> 3) as usize;
        self.valid |= 56;
    }

    /// The next bits, left-aligned; 56 of them count after [`refill`](Self::refill), less what was skipped since.
    #[inline(always)]
    pub fn peek(&self) -> u64 {
        self.buffer
    }

    /// Drops `n` bits, which must be among those that count since the last refill.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        debug_assert!(n <= self.valid);
        self.buffer <<= n;
        self.valid -= n;
    }

    /// Takes `n` bits, 1 to 64, which must be among those that count since the last refill.
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u64 {
        let value = self.buffer >> (64 - n);
        self.skip(n);
        value
    }

    /// Reads `n` bits, 0 to 64.
    #[inline(always)]
    pub fn read(&mut self, n: u32) -> u64 {
        self.refill();
        if n <= 56 {
            // Shifted twice because n may be 0.
            let value = self.buffer >> 1 >> (63 - n);
            self.skip(n);
            value
        } else {
            let high = self.buffer >> 32;
            self.skip(32);
            self.refill();
            let low = self.buffer >> (96 - n);
            self.skip(n - 32);
            high << (n - 32) | low
        }
    }

    /// Reads an unsigned LEB128 integer at the current bit; `None` when it exceeds 64 bits.
    pub fn read_uvarint(&mut self) -> Option<u64> {
        let (value, end) = self.bits.uvarint(self.position())?;
        (self.next, self.buffer, self.valid) = (end / 8, 0, 0);
        self.refill();
        self.skip((end % 8) as u32);
        Some(value)
    }

    /// Reads a zig-zag LEB128 integer at the current bit; `None` when it exceeds 64 bits.
    pub fn read_varint(&mut self) -> Option<i64> {
        self.read_uvarint().map(varint::unzigzag)
    }

    /// Bits read so far, those behind the end included.
    pub fn position(&self) -> usize {
        8 * self.next - self.valid as usize
    }

    /// A writer that goes on where the reader is, behind a header.
    pub fn into_writer(self, header: &[u8]) -> BitWriter {
        self.bits.writer(header, self.position())
    }

    /// Bits not read yet; 0 behind the end.
    pub fn bits_left(&self) -> usize {
        (8 * self.bits.bytes.len()).saturating_sub(self.position())
    }

    /// Whether more bits were read than there are.
    #[inline]
    pub fn overrun(&self) -> bool {
        self.bits.end_before(self.position())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(value: u64, n: u32) -> u64 {
        if n == 64 { value } else { value & ((1 << n) - 1) }
    }

    proptest! {
        /// The oracle is a string of '0' and '1'.
        #[test]
        fn write_is_a_string_of_bits_and_read_gives_it_back(
            parts in prop::collection::vec((any::<u64>(), 1u32..=64), 0..60),
            cut: prop::sample::Index,
        ) {
            let cut = cut.index(parts.len() + 1);
            let mut writer = BitWriter::default();
            let mut text = String::new();
            for (i, &(value, n)) in parts.iter().enumerate() {
                if i == cut {
                    let free = (8 - text.len() as u32 % 8) % 8;
                    writer = BitWriter::after(writer.into_bytes(), free);
                }
                writer.write(value, n);
                text.push_str(&format!("{:0width$b}", mask(value, n), width = n as usize));
            }
            let mut packed = Vec::new();
            let mut packer = BitPacker::new(&mut packed);
            for &(value, n) in &parts {
                packer.write(mask(value, n), n);
            }
            packer.finish();
            prop_assert_eq!(&packed, writer.bytes());

            let written: String = writer.bytes().iter().map(|byte| format!("{byte:08b}")).collect();
            let pad = written.len() - text.len();
            prop_assert!(pad < 8);
            prop_assert_eq!(&written[..text.len()], &text[..]);
            prop_assert!(written[text.len()..].bytes().all(|bit| bit == b'0'));

            let mut reader = BitReader::new(writer.bytes());
            for &(value, n) in &parts {
                prop_assert_eq!(reader.read(n), mask(value, n));
            }
            prop_assert_eq!(reader.position(), text.len());
            prop_assert!(!reader.overrun());
            prop_assert_eq!(reader.read(pad as u32), 0);
            prop_assert!(!reader.overrun());
            prop_assert_eq!(reader.read(64), 0);
            prop_assert!(reader.overrun());
        }

        #[test]
        fn varints_at_any_bit(offset in 1u32..8, value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let mut writer = BitWriter::default();
            writer.write(0, offset);
            writer.write_varint(value);
            let mut reader = BitReader::new(writer.bytes());
            reader.read(offset);
            prop_assert_eq!(reader.read_varint(), Some(value));
        }
    }

    #[test]
    fn behind_the_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.read(4), 0xf);
        assert!(!reader.overrun());
        assert_eq!(reader.read(5), 0b11110);
        assert!(reader.overrun());
        assert_eq!(BitReader::new(&[0xff; 20]).read_uvarint(), None);
        let mut empty = BitReader::new(&[]);
        assert_eq!(
            (empty.read(0), empty.overrun(), empty.read_uvarint(), empty.overrun()),
            (0, false, Some(0), true)
        );
    }
}
