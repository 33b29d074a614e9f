//! Arithmetic and comparisons between two vectors: signatures are matched once a query, then each pair of series is
//! combined column by column. What does not pair off plainly goes through [`super::stepwise`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::Labels;
use model::labels::{METADATA_LABELS, METRIC_NAME};
use query::interrupt::STAGE_EVALUATION;
use query::label_subset::{KeyHasher, LabelSubset};
use query::matrix::{EqualLabels, Row, is_metadata_label, unite};
use query::value::{ABSENT, is_absent};
use query::{Annotations, Interrupt, QueryError};
use rayon::prelude::*;

use super::op::{Operands, changes_metric, float_op, value_op};
use super::{VectorBinary, stepwise};
use crate::ast::{BinaryOp, Cardinality, Matching};

/// Rows of both sides with the number of their signature.
pub(crate) struct Sides {
    /// The side that may have several series of a signature, or the left one.
    pub(crate) many: Vec<(usize, Row)>,
    /// The other side.
    pub(crate) one: Vec<(usize, Row)>,
    /// How many signatures there are.
    pub(crate) signatures: usize,
}

/// Evaluates an operator on two vectors.
#[expect(clippy::too_many_arguments, reason = "the parts of an evaluator that are borrowed one by one")]
pub(crate) fn evaluate(
    binary: &VectorBinary,
    subset: &LabelSubset,
    left: Vec<Row>,
    right: Vec<Row>,
    steps: usize,
    delayed: bool,
    interrupt: &Interrupt<'_>,
    annotations: &mut Annotations,
) -> Result<Vec<Row>, QueryError> {
    let matching = &binary.matching;
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !fills && (many.is_empty() || one.is_empty()) {
        return Ok(Vec::new());
    }
    let sides = number(subset, many, one);
    let result = ResultLabels { binary, delayed };
    match pairs(&sides, matching, &result) {
        Some(pairs) if !fills => {
            let combine = |pair: &Pair| {
                interrupt.check(STAGE_EVALUATION)?;
                let done = combine(binary, swapped, pair, steps);
                interrupt.allocated(done.0.bytes())?;
                Ok(done)
            };
            let done: Result<Vec<(Row, Annotations)>, QueryError> =
                pairs.par_iter().with_min_len(interrupt.min_len(8)).map(combine).collect();
            let mut rows = Vec::with_capacity(pairs.len());
            for (mut row, notes) in done? {
                annotations.merge(notes);
                if row.trim() {
                    rows.push(row);
                }
            }
            match result.distinct(&sides) {
                true => Ok(rows),
                false => unite(rows, EqualLabels::Merge),
            }
        }
        _ => stepwise::evaluate(binary, &sides, &result, steps, interrupt, annotations),
    }
}

fn number(subset: &LabelSubset, many: Vec<Row>, one: Vec<Row>) -> Sides {
    let mut numbers: HashMap<Vec<u8>, usize, KeyHasher> =
        HashMap::with_capacity_and_hasher(one.len(), KeyHasher);
    let mut key = Vec::new();
    let mut number = |rows: Vec<Row>| -> Vec<(usize, Row)> {
        let mut with_number = |row: Row| {
            subset.key(&row.labels, false, &mut key);
            let next = numbers.len();
            let number = match numbers.get(&key) {
                Some(number) => *number,
                None => *numbers.entry(key.clone()).or_insert(next),
            };
            (number, row)
        };
        rows.into_iter().map(&mut with_number).collect()
    };
    let (one, many) = (number(one), number(many));
    Sides { many, one, signatures: numbers.len() }
}

/// Two series that are combined wherever both have a sample.
struct Pair<'a> {
    many: &'a Row,
    one: &'a Row,
    labels: Labels,
}

/// Pairs the series off; `None` when a step could have several candidates, so that each step must be looked at.
fn pairs<'a>(sides: &'a Sides, matching: &Matching, result: &ResultLabels<'_>) -> Option<Vec<Pair<'a>>> {
    let mut ones: Vec<Option<&Row>> = vec![None; sides.signatures];
    for (number, row) in &sides.one {
        if ones[*number].replace(row).is_some() {
            return None;
        }
    }
    let mut seen = vec![false; sides.signatures];
    let mut results: HashMap<(usize, Labels), (), KeyHasher> = HashMap::with_hasher(KeyHasher);
    let mut pairs = Vec::with_capacity(sides.many.len());
    let mut buffer = String::with_capacity(128);
    for (number, many) in &sides.many {
        let Some(one) = ones[*number] else { continue };
        let repeated = std::mem::replace(&mut seen[*number], true);
        if repeated && matching.cardinality == Cardinality::OneToOne {
            return None;
        }
        let labels = result.of(&many.labels, &one.labels, &mut buffer);
        if matching.cardinality != Cardinality::OneToOne && !result.keeps_many() {
            match results.entry((*number, labels.clone())) {
                Entry::Occupied(_) => return None,
                Entry::Vacant(place) => drop(place.insert(())),
            }
        }
        pairs.push(Pair { many, one, labels });
    }
    Some(pairs)
}

/// How the labels of results follow from those of operands.
pub(crate) struct ResultLabels<'a> {
    pub(crate) binary: &'a VectorBinary,
    /// Names are dropped at the very end.
    pub(crate) delayed: bool,
}

impl ResultLabels<'_> {
    /// Whether all results have different labels. In one-to-one matches those of the signature are among them, unless
    /// type or unit go with the name.
    fn distinct(&self, sides: &Sides) -> bool {
        let described = |labels: &Labels| METADATA_LABELS[1..].iter().any(|name| labels.get(name).is_some());
        match self.binary.matching.cardinality {
            Cardinality::OneToOne => !sides.many.iter().any(|(_, row)| described(&row.labels)),
            _ => self.keeps_many(),
        }
    }

    /// Whether results have the very labels of the side that lends them, which are distinct.
    fn keeps_many(&self) -> bool {
        let matching = &self.binary.matching;
        matching.cardinality != Cardinality::OneToOne && !self.nameless() && matching.include.is_empty()
    }

    fn nameless(&self) -> bool {
        let VectorBinary { op, return_bool, .. } = self.binary;
        changes_metric(*op) || (*return_bool && !self.delayed)
    }

    /// The labels of a result; `many` is the side that lends them.
    pub(crate) fn of(&self, many: &Labels, one: &Labels, buffer: &mut String) -> Labels {
        if self.keeps_many() {
            return many.clone();
        }
        let (matching, nameless) = (&self.binary.matching, self.nameless());
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let named = |name: &str| matching.labels.iter().any(|label| label == name);
        let keeps = |name: &str| {
            !(nameless && is_metadata_label(name)) && (!one_to_one || named(name) == matching.on)
        };
        if matching.include.is_empty() {
            return Labels::from_sorted_in(buffer, many.iter().filter(|(name, _)| keeps(name)));
        }
        let mut labels = many.to_builder();
        labels.retain(|name, _| keeps(name));
        for name in &matching.include {
            labels.set(name, one.get(name).unwrap_or(""));
        }
        labels.finish()
    }

    /// The labels that two series must share, as errors and filled-in samples show them.
    pub(crate) fn matched(&self, labels: &Labels) -> Labels {
        let matching = &self.binary.matching;
        if matching.on {
            labels.keep(&matching.labels)
        } else {
            let dropped =
                |name: &str| name == METRIC_NAME || matching.labels.iter().any(|label| label == name);
            Labels::from_sorted(labels.iter().filter(|(name, _)| !dropped(name)))
        }
    }
}

fn combine(binary: &VectorBinary, swapped: bool, pair: &Pair<'_>, steps: usize) -> (Row, Annotations) {
    let mut annotations = Annotations::default();
    let (many, one) = (pair.many, pair.one);
    let from = many.first.max(one.first);
    let to = many.span().end.min(one.span().end).min(steps).max(from);
    let mut row = Row { first: from, ..Row::blank(pair.labels.clone(), to - from) };
    if from == to {
        return (row, annotations);
    }
    row.drop_name = binary.return_bool;
    let is_trim = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
    if many.histograms.is_none() && one.histograms.is_none() && !is_trim {
        let (many, one) = (&many.values[from - many.first..], &one.values[from - one.first..]);
        for ((place, m), o) in row.values.iter_mut().zip(many).zip(one) {
            if is_absent(*m) || is_absent(*o) {
                continue;
            }
            let (a, b) = if swapped { (*o, *m) } else { (*m, *o) };
            let (v, holds) = float_op(binary.op, a, b);
            *place = if binary.return_bool {
                f64::from(u8::from(holds))
            } else if holds {
                v
            } else {
                ABSENT
            };
        }
        return (row, annotations);
    }
    for step in from..to {
        let (Some(m), Some(o)) = (many.value(step), one.value(step)) else { continue };
        let operands =
            if swapped { Operands { left: &o, right: &m } } else { Operands { left: &m, right: &o } };
        if let Some((value, holds)) = value_op(binary.op, &operands, binary.pos, &mut annotations) {
            if binary.return_bool {
                row.set(step, model::Value::Float(f64::from(u8::from(holds))));
            } else if holds {
                row.set(step, value);
            }
        }
    }
    (row, annotations)
}
