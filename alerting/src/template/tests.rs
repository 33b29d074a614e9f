//! The table `cases.jsonl` holds what Prometheus itself makes of templates: for each `template` what it `want`s, or the
//! `error` of expanding it, or that of the `parse`.

use std::sync::Arc;

use model::Labels;
use model::histogram::{FloatHistogram, Span};
use query::VectorSample;
use serde_json::Value as Json;

use super::*;

fn sample(pairs: &[(&str, &str)], value: model::Value) -> Value {
    Value::Sample(Arc::new(VectorSample { labels: Labels::from_pairs(pairs.iter().copied()), t: 0, value }))
}

fn query(text: &str) -> Result<Vec<Value>, String> {
    Ok(match text {
        "two" => vec![
            sample(&[("__name__", "m"), ("instance", "a")], model::Value::Float(11.0)),
            sample(&[("__name__", "m"), ("instance", "b")], model::Value::Float(1.5e6)),
        ],
        "unsorted" => {
            ["z", "c", "k"].map(|name| sample(&[("instance", name)], model::Value::Float(1.0))).to_vec()
        }
        "strv" => vec![sample(&[("__value__", "text")], model::Value::Float(1.0))],
        "nan" => vec![sample(&[], model::Value::Float(f64::NAN))],
        "inf" => vec![sample(&[], model::Value::Float(f64::INFINITY))],
        "hist" => vec![sample(
            &[],
            model::Value::Histogram(Arc::new(FloatHistogram {
                count: 3.0,
                sum: 4.5,
                positive_spans: vec![Span { offset: 0, length: 1 }],
                positive_buckets: vec![3.0],
                ..FloatHistogram::default()
            })),
        )],
        "none" => vec![],
        _ => return Err(format!("no such query: {text}")),
    })
}

fn data() -> Value {
    Value::Alert(Arc::new(AlertData {
        labels: Labels::from_pairs([("instance", "web-1:9100"), ("job", "node"), ("a", "x")]),
        external_labels: Labels::from_pairs([("cluster", "c")]),
        external_url: "http://prom.example/p".into(),
        value: model::Value::Float(42.5),
    }))
}

fn expand(text: &str) -> Result<Result<String, String>, String> {
    let environment = Environment {
        now_ms: 1_435_065_584_128,
        external_url: "http://prom.example/p",
        path_prefix: "/p",
        query: &query,
    };
    let template = Template::alert("A", text)?;
    Ok(template
        .expand(data(), &environment)
        .map_err(|e| format!("error executing template {}: {e}", template.name())))
}

#[test]
fn agrees_with_prometheus() {
    let mut wrong = Vec::new();
    for line in include_str!("cases.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let text = case["template"].as_str().unwrap();
        let got = match expand(text) {
            Ok(Ok(got)) => ("want", got),
            Ok(Err(error)) => ("error", error),
            Err(error) => ("parse", error),
        };
        let (kind, want) = ["want", "error", "parse"]
            .into_iter()
            .find_map(|kind| case[kind].as_str().map(|want| (kind, want.to_owned())))
            .unwrap();
        if got != (kind, want.clone()) {
            wrong.push(format!("{text}\n  got  {}: {}\n  want {kind}: {want}", got.0, got.1));
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// Go words these differently when the argument is a literal.
#[test]
fn arguments_of_a_wrong_type_are_errors() {
    for text in
        ["printf 5", "title 5", "first 5", "value 5", "label \"a\" 5", "title .Value", "value .Labels"]
    {
        let error = expand(&format!("{{{{ {text} }}}}")).unwrap().unwrap_err();
        assert!(error.contains("wrong type for value; expected "), "{error}");
    }
}

#[test]
fn bounds() {
    let error = |text: &str| expand(text).unwrap().unwrap_err();
    assert!(error("{{ range 2000000 }}x{{ end }}").contains("too many steps"));
    assert!(error("{{ range 999999 }}{{ range 999999 }}{{ end }}{{ end }}").contains("too many steps"));
    assert!(error("{{ range 100000 }}0123456789ABCDEF{{ end }}").contains("bytes of output"));
    assert!(error("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}").contains("depth"));
    assert!(expand(&"{{ if true }}".repeat(10_000)).is_err());
    assert!(expand(&format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000))).is_err());
    assert_eq!(expand("{{ printf \"%99999999d\" 1 }}").unwrap().unwrap().len(), 1000);
}
