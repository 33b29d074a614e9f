//! Matching step by step, exactly as Prometheus does it: for fill modifiers, and where several series of a signature
//! may or may not meet at the same step. Source: Prometheus `VectorBinop`.

use std::collections::{HashMap, HashSet};

use model::{Labels, Value};
use query::label_subset::KeyHasher;
use query::matrix::{Row, same_labels_error};
use query::{Annotations, Interrupt, QueryError};

use super::VectorBinary;
use super::matching::{ResultLabels, Sides};
use super::op::{Operands, value_op};
use crate::ast::Cardinality;

/// A row of one side, or `None` for the value filled in.
type Side = Option<usize>;

struct Stepwise<'a> {
    binary: &'a VectorBinary,
    sides: &'a Sides,
    result: &'a ResultLabels<'a>,
    steps: usize,
    interrupt: &'a Interrupt<'a>,
    swapped: bool,
    /// Output row by the pair it comes from.
    by_pair: HashMap<(Side, Side), usize, KeyHasher>,
    /// Output row by labels.
    by_labels: HashMap<Labels, usize, KeyHasher>,
    out: Vec<Row>,
    /// For each signature, the output rows that this step has matched.
    matched: Vec<HashSet<usize>>,
}

/// Evaluates an operator on two vectors step by step.
pub(crate) fn evaluate(
    binary: &VectorBinary,
    sides: &Sides,
    result: &ResultLabels<'_>,
    steps: usize,
    interrupt: &Interrupt<'_>,
    annotations: &mut Annotations,
) -> Result<Vec<Row>, QueryError> {
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let mut state = Stepwise {
        binary,
        sides,
        result,
        steps,
        interrupt,
        swapped,
        by_pair: HashMap::with_hasher(KeyHasher),
        by_labels: HashMap::with_hasher(KeyHasher),
        out: Vec::new(),
        matched: vec![HashSet::new(); sides.signatures],
    };
    for step in 0..steps {
        state.step(step, annotations)?;
        interrupt.worked(100 * (sides.many.len() + sides.one.len()) as u64)?;
    }
    state.out.retain_mut(Row::trim);
    Ok(state.out)
}

impl Stepwise<'_> {
    fn step(&mut self, step: usize, annotations: &mut Annotations) -> Result<(), QueryError> {
        let matching = &self.binary.matching;
        // Prometheus does not swap these with the sides: under `group_right`, `fill_left` stands in for the right
        // side's series.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let sides = self.sides;
        let present = |rows: &[(usize, Row)]| -> Vec<(usize, usize)> {
            let at_step =
                |(at, (number, row)): (usize, &(usize, Row))| row.has(step).then_some((at, *number));
            rows.iter().enumerate().filter_map(at_step).collect()
        };
        let (many, one) = (present(&sides.many), present(&sides.one));
        let fills = fill_many.is_some() || fill_one.is_some();
        if (many.is_empty() && one.is_empty()) || ((many.is_empty() || one.is_empty()) && !fills) {
            return Ok(());
        }
        let mut by_number: HashMap<usize, usize, KeyHasher> = HashMap::with_hasher(KeyHasher);
        for (at, number) in &one {
            if let Some(other) = by_number.insert(*number, *at) {
                return Err(self.duplicate(other, *at));
            }
        }
        self.matched.iter_mut().for_each(HashSet::clear);
        for (at, number) in &many {
            let side = by_number.get(number).copied();
            let filled = match (side, fill_one) {
                (Some(one), _) => sides.one[one].1.value(step),
                (None, Some(fill)) => Some(Value::Float(fill)),
                (None, None) => None,
            };
            if let (Some(m), Some(o)) = (sides.many[*at].1.value(step), filled) {
                self.combine(step, *number, (Some(*at), &m), (side, &o), annotations)?;
            }
        }
        if let Some(fill) = fill_many {
            for (at, number) in &one {
                if self.matched[*number].is_empty()
                    && let Some(o) = sides.one[*at].1.value(step)
                {
                    self.combine(step, *number, (None, &Value::Float(fill)), (Some(*at), &o), annotations)?;
                }
            }
        }
        Ok(())
    }

    fn combine(
        &mut self,
        step: usize,
        number: usize,
        many: (Side, &Value),
        one: (Side, &Value),
        annotations: &mut Annotations,
    ) -> Result<(), QueryError> {
        let operands = if self.swapped {
            Operands { left: one.1, right: many.1 }
        } else {
            Operands { left: many.1, right: one.1 }
        };
        let binary = self.binary;
        let Some((value, holds)) = value_op(binary.op, &operands, binary.pos, annotations) else {
            return Ok(());
        };
        let out = self.output(many.0, one.0)?;
        if binary.matching.cardinality == Cardinality::OneToOne && !self.matched[number].is_empty() {
            return Err(clash("many-to-one matching must be explicit (group_left/group_right)"));
        }
        if !self.matched[number].insert(out) {
            return Err(clash("grouping labels must ensure unique matches"));
        }
        let value = if binary.return_bool { Value::Float(f64::from(u8::from(holds))) } else { value };
        if holds || binary.return_bool {
            if self.out[out].has(step) {
                return Err(same_labels_error());
            }
            self.out[out].set(step, value);
        }
        Ok(())
    }

    /// The output row of a pair.
    fn output(&mut self, many: Side, one: Side) -> Result<usize, QueryError> {
        if let Some(at) = self.by_pair.get(&(many, one)) {
            return Ok(*at);
        }
        let many_row = many.map(|at| &self.sides.many[at].1.labels);
        let one_row = one.map(|at| &self.sides.one[at].1.labels);
        // A value filled in has the labels that were to match.
        let filled =
            |other: Option<&Labels>| other.map(|labels| self.result.matched(labels)).unwrap_or_default();
        let labels = match (many_row, one_row) {
            (Some(many), Some(one)) => self.result.of(many, one, &mut String::new()),
            (Some(many), None) => self.result.of(many, &filled(Some(many)), &mut String::new()),
            (None, one) => self.result.of(&filled(one), one.unwrap_or(&Labels::empty()), &mut String::new()),
        };
        let at = match self.by_labels.get(&labels) {
            Some(at) => *at,
            None => {
                let mut row = Row::blank(labels.clone(), self.steps);
                row.drop_name = self.binary.return_bool;
                self.interrupt.allocated(row.bytes())?;
                self.out.push(row);
                self.by_labels.insert(labels, self.out.len() - 1);
                self.out.len() - 1
            }
        };
        self.by_pair.insert((many, one), at);
        Ok(at)
    }

    /// The error for two series where there must be one.
    fn duplicate(&self, a: usize, b: usize) -> QueryError {
        let rows = &self.sides.one;
        let group = self.result.matched(&rows[b].1.labels);
        let side = if self.swapped { "left" } else { "right" };
        let (a, b) = (rows[a].1.labels.to_string(), rows[b].1.labels.to_string());
        let (a, b) = if a > b { (b, a) } else { (a, b) };
        QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}

fn clash(what: &str) -> QueryError {
    QueryError::Execution(format!("multiple matches for labels: {what}"))
}
