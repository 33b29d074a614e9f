//! Records of floats that are laid out alike: a target shows the same series in the same order again and again, so all
//! of its record but the base time and the values is byte for byte that of the scrape before. A [`RecordLayout`] is
//! what such records have in common; [`RecordLayouts`] recognises them by one comparison, without decoding them.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::record::{self, FloatPlace, LogRef};
use crate::replay::log_slots::LogSlots;

/// Shorter records are decoded as fast as they are recognised. Tests have few series.
const RECORD_LEN_MIN: usize = if cfg!(test) { 45 } else { 128 };
/// Memory of all layouts. They are of 400,000 series or more.
const BYTES_MAX: usize = 24 << 20;
/// Layouts that records of the same length and base may have.
const CANDIDATES: usize = 4;
/// Records that are passed by at most before another attempt at a layout is made.
const PATIENCE: u32 = 63;
/// Kinds of records (length and base) that are remembered.
const KINDS_MAX: usize = 1 << 16;
/// The number of look-ups after which, at the earliest, what was not used is forgotten once more. Each kind has come
/// several times then.
const SWEEP_EVERY: usize = 1 << 12;

/// What records of one kind have in common.
#[derive(Debug)]
pub struct RecordLayout {
    /// Such a record, with zeros for what differs.
    template: Box<[u8]>,
    /// Ones where records are equal.
    mask: Box<[u8]>,
    /// Where the values are.
    at: Box<[u32]>,
    /// Numbers of the series.
    numbers: Box<[LogRef]>,
    /// Milliseconds from the base time to each sample's; none when there is no distance.
    dt: Option<Box<[i64]>>,
    /// Least and greatest of these.
    dt_span: (i64, i64),
    /// What replay knows of the series.
    pub(crate) state: Mutex<HeadColumns>,
}

/// A layout's series in the head.
#[derive(Debug, Default)]
pub(crate) struct HeadColumns {
    slots: Option<Slots>,
    /// Number of the batch in which there is a column for it, and the column's.
    pub(crate) column: Option<(u64, usize)>,
}

#[derive(Debug)]
struct Slots {
    /// Of the numbers, when they were looked up.
    versions: (u64, u64),
    /// `None` when a series is unknown, or there are two samples of one.
    of_samples: Option<Arc<[u32]>>,
}

impl RecordLayout {
    /// The layout of a record; `None` for one that makes no sense or is not of the common form.
    fn of(record: &[u8]) -> Option<Self> {
        let mut template: Box<[u8]> = record.into();
        let mut mask = vec![u8::MAX; record.len()].into_boxed_slice();
        let mut hide = |range: std::ops::Range<usize>| {
            template[range.clone()].fill(0);
            mask[range].fill(0);
        };
        hide(record::BASE_T);
        let count = record.len() / 10;
        let (mut at, mut numbers, mut dt) =
            (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
        record::each_float_place(record, |place: FloatPlace| {
            hide(place.value..place.value + 8);
            at.push(place.value as u32);
            numbers.push(place.series);
            dt.push(place.dt);
        })
        .ok()?;
        let dt_span = (dt.iter().copied().min()?, dt.iter().copied().max()?);
        let (at, numbers, state) = (at.into(), numbers.into(), Mutex::default());
        let dt = (dt_span != (0, 0)).then(|| dt.into());
        Some(Self { template, mask, at, numbers, dt, dt_span, state })
    }

    fn bytes(&self) -> usize {
        2 * self.template.len() + self.at.len() * (4 + 8 + 4 + if self.dt.is_some() { 8 } else { 0 })
    }

    /// Whether a record is laid out so.
    fn is_of(&self, record: &[u8]) -> bool {
        const STEP: usize = 64;
        if record.len() != self.template.len() {
            return false;
        }
        let (records, record_rest) = record.as_chunks::<STEP>();
        let (templates, template_rest) = self.template.as_chunks::<STEP>();
        let (masks, mask_rest) = self.mask.as_chunks::<STEP>();
        records.iter().zip(templates).zip(masks).all(|((a, b), mask)| differs(a, b, mask) == 0)
            && differs(record_rest, template_rest, mask_rest) == 0
    }

    /// Samples of a record.
    pub fn samples(&self) -> usize {
        self.at.len()
    }

    /// Adds the values of a record, as they are in memory, to others.
    pub fn values(&self, record: &[u8], values: &mut Vec<u64>) {
        let value = |at: &u32| record.get(*at as usize..).and_then(|bytes| bytes.first_chunk());
        values.extend(self.at.iter().map(|at| value(at).map_or(0, |bytes| u64::from_be_bytes(*bytes))));
    }

    /// The numbers of the series, one for each sample.
    pub fn numbers(&self) -> &[LogRef] {
        &self.numbers
    }

    /// Milliseconds from the base time to a sample's.
    #[inline]
    pub fn dt(&self, sample: usize) -> i64 {
        self.dt.as_ref().map_or(0, |dt| dt[sample])
    }

    /// First and last time in a record with a base time; `None` when they are out of bounds.
    pub fn span(&self, base_t: i64) -> Option<(i64, i64)> {
        Some((base_t.checked_add(self.dt_span.0)?, base_t.checked_add(self.dt_span.1)?))
    }

    /// The slots of the series, one for each sample; `None` when a series is unknown or has two samples.
    pub(crate) fn slots(&self, state: &mut HeadColumns, numbers: &LogSlots) -> Option<Arc<[u32]>> {
        let versions = numbers.versions();
        if let Some(slots) = &state.slots
            && slots.versions.0 == versions.0
            && (slots.versions.1 == versions.1 || slots.of_samples.is_some())
        {
            return slots.of_samples.clone();
        }
        let found: Option<Arc<[u32]>> = self.numbers.iter().map(|number| numbers.get(*number)).collect();
        let of_samples = found.filter(|slots| {
            let mut sorted = slots.to_vec();
            sorted.sort_unstable();
            sorted.is_sorted_by(|a, b| a < b)
        });
        state.slots = Some(Slots { versions, of_samples: of_samples.clone() });
        of_samples
    }
}

/// Bits in which two equally long pieces differ where the mask has ones.
#[inline(always)]
fn differs(a: &[u8], b: &[u8], mask: &[u8]) -> u8 {
    a.iter().zip(b).zip(mask).fold(0, |all, ((a, b), mask)| all | (a ^ b) & mask)
}

/// What records of a length and base were found to be.
#[derive(Debug)]
struct Pattern {
    candidates: Vec<Candidate>,
    /// Records to be passed by before the next attempt, and how many it were the last time.
    wait: u32,
    patience: u32,
}

impl Default for Pattern {
    /// A record that comes once is not worth a layout.
    fn default() -> Self {
        Self { candidates: Vec::new(), wait: 1, patience: 0 }
    }
}

#[derive(Debug)]
struct Candidate {
    layout: Arc<RecordLayout>,
    /// Since it was last asked for.
    used: bool,
}

/// Recognises records.
#[derive(Debug, Default)]
pub struct RecordLayouts {
    /// By length and base.
    kinds: HashMap<(usize, [u8; 8]), Pattern>,
    /// Memory of the layouts.
    bytes: usize,
    /// Looks since what was not used was forgotten.
    looks: usize,
}

impl RecordLayouts {
    /// The layout of a record, if there were others like it.
    pub fn find(&mut self, record: &[u8]) -> Option<Arc<RecordLayout>> {
        let base = record::base_series(record).filter(|_| record.len() >= RECORD_LEN_MIN)?;
        self.looks += 1;
        if (self.bytes > BYTES_MAX || self.kinds.len() > KINDS_MAX)
            && self.looks > SWEEP_EVERY.max(4 * self.kinds.len())
        {
            self.sweep();
        }
        let room = self.bytes <= BYTES_MAX;
        let kind = self.kinds.entry((record.len(), base)).or_default();
        if let Some(known) = kind.candidates.iter_mut().find(|known| known.layout.is_of(record)) {
            (known.used, kind.wait, kind.patience) = (true, 0, 0);
            return Some(known.layout.clone());
        }
        if kind.wait > 0 || !room {
            kind.wait = kind.wait.saturating_sub(1);
            return None;
        }
        // Where each is different from the last, attempts become rare.
        kind.patience = (2 * kind.patience + 1).min(PATIENCE);
        kind.wait = kind.patience;
        let layout = Arc::new(RecordLayout::of(record)?);
        if kind.candidates.len() == CANDIDATES {
            let oldest = kind.candidates.remove(0);
            self.bytes -= oldest.layout.bytes();
        }
        self.bytes += layout.bytes();
        kind.candidates.push(Candidate { layout: layout.clone(), used: true });
        Some(layout)
    }

    /// Forgets what was not used since the last time.
    fn sweep(&mut self) {
        self.looks = 0;
        self.kinds.retain(|_, kind| {
            kind.candidates.retain_mut(|candidate| std::mem::take(&mut candidate.used));
            !kind.candidates.is_empty()
        });
        let all = self.kinds.values().flat_map(|kind| &kind.candidates);
        self.bytes = all.map(|candidate| candidate.layout.bytes()).sum();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{RefSample, put_samples};

    fn record(numbers: impl IntoIterator<Item = u64>, t: i64, v: f64) -> Vec<u8> {
        let sample = |(n, number)| RefSample {
            series: LogRef(number),
            t: t + (n as i64 % 3),
            start_t: 0,
            v: v + n as f64,
        };
        let samples: Vec<_> = numbers.into_iter().enumerate().map(sample).collect();
        let mut out = Vec::new();
        put_samples(&mut out, &samples, false);
        out
    }

    #[test]
    fn the_second_of_a_kind_is_recognised() {
        let mut layouts = RecordLayouts::default();
        assert!(layouts.find(&record(100..140, 1000, 0.0)).is_none());
        let layout = layouts.find(&record(100..140, 2000, 1.0)).unwrap();
        for t in [i64::MIN, 0, 3000, i64::MAX - 2] {
            assert!(Arc::ptr_eq(&layout, &layouts.find(&record(100..140, t, 7.0)).unwrap()));
        }
        assert_eq!(layout.samples(), 40);
        assert_eq!(layout.span(10), Some((10, 12)));
        assert_eq!(layout.span(i64::MAX - 1), None);
        // As long, with the same base.
        assert!(
            layouts
                .find(&record((100..139).chain([150]), 3000, 1.0))
                .is_some_and(|other| !Arc::ptr_eq(&other, &layout))
        );
        assert!(layouts.find(&record(100..102, 1, 1.0)).is_none(), "too short");
        let mut numbers = LogSlots::default();
        let slots =
            |numbers: &LogSlots| layout.slots(&mut layout.state.lock(), numbers).map(|slots| slots.to_vec());
        assert_eq!(slots(&numbers), None);
        for n in 100..140 {
            numbers.insert(LogRef(n), n as u32 - 100);
        }
        assert_eq!(slots(&numbers), Some((0..40).collect()));
        numbers.insert(LogRef(110), 50);
        assert_eq!(slots(&numbers).unwrap()[10], 50);
        numbers.insert(LogRef(111), 50);
        assert_eq!(slots(&numbers), None, "two samples of one series");
        numbers.remove(LogRef(111));
        assert_eq!(slots(&numbers), None);
    }

    #[test]
    fn what_always_differs_is_hardly_tried() {
        let mut layouts = RecordLayouts::default();
        let made = (0..1000u64)
            .filter(|n| layouts.find(&record((0..40).map(|at| at * (n + 2) % 61), 0, 0.0)).is_some());
        assert!(made.count() < 250);
        let kept: usize = layouts.kinds.values().map(|kind| kind.candidates.len()).sum();
        assert!(kept <= layouts.kinds.len() * CANDIDATES);
        let bytes: usize =
            layouts.kinds.values().flat_map(|kind| &kind.candidates).map(|c| c.layout.bytes()).sum();
        assert_eq!(layouts.bytes, bytes);
        layouts.sweep();
        layouts.sweep();
        assert_eq!((layouts.kinds.len(), layouts.bytes), (0, 0));
    }

    proptest! {
        #[test]
        fn a_layout_says_where_all_is(
            numbers in prop::collection::vec(any::<u64>(), 20..60),
            times in prop::collection::vec(any::<i64>(), 60),
            other in any::<i64>(),
            flip in any::<(prop::sample::Index, u8)>(),
        ) {
            let samples: Vec<_> = numbers.iter().zip(&times).enumerate().map(|(n, (&number, &t))| {
                RefSample { series: LogRef(number), t, start_t: 0, v: n as f64 + 0.5 }
            }).collect();
            let mut bytes = Vec::new();
            put_samples(&mut bytes, &samples, false);
            let layout = RecordLayout::of(&bytes).unwrap();
            prop_assert!(layout.is_of(&bytes));
            let mut values = vec![7];
            layout.values(&bytes, &mut values);
            prop_assert!(values[1..].iter().copied().eq(samples.iter().map(|sample| sample.v.to_bits())));
            for n in 0..samples.len() {
                prop_assert_eq!((layout.numbers[n], times[0].wrapping_add(layout.dt(n))), (LogRef(numbers[n]), times[n]));
            }
            // What it recognises has the same series and distances.
            let (at, byte) = (flip.0.index(bytes.len()), flip.1);
            let mut changed = bytes.clone();
            changed[record::BASE_T].copy_from_slice(&other.to_be_bytes());
            prop_assert!(layout.is_of(&changed));
            changed[at] ^= byte;
            let is_value = |at: usize| (0..layout.samples()).any(|n| (layout.at[n] as usize..layout.at[n] as usize + 8).contains(&at));
            prop_assert_eq!(layout.is_of(&changed), byte == 0 || record::BASE_T.contains(&at) || is_value(at));
            prop_assert!(RecordLayout::of(&bytes[..bytes.len() - 1]).is_none());
        }
    }
}
