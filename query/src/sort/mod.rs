//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`. They matter for instant queries only: ranges are always
//! ordered by labels.

mod natural;

use std::cmp::Ordering;

use self::natural::precedes;
use crate::matrix::Row;

/// Orders the floats of a vector by value, NaN last; histograms are left out.
pub fn by_value(mut rows: Vec<Row>, descending: bool) -> Vec<Row> {
    for row in &mut rows {
        row.histograms = None;
    }
    rows.retain_mut(Row::trim);
    rows.sort_by(|a, b| {
        let (a, b) = (a.float(0), b.float(0));
        let by_value = if descending { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    rows
}

/// Orders a vector by the values of labels in natural order, then by all labels.
pub fn by_labels(mut rows: Vec<Row>, labels: &[String], descending: bool) -> Vec<Row> {
    let ordered = |order: Ordering| if descending { order.reverse() } else { order };
    let compare = |a: &Row, b: &Row| {
        for label in labels {
            let (x, y) = (a.labels.get(label).unwrap_or(""), b.labels.get(label).unwrap_or(""));
            if x != y {
                // Not the same as asking whether `y` precedes `x`: of some texts neither does.
                return ordered(if precedes(x, y) { Ordering::Less } else { Ordering::Greater });
            }
        }
        ordered(a.labels.cmp(&b.labels))
    };
    // The natural order is not a total order for all texts, which the standard library's sort need not bear. What comes
    // out then depends on how one sorts: few rows as Go does.
    if rows.len() <= GO_INSERTION_SORT {
        insertion_sort(&mut rows, &compare);
    } else {
        merge_sort(&mut rows, &compare);
    }
    rows
}

/// Go's `slices.SortFunc` sorts no more than these by insertion.
const GO_INSERTION_SORT: usize = 12;

fn insertion_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for sorted in 1..items.len() {
        let mut at = sorted;
        while at > 0 && compare(&items[at], &items[at - 1]) == Ordering::Less {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// A stable sort that ends with some order whatever the comparison says.
fn merge_sort<T: Clone>(items: &mut Vec<T>, compare: &impl Fn(&T, &T) -> Ordering) {
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for pair in items.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(l), Some(r)) = (left.first(), right.first()) {
                let side = if compare(r, l) == Ordering::Less { &mut right } else { &mut left };
                merged.extend_from_slice(&side[..1]);
                *side = &side[1..];
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *items = merged;
        width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;
    use crate::value::ABSENT;

    fn row(label: &str, v: f64) -> Row {
        Row::floats(Labels::from_pairs([("l", label)]), vec![v])
    }

    #[test]
    fn by_value_with_nan_last() {
        let rows = || vec![row("a", f64::NAN), row("b", 2.0), row("c", ABSENT), row("d", 1.0)];
        let order = |rows: Vec<Row>| {
            rows.iter().map(|r| r.labels.get("l").unwrap().to_owned()).collect::<Vec<_>>().concat()
        };
        assert_eq!(order(by_value(rows(), false)), "dba");
        assert_eq!(order(by_value(rows(), true)), "bda");
    }

    #[test]
    fn by_labels_in_natural_order() {
        let texts = ["x10", "x9", "y", "x1"];
        let rows: Vec<Row> = texts.iter().map(|t| row(t, 1.0)).collect();
        let order = |rows: Vec<Row>| {
            rows.iter().map(|r| r.labels.get("l").unwrap_or("").to_owned()).collect::<Vec<_>>()
        };
        let labels = ["l".to_owned()];
        assert_eq!(order(by_labels(rows.clone(), &labels, true)), ["y", "x10", "x9", "x1"]);
        assert_eq!(order(by_labels(rows, &labels, false)), ["x1", "x9", "x10", "y"]);
    }

    #[test]
    fn merge_sort_sorts() {
        for n in 0..40u32 {
            let mut items: Vec<u32> = (0..n).map(|i| i * 7919 % 31).collect();
            let mut want = items.clone();
            want.sort_unstable();
            let mut inserted = items.clone();
            merge_sort(&mut items, &u32::cmp);
            insertion_sort(&mut inserted, &u32::cmp);
            assert_eq!((items, inserted), (want.clone(), want));
        }
    }
}
