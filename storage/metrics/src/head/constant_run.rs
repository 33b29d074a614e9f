//! Samples of one value at even distances, kept as the first, the distance and the number: what an open chunk is while
//! nothing changes.

use model::read::Columns;

/// Samples of one value at even distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstantRun {
    /// The first timestamp, in milliseconds.
    pub first_t: i64,
    /// Between two timestamps; it counts for nothing with one sample.
    pub delta: u32,
    /// How many samples.
    pub count: u16,
    /// Bits of the value.
    pub bits: u64,
}

impl ConstantRun {
    /// Appends the samples from `min_t` to `max_t`, both inclusive, to `out`.
    pub fn read(&self, min_t: i64, max_t: i64, out: &mut Columns) {
        let Self { first_t, delta, count, bits } = *self;
        let delta = i64::from(delta).max(1);
        // How many samples are before a time; a chunk's times do not overflow.
        let before = |t: i64| match t.saturating_sub(first_t) {
            behind if behind <= 0 => 0,
            behind => ((behind - 1) / delta + 1).min(i64::from(count)),
        };
        let (from, to) = (before(min_t), before(max_t.saturating_add(1)));
        out.float_t.extend((from..to).map(|n| first_t + n * delta));
        let len = out.float_t.len();
        out.float_v.resize(len, f64::from_bits(bits));
        if !out.float_start_t.is_empty() {
            out.float_start_t.resize(len, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_is_in_time(
            first_t in -100i64..100,
            delta in 1u32..20,
            count in 1u16..30,
            bounds in (-200i64..800, -200i64..800),
            started in any::<bool>(),
        ) {
            let mut out = Columns::default();
            out.push_float(-1000, 1.0, i64::from(started));
            let mut want = out.clone();
            let (min_t, max_t) = bounds;
            ConstantRun { first_t, delta, count, bits: 7.0f64.to_bits() }.read(min_t, max_t, &mut out);
            let times = (0..i64::from(count)).map(|n| first_t + n * i64::from(delta));
            times.filter(|t| (min_t..=max_t).contains(t)).for_each(|t| want.push_float(t, 7.0, 0));
            prop_assert_eq!(format!("{out:?}"), format!("{want:?}"));
        }
    }
}
