//! The XOR2 chunk (encoding 4): float samples with start timestamps. Source: Prometheus `tsdb/chunkenc/xor2.go`.
//!
//! ```text
//! u16 count | u8 start timestamps | bits: varint t0, 64 bits v0 | uvarint t1 - t0, value | control, ... | ...
//! ```
//!
//! From sample 2 on one control sequence says how both timestamp and value change. Values are XORed with the last one
//! that was no staleness mark, so that a mark costs few bits and does not spoil the next value.
//!
//! | control | double delta | value |
//! |---|---|---|
//! | `0` | 0 | same |
//! | `10` | 0 | `0` last window, `1` new window |
//! | `110` | 13 bits, two's complement | value |
//! | `1110` | 20 bits, two's complement | value |
//! | `11110` | 64 bits | value |
//! | `11111` | 0 | staleness mark |
//!
//! value: `0` same, `10` last window, `110` new window, `111` staleness mark.

use model::read::Columns;
use model::sample::{STALE_NAN, is_stale};

use super::bits::{BitReader, BitWriter, PutBits};
use super::chunk::{ChunkError, MAX_SAMPLES, Trim};
use super::start_t::{self, StartTimes};
use super::xor_value::XorValue;

/// Bytes before the bit stream.
const HEADER: usize = 3;

/// Builds a chunk. [`Xor2Appender::bytes`] is a complete chunk after every sample.
#[derive(Clone, Debug)]
pub struct Xor2Appender {
    w: BitWriter,
    count: u16,
    t: i64,
    delta: i64,
    v: f64,
    baseline: XorValue,
    start: StartTimes,
}

impl Default for Xor2Appender {
    fn default() -> Self {
        Self::new()
    }
}

impl Xor2Appender {
    /// An empty chunk.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; HEADER]);
        Self {
            w: BitWriter::after(bytes, 0),
            count: 0,
            t: i64::MIN,
            delta: 0,
            v: 0.0,
            baseline: XorValue::new(0.0),
            start: StartTimes::default(),
        }
    }

    /// Goes on with an existing chunk. What would be appended to the original is appended to it, bit for bit.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut samples = Xor2Samples::new(bytes)?;
        let mut v = 0.0;
        while let Some((_, next, _)) = samples.next()? {
            v = next;
        }
        let Xor2Samples { r, total, t, delta, baseline, start, .. } = samples;
        let w = r.into_writer(&bytes[..HEADER]);
        Ok(Self { w, count: total, t, delta, v, baseline, start: start.resume(total)? })
    }

    /// Adds a sample; `start_t` 0 for unknown. Timestamps must ascend, which the caller knows; a chunk that does not
    /// is refused when read.
    pub fn append(&mut self, t: i64, v: f64, start_t: i64) -> Result<(), ChunkError> {
        let delta = t.wrapping_sub(self.t);
        match self.count {
            0 => {
                self.w.write_varint(t);
                self.w.write(v.to_bits(), 64);
                self.baseline = XorValue::new(if is_stale(v) { 0.0 } else { v });
            }
            MAX_SAMPLES => return Err(ChunkError::Full),
            1 => {
                self.w.write_uvarint(delta as u64);
                self.write_value(v);
            }
            _ => self.write_both(delta.wrapping_sub(self.delta), v),
        }
        self.start.write(&mut self.w, self.count, t, self.t, start_t);
        self.delta = if self.count == 0 { 0 } else { delta };
        self.t = t;
        self.v = v;
        self.count += 1;
        self.w.bytes_mut()[..2].copy_from_slice(&self.count.to_be_bytes());
        Ok(())
    }

    fn write_both(&mut self, dod: i64, v: f64) {
        if dod == 0 {
            if is_stale(v) {
                self.w.write(0b11111, 5);
            } else if v.to_bits() == self.baseline.value().to_bits() {
                self.w.write(0, 1);
            } else {
                self.w.write(0b10, 2);
                self.baseline.write_changed(&mut self.w, v, (0, 1), (1, 1));
            }
            return;
        }
        let bits = dod as u64;
        match dod {
            -0x1000..=0xfff => self.w.write(0b110 << 13 | bits & 0x1fff, 16),
            -0x8_0000..=0x7_ffff => self.w.write(0b1110 << 20 | bits & 0xf_ffff, 24),
            _ => {
                self.w.write(0b11110, 5);
                self.w.write(bits, 64);
            }
        }
        self.write_value(v);
    }

    fn write_value(&mut self, v: f64) {
        if is_stale(v) {
            self.w.write(0b111, 3);
        } else if v.to_bits() == self.baseline.value().to_bits() {
            self.w.write(0, 1);
        } else {
            self.baseline.write_changed(&mut self.w, v, (0b10, 2), (0b110, 3));
        }
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
        self.v
    }
}

/// Decodes a chunk's samples from `min_t` to `max_t`, both inclusive, onto the end of `out`. On error `out` is as it
/// was.
pub fn decode_into(bytes: &[u8], min_t: i64, max_t: i64, out: &mut Columns) -> Result<(), ChunkError> {
    let trim = Trim::new(out);
    let decoded = decode_all(bytes, max_t, out);
    trim.finish(decoded, min_t, max_t, out)
}

fn decode_all(bytes: &[u8], max_t: i64, out: &mut Columns) -> Result<(), ChunkError> {
    let mut samples = Xor2Samples::new(bytes)?;
    while let Some((t, v, start_t)) = samples.next()? {
        out.push_float(t, v, start_t);
        if t > max_t {
            break;
        }
    }
    Ok(())
}

/// The samples of a chunk one by one.
#[derive(Clone, Debug)]
pub struct Xor2Samples<'a> {
    r: BitReader<'a>,
    total: u16,
    read: u16,
    t: i64,
    delta: i64,
    baseline: XorValue,
    start: StartTimes,
}

impl<'a> Xor2Samples<'a> {
    /// Starts before the first sample.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let (&[c0, c1, _], stream) = bytes.split_first_chunk::<HEADER>().ok_or(ChunkError::Truncated)?;
        Ok(Self {
            r: BitReader::new(stream),
            total: u16::from_be_bytes([c0, c1]),
            read: 0,
            t: i64::MIN,
            delta: 0,
            baseline: XorValue::new(0.0),
            start: StartTimes::from_header(bytes[start_t::AT]),
        })
    }

    /// The next timestamp, value and start timestamp (0 for unknown); `None` after the last.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error ends it, which an iterator of results would not say"
    )]
    pub fn next(&mut self) -> Result<Option<(i64, f64, i64)>, ChunkError> {
        const TOO_LONG: ChunkError = ChunkError::Invalid("timestamp exceeds 64 bits");
        if self.read == self.total {
            return Ok(None);
        }
        let previous_t = self.t;
        let v = match self.read {
            0 => {
                self.t = self.r.read_varint().ok_or(TOO_LONG)?;
                let v = f64::from_bits(self.r.read(64));
                self.baseline = XorValue::new(if is_stale(v) { 0.0 } else { v });
                v
            }
            1 => {
                self.delta = self.r.read_uvarint().ok_or(TOO_LONG)? as i64;
                self.t = self.t.wrapping_add(self.delta);
                self.r.refill();
                self.read_value()
            }
            _ => self.read_both(),
        };
        self.start.read(&mut self.r, self.read, self.t, previous_t)?;
        self.read += 1;
        if self.r.overrun() {
            return Err(ChunkError::Truncated);
        }
        if self.baseline.invalid() {
            return Err(ChunkError::Invalid("value window exceeds 64 bits"));
        }
        Ok(Some((self.t, v, self.start.start_t())))
    }

    fn read_both(&mut self) -> f64 {
        self.r.refill();
        let head = self.r.peek();
        let dod = match head.leading_ones() {
            0 => {
                self.r.skip(1);
                self.t = self.t.wrapping_add(self.delta);
                return self.baseline.value();
            }
            1 => {
                self.r.skip(3);
                self.t = self.t.wrapping_add(self.delta);
                self.baseline.read_changed(&mut self.r, head >> 61 & 1 == 1);
                return self.baseline.value();
            }
            2 => {
                self.r.skip(16);
                (head << 3) as i64 >> 51
            }
            3 => {
                self.r.skip(24);
                (head << 4) as i64 >> 44
            }
            4 => {
                self.r.skip(5);
                let dod = self.r.read(64) as i64;
                self.r.refill();
                dod
            }
            _ => {
                self.r.skip(5);
                self.t = self.t.wrapping_add(self.delta);
                return STALE_NAN;
            }
        };
        self.delta = self.delta.wrapping_add(dod);
        self.t = self.t.wrapping_add(self.delta);
        self.read_value()
    }

    /// Reads a value from a buffer with 14 bits or more.
    fn read_value(&mut self) -> f64 {
        let head = self.r.peek();
        match head.leading_ones() {
            0 => self.r.skip(1),
            1 => {
                self.r.skip(2);
                self.baseline.read_changed(&mut self.r, false);
            }
            2 => {
                self.r.skip(3);
                self.baseline.read_changed(&mut self.r, true);
            }
            _ => {
                self.r.skip(3);
                return STALE_NAN;
            }
        }
        self.baseline.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Sample = (i64, f64, i64);

    fn chunk(samples: &[Sample]) -> Vec<u8> {
        let mut appender = Xor2Appender::new();
        for &(t, v, start_t) in samples {
            appender.append(t, v, start_t).unwrap();
        }
        appender.into_bytes()
    }

    fn bits(samples: &[Sample]) -> Vec<(i64, u64, i64)> {
        samples.iter().map(|&(t, v, start_t)| (t, v.to_bits(), start_t)).collect()
    }

    fn decoded(bytes: &[u8], min_t: i64, max_t: i64) -> Result<Vec<(i64, u64, i64)>, ChunkError> {
        let mut out = Columns::default();
        decode_into(bytes, min_t, max_t, &mut out)?;
        let start_t = |i| out.float_start_t.get(i).copied().unwrap_or(0);
        assert!(out.float_start_t.is_empty() || out.float_start_t.len() == out.float_t.len());
        Ok((0..out.float_t.len()).map(|i| (out.float_t[i], out.float_v[i].to_bits(), start_t(i))).collect())
    }

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let step = prop_oneof![
            20 => Just(15_000i64), 5 => 14_990..15_010i64, 2 => 1..200_000i64, 1 => 1..5_000_000i64, 1 => 1..1i64 << 40
        ];
        let value = prop_oneof![
            10 => Just(None), 5 => (0..100i64).prop_map(|v| Some(v as f64)), 2 => any::<f64>().prop_map(Some),
            1 => any::<u64>().prop_map(|v| Some(f64::from_bits(v))), 2 => Just(Some(STALE_NAN)),
        ];
        let start = prop_oneof![20 => Just(None), 1 => Just(Some(0)), 1 => any::<i64>().prop_map(Some), 1 => (0..99i64).prop_map(Some)];
        (-1i64 << 50..1i64 << 50, prop::collection::vec((step, value, start), 0..300)).prop_map(
            |(mut t, parts)| {
                let (mut v, mut start_t) = (0.0, 0);
                parts
                    .into_iter()
                    .map(|(step, value, start)| {
                        t += step;
                        v = value.unwrap_or(v);
                        start_t = start.unwrap_or(start_t);
                        (t, v, start_t)
                    })
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn round_trip(samples in samples(), at: prop::sample::Index) {
            let bytes = chunk(&samples);
            prop_assert_eq!(decoded(&bytes, i64::MIN, i64::MAX), Ok(bits(&samples)));
            prop_assume!(!samples.is_empty());
            let at = at.index(samples.len());
            prop_assert_eq!(decoded(&bytes, samples[at].0, samples[at].0), Ok(bits(&samples[at..=at])));
        }

        #[test]
        fn resumed_appender_writes_the_same_bytes(samples in samples(), at: prop::sample::Index) {
            let at = at.index(samples.len() + 1);
            let mut appender = Xor2Appender::resume(&chunk(&samples[..at])).unwrap();
            for &(t, v, start_t) in &samples[at..] {
                appender.append(t, v, start_t).unwrap();
            }
            prop_assert_eq!(appender.into_bytes(), chunk(&samples));
        }

        #[test]
        fn truncated_is_an_error(samples in samples(), at: prop::sample::Index) {
            let bytes = chunk(&samples);
            let cut = at.index(bytes.len());
            prop_assert!(cut >= HEADER && samples.is_empty() || decoded(&bytes[..cut], i64::MIN, i64::MAX).is_err());
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>, count: u16) {
            let bytes = [&count.to_be_bytes()[..], &bytes].concat();
            let _ = decoded(&bytes, i64::MIN, i64::MAX);
            let _ = Xor2Appender::resume(&bytes);
        }
    }

    #[test]
    fn start_timestamps_cost_nothing_while_they_stay() {
        let plain: Vec<Sample> = (0..120).map(|i| (i * 15_000, 1.0, 0)).collect();
        let started: Vec<Sample> = plain.iter().map(|&(t, v, _)| (t, v, -5)).collect();
        assert_eq!(chunk(&started).len(), chunk(&plain).len() + 1);
        assert_eq!(chunk(&started)[2], 0x80);
    }
}
