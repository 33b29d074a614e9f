//! Chunks as Prometheus 3.14 writes them: the same samples must give the same bytes.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};
use model::sample::STALE_NAN;

use super::gorilla::XorAppender;
use super::histogram::{
    Appended, Appender, CountType, FloatHistogramAppender, HistogramAppender, HistogramIn,
};
use super::xor2::Xor2Appender;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prints as -123.456 and fills most of the mantissa.
const LONG: f64 = f64::from_bits(0xc05e_dd2f_1a9f_be77);

#[test]
fn xor() {
    let all_bits = f64::from_bits(u64::MAX);
    for (samples, want) in [
        (
            &[
                (1000, 1.0),
                (2000, 1.0),
                (3000, 2.0),
                (4010, 3.0),
                (5010, STALE_NAN),
                (200_000, 3.0),
                (200_001, LONG),
            ][..],
            "0007d00f3ff0000000000000e8073097ffe002b603bff6c5efff00000000000078bd71affe000000000000f68329e002015b74bc6a\
             7ef9dc",
        ),
        (&[(-5, 0.0), (10, all_bits)], "00020900000000000000000fc007fffffffffffffff8"),
    ] {
        let mut appender = XorAppender::new();
        for &(t, v) in samples {
            appender.append(t, v).unwrap();
        }
        assert_eq!(hex(appender.bytes()), want);
    }
}

#[test]
fn xor2() {
    for (samples, want) in [
        (
            &[
                (1000, 1.0, 0),
                (2000, 1.0, 0),
                (3000, 2.0, 0),
                (4010, STALE_NAN, 0),
                (5020, 2.0, 0),
                (6030, STALE_NAN, 0),
                (200_000, LONG, 0),
            ][..],
            "000700d00f3ff0000000000000e8075097fff002bbfc5e381800402f6e978d4fdf3b80",
        ),
        (
            &[
                (1000, 1.0, 900),
                (2000, 1.0, 900),
                (3000, 1.0, 2500),
                (4000, 1.0, 2500),
                (9_000_000_000, 2.0, 0),
            ],
            "000582d00f3ff0000000000000c801e8073dc18f1f4780000000861c419e304bffff01b580",
        ),
    ] {
        let mut appender = Xor2Appender::new();
        for &(t, v, start_t) in samples {
            appender.append(t, v, start_t).unwrap();
        }
        assert_eq!(hex(appender.bytes()), want);
    }
}

/// A histogram with the buckets 0, 1 and from 3 on above zero, and bucket 1 below.
fn histogram(zero_threshold: f64, zero_count: u64, count: u64, sum: f64, buckets: &[i64]) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans: vec![
            Span { offset: 0, length: 2 },
            Span { offset: 1, length: buckets.len() as u32 - 2 },
        ],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: buckets.to_vec(),
        negative_buckets: vec![1],
        ..Histogram::default()
    }
}

fn custom(offset: i32, sum: f64, buckets: &[i64]) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3,
        sum,
        positive_spans: vec![Span { offset, length: buckets.len() as u32 }],
        positive_buckets: buckets.to_vec(),
        custom_values: vec![0.005, 2.0 / 3.0],
        ..Histogram::default()
    }
}

fn chunks<F: CountType>(mut chunk: Appender<F>, samples: &[(i64, i64, HistogramIn<F>)]) -> Vec<String> {
    let mut done = Vec::new();
    for (t, start_t, h) in samples {
        if let Appended::New(new) = chunk.append(None, *t, h, *start_t).unwrap() {
            done.push(hex(chunk.bytes()));
            chunk = *new;
        }
    }
    done.push(hex(chunk.bytes()));
    done
}

#[test]
fn integer_histograms() {
    let first = histogram(0.001, 1, 6, 18.4, &[1, 1, -1]);
    let widening = histogram(0.001, 2, 9, 36.8, &[1, 2, -2, 0]);
    assert_eq!(
        chunks(HistogramAppender::new(false), &[(1000, 0, first), (2000, 0, widening)]),
        ["000200ff3f50624dd2f1a9fc9ca4946318f8fa2d140326666666666668c6f78f8fa271d21f46f100"]
    );
}

#[test]
fn integer_histograms_with_start_timestamps() {
    let stale = Histogram { sum: STALE_NAN, ..Histogram::default() };
    let first = custom(0, 2.0, &[1, 0]);
    let reset = Histogram { count: 2, ..custom(1, 2.0, &[2]) };
    let samples = [(1000, 900, first), (2000, 900, reset), (3000, 2500, stale)];
    assert_eq!(
        chunks(HistogramAppender::new(true), &samples),
        [
            "00018000ee5c644ac3fe5555555555555f1f44c80000000000000011640080",
            "80028100ee5c6314ac3fe5555555555555f3e848800000000000000129811f1f418bdffc000000000000fb8300",
        ]
    );
}

#[test]
fn float_histograms() {
    let zero_threshold = 2f64.powi(-10);
    let first = histogram(zero_threshold, 1, 6, 18.4, &[1, 1, -1]).to_float();
    let widening = histogram(zero_threshold, 2, 9, 36.8, &[1, 2, -2, 0]).to_float();
    assert_eq!(
        chunks(FloatHistogramAppender::new(false), &[(1000, 0, first), (2000, 0, widening)]),
        [
            "000200ea9ca4946318f8fa10060000000000000ffc000000000000100c9999999999998ffc00000000000010000000000000000ff\
          c00000000000000000000000000000ffc0000000000003c7d1a85ee12fffe90fb603622bff0"
        ]
    );
    let first = histogram(zero_threshold, 1, 6, 18.4, &[1, 1, -1]).to_float();
    let more = histogram(zero_threshold, 2, 9, 36.8, &[1, 2, -2]).to_float();
    assert_eq!(
        chunks(
            FloatHistogramAppender::new(true),
            &[(1000, 0, first), (2000, 5, more.clone()), (3000, 5, more)]
        ),
        [
            "000301ea9ca48c6318f8fa10060000000000000ffc000000000000100c9999999999998ffc00000000000010000000000000000ff\
          c0000000000000ffc0000000000003c7d1a85ee12fffe90fb6033c7c601e3e8"
        ]
    );
}
