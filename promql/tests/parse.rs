//! The parser as its callers see it: what it accepts, how that prints, which errors it gives.

use promql::ast::{ExprKind, MAX_HEIGHT};
use promql::print::pretty;
use promql::{Features, parse, parse_metric, parse_selector};

fn printed(query: &str) -> String {
    match parse(query, &Features::ALL) {
        Ok(expr) => expr.to_string(),
        Err(errors) => errors.to_string(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (query, want) in cases {
        assert_eq!(printed(query), *want, "{query}");
        if !want.contains("parse error") {
            assert_eq!(printed(want), *want, "printed form of {query} must be stable");
        }
    }
}

#[test]
fn literals() {
    check(&[
        ("1_000 + 0x10 + 010", "1000 + 16 + 8"),
        ("-1e3", "-1000"),
        ("+Inf", "+Inf"),
        ("-inF", "-Inf"),
        ("nan", "NaN"),
        ("-0", "-0"),
        (".5", "0.5"),
        ("1h30m * 2", "1h30m * 2"),
        ("-90s", "-1m30s"),
        (r#"'it''s'"#, r#"1:5: parse error: unexpected string "'s'""#),
        (r#""tab\t\u00e9 \x41""#, r#""tab\té A""#),
        (r"`raw \t`", r#""raw \\t""#),
        ("\"a\u{a0}b\"", r#""a\u00a0b""#),
        ("5m5h", r#"1:1: parse error: not a valid duration string: "5m5h""#),
        ("3hs", r#"1:1: parse error: unknown unit "hs" in duration "3hs""#),
        ("1e", r#"1:1: parse error: bad number or duration syntax: "1e""#),
        ("1__0", r#"1:1: parse error: bad number or duration syntax: "1__""#),
        ("\"open", "1:1: parse error: unterminated quoted string"),
        ("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"),
    ]);
}

#[test]
fn selectors() {
    check(&[
        ("up", "up"),
        ("up{ job = 'a', le =~ \"b|c\", } ", r#"up{job="a",le=~"b|c"}"#),
        (r#"{z!="1",a!~"x",__name__="up"}"#, r#"{__name__="up",a!~"x",z!="1"}"#),
        (r#"{"a name","a label"="x"}"#, r#"{"a label"="x",__name__="a name"}"#),
        ("a:rate5m # comment\n  offset # more\n 5m", "a:rate5m offset 5m"),
        ("sum", "sum"),
        ("by{on='x'}", r#"by{on="x"}"#),
        ("fill + fill_left", "fill + fill_left"),
        ("x @ 1.2345 offset -1h", "x @ 1.235 offset -1h"),
        ("x offset 1w @ start()", "x @ start() offset 1w"),
        ("x[5m] @ end() offset 30", "x[5m] @ end() offset 30s"),
        ("x[90s] smoothed offset 1m", "x[1m30s] smoothed offset 1m"),
        ("x anchored", "x anchored"),
        ("rate(x[1d])[1h:]", "rate(x[1d])[1h:]"),
        ("x[1h:5m] @ 3 offset 2m", "x[1h:5m] @ 3.000 offset 2m"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (r#"{a=~".*"}"#, "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (r#"x{__name__="y"}"#, r#"1:1: parse error: metric name must not be set twice: "x" or "y""#),
        ("x{a}", r#"1:4: parse error: unexpected "}" in label matching, expected label matching operator"#),
        ("x{a=}", r#"1:5: parse error: unexpected "}" in label matching, expected string"#),
        ("x{a=b}", r#"1:5: parse error: unexpected identifier "b" in label matching, expected string"#),
        (
            "x{a='1' b='2'}",
            r#"1:9: parse error: unexpected identifier "b" in label matching, expected "," or "}""#,
        ),
        ("x{,}", r#"1:3: parse error: unexpected "," in label matching, expected identifier or "}""#),
        ("x{a='1'", "1:8: parse error: unexpected end of input inside braces"),
        ("x[5m", "1:5: parse error: unclosed left bracket"),
        ("x[0s]", "1:3: parse error: duration must be greater than 0"),
        (
            "x[]",
            concat!(
                r#"1:3: parse error: unexpected "]" in subquery or range selector, "#,
                "expected number, duration, step(), or range()"
            ),
        ),
        ("sum(x)[5m]", "1:7: parse error: ranges only allowed for vector selectors"),
        ("x offset 1m[5m]", "1:12: parse error: no offset modifiers allowed before range"),
        ("x @ 1[5m]", "1:6: parse error: no @ modifiers allowed before range"),
        ("x offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("x @ 1 @ end()", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("x @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        (
            "(x) offset 1m",
            concat!(
                "1:1: parse error: offset modifier must be preceded by an instant vector selector ",
                "or range vector selector or a subquery"
            ),
        ),
        ("x anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("x[5m:] smoothed", "1:1: parse error: smoothed modifier is not supported for subqueries"),
    ]);
}

#[test]
fn duration_expressions() {
    check(&[
        ("x[5m + 30s * 2]", "x[5m + 30s * 2]"),
        ("x[2 ^ 3 ^ 2]", "x[2 ^ 3 ^ 2]"),
        ("x[(step())]", "x[(step())]"),
        ("x[max_of(5m, range() / 2):step()]", "x[max_of(5m, range() / 2):step()]"),
        ("x offset (5m + 3)", "x offset (5m + 3)"),
        ("x offset -(5m)", "x offset -(5m)"),
        ("x offset 5m + 3", "x offset 5m + 3"),
        ("x offset -2 ^ 2", "x offset -2s ^ 2"),
        ("x offset ((5m))", "x offset (5m)"),
        ("x[5m / 0]", "1:6: parse error: division by zero"),
        ("x[5m % 0]", "1:6: parse error: modulo by zero"),
        ("x[-5m]", "1:3: parse error: duration must be greater than 0"),
        ("x[10000y]", "1:3: parse error: duration out of range"),
        ("x[:5m]", "1:4: parse error: unexpected colon before duration in duration expression"),
        ("x[y]", "1:3: parse error: unexpected character in duration expression: 'y'"),
    ]);
}

#[test]
fn operators() {
    let tree = |query: &str| {
        fn show(expr: &promql::ast::Expr) -> String {
            match &expr.kind {
                ExprKind::Binary(b) => format!("({} {} {})", show(&b.left), b.op.as_str(), show(&b.right)),
                ExprKind::Unary(op, inner) => format!("({}{})", op.as_str(), show(inner)),
                _ => expr.to_string(),
            }
        }
        show(&parse(query, &Features::ALL).unwrap())
    };
    for (query, want) in [
        ("a + b * c ^ d ^ e", "(a + (b * (c ^ (d ^ e))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a == b < c", "((a == b) < c)"),
        ("a + b > c atan2 d", "((a + b) > (c atan2 d))"),
        ("a </ b >/ c", "((a </ b) >/ c)"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-a * b", "((-a) * b)"),
        ("a ^ -b * c", "((a ^ (-b)) * c)"),
        ("- -1", "1"),
        ("a % b / c", "((a % b) / c)"),
    ] {
        assert_eq!(tree(query), want, "{query}");
    }
    check(&[
        ("a + ON (x,) group_left b", "a + on (x) group_left () b"),
        ("a * ignoring() b", "a * b"),
        ("a / on() b", "a / on () b"),
        ("a == bool on (sum, \"b c\") group_right (d) b", "a == bool on (sum, \"b c\") group_right (d) b"),
        ("a + fill (1) b", "a + fill (1) b"),
        ("a + on (x) fill_right (-2) fill_left (1e6) b", "a + on (x) fill_left (1e+06) fill_right (-2) b"),
        ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a and bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a and 1", r#"1:1: parse error: set operator "and" not allowed in binary scalar expression"#),
        ("a or on (x) group_left b", r#"1:1: parse error: no grouping allowed for "or" operation"#),
        ("a and fill (1) b", "1:1: parse error: filling in missing series not allowed for set operators"),
        ("1 + on (x) a", "1:1: parse error: vector matching only allowed between instant vectors"),
        (
            "a + on (x) group_left (x) b",
            r#"1:3: parse error: label "x" must not occur in ON and GROUP clause at once"#,
        ),
        ("a + 'b'", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
        ("a + ", "1:5: parse error: unexpected end of input"),
        ("a ! b", "1:3: parse error: unexpected character after '!': ' '"),
        ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
        ("a + on b", r#"1:8: parse error: unexpected identifier "b" in grouping opts, expected "(""#),
        ("a + group_left b", r"1:5: parse error: unexpected <group_left>"),
        (
            "-'x'",
            concat!(
                "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, ",
                r#"got "string""#
            ),
        ),
    ]);
}

#[test]
fn aggregations() {
    check(&[
        ("SUM(x) BY (a, b)", "sum by (a, b) (x)"),
        ("sum by () (x)", "sum(x)"),
        ("avg without () (x)", "avg without () (x)"),
        ("topk(3, x)", "topk(3, x)"),
        ("count_values by (a) ('v', x)", r#"count_values by (a) ("v", x)"#),
        ("limit_ratio(-0.5, x)", "limit_ratio(-0.5, x)"),
        ("sum by (\"a b\", max) (x)", "sum by (\"a b\", max) (x)"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "sum(x, y)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
        ),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("topk(x, y)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("sum by (without) (x)", "1:9: parse error: unexpected <without> in grouping opts, expected label"),
        (
            "sum by (a b) (x)",
            r#"1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")""#,
        ),
        ("sum by ('') (x)", r#"1:9: parse error: invalid label name for grouping: """#),
        ("sum by (a) x", r#"1:12: parse error: unexpected identifier "x" in aggregation"#),
        ("sum(x +)", r#"1:8: parse error: unexpected ")" in aggregation"#),
    ]);
}

#[test]
fn calls() {
    check(&[
        ("rate(x[5m])", "rate(x[5m])"),
        ("time()", "time()"),
        ("round(x)", "round(x)"),
        ("label_join(x, 'a', ',')", r#"label_join(x, "a", ",")"#),
        ("end() - start()", "end() - start()"),
        ("info(x, {a=~'.*'})", r#"info(x, {a=~".*"})"#),
        ("nope(x)", r#"1:1: parse error: unknown function with name "nope""#),
        ("RATE(x[1m])", r#"1:1: parse error: unknown function with name "RATE""#),
        (
            "rate(x)",
            r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
        ),
        ("rate()", r#"1:1: parse error: expected 1 argument(s) in call to "rate", got 0"#),
        ("round(x, 1, 2)", r#"1:1: parse error: expected at most 2 argument(s) in call to "round", got 3"#),
        (
            "label_join(x)",
            r#"1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 1"#,
        ),
        ("abs(x,)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("info(x, y)", "1:9: parse error: expected label selectors only, got vector selector instead"),
        (
            "x[5m] + 1",
            "1:1: parse error: binary expression must contain only scalar and instant vector types",
        ),
        ("rate(x[5m])[1m]", "1:12: parse error: ranges only allowed for vector selectors"),
        ("x[5m][1h:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
        ("(x", "1:3: parse error: unclosed left parenthesis"),
        ("x)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("", "unknown position: parse error: no expression found in input"),
        (" # nothing", "1:1: parse error: no expression found in input"),
        ("a b", r#"1:3: parse error: unexpected identifier "b""#),
        ("a +\n  ? b", "2:3: parse error: unexpected character: '?'"),
    ]);
}

#[test]
fn features_are_refused_when_off() {
    let off = Features {
        experimental_functions: false,
        duration_expressions: false,
        extended_range_selectors: false,
        binop_fill_modifiers: false,
    };
    for (query, want) in [
        ("mad_over_time(x[5m])", r#"1:1: parse error: function "mad_over_time" is not enabled"#),
        (
            "limitk(1, x)",
            concat!(
                "1:1: parse error: limitk() is experimental and must be enabled with ",
                "--enable-feature=promql-experimental-functions"
            ),
        ),
        ("x[5m + 1]", "1:3: parse error: experimental duration expression is not enabled"),
        ("x offset step()", "1:10: parse error: experimental duration expression is not enabled"),
        ("x[5m] anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
        ("a + fill (1) b", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
    ] {
        let errors = parse(query, &off).unwrap_err();
        assert_eq!(errors.to_string(), want);
        assert!(parse(query, &Features::ALL).is_ok(), "{query}");
    }
    assert!(parse("x[5m + 1]", &Features::default()).is_ok());
}

#[test]
fn all_type_errors_are_found() {
    let errors = parse("rate(a) + sum(1)", &Features::ALL).unwrap_err();
    let shown: Vec<_> = errors.all().iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2);
    assert!(shown[1].starts_with("1:15: parse error: expected type instant vector"), "{shown:?}");
    assert_eq!(errors.all()[1].excerpt(), "rate(a) + sum(1)\n              ^");
}

#[test]
fn pretty_splits_long_lines_only() {
    let expr = parse("sum by (job) (rate(requests_total{code=\"500\"}[5m]))", &Features::ALL).unwrap();
    assert_eq!(pretty(&expr), expr.to_string());
    let query = "topk(3, sum by (job, instance) (rate(requests_total{code=\"500\",handler=\"/api/v1/query\"}[5m])) \
                 / on (job) group_left () sum by (job) (rate(requests_total[5m])))";
    let want = "\
topk(
  3,
    sum by (job, instance) (rate(requests_total{code=\"500\",handler=\"/api/v1/query\"}[5m]))
  / on (job) group_left ()
    sum by (job) (rate(requests_total[5m]))
)";
    assert_eq!(pretty(&parse(query, &Features::ALL).unwrap()), want);
}

#[test]
fn selectors_and_metrics_alone() {
    let shown = |text: &str| match parse_selector(text) {
        Ok(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(shown("up{job=~'a'}"), r#"job=~"a",__name__="up""#);
    assert_eq!(shown("{}"), "");
    assert_eq!(shown("up offset 5m"), "1:4: parse error: unexpected <offset>");
    assert_eq!(shown(""), "unknown position: parse error: unexpected end of input");
    let shown = |text: &str| match parse_metric(text) {
        Ok(labels) => labels.to_string(),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(shown("up{job='a'}"), r#"{__name__="up", job="a"}"#);
    assert_eq!(shown("{'a name', 'b c'='d'}"), r#"{__name__="a name", "b c"="d"}"#);
    assert_eq!(shown("up{job}"), r#"1:7: parse error: unexpected "}" in label set, expected "=""#);
}

#[test]
fn hostile_nesting_gives_an_error() {
    let check = || {
        let nested = |open: &str, inner: &str, close: &str, n: usize| {
            format!("{}{inner}{}", open.repeat(n), close.repeat(n))
        };
        for query in [
            nested("(", "x", ")", 100_000),
            nested("-", "x", "", 100_000),
            nested("abs(", "x", ")", 100_000),
            nested("a ^ ", "x", "", 100_000),
            nested("", "x", " + 1", 100_000),
            nested("", "x", " or x", 100_000),
            nested("", "x", "[5m:]", 100_000),
            format!("x[{}]", nested("(", "5m", ")", 100_000)),
            format!("x[{}]", nested("", "5m", " + 1", 100_000)),
            format!("x[{}]", nested("-", "5m", "", 100_000)),
        ] {
            let message = parse(&query, &Features::ALL).unwrap_err().to_string();
            assert!(message.contains("nested too deeply") || message.contains("too large"), "{message}");
        }
        let long = nested("", "x", " + 1", MAX_HEIGHT - 1);
        let expr = parse(&long, &Features::ALL).unwrap();
        assert_eq!(expr.to_string(), long);
        assert!(!pretty(&expr).is_empty());
        assert!(parse(&nested("(", "x", ")", 100), &Features::ALL).is_ok());
    };
    // Without optimisation stack frames are several times larger than in the server.
    std::thread::Builder::new().stack_size(16 << 20).spawn(check).unwrap().join().unwrap();
}
