//! The XOR chunk (encoding 1): float samples of one series, timestamps as double deltas, values as [`XorValue`]s.
//! Source: Prometheus `tsdb/chunkenc/xor.go`.
//!
//! ```text
//! u16 count | bits: varint t0, 64 bits v0 | uvarint t1 - t0, value | double delta, value | ...
//! ```
//!
//! | prefix | double delta |
//! |---|---|
//! | `0` | 0 |
//! | `10`, `110`, `1110` | 14, 17, 20 bits |
//! | `1111` | 64 bits |

use model::read::Columns;
use storage_base::bytes::varint::{unzigzag, zigzag};

use super::bits::{BITS_AT, BitPacker, BitWriter, Bits, PutBits};
use super::chunk::{ChunkError, MAX_SAMPLES, NOT_ASCENDING, Trim, ascends};
use super::varbit::{fits, unfold};
use super::xor_value::XorValue;

/// Bytes before the bit stream.
const HEADER: usize = 2;
/// Bytes that a chunk made at once has room for, for each sample.
const BYTES: usize = 4;
/// Bytes that a new chunk has room for. A million series have a million of these.
const FIRST_CAPACITY: usize = 32;
/// Payload bits of a double delta by the leading ones of its prefix; four ones mean 64.
const DOD_BITS: [u32; 4] = [0, 14, 17, 20];

const TOO_LONG: ChunkError = ChunkError::Invalid("timestamp exceeds 64 bits");

/// Builds a chunk. [`XorAppender::bytes`] is a complete chunk after every sample.
#[derive(Clone, Debug)]
pub struct XorAppender {
    w: BitWriter,
    count: u16,
    t: i64,
    delta: i64,
    value: XorValue,
}

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

impl XorAppender {
    /// An empty chunk.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(FIRST_CAPACITY);
        bytes.extend_from_slice(&[0; HEADER]);
        Self { w: BitWriter::after(bytes, 0), count: 0, t: i64::MIN, delta: 0, value: XorValue::new(0.0) }
    }

    /// Goes on with an existing chunk. What would be appended to the original is appended to it, bit for bit.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut samples = XorSamples::new(bytes)?;
        while samples.next()?.is_some() {}
        let XorSamples { bits, position, total, t, delta, value, .. } = samples;
        Ok(Self { w: bits.writer(&bytes[..HEADER], position), count: total, t, delta, value })
    }

    /// Adds a sample. Timestamps must ascend, which the caller knows; a chunk that does not is refused when read.
    #[inline]
    pub fn append(&mut self, t: i64, v: f64) -> Result<(), ChunkError> {
        match self.count {
            0 => {
                self.w.write_varint(t);
                self.w.write(v.to_bits(), 64);
                self.value = XorValue::new(v);
            }
            MAX_SAMPLES => return Err(ChunkError::Full),
            1 => {
                self.delta = t.wrapping_sub(self.t);
                self.w.write_uvarint(self.delta as u64);
                self.value.write(&mut self.w, v);
            }
            _ => {
                let delta = t.wrapping_sub(self.t);
                put_dod(&mut self.w, delta.wrapping_sub(self.delta));
                self.delta = delta;
                self.value.write(&mut self.w, v);
            }
        }
        self.t = t;
        self.count += 1;
        self.w.bytes_mut()[..HEADER].copy_from_slice(&self.count.to_be_bytes());
        Ok(())
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        self.w.bytes()
    }

    /// Gives the chunk up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.w.into_bytes()
    }

    /// Samples so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The last sample's timestamp; `i64::MIN` before the first.
    pub fn last_t(&self) -> i64 {
        self.t
    }

    /// The last sample's value; 0 before the first.
    pub fn last_v(&self) -> f64 {
        self.value.value()
    }
}

/// A whole chunk: what [`XorAppender`] builds of these samples, in half the time or less.
pub fn encode(samples: &[(i64, f64)]) -> Result<Vec<u8>, ChunkError> {
    let count = u16::try_from(samples.len()).map_err(|_| ChunkError::Full)?;
    let mut out = Vec::with_capacity(HEADER + BYTES * samples.len());
    out.extend_from_slice(&count.to_be_bytes());
    let Some((&(first_t, first_v), samples)) = samples.split_first() else { return Ok(out) };
    let mut w = BitPacker::new(&mut out);
    w.write_uvarint(zigzag(first_t));
    w.write(first_v.to_bits(), 64);
    let mut value = XorValue::new(first_v);
    if let Some((&(second_t, second_v), samples)) = samples.split_first() {
        let (mut last_t, mut delta) = (second_t, second_t.wrapping_sub(first_t));
        w.write_uvarint(delta as u64);
        value.write(&mut w, second_v);
        for &(t, v) in samples {
            let next = t.wrapping_sub(last_t);
            if next == delta && v.to_bits() == value.value().to_bits() {
                w.write(0, 2);
            } else {
                put_dod(&mut w, next.wrapping_sub(delta));
                value.write(&mut w, v);
            }
            (last_t, delta) = (t, next);
        }
    }
    w.finish();
    Ok(out)
}

/// Writes a double delta.
#[inline]
pub fn put_dod(w: &mut impl PutBits, dod: i64) {
    let bits = dod as u64;
    match dod {
        0 => w.write(0, 1),
        _ if fits(dod, 14) => w.write(0b10 << 14 | bits & 0x3fff, 16),
        _ if fits(dod, 17) => w.write(0b110 << 17 | bits & 0x1_ffff, 20),
        _ if fits(dod, 20) => w.write(0b1110 << 20 | bits & 0xf_ffff, 24),
        _ => {
            w.write(0b1111, 4);
            w.write(bits, 64);
        }
    }
}

/// Decodes a chunk's samples from `min_t` to `max_t`, both inclusive, onto the end of `out`. On error `out` is as it
/// was.
pub fn decode_into(bytes: &[u8], min_t: i64, max_t: i64, out: &mut Columns) -> Result<(), ChunkError> {
    let samples = XorSamples::new(bytes)?;
    let trim = Trim::new(out);
    let decoded = decode_all(samples, max_t, out);
    trim.cut(decoded, min_t, max_t, out)
}

/// Three samples with short double deltas whose values are those before them: their bits under [`TRIPLE_MASK`].
const TRIPLE: u64 = 0b10 << 62 | 0b10 << 45 | 0b10 << 28;
/// Of three times 17 bits all but the double deltas.
const TRIPLE_MASK: u64 = 0b11 << 62 | 0b111 << 45 | 0b111 << 28 | 1 << 13;

/// Stops at some sample behind `max_t`.
fn decode_all(mut samples: XorSamples<'_>, max_t: i64, out: &mut Columns) -> Result<(), ChunkError> {
    // The count was checked against the input, which bounds this. Slices spare the room check of every push.
    let from = out.float_t.len();
    let len = usize::from(samples.left);
    out.float_t.resize(from + len, 0);
    out.float_v.resize(from + len, 0.0);
    let (ts, vs) = (&mut out.float_t[from..], &mut out.float_v[from..]);
    let mut at = 0;
    // The first two samples have forms of their own.
    while at < 2
        && let Some((t, v)) = samples.next()?
    {
        (ts[at], vs[at]) = (t, v);
        at += 1;
    }
    let XorSamples { bits, mut position, mut t, mut delta, mut value, .. } = samples;
    // The bits of all deltas less one.
    let mut deltas = delta.wrapping_sub(1);
    while at < len && t <= max_t {
        let head = bits.at(position);
        if head >> 62 == 0 {
            // Every pair of zeros is a sample at the same distance with the same value.
            let run = (head.leading_zeros().min(BITS_AT) / 2) as usize;
            let run = run.min(len - at);
            for slot in &mut ts[at..at + run] {
                t = t.wrapping_add(delta);
                *slot = t;
            }
            vs[at..at + run].fill(value.value());
            position += 2 * run;
            at += run;
        } else if head & TRIPLE_MASK == TRIPLE
            && let (Some(ts), Some(vs)) = (next_three(ts, at), next_three(vs, at))
        {
            // On a clock that is not quite even, most samples of a value that stays.
            for (slot, before) in ts.iter_mut().zip([2, 19, 36]) {
                delta = delta.wrapping_add(unfold(head << before >> 50, 14));
                deltas |= delta.wrapping_sub(1);
                t = t.wrapping_add(delta);
                *slot = t;
            }
            vs.fill(value.value());
            position += 51;
            at += 3;
        } else {
            let (dod, end, head) = dod_at(bits, position, head);
            delta = delta.wrapping_add(dod);
            deltas |= delta.wrapping_sub(1);
            t = t.wrapping_add(delta);
            position = value.read_at(bits, end, head);
            (ts[at], vs[at]) = (t, value.value());
            at += 1;
        }
    }
    let ascend = match &ts[..at] {
        // With deltas of 1 to 2^46 the sum of 2^16 of them goes round once at most.
        [first, .., last] if deltas as u64 >> 46 == 0 => first < last,
        [] | [_] => true,
        ts => ascends(ts),
    };
    out.float_t.truncate(from + at);
    out.float_v.truncate(from + at);
    check(bits, position, &value)?;
    if ascend { Ok(()) } else { Err(NOT_ASCENDING) }
}

#[inline(always)]
fn next_three<T>(slots: &mut [T], at: usize) -> Option<&mut [T; 3]> {
    slots.get_mut(at..at + 3)?.first_chunk_mut()
}

/// The double delta at a position, whose bits `head` has; the position of the value behind it, and that one's bits,
/// [`XorValue::HEAD`] or more.
#[inline(always)]
fn dod_at(bits: Bits<'_>, position: usize, head: u64) -> (i64, usize, u64) {
    match head >> 62 {
        0b10 => (unfold(head << 2 >> 50, 14), position + 16, head << 16),
        0b11 => long_dod_at(bits, position, head),
        _ => (0, position + 1, head << 1),
    }
}

#[cold]
fn long_dod_at(bits: Bits<'_>, position: usize, head: u64) -> (i64, usize, u64) {
    let ones = head.leading_ones();
    let (dod, end) = if ones >= 4 {
        (bits.read(position + 4, 64) as i64, position + 68)
    } else {
        let (prefix, n) = (ones + 1, DOD_BITS[ones as usize]);
        (unfold(head << prefix >> (64 - n), n), position + (prefix + n) as usize)
    };
    (dod, end, bits.at(end))
}

fn check(bits: Bits<'_>, position: usize, value: &XorValue) -> Result<(), ChunkError> {
    if bits.end_before(position) {
        Err(ChunkError::Truncated)
    } else if value.invalid() {
        Err(ChunkError::Invalid("value window exceeds 64 bits"))
    } else {
        Ok(())
    }
}

/// The samples of a chunk one by one, for those who want few of them. [`decode_into`] is several times faster.
#[derive(Clone, Debug)]
pub struct XorSamples<'a> {
    bits: Bits<'a>,
    position: usize,
    total: u16,
    left: u16,
    t: i64,
    delta: i64,
    value: XorValue,
}

impl<'a> XorSamples<'a> {
    /// Starts before the first sample.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let (&count, stream) = bytes.split_first_chunk::<HEADER>().ok_or(ChunkError::Truncated)?;
        let total = u16::from_be_bytes(count);
        if usize::from(total) > 4 * stream.len() {
            return Err(ChunkError::Truncated);
        }
        let (bits, value) = (Bits::new(stream), XorValue::new(0.0));
        Ok(Self { bits, position: 0, total, left: total, t: i64::MIN, delta: 0, value })
    }

    /// The next timestamp and value; `None` after the last.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "an error ends it, which an iterator of results would not say"
    )]
    pub fn next(&mut self) -> Result<Option<(i64, f64)>, ChunkError> {
        let Self { bits, position, .. } = *self;
        match self.total - self.left {
            _ if self.left == 0 => return Ok(None),
            0 => {
                let (t, end) = bits.uvarint(position).ok_or(TOO_LONG)?;
                self.t = unzigzag(t);
                self.value = XorValue::new(f64::from_bits(bits.read(end, 64)));
                self.position = end + 64;
            }
            read => {
                let (end, head) = if read == 1 {
                    let (delta, end) = bits.uvarint(position).ok_or(TOO_LONG)?;
                    self.delta = delta as i64;
                    (end, bits.at(end))
                } else {
                    let (dod, end, head) = dod_at(bits, position, bits.at(position));
                    self.delta = self.delta.wrapping_add(dod);
                    (end, head)
                };
                self.t = self.t.wrapping_add(self.delta);
                self.position = self.value.read_at(bits, end, head);
            }
        }
        self.left -= 1;
        check(bits, self.position, &self.value)?;
        Ok(Some((self.t, self.value.value())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(samples: &[(i64, f64)]) -> Vec<u8> {
        let mut appender = XorAppender::new();
        for &(t, v) in samples {
            appender.append(t, v).unwrap();
        }
        appender.into_bytes()
    }

    fn decoded(bytes: &[u8], min_t: i64, max_t: i64) -> Result<Vec<(i64, u64)>, ChunkError> {
        let mut out = Columns::default();
        decode_into(bytes, min_t, max_t, &mut out)?;
        Ok(out.float_t.iter().copied().zip(out.float_v.iter().map(|v| v.to_bits())).collect())
    }

    fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
        samples.iter().map(|&(t, v)| (t, v.to_bits())).collect()
    }

    /// Reads the format from its description, one bit at a time.
    fn naive(bytes: &[u8]) -> Vec<(i64, u64)> {
        let text: Vec<bool> =
            bytes[2..].iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
        let mut at = 0;
        let mut take = |n: usize| {
            let value = text[at..at + n].iter().fold(0u64, |v, &bit| v << 1 | u64::from(bit));
            at += n;
            value
        };
        let mut out: Vec<(i64, u64)> = Vec::new();
        let mut window = (0u64, 0u64);
        let mut delta = 0i64;
        for n in 0..u16::from_be_bytes([bytes[0], bytes[1]]) {
            if n < 2 {
                let mut integer = 0u64;
                for shift in (0..).step_by(7) {
                    let byte = take(8);
                    integer |= (byte & 127) << shift;
                    if byte < 128 {
                        break;
                    }
                }
                if n == 0 {
                    let t = if integer & 1 == 0 { (integer >> 1) as i64 } else { !((integer >> 1) as i64) };
                    out.push((t, take(64)));
                    continue;
                }
                delta = integer as i64;
            } else {
                let mut ones = 0;
                while ones < 4 && take(1) == 1 {
                    ones += 1;
                }
                let size = [0, 14, 17, 20, 64][ones];
                let mut dod = i128::from(take(size));
                if size == 64 {
                    dod = i128::from(dod as u64 as i64);
                } else if size > 0 && dod > 1 << (size - 1) {
                    dod -= 1 << size;
                }
                delta += dod as i64;
            }
            let &(t, mut v) = out.last().unwrap();
            if take(1) == 1 {
                if take(1) == 1 {
                    window.0 = take(5);
                    let significant = match take(6) {
                        0 => 64,
                        n => n,
                    };
                    window.1 = 64 - window.0 - significant;
                }
                v ^= take((64 - window.0 - window.1) as usize) << window.1;
            }
            out.push((t + delta, v));
        }
        out
    }

    /// What [`XorSamples`] gives.
    fn one_by_one(bytes: &[u8]) -> Result<Vec<(i64, u64)>, ChunkError> {
        let (mut samples, mut out) = (XorSamples::new(bytes)?, Vec::new());
        while let Some((t, v)) = samples.next()? {
            out.push((t, v.to_bits()));
        }
        let ascend = out.is_sorted_by(|a, b| a.0 < b.0);
        if ascend { Ok(out) } else { Err(NOT_ASCENDING) }
    }

    /// On an even clock or on one that trembles.
    fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let step = |even: u32, uneven: u32| {
            prop_oneof![
                even => Just(15_000i64), uneven => 14_950..15_050i64, 2 => 1..200_000i64, 1 => 1..5_000_000i64,
                1 => 1..1i64 << 40
            ]
        };
        let value = || {
            prop_oneof![
                20 => Just(None), 5 => (0..100i64).prop_map(|v| Some(v as f64)), 2 => any::<f64>().prop_map(Some),
                1 => any::<u64>().prop_map(|v| Some(f64::from_bits(v))), 1 => Just(Some(model::sample::STALE_NAN)),
            ]
        };
        let parts = prop_oneof![
            prop::collection::vec((step(20, 5), value()), 0..300),
            prop::collection::vec((step(1, 60), value()), 0..300),
        ];
        (-1i64 << 50..1i64 << 50, parts).prop_map(|(mut t, parts)| {
            let mut last = 0.0;
            parts
                .into_iter()
                .map(|(step, value)| {
                    t += step;
                    last = value.unwrap_or(last);
                    (t, last)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn all_readers_give_what_was_appended(samples in samples()) {
            let bytes = chunk(&samples);
            prop_assert_eq!(encode(&samples), Ok(bytes.clone()));
            prop_assert_eq!(naive(&bytes), bits(&samples));
            prop_assert_eq!(decoded(&bytes, i64::MIN, i64::MAX), Ok(bits(&samples)));
            prop_assert_eq!(one_by_one(&bytes), Ok(bits(&samples)));
        }

        #[test]
        fn resumed_appender_writes_the_same_bytes(samples in samples(), at: prop::sample::Index, spare in 0usize..3) {
            let at = at.index(samples.len() + 1);
            let mut first = chunk(&samples[..at]);
            first.resize(first.len() + spare, 0);
            let mut appender = XorAppender::resume(&first).unwrap();
            prop_assert_eq!(usize::from(appender.count()), at);
            for &(t, v) in &samples[at..] {
                appender.append(t, v).unwrap();
            }
            prop_assert_eq!(appender.last_t(), samples.last().map_or(i64::MIN, |s| s.0));
            prop_assert_eq!(appender.into_bytes(), chunk(&samples));
        }

        #[test]
        fn bounds_select(samples in samples(), a: prop::sample::Index, b: prop::sample::Index, off in -1i64..=1) {
            prop_assume!(!samples.is_empty());
            let (min_t, max_t) = (samples[a.index(samples.len())].0 + off, samples[b.index(samples.len())].0 - off);
            let want: Vec<_> = samples.iter().copied().filter(|s| s.0 >= min_t && s.0 <= max_t).collect();
            prop_assert_eq!(decoded(&chunk(&samples), min_t, max_t), Ok(bits(&want)));
        }

        #[test]
        fn truncated_is_an_error(samples in samples(), at: prop::sample::Index) {
            let bytes = chunk(&samples);
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert_eq!(decoded(cut, i64::MIN, i64::MAX), Err(ChunkError::Truncated));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>, count: u16) {
            let bytes = [&count.to_be_bytes()[..], &bytes].concat();
            let mut out = Columns::default();
            out.push_float(1, 2.0, 3);
            if decode_into(&bytes, i64::MIN, i64::MAX, &mut out).is_err() {
                prop_assert_eq!(out.len(), 1);
            }
            prop_assert_eq!(out.float_start_t.len(), out.float_t.len());
            let _ = XorAppender::resume(&bytes);
        }

        #[test]
        fn a_damaged_chunk_is_read_alike(
            samples in samples(), count: Option<u16>, damage in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)
        ) {
            let mut bytes = chunk(&samples);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(count) = count {
                bytes[..2].copy_from_slice(&(count % 400).to_be_bytes());
            }
            // Which of several faults is told may differ.
            prop_assert_eq!(decoded(&bytes, i64::MIN, i64::MAX).ok(), one_by_one(&bytes).ok());
        }
    }

    #[test]
    fn a_full_chunk_takes_no_more() {
        let mut appender = XorAppender::new();
        for t in 0..65_535 {
            appender.append(t, 1.0).unwrap();
        }
        let before = appender.bytes().to_vec();
        assert_eq!(appender.append(65_535, 1.0), Err(ChunkError::Full));
        assert_eq!(appender.bytes(), before);
        assert_eq!(decoded(&before, 65_530, i64::MAX).unwrap().len(), 5);
    }

    #[test]
    fn timestamps_that_do_not_ascend_are_refused() {
        const WIDE: i64 = 1 << 62;
        for (times, ascend) in [
            (&[5, 5][..], false),
            (&[5, 6, 5], false),
            (&[5, 6, 6, 6], false),
            (&[0, 10, 21, 31, 41, 40], false),
            (&[i64::MAX, 3], false),
            (&[i64::MAX - 1, i64::MAX, i64::MIN, i64::MIN + 1], false),
            (&[i64::MAX - 25, i64::MAX - 15, i64::MAX - 4, i64::MIN + 5, i64::MIN + 14], false),
            (&[-WIDE, 0, WIDE, i64::MIN, -WIDE, 0, WIDE], false),
            (&[i64::MIN, -WIDE, 0, WIDE, i64::MAX], true),
            (&[i64::MIN, i64::MAX], true),
        ] {
            let samples: Vec<_> = times.iter().map(|&t| (t, 1.0)).collect();
            let want = if ascend { Ok(bits(&samples)) } else { Err(NOT_ASCENDING) };
            assert_eq!(decoded(&chunk(&samples), i64::MIN, i64::MAX), want, "{times:?}");
        }
    }
}
