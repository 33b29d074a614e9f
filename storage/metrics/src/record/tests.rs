//! Round trips of all kinds, known bytes, hostile bytes.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, ResetHint, Span};
use model::metadata::MetricType;
use proptest::prelude::*;
use storage_base::wal::Batch;

use super::*;

fn decode(record: &[u8]) -> Result<Record, RecordError> {
    Decoder::default().decode(record)
}

fn sample(series: u64, t: i64, start_t: i64, v: f64) -> RefSample {
    RefSample { series: LogRef(series), t, start_t, v }
}

#[test]
fn known_bytes() {
    let mut out = Vec::new();
    put_series(&mut out, &[RefSeries { series: LogRef(7), labels: Labels::from_pairs([("a", "bc")]) }]);
    assert_eq!(out, [1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, b'a', 2, b'b', b'c']);
    out.clear();
    put_samples(&mut out, &[sample(7, 1000, 0, 1.0), sample(6, 1001, 0, -0.0)], false);
    let one = [0x3f, 0xf0, 0, 0, 0, 0, 0, 0];
    let minus_zero = [0x80, 0, 0, 0, 0, 0, 0, 0];
    let head = [2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x03, 0xe8, 0, 0];
    assert_eq!(out, [&head[..], &one, &[1, 2], &minus_zero].concat());
    out.clear();
    let samples =
        [sample(7, 50, 10, 1.0), sample(8, 51, 10, 1.0), sample(7, 51, 0, 1.0), sample(7, 52, 11, 1.0)];
    put_samples(&mut out, &samples, true);
    let want =
        [&[11, 14, 100, 20][..], &one, &[2, 2, 1], &one, &[1, 2, 0], &one, &[0, 4, 2, 2], &one].concat();
    assert_eq!(out, want);
    out.clear();
    let metadata = Metadata { kind: MetricType::Counter, unit: "s".into(), help: "h".into() };
    put_metadata(&mut out, &[RefMetadata { series: LogRef(300), metadata }]);
    assert_eq!(out, b"\x06\xac\x02\x01\x02\x04UNIT\x01s\x04HELP\x01h");
    out.clear();
    put_tombstones(&mut out, &[RefTombstone { series: LogRef(1), min_t: -1, max_t: 1 }]);
    assert_eq!(out, [3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
    out.clear();
    put_mmap_markers(&mut out, &[RefMmapMarker { series: LogRef(1), chunk: 2 }]);
    assert_eq!(out, [5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn nothing_gives_no_record() {
    let mut out = Vec::new();
    put_series(&mut out, &[]);
    put_samples(&mut out, &[], false);
    put_samples(&mut out, &[], true);
    put_exemplars(&mut out, &[]);
    put_tombstones(&mut out, &[]);
    put_metadata(&mut out, &[]);
    put_mmap_markers(&mut out, &[]);
    assert!(out.is_empty());
    let mut batch = Batch::new();
    put_histograms(&mut batch, &[], true);
    put_float_histograms(&mut batch, &[], false);
    assert!(batch.is_empty());
    // Prometheus may write a kind alone.
    for kind in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] {
        assert!(decode(&[kind]).is_ok(), "{kind}");
    }
}

#[test]
fn unknown_kinds_are_passed_over() {
    assert!(matches!(decode(&[14, 1, 2]), Ok(Record::Unknown(14))));
    assert!(matches!(decode(&[]), Ok(Record::Unknown(0))));
}

#[test]
fn foreign_metadata_fields_and_improper_labels() {
    let Ok(Record::Metadata(metadata)) = decode(b"\x06\x05\x02\x02\x04HELP\x01h\x03FOO\x01x") else {
        panic!()
    };
    assert_eq!(metadata[0].metadata, Metadata { kind: MetricType::Gauge, unit: "".into(), help: "h".into() });
    let Ok(Record::Series(series)) = decode(b"\x01\0\0\0\0\0\0\0\x01\x03\x01b\x012\x01a\x011\x01c\0") else {
        panic!()
    };
    assert_eq!(series[0].labels, Labels::from_pairs([("a", "1"), ("b", "2")]));
    assert_eq!(decode(b"\x01\0\0\0\0\0\0\0\x01\x01\x01\xff\x012").err(), Some(RecordError::NotUtf8));
}

fn histogram(schema: i32) -> Histogram {
    Histogram {
        reset_hint: ResetHint::NotReset,
        schema,
        zero_threshold: 0.001,
        zero_count: 2,
        count: 9,
        sum: 18.4,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
        negative_spans: vec![],
        positive_buckets: vec![1, 1, 2],
        negative_buckets: vec![],
        custom_values: if schema == CUSTOM_BUCKETS_SCHEMA { vec![1.0, 2.5] } else { vec![] },
    }
}

#[test]
fn histograms_of_all_schemas() {
    let samples: Vec<RefHistogram> = [3, CUSTOM_BUCKETS_SCHEMA, 8, CUSTOM_BUCKETS_SCHEMA]
        .iter()
        .enumerate()
        .map(|(i, &schema)| RefHistogram {
            series: LogRef(10 + i as u64),
            t: 1000 - i as i64,
            start_t: 5 * i as i64,
            v: Arc::new(histogram(schema)),
        })
        .collect();
    let mut batch = Batch::new();
    put_histograms(&mut batch, &samples, false);
    put_histograms(&mut batch, &samples, true);
    let records: Vec<&[u8]> = batch.records().collect();
    assert_eq!(records.iter().map(|r| r[0]).collect::<Vec<_>>(), [7, 9, 12]);
    let decoded: Vec<Vec<RefHistogram>> = records
        .iter()
        .map(|r| match decode(r).unwrap() {
            Record::Histograms(samples) => samples,
            other => panic!("{other:?}"),
        })
        .collect();
    for (decoded, picked, start_t) in [(0, &[0, 2][..], false), (1, &[1, 3], false), (2, &[0, 1, 2, 3], true)]
        .map(|(i, picked, start_t)| (&decoded[i], picked, start_t))
    {
        assert_eq!(decoded.len(), picked.len());
        for (got, &want) in decoded.iter().zip(picked) {
            let want = &samples[want];
            assert_eq!((got.series, got.t, &got.v), (want.series, want.t, &want.v));
            assert_eq!(got.start_t, if start_t { want.start_t } else { 0 });
        }
    }
    assert!(has_start_t(records[2]) && !has_start_t(records[0]));
}

#[test]
fn foreign_schemas() {
    let mut batch = Batch::new();
    let sample =
        |schema| RefHistogram { series: LogRef(1), t: 1, start_t: 0, v: Arc::new(histogram(schema)) };
    put_histograms(&mut batch, &[sample(53), sample(9), sample(-10), sample(-9)], false);
    let mut decoder = Decoder::default();
    let Ok(Record::Histograms(got)) = decoder.decode(batch.records().next().unwrap()) else { panic!() };
    assert_eq!(got.iter().map(|s| s.v.schema).collect::<Vec<_>>(), [8, -9]);
    assert_eq!(decoder.skipped_histograms, 2);
    // Buckets -2, -1 and 1 of schema 9 lie in -1, 0 and 1 of schema 8.
    assert_eq!(got[0].v.positive_spans, [Span { offset: -1, length: 3 }]);
    assert_eq!(got[0].v.positive_buckets, [1, 1, 2]);
}

proptest! {
    #[test]
    fn samples_round_trip(
        samples in prop::collection::vec((any::<u64>(), any::<i64>(), prop_oneof![Just(0), Just(5), any::<i64>()], any::<u64>()), 0..40),
        v2: bool,
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(s, t, st, v)| sample(s, t, st, f64::from_bits(v))).collect();
        let mut out = Vec::new();
        put_samples(&mut out, &samples, v2);
        let got = match decode(&out).unwrap() {
            Record::Samples(got) => got,
            _ => Vec::new(),
        };
        let key = |s: &RefSample, v2| (s.series, s.t, if v2 { s.start_t } else { 0 }, s.v.to_bits());
        prop_assert!(got.iter().map(|s| key(s, true)).eq(samples.iter().map(|s| key(s, v2))));
    }

    #[test]
    fn labelled_records_round_trip(
        all in prop::collection::vec((any::<u64>(), any::<i64>(), prop::collection::vec(("[a-c]{1,2}", "\\PC{0,9}"), 0..4)), 0..9),
    ) {
        let mut batch = Batch::new();
        let labels: Vec<Labels> = all.iter().map(|a| Labels::from_pairs(a.2.iter().map(|(n, v)| (n, v)))).collect();
        let series: Vec<_> =
            all.iter().zip(&labels).map(|(a, l)| RefSeries { series: LogRef(a.0), labels: l.clone() }).collect();
        let exemplars: Vec<_> = all
            .iter()
            .zip(&labels)
            .map(|(a, l)| RefExemplar { series: LogRef(a.0), t: a.1, v: a.1 as f64, labels: l.clone() })
            .collect();
        batch.push(|out| put_series(out, &series));
        batch.push(|out| put_exemplars(out, &exemplars));
        for record in batch.records() {
            match decode(record).unwrap() {
                Record::Series(got) => prop_assert_eq!(&got, &series),
                Record::Exemplars(got) => {
                    let key = |e: &RefExemplar| (e.series, e.t, e.v.to_bits(), e.labels.clone());
                    prop_assert!(got.iter().map(key).eq(exemplars.iter().map(key)));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(kind in 0u8..15, body: Vec<u8>) {
        let _ = decode(&[&[kind][..], &body].concat());
    }

    #[test]
    fn truncated_histograms_do_no_harm(at: prop::sample::Index, byte: u8, v2: bool) {
        let mut batch = Batch::new();
        let v = Arc::new(histogram(CUSTOM_BUCKETS_SCHEMA));
        put_histograms(&mut batch, &[RefHistogram { series: LogRef(1), t: 1, start_t: 2, v }], v2);
        let mut record = batch.records().next().unwrap().to_vec();
        let at = 1 + at.index(record.len() - 1);
        prop_assert!(at == 1 || (!v2 && at == 17) || decode(&record[..at]).is_err());
        record[at] = byte;
        let _ = decode(&record);
    }
}
