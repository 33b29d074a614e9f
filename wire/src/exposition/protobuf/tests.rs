//! The format as a whole: kinds of metrics, options, broken and hostile bodies.

use super::*;
use crate::exposition::{TYPE_LABEL, UNIT_LABEL, testing};
use crate::protobuf::Message;

fn label(name: &str, value: &str) -> Message {
    Message::new().bytes(1, name).bytes(2, value)
}

fn timestamp(seconds: u64, nanos: u64) -> Message {
    Message::new().varint(1, seconds).varint(2, nanos)
}

fn exemplar(trace: &str, v: f64, seconds: u64) -> Message {
    let exemplar = Message::new().bytes(1, label("trace_id", trace)).double(2, v);
    if seconds == 0 { exemplar } else { exemplar.bytes(3, timestamp(seconds, 500_000_000)) }
}

fn family(name: &str, kind: u64, metrics: &[Message]) -> Vec<u8> {
    let start = Message::new().bytes(1, name).bytes(2, "Text.").varint(3, kind);
    metrics.iter().fold(start, |family, metric| family.bytes(4, metric)).delimited()
}

fn bucket(count: u64, bound: f64) -> Message {
    Message::new().varint(1, count).double(2, bound)
}

fn classic() -> Message {
    let buckets = bucket(1, 0.5).bytes(3, exemplar("b", 0.4, 7));
    Message::new()
        .varint(1, 3)
        .double(2, 4.5)
        .bytes(3, buckets)
        .bytes(3, bucket(2, 1.0))
        .bytes(15, timestamp(9, 0))
}

fn native() -> Message {
    classic()
        .zigzag(5, 3)
        .double(6, 0.001)
        .varint(7, 1)
        .bytes(12, Message::new().zigzag(1, -2).varint(2, 2))
        .zigzags(13, &[1, 0])
        .bytes(16, exemplar("n", 2.0, 8))
        .bytes(16, exemplar("no time", 2.0, 0))
}

fn of(metric: Message) -> Message {
    Message::new().bytes(1, label("x", "y")).bytes(7, metric)
}

fn described(body: &[u8], options: Options) -> String {
    let mut parser = ProtobufParser::new(body, options);
    let mut out = String::new();
    while let Some(entry) = parser.next() {
        if let Ok(Entry::Series(Series {
            value: SampleValue::Histogram(HistogramValue::Integer(h)),
            exemplars,
            key,
            ..
        })) = &entry
        {
            out.push_str(&format!(
                "histogram {} schema {} count {} sum {} zero {} {:?} {:?} exemplars {}\n",
                String::from_utf8_lossy(key).replace('\u{fffd}', "|"),
                h.schema,
                h.count,
                h.sum,
                h.zero_count,
                h.positive_counts(),
                h.custom_values,
                exemplars.as_slice().len(),
            ));
            continue;
        }
        testing::describe(&mut out, entry);
    }
    out
}

#[test]
fn simple_kinds() {
    let counter = Message::new().double(1, 2.0).bytes(2, exemplar("c", 1.0, 0)).bytes(3, timestamp(5, 0));
    let summary = Message::new()
        .varint(1, 4)
        .double(2, 8.0)
        .bytes(3, Message::new().double(1, 0.5).double(2, f64::NAN));
    let gauge = Message::new().bytes(2, Message::new().double(1, -1.0)).varint(6, 1234);
    let body = [
        family("c", 0, &[Message::new().bytes(3, counter)]),
        family("empty", 1, &[]),
        family("g.x", 1, &[gauge]),
        family("s", 2, &[Message::new().bytes(4, summary)]),
        family("u", 3, &[Message::new().bytes(5, Message::new().double(1, 3.0))]),
    ]
    .concat();
    assert_eq!(
        described(&body, Options { start_timestamps: true, ..Options::default() }),
        "help c Text.\ntype c counter\nc = 2 from 5000 # {trace_id=\"c\"} 1\n\
         help g.x Text.\ntype g.x gauge\ng.x = -1 @1234\n\
         help s Text.\ntype s summary\ns_count = 4\ns_sum = 8\ns{quantile=0.5} = NaN\n\
         help u Text.\ntype u unknown\nu = 3\n"
    );
}

#[test]
fn histograms_by_options() {
    let body = [family("h", 4, &[of(classic())]), family("n", 4, &[of(native())])].concat();
    let classic_of = |name: &str| {
        format!(
            "{name}_count{{x=y}} = 3\n{name}_sum{{x=y}} = 4.5\n{name}_bucket{{le=0.5,x=y}} = 1 # {{trace_id=\"b\"}} 0.4 @7500\n\
             {name}_bucket{{le=1.0,x=y}} = 2\n{name}_bucket{{le=+Inf,x=y}} = 3\n"
        )
    };
    let converted = |name: &str| {
        format!("histogram |{name}|x|y schema -53 count 3 sum 4.5 zero 0 [1, 1, 1] [0.5, 1.0] exemplars 1\n")
    };
    let native = "histogram |n|x|y schema 3 count 3 sum 4.5 zero 1 [1, 1] [] exemplars 1\n";
    let head = |name: &str| format!("help {name} Text.\ntype {name} histogram\n");
    let plain = Options::default();
    let natives = Options { native_histograms: true, ..plain };
    let both = Options { always_classic: true, ..natives };
    let nhcb = Options { convert_to_nhcb: true, ..natives };
    let nhcb_both = Options { always_classic: true, ..nhcb };
    for (options, h, n) in [
        (plain, classic_of("h"), classic_of("n")),
        (natives, classic_of("h"), native.to_owned()),
        (both, classic_of("h"), native.to_owned() + &classic_of("n")),
        (nhcb, converted("h"), native.to_owned()),
        (nhcb_both, classic_of("h") + &converted("h"), native.to_owned() + &classic_of("n")),
        (Options { convert_to_nhcb: true, ..plain }, converted("h"), converted("n")),
    ] {
        assert_eq!(described(&body, options), format!("{}{h}{}{n}", head("h"), head("n")), "{options:?}");
    }
}

#[test]
fn type_and_unit_tell_series_apart() {
    let exposed = Message::new().bytes(1, label(TYPE_LABEL, "own")).bytes(5, Message::new().double(1, 3.0));
    let of = |kind| {
        let family = Message::new().bytes(1, "u_seconds").varint(3, kind).bytes(5, "seconds");
        family.bytes(4, &exposed).delimited()
    };
    // A gauge without a gauge's value is 0: only what names it matters.
    let body = [of(3), of(1)].concat();
    for (type_and_unit, want) in [(true, ["own,seconds", "gauge,seconds"]), (false, ["own,", "own,"])] {
        let mut parser = ProtobufParser::new(&body, Options { type_and_unit, ..Options::default() });
        let (mut keys, mut labels) = (Vec::new(), Vec::new());
        while let Some(entry) = parser.next() {
            if let Entry::Series(series) = entry.unwrap() {
                keys.push(series.key.to_vec());
                let mut of_series = Vec::new();
                series.labels(type_and_unit, &mut of_series).unwrap();
                let get = |label: &str| {
                    let mut found = of_series.iter().filter(|(name, _)| name == label);
                    let value = found.next().map(|(_, value)| value.to_string()).unwrap_or_default();
                    assert!(found.next().is_none(), "{label} twice");
                    value
                };
                labels.push(format!("{},{}", get(TYPE_LABEL), get(UNIT_LABEL)));
            }
        }
        assert_eq!(labels, want);
        assert_eq!(keys[0] != keys[1], type_and_unit);
    }
}

#[test]
fn broken_bodies() {
    let good = family("u", 3, &[Message::new()]);
    let spans = of(native().varint(5, 0).zigzags(13, &[1]));
    for (body, error) in [
        (vec![0xff; 12], "clientpb: invalid varint encountered (line 1)"),
        (
            good[..good.len() - 1].to_vec(),
            "clientpb: insufficient length of buffer, expected at least 15 bytes, got 14 bytes (line 1)",
        ),
        (family("u", 9, &[Message::new()]), "unknown metric type for metric \"u\": 9 (line 1)"),
        (family("", 1, &[Message::new()]), "invalid metric name: \"\" (line 1)"),
        (
            family("n", 4, &[spans]),
            "histogram \"n\": positive side: spans require 2 buckets, have 3 (line 1)",
        ),
        (
            family("u", 3, &[Message::new().bytes(1, Message::new().bytes(1, [0xff]))]),
            "invalid label name: \"\\xff\" (line 1)",
        ),
    ] {
        let options = Options { native_histograms: true, ..Options::default() };
        let text = described(&body, options);
        assert_eq!(text.lines().last().unwrap(), format!("error {error}"));
    }
}

#[test]
fn survives_mutations() {
    let body = [family("n", 4, &[of(native())]), family("c", 0, &[Message::new()])].concat();
    let options = Options {
        native_histograms: true,
        always_classic: true,
        convert_to_nhcb: true,
        start_timestamps: true,
        type_and_unit: true,
    };
    let mut read = |body: &[u8]| {
        described(body, options);
        described(body, Options::default());
    };
    testing::mutate_bytes(&body, &[0, 1, 7, 0x0a, 0x7f, 0x80, 0xff], &mut read);
}
