//! The format as a whole: entries, errors, start timestamps, hostile bodies.

use super::*;
use crate::exposition::testing::{self, described};

fn text(body: &str) -> String {
    described(OpenMetricsParser::new(body.as_bytes(), false))
}

#[test]
fn entries() {
    let body = "# HELP a_seconds Took \\\\ \\n \\\"long\\\".\n# TYPE a_seconds counter\n\
                # UNIT a_seconds seconds\na_seconds_total{b=\"c\"} 17.0 1520879607.789 # {id=\"x\"} 5 1.5\n\
                a_seconds_total 1 # {} 2\n# EOF\n";
    assert_eq!(
        text(body),
        "help a_seconds Took \\ \n \"long\".\ntype a_seconds counter\nunit a_seconds seconds\n\
         a_seconds_total{b=c} = 17 @1520879607789 # {id=\"x\"} 5 @1500\na_seconds_total = 1 # {} 2\n"
    );
    for (body, want) in [
        ("# EOF", ""),
        ("# EOF\n", ""),
        ("{\"a.b\",\"c d\"=\"1\",} 1\n# EOF\n", "a.b{c d=1} = 1\n"),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 2 -1.5\n# EOF\n",
            "type h histogram\nh_bucket{le=1.0} = 2 @-1500\n",
        ),
        ("# TYPE s stateset\n# UNIT s \n# EOF\n", "type s stateset\nunit s \n"),
    ] {
        assert_eq!(text(body), want, "{body:?}");
    }
}

#[test]
fn errors_are_those_of_prometheus() {
    for (body, want) in [
        ("", "data does not end with # EOF"),
        ("# EOF\n\n", "unexpected data after # EOF"),
        ("# EOFx", "unexpected data after # EOF"),
        ("\n# EOF\n", r#"expected a valid start token, got "\n" ("INVALID") while parsing: "\n""#),
        (
            "# comment\n# EOF\n",
            r##"expected a valid start token, got "# c" ("INVALID") while parsing: "# c""##,
        ),
        ("a  1\n# EOF\n", r#"expected value after metric, got "  " ("INVALID") while parsing: "a  ""#),
        (
            "a{b=\"1\" ,c=\"2\"} 1\n",
            r#"expected comma or brace close, got " " ("INVALID") while parsing: "a{b=\"1\" ""#,
        ),
        ("a 1 x\n", r#"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a 1 x""#),
        ("a 1 Inf\n", "invalid timestamp +Inf"),
        ("a 1 # {\"b\"} 1\n", r#"expected label name, got "} " ("BCLOSE") while parsing: "a 1 # {\"b\"} ""#),
        ("# UNIT a_seconds bytes\n", r#"unit "bytes" not a suffix of metric "a_seconds""#),
        ("# UNIT seconds seconds\n", r#"unit "seconds" not a suffix of metric "seconds""#),
        ("# TYPE a\n", "expected text in TYPE"),
        ("# TYPE a untyped\n", r#"invalid metric type "untyped""#),
    ] {
        assert_eq!(text(body), format!("error {want} (line 1)\n"), "{body:?}");
    }
    // What cannot follow a value fails the next entry, as it does in Prometheus.
    assert_eq!(
        text("a 1 \n# EOF\n"),
        "a = 1\nerror expected a valid start token, got \"\\n#\" (\"LINEBREAK\") while parsing: \"\\n#\" (line 1)\n"
    );
    assert_eq!(text("a 1\n"), "a = 1\nerror data does not end with # EOF (line 2)\n");
}

#[test]
fn created_lines_become_start_timestamps() {
    let body = "# TYPE c counter\nc_total{a=\"1\"} 1\nc_created{a=\"1\"} 5.5\nc_total{a=\"2\"} 1\n\
                # TYPE h histogram\nh_bucket{x=\"y\",le=\"1\"} 1\nh_bucket{x=\"y\",le=\"+Inf\"} 1\nh_sum{x=\"y\"} 1\n\
                h_created{x=\"y\"} 7\nh_count{x=\"z\"} 1\nh_created{x=\"y\"} 8\n# TYPE g gauge\ng_created 1\n# EOF\n";
    assert_eq!(
        described(OpenMetricsParser::new(body.as_bytes(), true)),
        "type c counter\nc_total{a=1} = 1 from 5500\nc_total{a=2} = 1\ntype h histogram\n\
         h_bucket{le=1.0,x=y} = 1 from 7000\nh_bucket{le=+Inf,x=y} = 1 from 7000\nh_sum{x=y} = 1 from 7000\n\
         h_count{x=z} = 1\ntype g gauge\ng_created = 1\n"
    );
}

#[test]
fn looking_ahead_takes_linear_time() {
    let mut body = "# TYPE c counter\n".to_owned();
    for i in 0..20_000 {
        body.push_str(&format!("c_total{{a=\"{i}\"}} 1\n"));
    }
    body.push_str("# EOF\n");
    assert_eq!(OpenMetricsParser::new(body.as_bytes(), true).count(), 20_001);
}

#[test]
fn survives_mutations() {
    let body = "# TYPE a counter\n# UNIT a_s s\na_total{x=\"\\\"\"} 1 5 # {t=\"1\"} 2 3\na_created{x=\"\\\"\"} 1\n\
                {\"a.b\",c=\"d\"} NaN\n# EOF\n";
    testing::mutate(body, |b| {
        described(OpenMetricsParser::new(b, true));
    });
}
