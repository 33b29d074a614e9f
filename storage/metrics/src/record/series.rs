//! Records 1, 3, 5 and 6: series and what is said about whole series.

use model::Labels;
use model::metadata::{Metadata, MetricType};
use storage_base::bytes::reader::ByteReader;
use storage_base::bytes::varint::{put_uvarint, put_varint};

use super::{
    LogRef, METADATA, MMAP_MARKERS, OUT_OF_ORDER_COVERED, OUT_OF_ORDER_FOLLOWS, RecordError, RefMetadata,
    RefMmapMarker, RefSeries, RefTombstone, SERIES, TOMBSTONES,
};

const UNIT: &str = "UNIT";
const HELP: &str = "HELP";

/// Metric types in the order of their numbers.
const METRIC_TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

/// Appends a record of new series. Nothing when there are none.
pub fn put_series(out: &mut Vec<u8>, series: &[RefSeries]) {
    if series.is_empty() {
        return;
    }
    out.push(SERIES);
    for s in series {
        out.extend_from_slice(&s.series.0.to_be_bytes());
        put_labels(out, &s.labels);
    }
}

pub(super) fn read_series(r: &mut ByteReader<'_>) -> Result<Vec<RefSeries>, RecordError> {
    let mut series = Vec::new();
    let (mut pairs, mut buffer) = (Vec::new(), String::new());
    while !r.is_empty() {
        let number = LogRef(r.u64()?);
        series.push(RefSeries { series: number, labels: read_labels_in(r, &mut pairs, &mut buffer)? });
    }
    Ok(series)
}

pub(super) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
}

/// Reads labels: their number, and for each name and value. Whatever the order, a proper set comes out.
pub fn read_labels(r: &mut ByteReader<'_>) -> Result<Labels, RecordError> {
    read_labels_in(r, &mut Vec::new(), &mut String::new())
}

/// As [`read_labels`]; for many sets in a row, which are put together in the same memory.
fn read_labels_in<'r>(
    r: &mut ByteReader<'r>,
    pairs: &mut Vec<(&'r str, &'r str)>,
    buffer: &mut String,
) -> Result<Labels, RecordError> {
    let count = r.count(2)?;
    pairs.clear();
    pairs.reserve(count);
    for _ in 0..count {
        pairs.push((read_text(r)?, read_text(r)?));
    }
    let proper =
        pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, value)| !value.is_empty());
    Ok(match proper {
        true => Labels::from_sorted_in(buffer, pairs.iter().copied()),
        false => Labels::from_pairs(pairs.iter().copied()),
    })
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(r: &mut ByteReader<'a>) -> Result<&'a str, RecordError> {
    std::str::from_utf8(r.length_prefixed()?).map_err(|_| RecordError::NotUtf8)
}

/// Appends a record of deletions. Nothing when there are none.
pub fn put_tombstones(out: &mut Vec<u8>, tombstones: &[RefTombstone]) {
    if tombstones.is_empty() {
        return;
    }
    out.push(TOMBSTONES);
    for tombstone in tombstones {
        out.extend_from_slice(&tombstone.series.0.to_be_bytes());
        put_varint(out, tombstone.min_t);
        put_varint(out, tombstone.max_t);
    }
}

pub(super) fn read_tombstones(r: &mut ByteReader<'_>) -> Result<Vec<RefTombstone>, RecordError> {
    let mut tombstones = Vec::with_capacity(r.len() / 10);
    while !r.is_empty() {
        tombstones.push(RefTombstone { series: LogRef(r.u64()?), min_t: r.varint()?, max_t: r.varint()? });
    }
    Ok(tombstones)
}

/// Appends a record of marks in the out-of-order log. Nothing when there are none.
pub fn put_mmap_markers(out: &mut Vec<u8>, markers: &[RefMmapMarker]) {
    if markers.is_empty() {
        return;
    }
    out.push(MMAP_MARKERS);
    for marker in markers {
        out.extend_from_slice(&marker.series.0.to_be_bytes());
        out.extend_from_slice(&marker.chunk.to_be_bytes());
    }
}

pub(super) fn read_mmap_markers(r: &mut ByteReader<'_>) -> Result<Vec<RefMmapMarker>, RecordError> {
    let mut markers = Vec::with_capacity(r.len() / 16);
    while !r.is_empty() {
        markers.push(RefMmapMarker { series: LogRef(r.u64()?), chunk: r.u64()? });
    }
    Ok(markers)
}

/// Appends a record that says that out-of-order head chunks below a place lie in blocks as well.
pub fn put_out_of_order_covered(out: &mut Vec<u8>, place: u64) {
    out.push(OUT_OF_ORDER_COVERED);
    out.extend_from_slice(&place.to_be_bytes());
}

/// Appends a record that says that the next `records` hold out-of-order samples, so that replay leaves them to the
/// out-of-order log: by their times alone they cannot be told apart when what they came behind is gone.
pub fn put_out_of_order_follows(out: &mut Vec<u8>, records: u8) {
    out.extend_from_slice(&[OUT_OF_ORDER_FOLLOWS, records]);
}

/// Appends a record of metadata. Nothing when there is none.
pub fn put_metadata(out: &mut Vec<u8>, metadata: &[RefMetadata]) {
    if metadata.is_empty() {
        return;
    }
    out.push(METADATA);
    for RefMetadata { series, metadata } in metadata {
        put_uvarint(out, series.0);
        out.push(METRIC_TYPES.iter().position(|&kind| kind == metadata.kind).unwrap_or(0) as u8);
        put_uvarint(out, 2);
        for text in [UNIT, &metadata.unit, HELP, &metadata.help] {
            put_text(out, text);
        }
    }
}

pub(super) fn read_metadata(r: &mut ByteReader<'_>) -> Result<Vec<RefMetadata>, RecordError> {
    let mut all = Vec::new();
    while !r.is_empty() {
        let series = LogRef(r.uvarint()?);
        let kind = METRIC_TYPES.get(usize::from(r.u8()?)).copied().unwrap_or_default();
        let mut metadata = Metadata { kind, ..Metadata::default() };
        for _ in 0..r.count(2)? {
            match (read_text(r)?, read_text(r)?) {
                (UNIT, value) => value.clone_into(&mut metadata.unit),
                (HELP, value) => value.clone_into(&mut metadata.help),
                _ => {}
            }
        }
        all.push(RefMetadata { series, metadata });
    }
    Ok(all)
}
