//! From matchers to series.
//!
//! Every matcher becomes a term: keep, or drop, the series whose label has one of some values. A matcher that
//! matches the empty string drops the values it does not match, so that series without the label stay; any other
//! keeps the values it matches. Terms that know their values look only at these; the rest scan the values of their
//! label, from a literal prefix on where there is one. The cheapest terms go first, and the first empty set ends the
//! work. When few series are left, an index that can looks at their labels, and not at the values of the next label if
//! these are more, nor at the series with these values if those are many more. Source of the rules: Prometheus
//! `tsdb/querier.go`, `PostingsForMatchers`.

use std::ops::ControlFlow;

use model::{MatchOp, Matcher};

use super::postings::{Postings, intersect, union};
use crate::StorageError;

/// An index of labels, in memory or mapped.
pub trait LabelIndex {
    /// Where the postings of one label value are.
    type Value: Copy;

    /// All series.
    fn all(&self) -> Result<Postings<'_>, StorageError>;

    /// One value of a label; `None` when no series has it.
    fn find(&self, name: &str, value: &str) -> Result<Option<Self::Value>, StorageError>;

    /// The series that have a value.
    fn postings(&self, value: Self::Value) -> Result<Postings<'_>, StorageError>;

    /// How many series have a value, as far as that shows at once.
    fn postings_len(&self, value: Self::Value) -> Result<u64, StorageError> {
        Ok(self.postings(value)?.len())
    }

    /// Whether [`LabelIndex::label`] works.
    const KNOWS_LABELS: bool = false;

    /// The value of a label of a series, "" when the series lacks it.
    fn label(&self, _id: u32, _name: &str) -> Result<&str, StorageError> {
        Ok("")
    }

    /// How many values a label has.
    fn value_count(&self, name: &str) -> Result<u64, StorageError>;

    /// All label names, ascending.
    fn names(&self) -> Result<Vec<String>, StorageError>;

    /// Shows the values of a label that are not less than `from`, ascending, until `visit` breaks. `visit` must not
    /// use the index.
    fn values(
        &self,
        name: &str,
        from: &str,
        visit: &mut dyn FnMut(&str, Self::Value) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;
}

/// Looking at a label of a series takes about as long as merging the postings of this many.
const LABEL_COST: u64 = 4;

/// The series that satisfy all matchers; all series when there is none.
pub fn select<'a, I: LabelIndex>(index: &'a I, matchers: &[Matcher]) -> Result<Postings<'a>, StorageError> {
    let mut terms: Vec<Term<'_>> = matchers.iter().map(Term::new).collect();
    terms.sort_by_key(|term| (term.values.is_scan(), !term.keep, term.values.cost()));
    let (mut sets, mut without) = (Vec::new(), Vec::new());
    for term in &terms {
        if matches!(term.values, Values::None) {
            if term.keep {
                return Ok(Postings::empty());
            }
            continue;
        }
        if !term.keep && sets.is_empty() {
            sets.push(index.all()?);
        }
        let mut left = None;
        if I::KNOWS_LABELS && term.values.cost() > 1 && !sets.is_empty() {
            let found = intersect(std::mem::take(&mut sets), std::mem::take(&mut without));
            if found.is_empty() {
                return Ok(found);
            }
            if term.values.is_scan() && found.len() <= index.value_count(term.matcher.name())? {
                sets.push(filter(index, &found, term.matcher)?);
                continue;
            }
            left = Some(found);
        }
        let of_values = term.values.postings(index, term)?;
        if let Some(left) = left {
            let many = of_values.iter().map(Postings::len).sum::<u64>();
            if left.len() < many / LABEL_COST {
                sets.push(filter(index, &left, term.matcher)?);
                continue;
            }
            sets.push(left);
        }
        let set = all_of(index, of_values)?;
        if !term.keep {
            without.push(set);
        } else if set.is_empty() {
            return Ok(set);
        } else {
            sets.push(set);
        }
    }
    if sets.is_empty() {
        return index.all();
    }
    Ok(intersect(sets, without))
}

/// An upper bound of the series that satisfy all matchers and of the values that finding them looks at; takes a few
/// look-ups. Few series are found and counted if the answer is to be close (`closely`).
pub fn at_most<I: LabelIndex>(index: &I, matchers: &[Matcher], closely: bool) -> Result<u64, StorageError> {
    const COUNTED_MAX: u64 = 2048;
    let bound = bound(index, matchers)?;
    if closely && bound <= COUNTED_MAX { Ok(select(index, matchers)?.len()) } else { Ok(bound) }
}

fn bound<I: LabelIndex>(index: &I, matchers: &[Matcher]) -> Result<u64, StorageError> {
    let mut series = None;
    let mut scanned = 0;
    for term in matchers.iter().map(Term::new) {
        match term.values {
            Values::None if term.keep => return Ok(0),
            Values::None => {}
            Values::Listed(_) if !term.keep => {}
            Values::Listed(list) => {
                let mut listed = 0;
                for value in list {
                    if let Some(at) = index.find(term.matcher.name(), value)? {
                        listed += index.postings_len(at)?;
                    }
                }
                if listed == 0 {
                    return Ok(0);
                }
                series = Some(series.map_or(listed, |series: u64| series.min(listed)));
            }
            Values::Any | Values::Scan(_) => scanned += index.value_count(term.matcher.name())?,
        }
    }
    let series = match series {
        Some(series) => series,
        None => index.all()?.len(),
    };
    Ok(series + scanned)
}

/// The series of `left` whose label satisfies the matcher.
fn filter<I: LabelIndex>(
    index: &I,
    left: &Postings<'_>,
    matcher: &Matcher,
) -> Result<Postings<'static>, StorageError> {
    let mut kept = Vec::new();
    for id in left.iter() {
        if matcher.matches(index.label(id, matcher.name())?) {
            kept.push(id);
        }
    }
    Ok(Postings::List(kept.into()))
}

/// Names of the labels that the series of `selected` have, ascending.
pub fn label_names<I: LabelIndex>(
    index: &I,
    selected: &Postings<'_>,
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    for name in index.names()? {
        if limit > 0 && found.len() >= limit {
            break;
        }
        if values_among(index, &name, &[], selected, 1)?.len() == 1 {
            found.push(name);
        }
    }
    Ok(found)
}

/// Values that a label has in series that satisfy all matchers, ascending, at most `limit` unless that is 0.
pub fn label_values<I: LabelIndex>(
    index: &I,
    name: &str,
    matchers: &[Matcher],
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let (own, others): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.name() == name);
    if !others.is_empty() {
        let selected = select(index, matchers)?;
        return values_among(index, name, &own, &selected, limit);
    }
    let mut found = Vec::new();
    index.values(name, "", &mut |value, _| {
        if own.iter().all(|matcher| matcher.matches(value)) {
            found.push(value.to_owned());
        }
        if limit > 0 && found.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// Values of a label that some of `selected` have.
fn values_among<I: LabelIndex>(
    index: &I,
    name: &str,
    own: &[&Matcher],
    selected: &Postings<'_>,
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let mut candidates = Vec::new();
    if !selected.is_empty() {
        index.values(name, "", &mut |value, at| {
            if own.iter().all(|matcher| matcher.matches(value)) {
                candidates.push((value.to_owned(), at));
            }
            ControlFlow::Continue(())
        })?;
    }
    let mut found = Vec::new();
    for (value, at) in candidates {
        if index.postings(at)?.intersects(selected) {
            found.push(value);
            if limit > 0 && found.len() >= limit {
                break;
            }
        }
    }
    Ok(found)
}

/// A matcher as a set operation.
struct Term<'m> {
    matcher: &'m Matcher,
    /// Whether series with one of the values are kept; else they are dropped.
    keep: bool,
    values: Values<'m>,
}

/// Values of a label, never the empty one.
enum Values<'m> {
    None,
    Listed(Vec<&'m str>),
    Any,
    /// Those with this prefix for which the matcher's answer is that of its term.
    Scan(&'m str),
}

impl<'m> Term<'m> {
    fn new(matcher: &'m Matcher) -> Self {
        let keep = !matcher.matches("");
        let value = matcher.value();
        let values = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual if value.is_empty() => Values::Any,
            MatchOp::Equal | MatchOp::NotEqual => Values::Listed(vec![value]),
            MatchOp::Regex | MatchOp::NotRegex => {
                // Whether the values wanted are those that the expression itself matches. If it matches the empty
                // string, they are those that it does not match.
                let inside = (matcher.op() == MatchOp::Regex) == keep;
                Self::regex_values(matcher, inside)
            }
        };
        Self { matcher, keep, values }
    }

    fn regex_values(matcher: &'m Matcher, inside: bool) -> Values<'m> {
        match (inside, matcher.value()) {
            (false, ".*") => Values::None,
            (true, ".+") | (false, "") => Values::Any,
            (true, _) => match matcher.set_matches() {
                Some(set) => Values::Listed(set.iter().map(|value| &**value).collect()),
                None => Values::Scan(matcher.prefix().unwrap_or_default()),
            },
            (false, _) => Values::Scan(""),
        }
    }
}

impl Values<'_> {
    /// Whether finding them means to look at more than them.
    fn is_scan(&self) -> bool {
        matches!(self, Self::Any | Self::Scan(_))
    }

    fn cost(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Listed(list) => list.len(),
            Self::Scan(prefix) if !prefix.is_empty() => usize::MAX - 2,
            Self::Any => usize::MAX - 1,
            Self::Scan(_) => usize::MAX,
        }
    }

    /// The series of each value.
    fn postings<'a, I: LabelIndex>(
        &self,
        index: &'a I,
        term: &Term<'_>,
    ) -> Result<Vec<Postings<'a>>, StorageError> {
        let name = term.matcher.name();
        let mut found = Vec::new();
        match self {
            Self::None => {}
            Self::Listed(list) => {
                for value in list {
                    found.extend(index.find(name, value)?);
                }
            }
            Self::Any => index.values(name, "", &mut |_, at| {
                found.push(at);
                ControlFlow::Continue(())
            })?,
            // The wanted answer is the one that differs from that for the empty string.
            Self::Scan(prefix) => index.values(name, prefix, &mut |value, at| {
                if !value.starts_with(prefix) {
                    return ControlFlow::Break(());
                }
                if term.matcher.matches(value) == term.keep {
                    found.push(at);
                }
                ControlFlow::Continue(())
            })?,
        }
        found.into_iter().map(|at| index.postings(at)).collect()
    }
}

/// The series of some values of one label.
fn all_of<'a, I: LabelIndex>(
    index: &'a I,
    of_values: Vec<Postings<'a>>,
) -> Result<Postings<'a>, StorageError> {
    // A series has one value of a label. As many numbers as series are all series.
    if of_values.len() > 1 {
        let all = index.all()?;
        if of_values.iter().map(Postings::len).sum::<u64>() == all.len() {
            return Ok(all);
        }
    }
    Ok(union(of_values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::mem::MemIndex;
    use crate::index_testing::{agrees_with_filter, label_set, matcher};
    use model::Labels;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn agrees_with_a_filter_over_all_series(
            series in prop::collection::btree_set(label_set(), 0..60),
            matchers in prop::collection::vec(matcher(), 0..4),
        ) {
            let mut index = MemIndex::new();
            let series: Vec<_> = series.into_iter().enumerate().map(|(id, labels)| (id as u32 * 3, labels)).collect();
            for (id, labels) in &series {
                index.add(*id, labels);
            }
            agrees_with_filter(&index, &series, &matchers)?;
        }
    }

    /// Counts the values that selecting looks at.
    struct Counting(MemIndex, std::cell::Cell<usize>);

    impl LabelIndex for Counting {
        type Value = <MemIndex as LabelIndex>::Value;

        fn all(&self) -> Result<Postings<'_>, StorageError> {
            self.0.all()
        }

        fn find(&self, name: &str, value: &str) -> Result<Option<Self::Value>, StorageError> {
            self.1.set(self.1.get() + 1);
            self.0.find(name, value)
        }

        fn postings(&self, value: Self::Value) -> Result<Postings<'_>, StorageError> {
            self.0.postings(value)
        }

        fn value_count(&self, name: &str) -> Result<u64, StorageError> {
            self.0.value_count(name)
        }

        fn names(&self) -> Result<Vec<String>, StorageError> {
            self.0.names()
        }

        fn values(
            &self,
            name: &str,
            from: &str,
            visit: &mut dyn FnMut(&str, Self::Value) -> ControlFlow<()>,
        ) -> Result<(), StorageError> {
            self.0.values(name, from, &mut |value, at| {
                self.1.set(self.1.get() + 1);
                visit(value, at)
            })
        }
    }

    #[test]
    fn literals_and_prefixes_do_not_scan() {
        let mut index = MemIndex::new();
        for id in 0..1000 {
            index.add(id, &Labels::from_pairs([("l", format!("{id:03}"))]));
        }
        let index = Counting(index, Default::default());
        for (op, value, series, looked_at) in [
            (MatchOp::Equal, "007", 1, 1),
            (MatchOp::NotEqual, "007", 999, 1),
            (MatchOp::Regex, "007|008|nine", 2, 3),
            (MatchOp::NotRegex, "007|008|nine", 998, 3),
            (MatchOp::Regex, "01.*", 10, 11),
            (MatchOp::Regex, "01[0-3]", 4, 4),
            (MatchOp::NotRegex, "99.*", 990, 10),
            (MatchOp::Regex, ".*", 1000, 0),
            (MatchOp::NotRegex, ".*", 0, 0),
            (MatchOp::Regex, ".+", 1000, 1000),
        ] {
            index.1.set(0);
            let matcher = Matcher::new(op, "l", value).unwrap();
            assert_eq!(select(&index, std::slice::from_ref(&matcher)).unwrap().len(), series, "{matcher}");
            assert_eq!(index.1.get(), looked_at, "{matcher}");
        }
        // What the cheap matcher leaves empty, the costly one does not look at.
        index.1.set(0);
        let matchers = [Matcher::new(MatchOp::Regex, "l", ".*7").unwrap(), Matcher::equal("l", "none")];
        assert!(select(&index, &matchers).unwrap().is_empty());
        assert_eq!(index.1.get(), 1);
    }
}
