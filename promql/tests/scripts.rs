//! Runs every script of `tests/scripts` on the engine, and checks that the runner notices what does not hold.

use std::path::Path;

use testkit::script::{Failure, Report, Script, ScriptError, run};
use testkit::{EngineTarget, PromQl};

fn run_text(text: &str) -> Report {
    let mut target = EngineTarget::new(EngineTarget::script_options());
    match Script::<PromQl>::parse(text) {
        Ok(script) => run(&script, &mut target),
        Err(ScriptError { line, message }) => Report { passed: 0, failures: vec![Failure { line, message }] },
    }
}

#[test]
fn scripts_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let (mut passed, mut failures) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let report = run_text(&std::fs::read_to_string(&path).unwrap());
        assert!(report.passed > 0 || !report.failures.is_empty(), "{} evaluates nothing", path.display());
        passed += report.passed;
        let name = path.file_name().unwrap().display().to_string();
        failures.extend(report.failures.iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(passed > 150, "only {passed} evaluations ran");
}

/// Every expectation here is wrong in one way; the runner must say so.
#[test]
fn wrong_expectations_fail() {
    const LOAD: &str =
        "load 1m\n  a{l=\"1\"} 1 2 3\n  a{l=\"2\"} 4 5 6\n  h {{schema:0 count:3 sum:5 buckets:[1 2]}}x2\n";
    for (eval, want) in [
        ("eval instant at 1m a\n a{l=\"1\"} 2", "unexpected metric {__name__=\"a\", l=\"2\"}"),
        ("eval instant at 1m a{l=\"1\"}\n a{l=\"1\"} 2\n a{l=\"3\"} 2", "not found"),
        ("eval instant at 1m a{l=\"1\"}\n a{l=\"1\"} 2.00001", "expected 2.00001"),
        ("eval instant at 1m a{l=\"1\"}\n a{l=\"1\"} {{count:1}}", "but got 2"),
        ("eval instant at 1m a{l=\"1\"}\n 2", "expected a scalar"),
        ("eval instant at 1m scalar(a{l=\"1\"})\n {} 2", "but got a scalar"),
        ("eval instant at 1m sort(a)\n expect ordered\n a{l=\"2\"} 5\n a{l=\"1\"} 2", "at position"),
        ("eval instant at 1m \"x\"\n expect string \"y\"", "expected string"),
        ("eval instant at 1m a\n expect fail", "expected it to fail"),
        ("eval instant at 1m a + on() a\n expect fail msg: other", "expected failure"),
        ("eval instant at 1m a + on() a", "failed:"),
        ("eval instant at 1m a{", "failed:"),
        ("eval instant at 1m rate(a[5m])\n expect no_info\n {l=\"1\"} 1\n {l=\"2\"} 1", "expected no info"),
        ("eval_info instant at 1m a\n a{l=\"1\"} 2\n a{l=\"2\"} 5", "expected a info"),
        ("eval instant at 1m quantile(2, a)\n expect warn msg: other\n {} Inf", "expected warning"),
        ("eval instant at 1m quantile(2, a)\n expect no_warn\n {} Inf", "expected no warning"),
        ("eval instant at 1m h\n h {{schema:0 count:3 sum:5 buckets:[2 1]}}", "but got"),
        (
            "eval instant at 1m h\n h {{schema:0 count:3 sum:5 buckets:[1 2] counter_reset_hint:gauge}}",
            "but got",
        ),
        ("eval range from 0 to 2m step 1m a{l=\"1\"}\n a{l=\"1\"} 1 2", "unexpected point"),
        ("eval range from 0 to 2m step 1m a{l=\"1\"}\n a{l=\"1\"} 1 2 3 4", "cannot give so many"),
        ("eval range from 0 to 2m step 1m a{l=\"1\"}\n a{l=\"1\"} 1 _ 3", "expected a point at t=120000"),
        (
            "eval instant at 2m a[2m]\n expect range vector from 1m to 2m step 1m\n a{l=\"1\"} 2 3",
            "unexpected metric",
        ),
    ] {
        let report = run_text(&format!("{LOAD}\n{eval}\n"));
        let [failure] = report.failures.as_slice() else { panic!("{eval}: {report:?}") };
        assert!(failure.message.contains(want), "{eval}: {failure}");
        assert_eq!((report.passed, failure.line), (0, 6), "{eval}");
    }
}

#[test]
fn scripts_that_cannot_be_read_say_where() {
    for (text, want) in [
        ("nonsense", "line 1: invalid command"),
        ("\n\nload x\n  a 1", "line 3: invalid step"),
        ("load 1m\n  a{ 1", "line 2: 1:4: parse error"),
        ("load 1m\n  a@st -1m\n  b 1", "line 2: @st metric does not match"),
        ("load 1m\n  a@st -1mx3\n  a 1", "line 2: @st line has 4 values but sample line has 1"),
        ("eval instant a", "line 1: invalid evaluation command"),
        ("eval range from 2m to 1m step 1m a", "line 1: invalid test definition"),
        ("eval instant at 1m a\n  expect warn\n  expect no_warn", "line 3: invalid expect lines"),
        ("eval instant at 1m a\n  expect warn regex:(", "line 2: invalid regex"),
        ("eval instant at 1m a\n  a 1 2", "line 2: expecting multiple values"),
        ("eval instant at 1m a\n  expect string x", "line 2: expected string literal"),
    ] {
        let message = match Script::<PromQl>::parse(text) {
            Ok(script) => panic!("{text} was read as {script:?}"),
            Err(error) => error.to_string(),
        };
        assert!(message.starts_with(want), "{text}: {message}");
    }
}

#[test]
fn commands_that_cannot_be_carried_out_are_failures() {
    for (text, want) in [
        ("load 1m\n  a 1x9999999999\n", "at most"),
        ("load 1m\n  a 1 2\n\nload 30s\n  a 3 4\n", "out of order"),
        ("load 1m\n  a {{schema:2}}+{{schema:1}}x2\n", "cannot merge"),
        ("load_with_nhcb 1m\n  a_bucket{le=\"1\"} 5\n  a_bucket{le=\"+Inf\"} 3\n", "not cumulative"),
    ] {
        let report = run_text(text);
        assert!(
            report.failures.len() == 1 && report.failures[0].message.contains(want),
            "{text}: {report:?}"
        );
    }
}
