//! What selections need beside samples: which labels, and whether the order of series counts.
//!
//! An aggregation looks at the labels that it groups by alone, and one that counts does not even mind the order. A
//! store that knows leaves out the work that labels and order take, which for many series is most of it.

use model::read::Hints;

use super::aggregate::Operator;
use super::plan::{Input, Op, Plan, RangeSamples, SelectionId, Source, Stream};

/// Notes in the hints of selections what all their uses need.
pub(crate) fn note(plan: &mut Plan) {
    let mut noted: Vec<(usize, Option<Hints>)> = vec![(0, None); plan.selections.len()];
    for (id, hints) in plan.nodes.iter().filter_map(|node| needs(plan, &node.op)) {
        let (uses, needed) = &mut noted[id];
        *uses += 1;
        match needed {
            Some(needed) => needed.merge(&hints),
            None => *needed = Some(hints),
        }
    }
    for ((selection, uses), (known_uses, needed)) in plan.selections.iter_mut().zip(&plan.uses).zip(noted) {
        // Other uses than the ones known here need everything.
        if let Some(needed) = needed.filter(|_| known_uses >= *uses) {
            selection.hints = Hints { newest: selection.hints.newest, ..needed };
        }
    }
}

/// What a node needs of the selection that it reads, if only a part.
fn needs(plan: &Plan, op: &Op) -> Option<(SelectionId, Hints)> {
    let (input, labels, unordered): (_, Option<&[String]>, _) = match op {
        Op::Aggregate(node) => {
            let by_groups = matches!(node.op, Operator::Fold(_) | Operator::Quantile) && !node.without;
            let unordered = matches!(node.op, Operator::Fold(op) if op.takes_any_order());
            (&node.input, by_groups.then_some(&node.grouping[..]), unordered)
        }
        Op::ScalarOf(input) => (input, Some(&[]), true),
        Op::Call(call) if call.ignores_labels() => (call.input(), Some(&[]), true),
        _ => return None,
    };
    let Input::Stream(stream) = input else { return None };
    let selection = selection_of(stream)?;
    // Where dropping names may make label sets equal, all labels are looked at.
    let is_plain = plan.has_one_name(selection) || !drops_name(stream);
    let labels = labels.filter(|_| is_plain).map(<[String]>::to_vec);
    Some((selection, Hints { newest: true, labels, unordered }))
}

fn selection_of(stream: &Stream) -> Option<SelectionId> {
    match &stream.source {
        Source::Instant(selector) => Some(selector.selection),
        Source::Range(call) => match call.input.samples {
            RangeSamples::Selection { id, .. } => Some(id),
            RangeSamples::Subquery { .. } => None,
        },
        Source::Node(_) => None,
    }
}

/// Whether series lose their names on their way through a stream.
pub(crate) fn drops_name(stream: &Stream) -> bool {
    let at_source = matches!(&stream.source, Source::Range(call) if call.func.drops_name());
    at_source || stream.stages.iter().any(|stage| stage.drops_name())
}
