//! Floats as the XOR with the float before: most share sign, exponent and leading digits, so only a window of bits in
//! the middle is written. Source: Gorilla (VLDB 2015) and Prometheus `tsdb/chunkenc/xor.go`.

use super::bits::{BITS_AT, BitReader, Bits, PutBits};

/// The most leading zeros that the five bits can tell.
const MAX_LEADING: u32 = 31;

/// The last value and the window of bits in which it differed from the one before. Writer and reader go through the
/// same states.
#[derive(Clone, Copy, Debug)]
pub struct XorValue {
    bits: u64,
    /// Leading zeros of the window; above [`MAX_LEADING`] before the first window.
    leading: u32,
    /// Bits of the window.
    significant: u32,
    /// Trailing zeros of the window.
    trailing: u32,
    /// The trailing zeros of all windows read: above 63 when one did not fit.
    read: u32,
}

impl XorValue {
    /// Starts with a value that was written in full.
    pub fn new(v: f64) -> Self {
        // A reader that is told to reuse a window before the first one takes all bits, as Prometheus does.
        Self { bits: v.to_bits(), leading: u32::MAX, significant: 64, trailing: 0, read: 0 }
    }

    /// In [`XorValue::resume`]: no window yet.
    pub const NO_WINDOW: u8 = u8::MAX;

    /// Goes on behind a value, with the window that [`XorValue::window`] gave.
    #[inline]
    pub fn resume(bits: u64, leading: u8, trailing: u8) -> Self {
        if leading == Self::NO_WINDOW {
            return Self::new(f64::from_bits(bits));
        }
        let (leading, trailing) = (u32::from(leading), u32::from(trailing));
        Self { bits, leading, significant: 64 - leading - trailing, trailing, read: 0 }
    }

    /// Leading and trailing zeros of the window; [`XorValue::NO_WINDOW`] for the former before the first window.
    #[inline]
    pub fn window(&self) -> (u8, u8) {
        (self.leading.min(u32::from(Self::NO_WINDOW)) as u8, self.trailing as u8)
    }

    /// The last value.
    #[inline]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Whether a window was read that does not fit into 64 bits.
    #[inline]
    pub fn invalid(&self) -> bool {
        self.read > 63
    }

    /// Writes the next value: `0` same; `10` and the window's bits; `11`, a new window and its bits.
    #[inline]
    pub fn write(&mut self, w: &mut impl PutBits, v: f64) {
        if v.to_bits() == self.bits {
            w.write(0, 1);
        } else {
            self.write_changed(w, v, (0b10, 2), (0b11, 2));
        }
    }

    /// Writes a value that differs, in the last or in a new window, after the control bits that say which; these are
    /// given as value and number.
    #[inline]
    pub(crate) fn write_changed(&mut self, w: &mut impl PutBits, v: f64, reuse: (u64, u32), new: (u64, u32)) {
        let xor = v.to_bits() ^ self.bits;
        self.bits = v.to_bits();
        let leading = xor.leading_zeros().min(MAX_LEADING);
        let trailing = xor.trailing_zeros();
        if leading >= self.leading && trailing >= self.trailing {
            w.write(reuse.0, reuse.1);
        } else {
            self.leading = leading;
            self.trailing = trailing;
            self.significant = 64 - leading - trailing;
            // 64 significant bits are written as 0; there are never 0.
            let header = new.0 << 11 | u64::from(leading) << 6 | u64::from(self.significant & 63);
            w.write(header, new.1 + 11);
        }
        w.write(xor >> self.trailing, self.significant);
    }

    /// Reads the next value.
    #[inline(always)]
    pub fn read(&mut self, r: &mut BitReader<'_>) {
        r.refill();
        let head = r.peek();
        if head >> 63 == 0 {
            r.skip(1);
            return;
        }
        r.skip(2);
        self.read_changed(r, head >> 62 == 0b11);
    }

    /// How many bits of a value are to be at hand for [`XorValue::read_at`]: after the longest short double delta.
    pub(super) const HEAD: u32 = BITS_AT - 16;

    /// Reads the next value at a position, of whose bits `head` has the first [`XorValue::HEAD`] or more; returns where
    /// it ends.
    #[inline(always)]
    pub(super) fn read_at(&mut self, bits: Bits<'_>, position: usize, head: u64) -> usize {
        if head >> 63 == 0 {
            return position + 1;
        }
        let new = head >> 62 == 0b11;
        self.take_window(head << 2, new);
        let before = if new { 13 } else { 2 };
        let (start, n) = (position + before, self.significant);
        // Which it is hardly ever changes within a chunk.
        let xor = if n <= Self::HEAD - 13 { head << before >> (64 - n) } else { bits.read(start, n) };
        self.bits ^= xor.wrapping_shl(self.trailing);
        start + n as usize
    }

    /// Reads a value that differs, after the control bits, when 11 bits or more are known to be buffered.
    #[inline(always)]
    pub(super) fn read_changed(&mut self, r: &mut BitReader<'_>, new: bool) {
        self.take_window(r.peek(), new);
        r.skip(if new { 11 } else { 0 });
        self.bits ^= r.read(self.significant).wrapping_shl(self.trailing);
    }

    /// Takes a new window from the next bits, if there is one. Selected, not branched on: whether one comes is hard to
    /// predict.
    #[inline(always)]
    fn take_window(&mut self, head: u64, new: bool) {
        let leading = (head >> 59) as u32;
        let significant = (((head >> 53) as u32).wrapping_sub(1) & 63) + 1;
        let trailing = 64u32.wrapping_sub(leading + significant);
        self.leading = if new { leading } else { self.leading };
        self.significant = if new { significant } else { self.significant };
        self.trailing = if new { trailing } else { self.trailing };
        self.read |= self.trailing;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::BitWriter;
    use super::*;
    use proptest::prelude::*;

    fn written(values: &[f64]) -> String {
        let mut w = BitWriter::default();
        let mut state = XorValue::new(values[0]);
        for &v in &values[1..] {
            state.write(&mut w, v);
        }
        w.bytes().iter().map(|byte| format!("{byte:08b}")).collect()
    }

    #[test]
    fn known_bits() {
        assert_eq!(written(&[1.0, 1.0, 1.0]), "00000000");
        // 12 ^ 24 differs in bit 52 (leading 11, trailing 52); 24 ^ 12 again fits that window.
        assert_eq!(written(&[12.0, 24.0, 12.0]), format!("11{:05b}{:06b}1{:02b}10000000", 11, 1, 0b10));
        // All 64 bits differ: the count is written as 0.
        let all = written(&[f64::from_bits(0), f64::from_bits(u64::MAX)]);
        assert_eq!(all, format!("11{:05b}{:06b}{:064b}000", 0, 0, u64::MAX));
    }

    #[test]
    fn window_beyond_64_bits_is_invalid() {
        let mut w = BitWriter::default();
        w.write(0x1fff, 13);
        w.write(u64::MAX, 64);
        let mut state = XorValue::new(1.0);
        state.read(&mut BitReader::new(w.bytes()));
        assert!(state.invalid());
    }

    proptest! {
        #[test]
        fn round_trip(values in prop::collection::vec(prop_oneof![
            any::<u64>(), Just(0), (0u64..50).prop_map(|v| (v as f64).to_bits()), Just(0x7ff0_0000_0000_0002),
            (0u32..64).prop_map(|shift| 1 << shift),
        ], 1..100)) {
            let mut w = BitWriter::default();
            let mut state = XorValue::new(f64::from_bits(values[0]));
            for &v in &values[1..] {
                state.write(&mut w, f64::from_bits(v));
            }
            let mut r = BitReader::new(w.bytes());
            let mut state = XorValue::new(f64::from_bits(values[0]));
            for &v in &values[1..] {
                state.read(&mut r);
                prop_assert_eq!(state.value().to_bits(), v);
                prop_assert!(!state.invalid());
            }
            prop_assert!(!r.overrun());
        }
    }
}
