//! `topk bottomk limitk limit_ratio`: at each step some of the samples, with the labels they had.

use std::cmp::Ordering;

use model::{Labels, Value};
use xxhash_rust::xxh64::xxh64;

use super::Groups;
use crate::matrix::Row;
use crate::{Interrupt, QueryError};

/// The operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopkOp {
    /// `topk`: those with the greatest values.
    Topk,
    /// `bottomk`: those with the least values.
    Bottomk,
    /// `limitk`: any.
    Limitk,
    /// `limit_ratio`: a share, chosen by labels.
    LimitRatio,
}

impl TopkOp {
    /// Whether values are ranked, which histograms cannot be.
    pub fn ranks(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk)
    }
}

/// The chosen samples of all groups. `params` has the number or ratio of each step. With `single`, rows come out in the
/// order of rank. `histogram_ignored` is called for series with histograms that would have been ranked.
pub fn evaluate(
    op: TopkOp,
    mut groups: Groups,
    rows: &[Row],
    params: &[f64],
    single: bool,
    interrupt: &Interrupt<'_>,
    mut histogram_ignored: impl FnMut(),
) -> Result<Vec<Row>, QueryError> {
    let steps = params.len();
    let group_of: Vec<usize> = rows.iter().map(|row| groups.number(row).0).collect();
    let count = group_of.iter().max().map_or(0, |max| max + 1);
    let offsets: Vec<f64> = match op {
        TopkOp::LimitRatio => rows.iter().map(|row| sample_offset(&row.labels)).collect(),
        _ => Vec::new(),
    };
    let mut out: Vec<Option<Row>> = rows.iter().map(|_| None).collect();
    let mut order = Vec::new();
    // Some steps at a time, so that each row's values are read where they lie together.
    let block = (HEAPS / count.max(1)).clamp(1, steps.max(1));
    let mut picked: Vec<Vec<Picked>> = vec![Vec::new(); block * count];
    for first in (0..steps).step_by(block) {
        let params = &params[first..steps.min(first + block)];
        picked.iter_mut().for_each(Vec::clear);
        for (at, row) in rows.iter().enumerate() {
            if op.ranks() && row.histograms.is_some() && would_rank(row, first, params) {
                histogram_ignored();
            }
            for (step, param) in (first..).zip(params) {
                if !row.has(step) {
                    continue;
                }
                let heap = &mut picked[(step - first) * count + group_of[at]];
                let limit = rank_limit(*param, rows.len());
                match op {
                    TopkOp::LimitRatio => {
                        if ratio_takes(param.clamp(-1.0, 1.0), offsets[at]) {
                            push(heap, Picked { key: value_of(row, step), at });
                        }
                    }
                    TopkOp::Limitk => {
                        if heap.len() < limit {
                            push(heap, Picked { key: value_of(row, step), at });
                        }
                    }
                    _ if row.histogram(step).is_some() => {}
                    TopkOp::Topk => rank(heap, Picked { key: row.float(step), at }, limit),
                    _ => rank(heap, Picked { key: -row.float(step), at }, limit),
                }
            }
        }
        for (index, heap) in picked.iter_mut().enumerate() {
            let step = first + index / count.max(1);
            // Stable, so that equal values come out as Prometheus's insertion sort leaves them.
            if op.ranks() {
                heap.sort_by(|a, b| descending(a.key, b.key));
            }
            for &Picked { at, .. } in heap.iter() {
                if let Some(value) = rows[at].value(step) {
                    if out[at].is_none() {
                        interrupt.allocated(rows[at].bytes())?;
                    }
                    put(&mut out[at], &rows[at], step, value);
                    order.push(at);
                }
            }
        }
        interrupt.worked(10 * (rows.len() * params.len()) as u64)?;
    }
    if !single {
        order = (0..rows.len()).collect();
    }
    let mut results: Vec<Row> = order.into_iter().filter_map(|at| out[at].take()).collect();
    results.retain_mut(Row::trim);
    Ok(results)
}

/// How many heaps are kept at a time: one for each group, for as many steps as that allows.
const HEAPS: usize = 1 << 16;

/// How many samples of a group are picked at most.
fn rank_limit(param: f64, rows: usize) -> usize {
    (param as i64).clamp(0, rows as i64) as usize
}

/// Whether a histogram of the row stands at a step at which samples are ranked.
fn would_rank(row: &Row, first: usize, params: &[f64]) -> bool {
    (first..).zip(params).any(|(step, param)| *param >= 1.0 && row.histogram(step).is_some())
}

fn put(out: &mut Option<Row>, row: &Row, step: usize, value: Value) {
    let out = out.get_or_insert_with(|| Row {
        first: row.first,
        drop_name: row.drop_name,
        ..Row::blank(row.labels.clone(), row.values.len())
    });
    out.set(step, value);
}

/// A row in a heap, and what orders it there.
#[derive(Clone, Copy)]
struct Picked {
    key: f64,
    at: usize,
}

/// Takes a row into the heap of the `k` greatest keys.
fn rank(heap: &mut Vec<Picked>, new: Picked, k: usize) {
    if heap.len() < k {
        push(heap, new);
        return;
    }
    if let Some(least) = heap.first_mut()
        && (least.key < new.key || (least.key.is_nan() && !new.key.is_nan()))
    {
        *least = new;
        sift_down(heap);
    }
}

fn descending(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Whether `a` is nearer to the top of a heap that holds the least value on top; NaN is the least.
fn is_less(a: f64, b: f64) -> bool {
    a.is_nan() || a < b
}

/// The key of what is not ranked; Prometheus keeps whatever it picks in one, and shows it in that order.
fn value_of(row: &Row, step: usize) -> f64 {
    if row.histogram(step).is_some() { 0.0 } else { row.float(step) }
}

fn push(heap: &mut Vec<Picked>, new: Picked) {
    heap.push(new);
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !is_less(heap[at].key, heap[parent].key) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

fn sift_down(heap: &mut [Picked]) {
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            break;
        }
        if child + 1 < heap.len() && is_less(heap[child + 1].key, heap[child].key) {
            child += 1;
        }
        if !is_less(heap[child].key, heap[at].key) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// Where a series lies between 0 and 1, by its labels alone. Source: formats section 13.
fn sample_offset(labels: &Labels) -> f64 {
    let mut packed = Vec::with_capacity(128);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        if text.len() < 255 {
            packed.push(text.len() as u8);
        } else {
            packed.push(255);
            packed.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
        }
        packed.extend_from_slice(text.as_bytes());
    }
    xxh64(&packed, 0) as f64 / u64::MAX as f64
}

/// A positive ratio takes the lower end, a negative one the upper end, so that both together take all.
fn ratio_takes(ratio: f64, offset: f64) -> bool {
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_complement_each_other() {
        let mut low = 0;
        for i in 0..1000 {
            let offset = sample_offset(&Labels::from_pairs([("i", i.to_string())]));
            assert!((0.0..=1.0).contains(&offset));
            assert_ne!(ratio_takes(0.3, offset), ratio_takes(-0.7, offset));
            low += u32::from(ratio_takes(0.3, offset));
        }
        assert!((200..400).contains(&low), "{low}");
    }

    #[test]
    fn nan_ranks_last() {
        let mut values = [1.0, f64::NAN, 3.0, 2.0];
        values.sort_by(|a, b| descending(*a, *b));
        assert_eq!(&values[..3], [3.0, 2.0, 1.0]);
    }
}
