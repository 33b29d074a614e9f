//! Samples of many records of the log, gathered to be stored series by series: each series is then touched once for
//! many samples, and several threads share the work.

use model::sample::is_stale;
use model::{HistogramValue, SampleValue};
use rayon::prelude::*;

use crate::head::Head;
use crate::head::commit::{stale_mark, widen};
use crate::head::isolation::Commit;
use crate::head::open_chunk::CutRule;
use crate::head::series::{Series, Tail};
use crate::head::table::Pages;

/// Samples gathered before they are stored; one record may exceed it.
const SAMPLES_MAX: usize = 1 << 20;
/// A histogram weighs as much as this number of floats, and one more for each bucket.
const HISTOGRAM_WEIGHT: usize = 16;
/// Slots of a group. What a core sorts at once, and the places it sorts to, stay in its cache.
const GROUP: usize = 2048;
/// In the place of a time: the sample is among the others.
const OTHER: i32 = i32::MIN;

/// A sample.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    slot: u32,
    /// Milliseconds behind the base.
    dt: i32,
    /// Of the value; or the place among the others.
    bits: u64,
}

/// Samples of the log.
#[derive(Debug, Default)]
pub struct SamplesBySeries {
    base_t: i64,
    /// By groups of slots, and within one in the order of the log.
    groups: Vec<Vec<Entry>>,
    /// Samples in all groups.
    len: usize,
    /// Histograms, and floats of a time that is far from the base or with a start timestamp.
    others: Vec<UnpackedSample>,
    /// What the others weigh beyond their number.
    weight: usize,
    /// Up to which time each slot has what the log has, where that is known.
    until: Vec<i64>,
}

/// A sample that an entry has no room for.
#[derive(Debug)]
struct UnpackedSample {
    t: i64,
    start_t: i64,
    value: SampleValue,
}

/// The value of a sample that was gathered.
enum GatheredSample<'g> {
    Float(f64),
    Histogram(&'g HistogramValue),
}

/// What storing did that others must know.
#[derive(Default)]
pub(crate) struct Tally {
    /// Chunks that were begun.
    pub(crate) chunks: u64,
    /// First and last time stored.
    pub(crate) span: Option<(i64, i64)>,
}

impl SamplesBySeries {
    /// Samples of a slot up to a time need not be gathered: they would not be stored.
    pub fn skip_until(&mut self, slot: u32, until: i64) {
        let slot = slot as usize;
        if slot >= self.until.len() {
            self.until.resize((slot + 1).next_power_of_two(), i64::MIN);
        }
        self.until[slot] = until;
    }

    /// Adds a float.
    #[inline(always)]
    pub fn push_float(&mut self, slot: u32, t: i64, v: f64) {
        if t <= self.passed_over(slot) {
            return;
        }
        if self.len == 0 {
            self.base_t = t;
        }
        match t.checked_sub(self.base_t).and_then(|dt| i32::try_from(dt).ok()) {
            Some(dt) if dt != OTHER => self.push(Entry { slot, dt, bits: v.to_bits() }),
            _ => self.push_other(slot, UnpackedSample { t, start_t: 0, value: SampleValue::Float(v) }),
        }
    }

    /// Adds a float with its start timestamp, 0 for unknown.
    #[inline(always)]
    pub fn push_with_start_t(&mut self, slot: u32, t: i64, start_t: i64, v: f64) {
        match start_t {
            0 => self.push_float(slot, t, v),
            _ => self.push_other(slot, UnpackedSample { t, start_t, value: SampleValue::Float(v) }),
        }
    }

    /// Adds a histogram; `start_t` 0 for unknown.
    pub fn push_histogram(&mut self, slot: u32, t: i64, start_t: i64, v: HistogramValue) {
        self.weight += HISTOGRAM_WEIGHT + v.bucket_count();
        self.push_other(slot, UnpackedSample { t, start_t, value: SampleValue::Histogram(v) });
    }

    #[cold]
    fn push_other(&mut self, slot: u32, other: UnpackedSample) {
        self.push(Entry { slot, dt: OTHER, bits: self.others.len() as u64 });
        self.others.push(other);
    }

    #[inline(always)]
    fn push(&mut self, entry: Entry) {
        let group = entry.slot as usize / GROUP;
        if group >= self.groups.len() {
            self.groups.resize_with(group + 1, Vec::new);
        }
        self.groups[group].push(entry);
        self.len += 1;
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it should be stored before another record of `more` samples is added.
    pub fn is_full(&self, more: usize) -> bool {
        self.len > 0 && self.len + self.weight + more > SAMPLES_MAX
    }

    /// Up to which time a slot's samples need not be gathered; `i64::MIN` where that is not known.
    #[inline]
    pub fn passed_over(&self, slot: u32) -> i64 {
        self.until.get(slot as usize).copied().unwrap_or(i64::MIN)
    }

    /// Stores everything that is newer than its series, and forgets it.
    pub(crate) fn store(&mut self, head: &Head, pages: &Pages, commit: Commit) -> Tally {
        let rule = head.cut_rule();
        let store_group = |sorted: &mut Vec<Entry>, group: &Vec<Entry>| {
            let mut tally = Tally::default();
            sort(group, sorted);
            for run in sorted.chunk_by(|a, b| a.slot == b.slot) {
                if let Some(mut series) = pages.slot(run[0].slot).map(|cell| cell.lock()) {
                    self.store_run(head, rule, &mut series, run, commit, &mut tally);
                }
            }
            tally
        };
        let tally = match &self.groups[..] {
            [one] => store_group(&mut Vec::new(), one),
            groups => {
                let tallies = groups.par_iter().with_max_len(1).map_init(Vec::new, store_group);
                tallies.reduce(Tally::default, Tally::with)
            }
        };
        // Room for an even spread is kept; what one batch had in one group another may have in the next.
        let room = 4 * SAMPLES_MAX / self.groups.len().max(4);
        for group in &mut self.groups {
            group.clear();
            group.shrink_to(room);
        }
        self.len = 0;
        self.others.clear();
        self.weight = 0;
        tally
    }

    /// Time, start timestamp, value.
    #[inline]
    fn sample(&self, entry: &Entry) -> (i64, i64, GatheredSample<'_>) {
        if entry.dt != OTHER {
            return (self.base_t + i64::from(entry.dt), 0, GatheredSample::Float(f64::from_bits(entry.bits)));
        }
        let UnpackedSample { t, start_t, value } = &self.others[entry.bits as usize];
        match value {
            SampleValue::Float(v) => (*t, *start_t, GatheredSample::Float(*v)),
            SampleValue::Histogram(v) => (*t, *start_t, GatheredSample::Histogram(v)),
        }
    }

    fn store_run(
        &self,
        head: &Head,
        rule: CutRule,
        series: &mut Series,
        run: &[Entry],
        commit: Commit,
        tally: &mut Tally,
    ) {
        // A vacant slot.
        if series.generation == 0 {
            return;
        }
        let before: Tail = series.tail();
        for entry in run {
            let (t, start_t, sample) = self.sample(entry);
            if t <= series.last_t() {
                continue;
            }
            let made = match sample {
                GatheredSample::Float(v) => push_float(head, rule, series, commit, (t, start_t), v),
                GatheredSample::Histogram(v) => {
                    series.push_histogram(commit, t, v, start_t, rule, &head.chunks).ok()
                }
            };
            tally.note(made, t);
        }
        head.figures.tail_changed(before, series.tail());
    }
}

/// Stores a float behind all of its series; one that marks it stale, as the histogram that stands for it. Returns
/// whether that made a chunk; `None` when it was refused.
pub(crate) fn push_float(
    head: &Head,
    rule: CutRule,
    series: &mut Series,
    commit: Commit,
    (t, start_t): (i64, i64),
    v: f64,
) -> Option<bool> {
    match is_stale(v).then(|| stale_mark(series, v)).flatten() {
        None => series.push_float(commit, t, v, start_t, rule, &head.chunks).ok(),
        Some(mark) => series.push_histogram(commit, t, &mark, start_t, rule, &head.chunks).ok(),
    }
}

impl Tally {
    /// Notes a sample that was stored, with or without a new chunk, or not.
    pub(crate) fn note(&mut self, made: Option<bool>, t: i64) {
        if let Some(made) = made {
            self.chunks += u64::from(made);
            widen(&mut self.span, t);
        }
    }

    /// Both together.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.chunks += other.chunks;
        if let Some((first, last)) = other.span {
            widen(&mut self.span, first);
            widen(&mut self.span, last);
        }
        self
    }
}

/// Orders a group's samples by slot, and leaves those of one as they are.
fn sort(group: &[Entry], sorted: &mut Vec<Entry>) {
    sorted.clear();
    if group.len() < GROUP / 8 {
        sorted.extend_from_slice(group);
        sorted.sort_by_key(|entry| entry.slot);
        return;
    }
    // Where the next sample of each slot goes.
    let mut places = [0u32; GROUP];
    for entry in group {
        places[entry.slot as usize % GROUP] += 1;
    }
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    sorted.resize(group.len(), Entry::default());
    for entry in group {
        let place = &mut places[entry.slot as usize % GROUP];
        sorted[*place as usize] = *entry;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorting_keeps_the_order_within_a_slot(
            slots in prop::collection::vec(prop_oneof![0u32..5, 0u32..3000, Just(2_000_000)], 0..4000),
        ) {
            let mut gathered = SamplesBySeries::default();
            for (n, slot) in slots.iter().enumerate() {
                gathered.push_float(*slot, n as i64, 0.0);
            }
            let mut want: Vec<_> = slots.iter().copied().zip(0i32..).collect();
            want.sort();
            let (mut sorted, mut got) = (Vec::new(), Vec::new());
            for group in &gathered.groups {
                sort(group, &mut sorted);
                got.extend(sorted.iter().map(|entry| (entry.slot, entry.dt)));
            }
            prop_assert_eq!(got, want);
        }
    }
}
