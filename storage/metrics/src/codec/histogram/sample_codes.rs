//! The numbers of a histogram as bits: each has its own state from sample to sample. The integer and the float form
//! differ in nothing else.

use model::histogram::HistogramOf;

use crate::codec::bits::{BitReader, BitWriter};
use crate::codec::chunk::ChunkError;
use crate::codec::varbit;
use crate::codec::xor_value::XorValue;

/// One number of a histogram, over the samples of a chunk.
pub trait Coder: Sized + Clone {
    /// What it codes.
    type Value: Copy + Default;

    /// Writes the number of the first sample.
    fn write_first(w: &mut BitWriter, value: Self::Value) -> Self;
    /// Writes the number of a later sample.
    fn write(&mut self, w: &mut BitWriter, value: Self::Value);
    /// Writes what stands for the number in a stale sample.
    fn write_stale(&mut self, w: &mut BitWriter);
    /// Reads the number of the first sample.
    fn read_first(r: &mut BitReader<'_>) -> Self;
    /// Reads the number of a later sample.
    fn read(&mut self, r: &mut BitReader<'_>);
    /// The number of the last sample.
    fn value(&self) -> Self::Value;
    /// Whether impossible bits were read.
    fn invalid(&self) -> bool;
}

/// An unsigned count as double deltas.
#[derive(Clone, Copy, Debug)]
pub struct CountCoder {
    value: u64,
    delta: i64,
}

impl Coder for CountCoder {
    type Value = u64;

    fn write_first(w: &mut BitWriter, value: u64) -> Self {
        varbit::write_uint(w, value);
        Self { value, delta: 0 }
    }

    fn write(&mut self, w: &mut BitWriter, value: u64) {
        let delta = value.wrapping_sub(self.value) as i64;
        varbit::write_int(w, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn write_stale(&mut self, w: &mut BitWriter) {
        varbit::write_int(w, 0);
    }

    fn read_first(r: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_uint(r), delta: 0 }
    }

    fn read(&mut self, r: &mut BitReader<'_>) {
        self.delta = self.delta.wrapping_add(varbit::read_int(r));
        self.value = self.value.wrapping_add(self.delta as u64);
    }

    fn value(&self) -> u64 {
        self.value
    }

    fn invalid(&self) -> bool {
        false
    }
}

/// A signed number as double deltas: a timestamp, or a bucket of the integer form.
#[derive(Clone, Copy, Debug)]
pub struct DeltaCoder {
    value: i64,
    delta: i64,
}

impl Coder for DeltaCoder {
    type Value = i64;

    fn write_first(w: &mut BitWriter, value: i64) -> Self {
        varbit::write_int(w, value);
        Self { value, delta: 0 }
    }

    fn write(&mut self, w: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        varbit::write_int(w, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn write_stale(&mut self, w: &mut BitWriter) {
        varbit::write_int(w, 0);
    }

    fn read_first(r: &mut BitReader<'_>) -> Self {
        Self { value: varbit::read_int(r), delta: 0 }
    }

    fn read(&mut self, r: &mut BitReader<'_>) {
        self.delta = self.delta.wrapping_add(varbit::read_int(r));
        self.value = self.value.wrapping_add(self.delta);
    }

    fn value(&self) -> i64 {
        self.value
    }

    fn invalid(&self) -> bool {
        false
    }
}

impl Coder for XorValue {
    type Value = f64;

    fn write_first(w: &mut BitWriter, value: f64) -> Self {
        w.write(value.to_bits(), 64);
        Self::new(value)
    }

    fn write(&mut self, w: &mut BitWriter, value: f64) {
        Self::write(self, w, value);
    }

    fn write_stale(&mut self, w: &mut BitWriter) {
        Self::write(self, w, 0.0);
    }

    fn read_first(r: &mut BitReader<'_>) -> Self {
        Self::new(f64::from_bits(r.read(64)))
    }

    fn read(&mut self, r: &mut BitReader<'_>) {
        Self::read(self, r);
    }

    fn value(&self) -> f64 {
        Self::value(self)
    }

    fn invalid(&self) -> bool {
        Self::invalid(self)
    }
}

/// All numbers of a histogram but its timestamp.
#[derive(Clone, Debug)]
pub(super) struct SampleCodes<C, B> {
    pub(super) count: C,
    pub(super) zero_count: C,
    pub(super) sum: XorValue,
    /// Positive, negative.
    pub(super) buckets: [Vec<B>; 2],
}

impl<C: Coder, B: Coder> SampleCodes<C, B> {
    /// A stale first sample has no buckets.
    pub(super) fn write_first(w: &mut BitWriter, h: &HistogramOf<C::Value, B::Value>) -> Self {
        let side =
            |w: &mut BitWriter, side: &[B::Value]| side.iter().map(|&b| B::write_first(w, b)).collect();
        Self {
            count: C::write_first(w, h.count),
            zero_count: C::write_first(w, h.zero_count),
            sum: XorValue::write_first(w, h.sum),
            buckets: [side(w, &h.positive_buckets), side(w, &h.negative_buckets)],
        }
    }

    /// The histogram has as many buckets as the chunk.
    pub(super) fn write(&mut self, w: &mut BitWriter, h: &HistogramOf<C::Value, B::Value>) {
        self.count.write(w, h.count);
        self.zero_count.write(w, h.zero_count);
        self.sum.write(w, h.sum);
        for (coders, values) in self.buckets.iter_mut().zip([&h.positive_buckets, &h.negative_buckets]) {
            for (coder, &value) in coders.iter_mut().zip(values) {
                coder.write(w, value);
            }
        }
    }

    /// A stale sample has no buckets.
    pub(super) fn write_stale(&mut self, w: &mut BitWriter, sum: f64) {
        self.count.write_stale(w);
        self.zero_count.write_stale(w);
        self.sum.write(w, sum);
    }

    pub(super) fn read_first(r: &mut BitReader<'_>, [positive, negative]: [usize; 2]) -> Self {
        let side = |r: &mut BitReader<'_>, len: usize| (0..len).map(|_| B::read_first(r)).collect();
        Self {
            count: C::read_first(r),
            zero_count: C::read_first(r),
            sum: XorValue::read_first(r),
            buckets: [side(r, positive), side(r, negative)],
        }
    }

    pub(super) fn read(&mut self, r: &mut BitReader<'_>) {
        self.count.read(r);
        self.zero_count.read(r);
        self.sum.read(r);
        if !self.is_stale() {
            for bucket in self.buckets.iter_mut().flatten() {
                bucket.read(r);
            }
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        model::sample::is_stale(self.sum.value())
    }

    pub(super) fn check(&self, r: &BitReader<'_>) -> Result<(), ChunkError> {
        let mut buckets = self.buckets.iter().flatten();
        if r.overrun() {
            Err(ChunkError::Truncated)
        } else if self.count.invalid()
            || self.zero_count.invalid()
            || self.sum.invalid()
            || buckets.any(B::invalid)
        {
            Err(ChunkError::Invalid("value window exceeds 64 bits"))
        } else {
            Ok(())
        }
    }
}
