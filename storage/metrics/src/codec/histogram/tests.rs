//! Histograms in, the same histograms out, through any number of chunks.

use std::collections::BTreeMap;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, HistogramOf, Span};
use model::read::Columns;
use model::sample::{STALE_NAN, is_stale};
use proptest::prelude::*;

use super::count_type::{Bucket, Count};
use super::*;
use crate::codec::chunk::{self, ChunkError};

/// A sample as drawn: buckets by index, on both sides.
#[derive(Clone, Debug)]
struct Drawn {
    step: i64,
    start_t: i64,
    hint: u8,
    stale: bool,
    schema: i32,
    zero: u64,
    add: [BTreeMap<i32, u32>; 2],
    /// Forget what was counted before.
    restart: bool,
    /// Write buckets as one span each, with empty spans between.
    odd_spans: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let side = || prop::collection::btree_map(-6..20i32, 0..50u32, 0..6);
    (
        prop_oneof![10 => Just(15_000i64), 1 => 1..1i64 << 40],
        prop_oneof![10 => Just(7i64), 1 => any::<i64>()],
        prop_oneof![8 => Just(0u8), 1 => Just(1), 1 => Just(2), 4 => Just(3)],
        prop::bool::weighted(0.05),
        prop_oneof![30 => Just(3i32), 1 => Just(CUSTOM_BUCKETS_SCHEMA), 1 => Just(-9)],
        0..5u64,
        [side(), side()],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(step, start_t, hint, stale, schema, zero, add, restart, odd_spans)| Drawn {
            step,
            start_t,
            hint,
            stale,
            schema,
            zero,
            add,
            restart,
            odd_spans,
        })
}

/// Timestamp, start timestamp, histogram.
type Samples<H> = Vec<(i64, i64, H)>;

fn samples(drawn: &[Drawn]) -> Samples<Histogram> {
    let mut counts: [BTreeMap<i32, i64>; 2] = Default::default();
    let (mut t, mut zero) = (-20_000, 0);
    let mut samples = Vec::new();
    for d in drawn {
        t += d.step;
        if d.restart {
            counts = Default::default();
            zero = 0;
        }
        zero += d.zero;
        for (counts, add) in counts.iter_mut().zip(&d.add) {
            for (&index, &n) in add {
                *counts.entry(index).or_default() += i64::from(n);
            }
            // Exporters drop empty buckets.
            if d.odd_spans {
                counts.retain(|_, n| *n > 0);
            }
        }
        let mut h = Histogram {
            reset_hint: [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge]
                [usize::from(d.hint)],
            schema: d.schema,
            zero_threshold: if d.schema == CUSTOM_BUCKETS_SCHEMA { 0.0 } else { 0.001 },
            zero_count: zero,
            count: zero + counts.iter().flat_map(|c| c.values()).sum::<i64>() as u64,
            sum: t as f64 / 7.0,
            custom_values: if d.schema == CUSTOM_BUCKETS_SCHEMA { vec![0.25, 1.0, 3.1234] } else { vec![] },
            ..Histogram::default()
        };
        (h.positive_spans, h.positive_buckets) = laid_out(&counts[0], d.odd_spans);
        (h.negative_spans, h.negative_buckets) = laid_out(&counts[1], d.odd_spans);
        if d.stale {
            h.sum = STALE_NAN;
        }
        samples.push((t, d.start_t, h));
    }
    samples
}

fn laid_out(counts: &BTreeMap<i32, i64>, odd: bool) -> (Vec<Span>, Vec<i64>) {
    let mut spans: Vec<Span> = Vec::new();
    let (mut buckets, mut next, mut last) = (Vec::new(), 0, 0);
    for (&index, &count) in counts {
        match spans.last_mut() {
            Some(span) if index == next && !odd => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        if odd {
            spans.push(Span { offset: 0, length: 0 });
        }
        next = index + 1;
        buckets.push(count - last);
        last = count;
    }
    (spans, buckets)
}

fn to_float(samples: &Samples<Histogram>) -> Samples<FloatHistogram> {
    samples.iter().map(|(t, start_t, h)| (*t, *start_t, h.to_float())).collect()
}

/// What must survive: everything but the layout of empty buckets and the reset hint.
fn essence(t: i64, start_t: i64, h: &FloatHistogram) -> String {
    if is_stale(h.sum) {
        return format!("{t} {start_t} stale");
    }
    let side = |spans: &[Span], buckets: &[f64]| {
        let mut index = 0i64;
        let mut at = 0;
        let mut out = Vec::new();
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                if buckets[at] != 0.0 {
                    out.push((index, buckets[at]));
                }
                index += 1;
                at += 1;
            }
        }
        assert_eq!(at, buckets.len());
        out
    };
    let positive = side(&h.positive_spans, &h.positive_buckets);
    let negative = side(&h.negative_spans, &h.negative_buckets);
    let numbers = (h.schema, h.zero_threshold, h.zero_count, h.count, h.sum, &h.custom_values);
    format!("{t} {start_t} {numbers:?} {positive:?} {negative:?}")
}

/// The chunks that samples make.
fn chunks<F: CountType>(samples: &Samples<HistogramIn<F>>, start_t: bool) -> Vec<Appender<F>>
where
    Count<F>: Clone,
    Bucket<F>: Clone,
{
    let mut chunks = vec![Appender::<F>::new(start_t)];
    for (t, sample_start_t, h) in samples {
        let chunk = chunks.last_mut().unwrap();
        if let Appended::New(new) = chunk.append(None, *t, h, *sample_start_t).unwrap() {
            chunks.push(*new);
        }
    }
    chunks
}

fn decoded<F: CountType>(chunks: &[Appender<F>]) -> Columns {
    let mut out = Columns::default();
    for chunk in chunks {
        let before = out.len();
        chunk::decode(chunk.encoding(), chunk.bytes(), i64::MIN, i64::MAX, &mut out).unwrap();
        assert_eq!(out.len() - before, usize::from(chunk.count()));
        assert_eq!(chunk::count(chunk.encoding(), chunk.bytes()), Ok(chunk.count()));
    }
    out
}

fn check<F: CountType>(samples: &Samples<HistogramIn<F>>, floats: &Samples<FloatHistogram>, start_t: bool) {
    let chunks = chunks::<F>(samples, start_t);
    let out = decoded(&chunks);
    let start = |i: usize| out.histogram_start_t.get(i).copied().unwrap_or(0);
    let got: Vec<String> =
        (0..out.len()).map(|i| essence(out.histogram_t[i], start(i), &out.histogram_v[i])).collect();
    let want: Vec<String> =
        floats.iter().map(|(t, s, h)| essence(*t, if start_t { *s } else { 0 }, h)).collect();
    assert_eq!(got, want);
    // A chunk taken up again goes on with the same bytes.
    for chunk in &chunks {
        let again = Appender::<F>::resume(chunk.bytes(), start_t).unwrap();
        assert_eq!(
            (again.bytes(), again.count(), again.flags()),
            (chunk.bytes(), chunk.count(), chunk.flags())
        );
        let Some((t, _, h)) = samples.iter().find(|s| s.0 == chunk.last_t()) else { continue };
        let (mut one, mut other) = (chunk.clone(), again);
        let (a, b) = (one.append(None, t + 1, h, 3).unwrap(), other.append(None, t + 1, h, 3).unwrap());
        let bytes = |own: &Appender<F>, a: Appended<F>| match a {
            Appended::New(new) => new.into_bytes(),
            _ => own.bytes().to_vec(),
        };
        assert_eq!(bytes(&one, a), bytes(&other, b));
    }
}

proptest! {
    #[test]
    fn round_trip(drawn in prop::collection::vec(drawn(), 1..40), start_t: bool) {
        let samples = samples(&drawn);
        let floats = to_float(&samples);
        check::<Integer>(&samples, &floats, start_t);
        check::<Float>(&floats, &floats, start_t);
    }

    #[test]
    fn damaged_bytes_do_no_harm(
        drawn in prop::collection::vec(drawn(), 1..10), start_t: bool, float: bool,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..3), cut: prop::sample::Index,
    ) {
        let samples = samples(&drawn);
        let (encoding, mut bytes) = if float {
            let chunk = chunks::<Float>(&to_float(&samples), start_t).remove(0);
            (chunk.encoding(), chunk.into_bytes())
        } else {
            let chunk = chunks::<Integer>(&samples, start_t).remove(0);
            (chunk.encoding(), chunk.into_bytes())
        };
        let mut out = Columns::default();
        let cut = cut.index(bytes.len());
        prop_assert!(chunk::decode(encoding, &bytes[..cut], i64::MIN, i64::MAX, &mut out).is_err());
        prop_assert!(out.is_empty());
        for flip in flips {
            let bit = flip.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let _ = chunk::decode(encoding, &bytes, i64::MIN, i64::MAX, &mut out);
        let _ = Appender::<Integer>::resume(&bytes, start_t);
        let _ = Appender::<Float>::resume(&bytes, start_t);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes: Vec<u8>, encoding in 0u8..7) {
        let mut out = Columns::default();
        let _ = chunk::decode(chunk::Encoding::try_from(encoding).unwrap(), &bytes, i64::MIN, i64::MAX, &mut out);
    }
}

fn one(reset_hint: ResetHint, buckets: &[i64]) -> Histogram {
    let count = buckets
        .iter()
        .scan(0, |sum, d| {
            *sum += d;
            Some(*sum)
        })
        .sum::<i64>() as u64;
    Histogram {
        reset_hint,
        schema: 1,
        count,
        positive_spans: vec![Span { offset: 0, length: buckets.len() as u32 }],
        positive_buckets: buckets.to_vec(),
        ..Histogram::default()
    }
}

fn went<F: CountType>(appended: Result<Appended<F>, ChunkError>) -> String {
    match appended.unwrap() {
        Appended::Same => "same".into(),
        Appended::Widened => "widened".into(),
        Appended::New(new) => format!("new {:?}", new.flags()),
    }
}

#[test]
fn what_fits() {
    use ResetHint::{Gauge, NotReset, Reset, Unknown};
    let base = |hint| {
        let mut chunk = HistogramAppender::new(false);
        assert_eq!(went(chunk.append(None, 1, &one(hint, &[3, 0, 1]), 0)), "same");
        chunk
    };
    let stale = Histogram { sum: STALE_NAN, ..Histogram::default() };
    let cases: &[(ResetHint, Histogram, &str)] = &[
        (Unknown, one(Unknown, &[3, 0, 1]), "same"),
        (Unknown, one(NotReset, &[3, 1, 1]), "same"),
        (Unknown, one(Unknown, &[3, 0, 1, 0]), "widened"),
        // A bucket shrinks though the count does not.
        (Unknown, one(Unknown, &[2, 5, 1]), "new Reset"),
        (Unknown, one(Unknown, &[3, 0]), "new Reset"),
        (Unknown, one(Reset, &[3, 0, 1]), "new Reset"),
        (Unknown, one(Gauge, &[3, 0, 1]), "new Gauge"),
        (Unknown, Histogram { schema: 2, ..one(Unknown, &[3, 0, 1]) }, "new Unknown"),
        (Unknown, stale.clone(), "same"),
        (Gauge, one(Gauge, &[1]), "same"),
        (Gauge, one(Gauge, &[1, 1, 1, 1]), "widened"),
        (Gauge, one(Unknown, &[3, 0, 1]), "new NotReset"),
        (Gauge, Histogram { schema: 2, ..one(Gauge, &[3]) }, "new Gauge"),
    ];
    for (hint, h, want) in cases {
        assert_eq!(went(base(*hint).append(None, 2, h, 0)), *want, "{h:?}");
        if !is_stale(h.sum) {
            let mut chunk = FloatHistogramAppender::new(false);
            assert_eq!(went(chunk.append(None, 1, &one(*hint, &[3, 0, 1]).to_float(), 0)), "same");
            let want = want.replace("NotReset", "Unknown");
            assert_eq!(went(chunk.append(None, 2, &h.to_float(), 0)), want, "{h:?}");
        }
    }
    // Only staleness follows staleness.
    let mut chunk = base(Unknown);
    assert_eq!(went(chunk.append(None, 2, &stale, 0)), "same");
    assert_eq!(went(chunk.append(None, 3, &stale, 0)), "same");
    assert_eq!(went(chunk.append(None, 4, &one(Unknown, &[3, 0, 1]), 0)), "new Unknown");
}

#[test]
fn an_empty_chunk_learns_from_the_one_before() {
    use ResetHint::{Gauge, Reset, Unknown};
    let mut previous = HistogramAppender::new(false);
    assert_eq!(went(previous.append(None, 1, &one(Unknown, &[3, 0, 1]), 0)), "same");
    for (h, want) in [
        (one(Unknown, &[3, 0, 1]), Flags::NotReset),
        (one(Unknown, &[1, 0, 1]), Flags::Reset),
        (one(Gauge, &[3, 0, 1]), Flags::Gauge),
        (one(Reset, &[3, 0, 1]), Flags::Reset),
        (Histogram { schema: 2, ..one(Unknown, &[3, 0, 1]) }, Flags::Unknown),
    ] {
        let mut chunk = HistogramAppender::new(false);
        assert_eq!(went(chunk.append(Some(&previous), 2, &h, 0)), "same");
        assert_eq!(chunk.flags(), want);
    }
}

#[test]
fn contradictions_and_full_chunks_are_refused() {
    let mut chunk = HistogramAppender::new(true);
    let wrong = HistogramOf { positive_buckets: vec![1, 2], ..one(ResetHint::Unknown, &[3, 0, 1]) };
    assert!(matches!(chunk.append(None, 1, &wrong, 0), Err(ChunkError::Invalid(_))));
    let h = one(ResetHint::Unknown, &[1]);
    for t in 0..i64::from(MAX_SAMPLES_ST) {
        assert_eq!(went(chunk.append(None, t, &h, 0)), "same");
    }
    assert!(matches!(chunk.append(None, 1 << 20, &h, 0), Err(ChunkError::Full)));
    assert_eq!(decoded(&[chunk]).len(), usize::from(MAX_SAMPLES_ST));
}

#[test]
fn hints_of_samples() {
    let mut chunk = HistogramAppender::new(false);
    for (t, hint) in [(1, ResetHint::Reset), (2, ResetHint::Unknown)] {
        assert_eq!(went(chunk.append(None, t, &one(hint, &[3]), 0)), "same");
    }
    let hints: Vec<ResetHint> = decoded(&[chunk]).histogram_v.iter().map(|h| h.reset_hint).collect();
    assert_eq!(hints, [ResetHint::Unknown, ResetHint::NotReset]);
}
