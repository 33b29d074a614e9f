//! What selections need beside samples: which labels, and whether the order of series counts.
//!
//! An aggregation looks at the labels that it groups by alone, and one that counts does not even mind the order. A
//! store that knows leaves out the work that labels and order take, which for many series is most of it.

use super::call::FrameCall;
use super::plan::{Input, Op, Plan, RangeSamples, SelectionId, Source, Stream};
use crate::ast::AggregateOp;

/// What one use of a selection needs.
struct Needs<'p> {
    selection: SelectionId,
    /// Beside those that describe the metric; `None` for all.
    labels: Option<&'p [String]>,
    ordered: bool,
}

/// Whether the groups' order is not that of the series, because these may be in any.
pub(crate) fn is_unordered(op: AggregateOp) -> bool {
    matches!(op, AggregateOp::Count | AggregateOp::Group)
}

/// Notes in the hints of selections what all their uses need.
pub(crate) fn note(plan: &mut Plan) {
    let mut noted = Vec::with_capacity(plan.selections.len());
    for id in 0..plan.selections.len() {
        let uses: Vec<Needs<'_>> = plan
            .nodes
            .iter()
            .filter_map(|node| needs(plan, &node.op))
            .filter(|needs| needs.selection == id)
            .collect();
        // Other uses than the ones known here need everything.
        if uses.len() < plan.uses[id] {
            noted.push((None, false));
            continue;
        }
        let labels: Option<Vec<&[String]>> = uses.iter().map(|needs| needs.labels).collect();
        noted.push((labels.map(|labels| labels.concat()), uses.iter().all(|needs| !needs.ordered)));
    }
    for (selection, (labels, unordered)) in plan.selections.iter_mut().zip(noted) {
        (selection.hints.labels, selection.hints.unordered) = (labels, unordered);
    }
}

fn needs<'p>(plan: &Plan, op: &'p Op) -> Option<Needs<'p>> {
    let (input, labels, ordered): (_, Option<&[String]>, _) = match op {
        Op::Aggregate(node) => {
            let labels = match node.op {
                AggregateOp::Sum
                | AggregateOp::Avg
                | AggregateOp::Min
                | AggregateOp::Max
                | AggregateOp::Count
                | AggregateOp::Group
                | AggregateOp::Stddev
                | AggregateOp::Stdvar
                | AggregateOp::Quantile => (!node.without).then_some(&node.grouping[..]),
                _ => None,
            };
            (&node.input, labels, !is_unordered(node.op))
        }
        Op::ScalarOf(input) => (input, Some(&[]), false),
        Op::Call(call) => match &**call {
            FrameCall::Absent { input, .. } => (input, Some(&[]), false),
            _ => return None,
        },
        _ => return None,
    };
    let Input::Stream(stream) = input else { return None };
    let selection = selection_of(stream)?;
    // Where dropping names may make label sets equal, all labels are looked at.
    let is_plain = plan.has_one_name(selection) || !drops_name(stream);
    Some(Needs { selection, labels: labels.filter(|_| is_plain), ordered })
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
