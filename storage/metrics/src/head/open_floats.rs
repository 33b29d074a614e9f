//! The open chunk of a float series: what [`XorAppender`](crate::codec::gorilla::XorAppender) builds, bit for bit, in
//! a fraction of the memory.
//!
//! Two samples of three repeat the value before them at the distance before them, which is two zero bits. Zeros are
//! counted, not written, until a bit is set behind them; and as long as all samples are equal and equally far apart,
//! nothing is written at all ([`OpenFloats::is_flat`]): the first sample follows from the last. What is written, the
//! chunk's bits behind its first timestamp, goes to the [`BitStore`] a word at a time.

use storage_base::bytes::varint::{put_uvarint, put_varint, uvarint_len, zigzag};

use crate::codec::bits::PutBits;
use crate::codec::gorilla::put_dod;
use crate::codec::xor_value::XorValue;
use crate::head::bit_store::{BitStore, Chain, LastCell, WORD_BITS};
use crate::head::constant_run::ConstantRun;

/// Bytes before the bit stream: the count of samples.
const HEADER: usize = 2;
/// Bits of the first value.
const VALUE_BITS: u32 = 64;
/// Bits are counted up to this, a sample's length below what 16 bits can count.
const BITS_MAX: u32 = 65_000;
/// Zeros that fit into the 64 bits that are written at once, beside the head of a value.
const ZEROS_JOINED: u32 = 64 - 13;

/// An open chunk of floats, with one sample or more.
#[derive(Debug)]
pub struct OpenFloats {
    last_t: i64,
    last_v: u64,
    /// Between the last two timestamps; 0 with one sample.
    delta: u32,
    /// Between the first timestamp and the last.
    span: u32,
    /// The full words.
    chain: Chain,
    /// The bits behind them, left-aligned.
    rest: u32,
    count: u16,
    /// Bits in the words and the rest; 0 while the chunk is flat.
    written: u16,
    /// Zero bits behind those.
    zeros: u16,
    /// As in [`XorValue`].
    leading: u8,
    trailing: u8,
}

/// The chunk takes no further sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Default for OpenFloats {
    /// Stands where there is no chunk.
    fn default() -> Self {
        Self {
            last_t: i64::MIN,
            last_v: 0,
            delta: 0,
            span: 0,
            chain: Chain::default(),
            rest: 0,
            count: 0,
            written: 0,
            zeros: 0,
            leading: XorValue::NO_WINDOW,
            trailing: 0,
        }
    }
}

/// Writes behind a chunk's bits.
struct Writer<'c, 's> {
    chunk: &'c mut OpenFloats,
    store: &'s BitStore,
    last: &'c mut LastCell<'s>,
}

impl PutBits for Writer<'_, '_> {
    #[inline]
    fn write(&mut self, value: u64, n: u32) {
        if n > WORD_BITS {
            self.write_short(value >> WORD_BITS, n - WORD_BITS);
            self.write_short(value & u64::from(u32::MAX), WORD_BITS);
        } else {
            self.write_short(value, n);
        }
    }
}

impl Writer<'_, '_> {
    /// Writes the low `n` bits of a value; `n` is 1 to 32.
    #[inline]
    fn write_short(&mut self, value: u64, n: u32) {
        let written = u32::from(self.chunk.written);
        let used = written % WORD_BITS;
        let bits = u64::from(self.chunk.rest) << WORD_BITS | value << (64 - n) >> used;
        if used + n >= WORD_BITS {
            let word = (bits >> WORD_BITS) as u32;
            self.store.push(&mut self.chunk.chain, self.last, written / WORD_BITS, word);
            self.chunk.rest = bits as u32;
        } else {
            self.chunk.rest = (bits >> WORD_BITS) as u32;
        }
        // `append` keeps it below its bound.
        self.chunk.written += n as u16;
    }

    fn write_zeros(&mut self, mut n: u32) {
        while n > 0 {
            let some = n.min(WORD_BITS);
            self.write_short(0, some);
            n -= some;
        }
    }
}

impl OpenFloats {
    /// A chunk with its first sample.
    pub fn begin(t: i64, v: f64) -> Self {
        Self { last_t: t, last_v: v.to_bits(), count: 1, ..Self::default() }
    }

    /// Adds a sample, later than the others. When the chunk is full, or the sample too far from its first, nothing
    /// happens.
    #[inline]
    pub fn append(&mut self, t: i64, v: f64, store: &BitStore) -> Result<(), Full> {
        self.append_one(t, v.to_bits(), store, &mut LastCell::default())
    }

    #[inline]
    fn append_one<'s>(
        &mut self,
        t: i64,
        bits: u64,
        store: &'s BitStore,
        last: &mut LastCell<'s>,
    ) -> Result<(), Full> {
        let step = t.checked_sub(self.last_t).and_then(|step| u32::try_from(step).ok()).ok_or(Full)?;
        let span = self.span.checked_add(step).ok_or(Full)?;
        if self.bits() > BITS_MAX - 512 || self.count == u16::MAX {
            return Err(Full);
        }
        if bits != self.last_v || (step != self.delta && self.count > 1) {
            self.append_change(step, bits, store, last)?;
        } else if self.written > 0 {
            self.zeros += 2;
        }
        self.last_t = t;
        self.delta = step;
        self.span = span;
        self.count += 1;
        Ok(())
    }

    /// Adds samples, ascending in time and later than the others, until one is at or behind `until` or the chunk is
    /// longer than `bytes_max`, or takes no further sample. Returns how many.
    pub fn append_run(
        &mut self,
        times: &[i64],
        values: &[u64],
        until: i64,
        bytes_max: usize,
        store: &BitStore,
    ) -> usize {
        let head = HEADER + uvarint_len(zigzag(self.first_t()));
        let bits_max = (8 * bytes_max.saturating_sub(head)).min((BITS_MAX - 512) as usize) as u32;
        // Further off than a chunk spans there is none.
        let until = until.min(self.first_t().saturating_add(i64::from(u32::MAX) + 1));
        let len = match times.last() {
            Some(last) if *last >= until => times.partition_point(|t| *t < until),
            _ => times.len().min(values.len()),
        };
        let (times, values) = (&times[..len], &values[..len]);
        let (mut at, mut last) = (0, LastCell::default());
        while at < len {
            let bits = self.bits();
            if bits > bits_max {
                break;
            }
            // Such samples need no look at the length: they add two bits each.
            let room = ((bits_max - bits) / 2 + 1).min(u32::from(u16::MAX - self.count)) as usize;
            let same = self.count_repeats(&times[at..len.min(at + room)], &values[at..]);
            if same > 0 {
                self.repeat(same, times[at + same - 1]);
                at += same;
            } else if self.append_one(times[at], values[at], store, &mut last).is_ok() {
                at += 1;
            } else {
                break;
            }
        }
        at
    }

    /// How many samples there are, from the first on, that are equal to the last one and as far apart as the last two.
    #[inline]
    fn count_repeats(&self, times: &[i64], values: &[u64]) -> usize {
        if self.count < 2 {
            return 0;
        }
        let (last_v, delta) = (self.last_v, i64::from(self.delta));
        let mut last_t = self.last_t;
        let is_same = |(t, bits): (&i64, &u64)| {
            let same = *bits == last_v && t.wrapping_sub(last_t) == delta;
            last_t = *t;
            same
        };
        let differs = times.iter().zip(values).map(is_same).position(|same| !same);
        differs.unwrap_or(times.len().min(values.len()))
    }

    /// Adds a number of samples that repeat the last one, up to a time.
    #[inline]
    fn repeat(&mut self, samples: usize, last_t: i64) {
        if self.written > 0 {
            self.zeros += 2 * samples as u16;
        }
        self.span = self.span.wrapping_add((last_t - self.last_t) as u32);
        self.last_t = last_t;
        self.count += samples as u16;
    }

    /// Writes a sample that is not equal to the last at the same distance.
    #[inline]
    fn append_change<'s>(
        &mut self,
        step: u32,
        bits: u64,
        store: &'s BitStore,
        last: &mut LastCell<'s>,
    ) -> Result<(), Full> {
        if !store.has_room() {
            return Err(Full);
        }
        let (mut zeros, last_v, delta) = (self.trailing_zeros(), self.last_v, self.delta);
        let mut w = Writer { chunk: self, store, last };
        if w.chunk.written == 0 {
            w.write(last_v, VALUE_BITS);
            w.write_uvarint(u64::from(if w.chunk.count == 1 { step } else { delta }));
        }
        w.chunk.zeros = 0;
        if w.chunk.count > 1 && step != delta {
            w.write_zeros(zeros);
            zeros = 0;
            let dod = i64::from(step) - i64::from(delta);
            put_dod(&mut w, dod);
        } else if w.chunk.count > 1 {
            // No change of distance is a zero.
            zeros += 1;
        }
        if bits == last_v {
            w.chunk.zeros = zeros as u16 + 1;
            return Ok(());
        }
        // Few zeros are written with the bits behind them.
        if zeros > ZEROS_JOINED {
            w.write_zeros(zeros);
            zeros = 0;
        }
        let mut value = XorValue::resume(last_v, w.chunk.leading, w.chunk.trailing);
        value.write_changed(&mut w, f64::from_bits(bits), (0b10, zeros + 2), (0b11, zeros + 2));
        (self.leading, self.trailing) = value.window();
        self.last_v = bits;
        Ok(())
    }

    /// Loads the memory that the next sample may need.
    #[inline]
    pub fn prefetch(&self, store: &BitStore) {
        if u32::from(self.written) >= WORD_BITS {
            store.prefetch(&self.chain);
        }
    }

    /// Whether all samples are equal and equally far apart.
    #[inline]
    fn is_flat(&self) -> bool {
        self.written == 0
    }

    /// Zero bits at the end, which are not written.
    #[inline]
    fn trailing_zeros(&self) -> u32 {
        match (self.is_flat(), self.count) {
            (false, _) => u32::from(self.zeros),
            (true, 0 | 1) => 0,
            // The second sample has no double delta.
            (true, count) => 2 * u32::from(count) - 3,
        }
    }

    /// Bits behind the first timestamp.
    #[inline]
    fn bits(&self) -> u32 {
        if !self.is_flat() {
            return u32::from(self.written) + u32::from(self.zeros);
        }
        let delta = if self.count > 1 { 8 * uvarint_len(u64::from(self.delta)) as u32 } else { 0 };
        VALUE_BITS + delta + self.trailing_zeros()
    }

    /// Length of the chunk in bytes.
    #[inline]
    pub fn byte_len(&self) -> usize {
        HEADER + uvarint_len(zigzag(self.first_t())) + self.bits().div_ceil(8) as usize
    }

    /// The samples, if they are all equal and equally far apart.
    #[inline]
    pub fn repeats(&self) -> Option<ConstantRun> {
        let Self { delta, count, last_v: bits, .. } = *self;
        (self.is_flat() && count > 0).then(|| ConstantRun { first_t: self.first_t(), delta, count, bits })
    }

    /// The chunk so far.
    pub fn to_bytes(&self, store: &BitStore) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.byte_len());
        self.put_bytes(store, &mut out);
        out
    }

    /// Puts the chunk so far in place of what `out` has.
    pub fn put_bytes(&self, store: &BitStore, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.count.to_be_bytes());
        put_varint(out, self.first_t());
        if self.is_flat() {
            out.extend_from_slice(&self.last_v.to_be_bytes());
            if self.count > 1 {
                put_uvarint(out, u64::from(self.delta));
            }
        } else {
            let written = u32::from(self.written);
            for word in store.words(&self.chain, written / WORD_BITS) {
                out.extend_from_slice(&word.to_be_bytes());
            }
            let rest = (written % WORD_BITS).div_ceil(8) as usize;
            out.extend_from_slice(&self.rest.to_be_bytes()[..rest]);
        }
        // The zeros.
        out.resize(self.byte_len(), 0);
    }

    /// Gives the chunk's memory back; what is left stands for no chunk.
    pub fn release(&mut self, store: &BitStore) {
        store.release(&mut self.chain, u32::from(self.written) / WORD_BITS);
        *self = Self::default();
    }

    /// Samples so far.
    #[inline]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The first sample's timestamp.
    #[inline]
    pub fn first_t(&self) -> i64 {
        self.last_t.wrapping_sub(i64::from(self.span))
    }

    /// The last sample's timestamp.
    #[inline]
    pub fn last_t(&self) -> i64 {
        self.last_t
    }

    /// The last sample's value.
    #[inline]
    pub fn last_v(&self) -> f64 {
        f64::from_bits(self.last_v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::gorilla::{self, XorAppender};
    use model::read::Columns;
    use proptest::prelude::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<OpenFloats>(), 40);
    }

    /// Runs of equal samples, and others.
    fn samples() -> impl Strategy<Value = Vec<(u32, u64)>> {
        let step =
            prop_oneof![5 => Just(15_000u32), 1 => 14_000..16_000u32, 1 => 1..2_000_000u32, 1 => Just(1u32)];
        let value = prop_oneof![
            3 => Just(1.0f64.to_bits()),
            2 => (0u64..500).prop_map(|v| (v as f64).to_bits()),
            1 => any::<u64>(),
        ];
        let run = (1usize..60, step, value).prop_map(|(len, step, value)| vec![(step, value); len]);
        prop::collection::vec(run, 1..8).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_the_codec(first in -(1i64 << 45)..1 << 45, samples in samples(), before in 0u32..40) {
            let store = BitStore::default();
            // Another chunk's cells lie between.
            let mut other = Chain::default();
            let mut want = XorAppender::new();
            let mut chunk = OpenFloats::default();
            let mut t = first;
            for (n, (step, bits)) in samples.into_iter().enumerate() {
                let v = f64::from_bits(bits);
                if n == 0 {
                    chunk = OpenFloats::begin(t, v);
                } else {
                    t += i64::from(step);
                    prop_assert_eq!(chunk.append(t, v, &store), Ok(()));
                }
                want.append(t, v).unwrap();
                if n < before as usize {
                    store.push(&mut other, &mut LastCell::default(), n as u32, 7);
                }
                prop_assert_eq!(chunk.byte_len(), want.bytes().len());
                prop_assert_eq!(chunk.to_bytes(&store), want.bytes());
                if let Some(repeats) = chunk.repeats() {
                    let (mut got, mut decoded) = (Columns::default(), Columns::default());
                    repeats.read(i64::MIN, i64::MAX, &mut got);
                    gorilla::decode_into(want.bytes(), i64::MIN, i64::MAX, &mut decoded).unwrap();
                    prop_assert_eq!(format!("{got:?}"), format!("{decoded:?}"));
                }
                prop_assert_eq!(chunk.count(), want.count());
                prop_assert_eq!((chunk.first_t(), chunk.last_t()), (first, t));
                prop_assert_eq!(chunk.last_v().to_bits(), bits);
            }
            chunk.release(&store);
            prop_assert_eq!(chunk.count(), 0);
            prop_assert!(store.cells() <= 3);
        }
    }

    proptest! {
        #[test]
        fn a_run_is_as_good_as_its_samples(
            samples in samples(),
            until in prop_oneof![Just(i64::MAX), 0i64..4_000_000],
            bytes_max in prop_oneof![Just(1005usize), 0usize..200, Just(100_000)],
            pieces in prop::collection::vec(0usize..90, 0..6),
        ) {
            let store = BitStore::default();
            let first = 1_700_000_000_000;
            let until = until.saturating_add(first);
            let mut one = OpenFloats::begin(first, 1.0);
            let mut run = OpenFloats::begin(first, 1.0);
            let (mut times, mut values, mut t) = (Vec::new(), Vec::new(), first);
            let mut open = true;
            for (step, bits) in samples {
                t += i64::from(step);
                open &= t < until && one.byte_len() <= bytes_max && one.append(t, f64::from_bits(bits), &store).is_ok();
                times.push(t);
                values.push(bits);
            }
            let (mut at, mut pieces) = (0, pieces.into_iter());
            loop {
                let end = pieces.next().map_or(times.len(), |piece| times.len().min(at + piece));
                let taken = run.append_run(&times[at..end], &values[at..end], until, bytes_max, &store);
                at += taken;
                if at == times.len() || at < end {
                    break;
                }
            }
            prop_assert_eq!(at, usize::from(one.count()) - 1);
            prop_assert_eq!(run.to_bytes(&store), one.to_bytes(&store));
            prop_assert_eq!((run.first_t(), run.last_t(), run.count()), (one.first_t(), one.last_t(), one.count()));
            prop_assert_eq!(at == times.len(), open);
        }
    }

    #[test]
    fn bounds() {
        let store = BitStore::default();
        let mut chunk = OpenFloats::begin(0, 1.0);
        let far = i64::from(u32::MAX);
        assert_eq!(chunk.append(far + 1, 1.0, &store), Err(Full));
        assert_eq!(chunk.append(i64::MIN, 1.0, &store), Err(Full));
        assert_eq!(chunk.append(far, 1.0, &store), Ok(()));
        assert_eq!(chunk.append(far + 1, 1.0, &store), Err(Full));
        for (value, most) in [(0u64, u64::from(u16::MAX)), (u64::MAX, 1100)] {
            let mut chunk = OpenFloats::begin(0, 1.0);
            let mut n = 1;
            while chunk
                .append(n, f64::from_bits((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & value), &store)
                .is_ok()
            {
                n += 1;
            }
            assert!(n as u64 <= most && n > 800, "{n}");
            assert_eq!(chunk.to_bytes(&store).len(), chunk.byte_len());
        }
    }
}
