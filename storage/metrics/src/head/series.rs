//! One series of the head: its open chunk, its full chunks, and which sample comes next.
//!
//! Chunks are cut as Prometheus cuts them: towards 120 samples, spread evenly to the end of a block's range, never
//! across it. Source: format section 3.6.

use model::append::AppendError;
use model::sample::is_stale;
use model::{HistogramValue, SampleValue};
use storage_base::index::pair_lists::PairList;

use super::open_chunk::{
    BoxedChunk, BoxedOpen, CutRule, FLOAT_CHUNK_BYTES_MAX, chunk_end, range_end, write_out,
};
use crate::blocks::chunk_samples;
use crate::blocks::chunk_segments::Chunk;
use crate::codec::chunk::{ChunkError, Encoding};
use crate::codec::xor2::Xor2Appender;
use crate::head::closed_chunks::{ClosedChunk, ClosedChunks};
use crate::head::head_chunks::HeadChunks;
use crate::head::isolation::{Commit, Versions};
use crate::head::open_floats::OpenFloats;
use crate::head::open_histogram::OpenHistogram;
use crate::head::out_of_order::OutOfOrder;
use crate::record::LogRef;

/// No sample is at this time: the end of a block is behind its last sample.
pub const END_OF_TIME: i64 = i64::MAX;

/// The chunk that takes the next in-order sample.
#[derive(Clone, Copy, Debug)]
pub enum Open<'s> {
    /// No sample since the head was opened, or since the last chunk was written out.
    None,
    /// Floats.
    Floats(&'s OpenFloats),
    /// Floats with start timestamps.
    Xor2(&'s Xor2Appender),
    /// Native histograms.
    Histograms(&'s OpenHistogram),
}

/// One series. Lives in a slot of the table, behind the slot's lock. There are a million of these: what is rare is in
/// boxes, and what an append needs lies together.
#[derive(Debug, Default)]
pub struct Series {
    /// The open chunk of floats, when it has samples.
    floats: OpenFloats,
    /// A float so long after the open chunk's first, in milliseconds, begins another chunk.
    next_cut: u32,
    /// The table's round of garbage collection in which the series was created; 0 for a vacant slot.
    pub(crate) generation: u32,
    /// Its number in write-ahead log and chunks_head.
    pub(crate) log_ref: LogRef,
    /// The newest commits.
    pub(crate) versions: Versions,
    /// Its labels, as the index numbers them.
    pub(crate) pairs: PairList,
    /// Whether its labels are in the write-ahead log.
    pub(crate) logged: bool,
    /// Whether an appender holds samples for it.
    pub(crate) pending: bool,
    /// Full chunks, ascending in time.
    pub(crate) closed: ClosedChunks,
    /// The open chunk of histograms, or of floats with start timestamps.
    boxed: Option<Box<BoxedOpen>>,
    /// Out-of-order samples.
    pub(crate) out_of_order: Option<Box<OutOfOrder>>,
}

/// What a series ends in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Whether the newest sample is a staleness mark.
    pub stale: bool,
    /// Buckets of the newest sample; `None` when it is no histogram.
    pub buckets: Option<usize>,
}

/// How a sample stands to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind all samples.
    Next,
    /// Equal to the newest sample: nothing to do.
    Same,
    /// Before the newest sample or the head's bound, within the out-of-order window.
    OutOfOrder,
}

/// What appends are measured against; the same for all samples of one appender.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In-order samples before this are refused.
    pub min_valid_t: i64,
    /// Newest time in the head.
    pub head_max_t: i64,
    /// How much older than that out-of-order samples may be; 0 refuses them.
    pub window: i64,
    /// Whether out-of-order samples are refused even within the window.
    pub refuse_late: bool,
}

impl Bounds {
    /// Where a sample that cannot be the next goes.
    pub(crate) fn place_out_of_order(&self, t: i64) -> Result<Place, AppendError> {
        if self.window > 0 {
            if t < self.head_max_t.saturating_sub(self.window) {
                return Err(AppendError::TooOld);
            }
            return if self.refuse_late { Err(AppendError::OutOfOrder) } else { Ok(Place::OutOfOrder) };
        }
        Err(if t < self.min_valid_t { AppendError::OutOfBounds } else { AppendError::OutOfOrder })
    }
}

impl Series {
    /// A series without samples.
    pub(crate) fn new(generation: u32, log_ref: LogRef, pairs: PairList) -> Self {
        Self { generation, log_ref, pairs, ..Self::default() }
    }

    /// Time of the newest in-order sample; `i64::MIN` without one.
    #[inline]
    pub fn last_t(&self) -> i64 {
        match self.open() {
            Open::Floats(chunk) => chunk.last_t(),
            Open::Xor2(chunk) => chunk.last_t(),
            Open::Histograms(chunk) => chunk.last_t(),
            Open::None => self.closed.last().map_or(i64::MIN, |chunk| chunk.max_t),
        }
    }

    /// The open chunk.
    #[inline]
    pub fn open(&self) -> Open<'_> {
        match self.boxed.as_ref().map(|open| &open.chunk) {
            _ if self.floats.count() > 0 => Open::Floats(&self.floats),
            Some(BoxedChunk::Histograms(chunk)) => Open::Histograms(chunk),
            Some(BoxedChunk::Xor2(chunk)) => Open::Xor2(chunk),
            None => Open::None,
        }
    }

    /// Loads the memory that the next float will need.
    #[inline]
    pub fn prefetch(&self, chunks: &HeadChunks) {
        self.floats.prefetch(&chunks.open);
    }

    /// First time in the open chunk; `i64::MAX` without one.
    pub fn open_min_t(&self) -> i64 {
        match &self.boxed {
            _ if self.floats.count() > 0 => self.floats.first_t(),
            Some(open) => open.min_t,
            None => i64::MAX,
        }
    }

    /// A copy of the open chunk, and how it is to be read.
    pub fn open_bytes(&self, chunks: &HeadChunks) -> Option<(Encoding, Vec<u8>)> {
        let mut bytes = Vec::new();
        self.put_open_bytes(chunks, &mut bytes).map(|encoding| (encoding, bytes))
    }

    /// As [`Series::open_bytes`], in place of what `out` has.
    pub fn put_open_bytes(&self, chunks: &HeadChunks, out: &mut Vec<u8>) -> Option<Encoding> {
        let mut put = |encoding, bytes: &[u8]| {
            out.clear();
            out.extend_from_slice(bytes);
            Some(encoding)
        };
        match self.open() {
            Open::None => None,
            Open::Xor2(chunk) => put(Encoding::Xor2, chunk.bytes()),
            Open::Histograms(chunk) => put(chunk.encoding(), chunk.bytes()),
            Open::Floats(chunk) => {
                chunk.put_bytes(&chunks.open, out);
                Some(Encoding::Xor)
            }
        }
    }

    /// Time of the oldest in-order sample of the chunks that do not end before `t`; `i64::MAX` without one.
    pub fn first_t_from(&self, t: i64) -> i64 {
        let closed = self.closed.iter().find(|chunk| chunk.max_t >= t).map(|chunk| chunk.min_t);
        let open = || if self.last_t() >= t { self.open_min_t() } else { i64::MAX };
        closed.unwrap_or_else(open)
    }

    /// Time of the oldest in-order sample; `i64::MAX` without one.
    pub fn first_t(&self) -> i64 {
        self.closed.first().map_or_else(|| self.open_min_t(), |chunk| chunk.min_t)
    }

    /// Chunks of the series, in order and out of order.
    pub fn chunks(&self) -> usize {
        let open = usize::from(!matches!(self.open(), Open::None));
        self.closed.len() + open + self.out_of_order.as_ref().map_or(0, |out_of_order| out_of_order.chunks())
    }

    /// Whether it holds no sample.
    pub fn is_empty(&self) -> bool {
        matches!(self.open(), Open::None) && self.closed.is_empty() && self.out_of_order.is_none()
    }

    /// What its newest in-order sample is.
    pub fn tail(&self) -> Tail {
        match self.open() {
            Open::Floats(chunk) => Tail { stale: is_stale(chunk.last_v()), buckets: None },
            Open::Xor2(chunk) => Tail { stale: is_stale(chunk.last_v()), buckets: None },
            Open::Histograms(chunk) => {
                Tail { stale: is_stale(chunk.last_sum()), buckets: Some(chunk.last_buckets()) }
            }
            Open::None => Tail::default(),
        }
    }

    /// Where a float sample belongs, or why it is refused.
    #[inline]
    pub fn place_float(
        &self,
        t: i64,
        v: f64,
        bounds: &Bounds,
        chunks: &HeadChunks,
    ) -> Result<Place, AppendError> {
        if t >= bounds.min_valid_t {
            let last_t = self.last_t();
            if t > last_t {
                return Ok(Place::Next);
            }
            if t == last_t {
                let same = match self.open() {
                    Open::Floats(chunk) => chunk.last_v().to_bits() == v.to_bits(),
                    Open::Xor2(chunk) => chunk.last_v().to_bits() == v.to_bits(),
                    Open::Histograms(_) => false,
                    Open::None => match self.last_closed(chunks) {
                        Some(SampleValue::Float(last)) => last.to_bits() == v.to_bits(),
                        last => last.is_none(),
                    },
                };
                return if same { Ok(Place::Same) } else { Err(AppendError::Duplicate) };
            }
        }
        bounds.place_out_of_order(t)
    }

    /// Where a histogram sample belongs, or why it is refused.
    pub fn place_histogram(
        &self,
        t: i64,
        v: &HistogramValue,
        bounds: &Bounds,
        chunks: &HeadChunks,
    ) -> Result<Place, AppendError> {
        if t >= bounds.min_valid_t {
            let last_t = self.last_t();
            if t > last_t {
                return Ok(Place::Next);
            }
            if t == last_t {
                let same = match self.open() {
                    Open::Floats(_) | Open::Xor2(_) => false,
                    Open::Histograms(chunk) => chunk.last_is(v),
                    Open::None => match (self.last_closed(chunks), v) {
                        (
                            Some(SampleValue::Histogram(HistogramValue::Integer(last))),
                            HistogramValue::Integer(v),
                        ) => last.equals(v),
                        (
                            Some(SampleValue::Histogram(HistogramValue::Float(last))),
                            HistogramValue::Float(v),
                        ) => last.equals(v),
                        (last, _) => last.is_none(),
                    },
                };
                return if same { Ok(Place::Same) } else { Err(AppendError::Duplicate) };
            }
        }
        bounds.place_out_of_order(t)
    }

    /// The last sample of the last full chunk, where the series was brought back without an open one. `None` when
    /// there is none or it cannot be read, which is for queries to report.
    #[cold]
    fn last_closed(&self, chunks: &HeadChunks) -> Option<SampleValue> {
        let (encoding, bytes) = chunks.read(self.closed.last()?.at).ok()?;
        Some(chunk_samples::samples(Chunk { encoding, data: &bytes }).ok()?.pop()?.value)
    }

    /// How the chunk is encoded that has the newest in-order sample.
    pub(crate) fn last_encoding(&self) -> Encoding {
        match self.open() {
            Open::Floats(_) => Encoding::Xor,
            Open::Xor2(_) => Encoding::Xor2,
            Open::Histograms(chunk) => chunk.encoding(),
            Open::None => self.closed.last().map_or(Encoding::None, |chunk| chunk.encoding),
        }
    }

    /// Adds a histogram sample behind all others; `start_t` 0 for unknown. Returns whether that made a chunk.
    pub fn push_histogram(
        &mut self,
        commit: Commit,
        t: i64,
        v: &HistogramValue,
        start_t: i64,
        rule: CutRule,
        chunks: &HeadChunks,
    ) -> Result<bool, AppendError> {
        self.versions.advance(commit, self.last_t());
        let refused = |e: ChunkError| AppendError::InvalidHistogram(e.to_string());
        if let Some(open) = &mut self.boxed
            && open.fits_histogram(t, v, rule)
            && let BoxedChunk::Histograms(chunk) = &mut open.chunk
        {
            let Some(full) = chunk.push(t, v, start_t).map_err(refused)? else { return Ok(false) };
            let closed = write_out(self.log_ref, open.min_t, &BoxedChunk::Histograms(full), chunks);
            self.closed.insert(closed);
            // As in Prometheus, where to cut a chunk that a sample's form began is not predicted again.
            (open.min_t, open.next_cut) = (t, range_end(t, rule.range));
            return Ok(true);
        }
        let previous = match self.open() {
            Open::Histograms(previous) => Some(previous),
            Open::Floats(_) | Open::Xor2(_) | Open::None => None,
        };
        let start_t = rule.encodings.histogram_start_t.then_some(start_t);
        let next = OpenHistogram::begin(previous, t, v, start_t).map_err(refused)?;
        self.close_open(chunks);
        self.boxed = Some(BoxedOpen::begin(BoxedChunk::Histograms(next), t, rule));
        Ok(true)
    }

    /// Adds a float sample behind all others; `start_t` 0 for unknown. Returns whether that made a chunk.
    #[inline]
    pub fn push_float(
        &mut self,
        commit: Commit,
        t: i64,
        v: f64,
        start_t: i64,
        rule: CutRule,
        chunks: &HeadChunks,
    ) -> Result<bool, AppendError> {
        self.versions.advance(commit, self.last_t());
        if !self.is_cut_at(t, rule) && self.floats.append(t, v, &chunks.open).is_ok() {
            return Ok(false);
        }
        if let Some(open) = &mut self.boxed
            && open.fits_xor2(t, rule)
            && let BoxedChunk::Xor2(chunk) = &mut open.chunk
        {
            return chunk.append(t, v, start_t).map(|()| false).map_err(|_| AppendError::OutOfOrder);
        }
        self.close_open(chunks);
        if rule.encodings.xor2 {
            let mut chunk = Xor2Appender::new();
            chunk.append(t, v, start_t).map_err(|_| AppendError::OutOfOrder)?;
            self.boxed = Some(BoxedOpen::begin(BoxedChunk::Xor2(chunk), t, rule));
        } else {
            self.floats = OpenFloats::begin(t, v);
            self.next_cut = saturated(range_end(t, rule.range).saturating_sub(t));
        }
        Ok(true)
    }

    /// Adds floats without start timestamps behind all others, ascending in time. Returns how many chunks that made.
    pub fn push_floats(
        &mut self,
        commit: Commit,
        times: &[i64],
        values: &[u64],
        rule: CutRule,
        chunks: &HeadChunks,
    ) -> u64 {
        self.versions.advance(commit, self.last_t());
        let (mut times, mut values, mut made) = (times, values, 0);
        loop {
            let taken = self.push_run(times, values, rule, chunks);
            (times, values) = (&times[taken..], &values[taken..]);
            let (Some((t, later)), Some((bits, behind))) = (times.split_first(), values.split_first()) else {
                return made;
            };
            // What a run ends at needs a closer look.
            made +=
                u64::from(self.push_float(commit, *t, f64::from_bits(*bits), 0, rule, chunks) == Ok(true));
            (times, values) = (later, behind);
        }
    }

    /// Adds floats to the open chunk as long as that is not cut. Returns how many.
    #[inline]
    fn push_run(&mut self, times: &[i64], values: &[u64], rule: CutRule, chunks: &HeadChunks) -> usize {
        let (chunk, predicted) = (&mut self.floats, rule.samples / 4);
        if chunk.count() == 0 || chunk.count() == predicted {
            return 0;
        }
        let end = if chunk.count() < predicted { predicted } else { rule.samples.saturating_mul(2) };
        let most = times.len().min(usize::from(end.saturating_sub(chunk.count())));
        let until = chunk.first_t().saturating_add(i64::from(self.next_cut));
        chunk.append_run(&times[..most], &values[..most], until, FLOAT_CHUNK_BYTES_MAX, &chunks.open)
    }

    /// Whether a float begins another chunk.
    #[inline]
    fn is_cut_at(&mut self, t: i64, rule: CutRule) -> bool {
        let chunk = &self.floats;
        if chunk.count() == 0 {
            return true;
        }
        let first_t = chunk.first_t();
        if chunk.count() == rule.samples / 4 {
            let end = first_t.saturating_add(i64::from(self.next_cut));
            self.next_cut = saturated(chunk_end(first_t, chunk.last_t(), end, 4.0) - first_t);
        }
        t.saturating_sub(first_t) >= i64::from(self.next_cut)
            || chunk.count() >= rule.samples.saturating_mul(2)
            || chunk.byte_len() > FLOAT_CHUNK_BYTES_MAX
    }

    /// Takes a full chunk that was found on disk, in its place among the others; returns false when it overlaps one.
    /// A series that had several numbers in the log gets them out of order.
    pub(crate) fn insert_closed(&mut self, chunk: ClosedChunk, chunks: &HeadChunks) -> bool {
        if chunk.min_t > self.last_t() {
            self.close_open(chunks);
            return self.closed.insert(chunk);
        }
        chunk.max_t < self.open_min_t() && self.closed.insert(chunk)
    }

    /// Drops chunks that end before `min_t`, and out-of-order ones below a place.
    pub(crate) fn truncate(&mut self, min_t: i64, out_of_order_below: u64, chunks: &HeadChunks) {
        self.closed.truncate(min_t);
        if self.last_t() < min_t {
            self.drop_open(chunks);
        }
        if let Some(out_of_order) = &mut self.out_of_order {
            out_of_order.closed.retain(|out_of_order| out_of_order.chunk.at >= out_of_order_below);
            if out_of_order.chunks() == 0 {
                self.out_of_order = None;
            }
        }
    }

    /// Forgets all samples.
    pub(crate) fn clear(&mut self, chunks: &HeadChunks) {
        self.drop_open(chunks);
        self.closed = ClosedChunks::default();
        self.out_of_order = None;
        self.versions = Versions::default();
    }

    fn drop_open(&mut self, chunks: &HeadChunks) {
        self.floats.release(&chunks.open);
        self.boxed = None;
    }

    /// Writes the open chunk out.
    pub(crate) fn close_open(&mut self, chunks: &HeadChunks) {
        if let Some(open) = self.boxed.take() {
            self.closed.insert(write_out(self.log_ref, open.min_t, &open.chunk, chunks));
        }
        if self.floats.count() > 0 {
            let (min_t, max_t) = (self.floats.first_t(), self.floats.last_t());
            let bytes = self.floats.to_bytes(&chunks.open);
            let at = chunks.write(self.log_ref, min_t, max_t, Encoding::Xor, false, &bytes);
            let samples = self.floats.count();
            self.closed.insert(ClosedChunk { at, min_t, max_t, encoding: Encoding::Xor, samples });
            self.floats.release(&chunks.open);
        }
    }
}

/// A distance in time. 49 days are as good as for ever: a chunk does not span more.
fn saturated(distance: i64) -> u32 {
    u32::try_from(distance.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use model::histogram::{FloatHistogram, Histogram};

    use super::*;

    #[test]
    fn a_series_is_small() {
        assert!(size_of::<Series>() <= 120, "{}", size_of::<Series>());
    }

    #[test]
    fn the_last_value_is_known_without_an_open_chunk() {
        const RULE: CutRule = CutRule::new(7_200_000, 120);
        let commit = Commit { id: 1, oldest_view: 0 };
        let bounds = Bounds { min_valid_t: 0, head_max_t: 3, window: 0, refuse_late: false };
        let disk = std::sync::Arc::new(storage_base::fs::SimDisk::new(0));
        let (chunks, _) = HeadChunks::open(disk, |_| {}).unwrap();
        let integer = |sum| HistogramValue::Integer(Histogram { sum, ..Histogram::default() }.into());
        let float = |sum| HistogramValue::Float(FloatHistogram { sum, ..FloatHistogram::default() }.into());

        let mut series = Series::default();
        for t in 1..=3 {
            series.push_float(commit, t, f64::from(t as i32), 0, RULE, &chunks).unwrap();
        }
        series.close_open(&chunks);
        let place = |series: &Series, v| series.place_float(3, v, &bounds, &chunks);
        let place_histogram = |series: &Series, v| series.place_histogram(3, &v, &bounds, &chunks);
        assert_eq!(place(&series, 3.0), Ok(Place::Same));
        assert_eq!(place(&series, 2.0), Err(AppendError::Duplicate));
        assert_eq!(place_histogram(&series, integer(3.0)), Err(AppendError::Duplicate));
        assert_eq!(series.last_encoding(), Encoding::Xor);

        for encoding in [Encoding::Histogram, Encoding::FloatHistogram] {
            let is_float = encoding == Encoding::FloatHistogram;
            let of = |sum| if is_float { float(sum) } else { integer(sum) };
            let other = |sum| if is_float { integer(sum) } else { float(sum) };
            let mut series = Series::default();
            for t in 1..=3 {
                series.push_histogram(commit, t, &of(f64::from(t as i32)), 0, RULE, &chunks).unwrap();
            }
            series.close_open(&chunks);
            assert_eq!(place_histogram(&series, of(3.0)), Ok(Place::Same));
            assert_eq!(place_histogram(&series, of(2.0)), Err(AppendError::Duplicate));
            assert_eq!(place_histogram(&series, other(3.0)), Err(AppendError::Duplicate));
            assert_eq!(place(&series, 3.0), Err(AppendError::Duplicate));
            assert_eq!(series.last_encoding(), encoding);
        }
    }

    #[test]
    fn where_a_chunk_that_a_counter_reset_began_ends_is_not_predicted_again() {
        use model::histogram::Span;

        const RULE: CutRule = CutRule::new(7_200_000, 120);
        let commit = Commit { id: 1, oldest_view: 0 };
        let disk = std::sync::Arc::new(storage_base::fs::SimDisk::new(0));
        let (chunks, _) = HeadChunks::open(disk, |_| {}).unwrap();
        let counts = |n: i64| {
            let buckets: Vec<f64> = (1..=8).map(|bucket| (n * bucket) as f64 * 1.25).collect();
            let h = FloatHistogram {
                count: buckets.iter().sum(),
                sum: n as f64 / 3.0,
                positive_spans: vec![Span { offset: 0, length: 8 }],
                positive_buckets: buckets,
                ..FloatHistogram::default()
            };
            HistogramValue::Float(h.into())
        };
        let (mut series, mut longest) = (Series::default(), [0, 0]);
        for n in 1..=300 {
            // It counts anew in the middle, when the first chunk's end has been predicted.
            let (life, counted) = if n <= 100 { (0, n) } else { (1, n - 100) };
            series.push_histogram(commit, n * 15_000, &counts(counted), 0, RULE, &chunks).unwrap();
            let Open::Histograms(chunk) = series.open() else { panic!("no histogram") };
            longest[life] = longest[life].max(chunk.bytes().len());
        }
        // About 1024 bytes are aimed at; what is not predicted ends at twice that.
        assert!(longest[0] < 1500 && longest[1] >= 2048, "{longest:?}");
    }

    #[test]
    fn chunks_end_where_a_range_ends() {
        const HOUR: i64 = 3_600_000;
        // A sample each 15 s: 480 in two hours, four chunks of the same length.
        assert_eq!(chunk_end(0, 29 * 15_000, 2 * HOUR, 4.0), HOUR / 2);
        // Slower than 120 in two hours: one chunk.
        assert_eq!(chunk_end(0, 29 * 120_000, 2 * HOUR, 4.0), 2 * HOUR);
        assert_eq!((range_end(-1, HOUR), range_end(0, HOUR), range_end(HOUR, HOUR)), (0, HOUR, 2 * HOUR));
    }
}
