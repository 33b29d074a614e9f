//! The record kinds of the metrics store: the first byte of a record names its kind.
//! Source: Prometheus `tsdb/record/record.go`.

pub mod checkpoint;
mod histograms;
mod samples;
mod series;

use std::sync::Arc;

use model::Labels;
use model::histogram::{FloatHistogram, Histogram};
use model::metadata::Metadata;

pub use histograms::{HistogramBody, put_float_histograms, put_histograms};
pub use samples::{put_exemplars, put_exemplars_body, put_samples, read_exemplars_body};
pub use series::{
    put_metadata, put_mmap_markers, put_out_of_order_covered, put_out_of_order_follows, put_series,
    put_tombstones, read_labels,
};

use storage_base::bytes::reader::{ByteReader, Truncated};
use storage_base::bytes::varint::put_varint;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const MMAP_MARKERS: u8 = 5;
const METADATA: u8 = 6;
const HISTOGRAMS: u8 = 7;
const FLOAT_HISTOGRAMS: u8 = 8;
const CUSTOM_HISTOGRAMS: u8 = 9;
const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;
const SAMPLES_V2: u8 = 11;
const HISTOGRAMS_V2: u8 = 12;
const FLOAT_HISTOGRAMS_V2: u8 = 13;
/// Ours, in the out-of-order log only: u64 place. Prometheus passes over kinds that it does not know.
const OUT_OF_ORDER_COVERED: u8 = 200;
/// Ours, in the write-ahead log: u8 number of records. Passed over as well.
const OUT_OF_ORDER_FOLLOWS: u8 = 201;
/// Records of out-of-order samples of one commit: one of floats and two of each kind of histogram.
const OUT_OF_ORDER_RECORDS_MAX: u8 = 5;

/// The number by which records and head chunk files name a series. It stays the same for as long as the log has any of
/// them, over restarts; what appenders are given is [`SeriesRef`](model::append::SeriesRef), which means the series in
/// one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogRef(pub u64);

/// A series and the number by which later records name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefSeries {
    /// The number.
    pub series: LogRef,
    /// The labels.
    pub labels: Labels,
}

/// A float sample.
#[derive(Clone, Copy, Debug)]
pub struct RefSample {
    /// Its series.
    pub series: LogRef,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Start timestamp; 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub v: f64,
}

/// A histogram sample of one form.
#[derive(Clone, Debug)]
pub struct RefHistogramOf<H> {
    /// Its series.
    pub series: LogRef,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Start timestamp; 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub v: Arc<H>,
}

/// A histogram sample with integer counts.
pub type RefHistogram = RefHistogramOf<Histogram>;
/// A histogram sample with float counts.
pub type RefFloatHistogram = RefHistogramOf<FloatHistogram>;

/// Samples of a series that were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefTombstone {
    /// The series.
    pub series: LogRef,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
}

/// An exemplar.
#[derive(Clone, Debug)]
pub struct RefExemplar {
    /// Its series.
    pub series: LogRef,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
    /// Its own labels.
    pub labels: Labels,
}

/// Says that a series' out-of-order samples logged before it now lie in a head chunk on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefMmapMarker {
    /// The series.
    pub series: LogRef,
    /// The head chunk: file number << 32 | offset.
    pub chunk: u64,
}

/// Metadata of a series' metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMetadata {
    /// The series.
    pub series: LogRef,
    /// The metadata.
    pub metadata: Metadata,
}

/// One decoded record.
#[derive(Clone, Debug)]
pub enum Record {
    /// New series.
    Series(Vec<RefSeries>),
    /// Float samples.
    Samples(Vec<RefSample>),
    /// Deleted samples.
    Tombstones(Vec<RefTombstone>),
    /// Exemplars.
    Exemplars(Vec<RefExemplar>),
    /// Out-of-order samples that lie in head chunks.
    MmapMarkers(Vec<RefMmapMarker>),
    /// Metadata.
    Metadata(Vec<RefMetadata>),
    /// Integer histogram samples.
    Histograms(Vec<RefHistogram>),
    /// Float histogram samples.
    FloatHistograms(Vec<RefFloatHistogram>),
    /// OutOfOrder head chunks below a place lie in blocks as well.
    OutOfOrderCovered(u64),
    /// As many records as this that follow hold out-of-order samples, which are in the out-of-order log too.
    OutOfOrderFollows(u8),
    /// A kind that this version does not know, to be passed over.
    Unknown(u8),
}

impl Record {
    /// The kind as Prometheus's metrics name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Series(_) => "series",
            Self::Samples(_) => "samples",
            Self::Tombstones(_) => "tombstones",
            Self::Exemplars(_) => "exemplars",
            Self::MmapMarkers(_) => "mmapmarkers",
            Self::Metadata(_) => "metadata",
            Self::Histograms(_) | Self::FloatHistograms(_) => "histograms",
            Self::OutOfOrderCovered(_) => "outofordercovered",
            Self::OutOfOrderFollows(_) => "outoforderfollows",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// A record whose checksum is right and whose content is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends early, or a length in it is out of bounds.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// More records of out-of-order samples are announced than one commit writes.
    #[error("{0} records of out-of-order samples are announced")]
    OutOfOrderFollows(u8),
    /// A histogram makes no sense.
    #[error("invalid histogram: {0}")]
    Histogram(String),
}

/// Decodes records one after the other.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Histograms passed over because their schema is unknown.
    pub skipped_histograms: u64,
}

impl Decoder {
    /// Decodes a record.
    pub fn decode(&mut self, record: &[u8]) -> Result<Record, RecordError> {
        let Some((&kind, body)) = record.split_first() else { return Ok(Record::Unknown(0)) };
        let mut r = ByteReader::new(body);
        Ok(match kind {
            SERIES => Record::Series(series::read_series(&mut r)?),
            SAMPLES => Record::Samples(samples::read_samples(&mut r)?),
            SAMPLES_V2 => Record::Samples(samples::read_samples_v2(&mut r)?),
            TOMBSTONES => Record::Tombstones(series::read_tombstones(&mut r)?),
            EXEMPLARS => Record::Exemplars(read_exemplars_body(&mut r)?),
            MMAP_MARKERS => Record::MmapMarkers(series::read_mmap_markers(&mut r)?),
            METADATA => Record::Metadata(series::read_metadata(&mut r)?),
            HISTOGRAMS | CUSTOM_HISTOGRAMS => {
                Record::Histograms(histograms::read(&mut r, &mut self.skipped_histograms)?)
            }
            HISTOGRAMS_V2 => Record::Histograms(histograms::read_v2(&mut r, &mut self.skipped_histograms)?),
            FLOAT_HISTOGRAMS | CUSTOM_FLOAT_HISTOGRAMS => {
                Record::FloatHistograms(histograms::read(&mut r, &mut self.skipped_histograms)?)
            }
            FLOAT_HISTOGRAMS_V2 => {
                Record::FloatHistograms(histograms::read_v2(&mut r, &mut self.skipped_histograms)?)
            }
            OUT_OF_ORDER_COVERED => Record::OutOfOrderCovered(r.u64()?),
            OUT_OF_ORDER_FOLLOWS => match r.u8()? {
                records @ ..=OUT_OF_ORDER_RECORDS_MAX => Record::OutOfOrderFollows(records),
                records => return Err(RecordError::OutOfOrderFollows(records)),
            },
            unknown => Record::Unknown(unknown),
        })
    }
}

/// Whether a record with this first byte introduces series.
pub fn is_series(kind: u8) -> bool {
    kind == SERIES
}

/// Whether a record with this first byte holds deletions.
pub fn is_tombstones(kind: u8) -> bool {
    kind == TOMBSTONES
}

/// Whether a record with this first byte holds float samples.
pub fn is_floats(kind: u8) -> bool {
    matches!(kind, SAMPLES | SAMPLES_V2)
}

/// Whether a record with this first byte holds samples of any kind.
pub fn is_samples(kind: u8) -> bool {
    is_floats(kind)
        || matches!(
            kind,
            HISTOGRAMS
                | FLOAT_HISTOGRAMS
                | CUSTOM_HISTOGRAMS
                | CUSTOM_FLOAT_HISTOGRAMS
                | HISTOGRAMS_V2
                | FLOAT_HISTOGRAMS_V2
        )
}

/// Goes through a record of float samples without gathering them. What `each` got before an error came from a record
/// that makes no sense.
#[inline]
pub fn each_float(record: &[u8], mut each: impl FnMut(RefSample)) -> Result<(), RecordError> {
    let Some((&kind, body)) = record.split_first() else { return Ok(()) };
    let mut r = ByteReader::new(body);
    if kind == SAMPLES_V2 {
        let mut v2 = V2::default();
        while !r.is_empty() {
            let (series, t, start_t) = v2.read(&mut r)?;
            each(RefSample { series, t, start_t, v: r.f64()? });
        }
        return Ok(());
    }
    if kind == SAMPLES && !r.is_empty() {
        let base = Base::read(&mut r)?;
        while !r.is_empty() {
            let (series, t) = base.read_deltas(&mut r)?;
            each(RefSample { series, t, start_t: 0, v: r.f64()? });
        }
    }
    Ok(())
}

/// Where the base time is in a record of float samples of the common form.
pub const BASE_T: std::ops::Range<usize> = 9..17;

/// Where a sample is in a record of float samples of the common form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatPlace {
    /// Its series.
    pub series: LogRef,
    /// Milliseconds behind the record's base time.
    pub dt: i64,
    /// Where its value begins, eight bytes, big-endian.
    pub value: usize,
}

/// The number that the others of a record of float samples are coded against; `None` for an empty record and for one of
/// another form.
pub fn base_series(record: &[u8]) -> Option<[u8; 8]> {
    let (&kind, body) = record.split_first()?;
    body.first_chunk().copied().filter(|_| kind == SAMPLES)
}

/// The base time of a record of float samples of the common form.
pub fn base_t(record: &[u8]) -> Option<i64> {
    record.get(BASE_T)?.first_chunk().map(|t| i64::from_be_bytes(*t))
}

/// Says where the samples are in a record of the common form.
pub fn each_float_place(record: &[u8], mut each: impl FnMut(FloatPlace)) -> Result<(), RecordError> {
    let Some((&SAMPLES, body)) = record.split_first() else { return Ok(()) };
    let mut r = ByteReader::new(body);
    let base = Base { t: 0, ..Base::read(&mut r)? };
    while !r.is_empty() {
        let (series, dt) = base.read_deltas(&mut r)?;
        let value = record.len() - r.len();
        r.f64()?;
        each(FloatPlace { series, dt, value });
    }
    Ok(())
}

/// The numbers that a record of series gives, without the labels.
pub fn each_series_number(record: &[u8], mut each: impl FnMut(LogRef)) -> Result<(), RecordError> {
    let Some((&SERIES, body)) = record.split_first() else { return Ok(()) };
    let mut r = ByteReader::new(body);
    while !r.is_empty() {
        let number = LogRef(r.u64()?);
        for _ in 0..2 * r.count(2)? {
            r.length_prefixed()?;
        }
        each(number);
    }
    Ok(())
}

/// Whether a record is of a kind whose samples carry start timestamps.
pub fn has_start_t(record: &[u8]) -> bool {
    matches!(record.first(), Some(&(SAMPLES_V2 | HISTOGRAMS_V2 | FLOAT_HISTOGRAMS_V2)))
}

/// What samples are coded against: the record's first series and timestamp.
#[derive(Clone, Copy)]
struct Base {
    series: u64,
    t: i64,
}

impl Base {
    fn put(out: &mut Vec<u8>, series: LogRef, t: i64) -> Self {
        out.extend_from_slice(&series.0.to_be_bytes());
        out.extend_from_slice(&t.to_be_bytes());
        Self { series: series.0, t }
    }

    fn read(r: &mut ByteReader<'_>) -> Result<Self, Truncated> {
        Ok(Self { series: r.u64()?, t: r.i64()? })
    }

    fn put_deltas(self, out: &mut Vec<u8>, series: LogRef, t: i64) {
        put_varint(out, series.0.wrapping_sub(self.series) as i64);
        put_varint(out, t.wrapping_sub(self.t));
    }

    #[inline(always)]
    fn read_deltas(self, r: &mut ByteReader<'_>) -> Result<(LogRef, i64), Truncated> {
        let series = self.series.wrapping_add(r.varint()? as u64);
        Ok((LogRef(series), self.t.wrapping_add(r.varint()?)))
    }
}

/// Codes series, timestamp and start timestamp of the samples of records 11 to 13.
#[derive(Default)]
struct V2 {
    begun: bool,
    first_t: i64,
    first_start_t: i64,
    series: u64,
    start_t: i64,
}

const START_T_NONE: u8 = 0;
const START_T_SAME: u8 = 1;
const START_T_DELTA: u8 = 2;

impl V2 {
    fn put(&mut self, out: &mut Vec<u8>, series: LogRef, t: i64, start_t: i64) {
        put_varint(out, series.0.wrapping_sub(self.series) as i64);
        put_varint(out, t.wrapping_sub(self.first_t));
        if !self.begun {
            *self = Self { begun: true, first_t: t, first_start_t: start_t, series: series.0, start_t };
            return put_varint(out, start_t);
        }
        match start_t {
            0 => out.push(START_T_NONE),
            _ if start_t == self.start_t => out.push(START_T_SAME),
            _ => {
                out.push(START_T_DELTA);
                put_varint(out, start_t.wrapping_sub(self.first_start_t));
            }
        }
        self.series = series.0;
        self.start_t = start_t;
    }

    /// Series, timestamp, start timestamp.
    fn read(&mut self, r: &mut ByteReader<'_>) -> Result<(LogRef, i64, i64), Truncated> {
        let series = self.series.wrapping_add(r.varint()? as u64);
        let t = self.first_t.wrapping_add(r.varint()?);
        if self.begun {
            self.start_t = match r.u8()? {
                START_T_NONE => 0,
                START_T_SAME => self.start_t,
                _ => self.first_start_t.wrapping_add(r.varint()?),
            };
            self.series = series;
        } else {
            let start_t = r.varint()?;
            *self = Self { begun: true, first_t: t, first_start_t: start_t, series, start_t };
        }
        Ok((LogRef(series), t, self.start_t))
    }
}

#[cfg(test)]
mod tests;
