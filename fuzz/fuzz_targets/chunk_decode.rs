//! Bytes as a chunk: the first says which encoding. Decoding ends in ascending samples or an error; what an appender
//! takes up again, it goes on with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::histogram::{FloatHistogram, Histogram};
use model::read::Columns;
use storage_metrics::codec::chunk::{self, Encoding};
use storage_metrics::codec::gorilla::XorAppender;
use storage_metrics::codec::histogram::{FloatHistogramAppender, HistogramAppender};
use storage_metrics::codec::xor2::Xor2Appender;

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let Ok(encoding) = Encoding::try_from(first % 7) else { return };
    let mut all = Columns::default();
    let decoded = chunk::decode(encoding, bytes, i64::MIN, i64::MAX, &mut all);
    assert!(decoded.is_ok() || all.is_empty());
    for t in [&all.float_t, &all.histogram_t] {
        assert!(t.windows(2).all(|pair| pair[0] < pair[1]));
    }
    if decoded.is_ok() {
        assert_eq!(all.len(), usize::from(chunk::count(encoding, bytes).unwrap_or(0)));
        // A part of the time gives a part of the samples.
        let t = if encoding.is_histogram() { &all.histogram_t } else { &all.float_t };
        if let Some(&middle) = t.get(t.len() / 2) {
            let mut part = Columns::default();
            assert!(chunk::decode(encoding, bytes, middle, i64::MAX, &mut part).is_ok());
            assert_eq!(part.len(), t.len() - t.len() / 2);
        }
    }
    let start_t = encoding.has_start_t();
    match encoding {
        Encoding::None => {}
        Encoding::Xor => {
            if let Ok(mut appender) = XorAppender::resume(bytes) {
                let _ = appender.append(appender.last_t().saturating_add(1), 1.0);
            }
        }
        Encoding::Xor2 => {
            if let Ok(mut appender) = Xor2Appender::resume(bytes) {
                let _ = appender.append(appender.last_t().saturating_add(1), 1.0, 5);
            }
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            if let Ok(mut appender) = HistogramAppender::resume(bytes, start_t) {
                let t = appender.last_t().saturating_add(1);
                let _ = appender.append(None, t, &Histogram::default(), 5);
            }
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            if let Ok(mut appender) = FloatHistogramAppender::resume(bytes, start_t) {
                let t = appender.last_t().saturating_add(1);
                let _ = appender.append(None, t, &FloatHistogram::default(), 5);
            }
        }
    }
});
