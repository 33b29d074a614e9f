//! Checks an index against a look at every series. Shared by the tests of several crates.

use std::collections::BTreeSet;

use model::{Labels, MatchOp, Matcher};
use proptest::prelude::*;
use storage_base::index::select::{LabelIndex, at_most, label_names, label_values, select};

pub(crate) fn label_set() -> impl Strategy<Value = Labels> {
    let value = prop_oneof![Just(""), Just("a"), Just("ab"), Just("b"), Just("ba"), Just("é"), Just("a\n")];
    prop::collection::vec((prop_oneof![Just("__name__"), Just("l"), Just("m")], value), 1..4)
        .prop_map(|pairs| Labels::from_pairs(pairs.into_iter().chain([("always", "x")])))
}

pub(crate) fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof![Just("__name__"), Just("l"), Just("m"), Just("always"), Just("never")];
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let value = prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("x"),
        Just("a|b"),
        Just("a|"),
        Just(".*"),
        Just(".+"),
        Just("a.*"),
        Just("a.+"),
        Just(".*a"),
        Just("(a|b)a?"),
        Just("a(b|c)"),
        Just("[ab]"),
        Just("é"),
        Just("(?i)A"),
        Just("a?"),
        Just("()"),
        Just("x*"),
    ];
    (name, op, value).prop_map(|(name, op, value)| match op {
        MatchOp::Equal => Matcher::equal(name, value),
        op => Matcher::new(op, name, value).unwrap(),
    })
}

/// Checks an index of `series`, numbered as in `ids`, against a look at every series.
pub(crate) fn agrees_with_filter<I: LabelIndex>(
    index: &I,
    series: &[(u32, Labels)],
    matchers: &[Matcher],
) -> Result<(), TestCaseError> {
    let matching =
        || series.iter().filter(|(_, labels)| matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    let want: BTreeSet<u32> = matching().map(|(id, _)| *id).collect();
    let got = select(index, matchers).unwrap();
    let [roughly, closely] = [false, true].map(|closely| at_most(index, matchers, closely).unwrap());
    prop_assert!(got.len() <= closely && closely <= roughly, "{:?}: {closely}, {roughly}", matchers);
    prop_assert!(got.iter().eq(want.iter().copied()), "{:?}: {:?}, not {:?}", matchers, got, want);

    let names: BTreeSet<&str> =
        matching().flat_map(|(_, labels)| labels.iter()).map(|(name, _)| name).collect();
    let got_names = label_names(index, &got, 0).unwrap();
    prop_assert!(got_names.iter().eq(names.iter()), "{:?}: {:?}, not {:?}", matchers, got_names, names);
    for name in ["l", "__name__", "never"] {
        let values: BTreeSet<&str> = matching().filter_map(|(_, labels)| labels.get(name)).collect();
        let got = label_values(index, name, matchers, 0).unwrap();
        prop_assert!(got.iter().eq(values.iter()), "{:?} {}: {:?}, not {:?}", matchers, name, got, values);
        let got = label_values(index, name, matchers, 2).unwrap();
        prop_assert!(got.iter().eq(values.iter().take(2)), "{:?} {}: {:?}", matchers, name, got);
    }
    Ok(())
}
