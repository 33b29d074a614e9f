//! Which buckets two layouts share, and bringing a histogram to a wider layout.

use std::cmp::Ordering;

use model::histogram::Span;

/// Bucket indices that spans lay out, ascending unless offsets are hostile.
fn indices(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let mut next = 0i64;
    spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    })
}

/// How the buckets of a chunk (`a`) and of the next sample (`b`) relate on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The sample lacks buckets of the chunk.
    pub(super) only_a: bool,
    /// The chunk lacks buckets of the sample.
    pub(super) only_b: bool,
    /// All buckets, in the fewest spans.
    pub(super) union: Vec<Span>,
}

/// Compares the buckets of two layouts; `None` when `may_follow`, asked about each bucket of the chunk and what the
/// sample has in its place, says no.
pub(super) fn compare<A: Copy>(
    a: (&[Span], impl Iterator<Item = A>),
    b: (&[Span], impl Iterator<Item = A>),
    may_follow: impl Fn(A, Option<A>) -> bool,
) -> Option<Difference> {
    let mut difference = Difference::default();
    let mut last = None;
    let mut a = indices(a.0).zip(a.1).peekable();
    let mut b = indices(b.0).zip(b.1).peekable();
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some(a), Some(b)) => a.0.cmp(&b.0),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Some(difference),
        };
        let in_a = if order.is_le() { a.next() } else { None };
        let in_b = if order.is_ge() { b.next() } else { None };
        difference.only_a |= in_b.is_none();
        difference.only_b |= in_a.is_none();
        // A bucket that only the sample has may be anything, even in a counter.
        if let Some((_, count)) = in_a
            && !may_follow(count, in_b.map(|b| b.1))
        {
            return None;
        }
        if let Some((index, _)) = in_a.or(in_b) {
            push(&mut difference.union, &mut last, index);
        }
    }
}

/// The same buckets in the fewest spans.
pub(super) fn fewest(spans: &[Span]) -> Vec<Span> {
    let (mut fewest, mut last) = (Vec::new(), None);
    indices(spans).for_each(|index| push(&mut fewest, &mut last, index));
    fewest
}

fn push(spans: &mut Vec<Span>, last: &mut Option<i64>, index: i64) {
    let gap = index - last.map_or(0, |last| last + 1);
    match spans.last_mut() {
        Some(span) if gap == 0 => span.length += 1,
        _ => spans.push(Span { offset: gap as i32, length: 1 }),
    }
    *last = Some(index);
}

/// Counts of a wider layout: those of the narrower one where it has the bucket, zero elsewhere.
pub(super) fn widen<A: Copy + Default>(
    from: (&[Span], impl Iterator<Item = A>),
    to: &[Span],
) -> impl Iterator<Item = A> {
    let mut from = indices(from.0).zip(from.1).collect::<Vec<_>>().into_iter().peekable();
    let to: Vec<i64> = indices(to).collect();
    to.into_iter()
        .map(move |index| from.next_if(|&(i, _)| i == index).map_or(A::default(), |(_, count)| count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    #[test]
    fn indices_of_spans() {
        let got: Vec<i64> = indices(&spans(&[(-2, 2), (1, 1), (0, 0), (2, 2)])).collect();
        assert_eq!(got, [-2, -1, 1, 4, 5]);
    }

    #[test]
    fn comparison() {
        let a = spans(&[(0, 2), (1, 1)]);
        let b = spans(&[(1, 3)]);
        let no_less = |a: i32, b: Option<i32>| a <= b.unwrap_or(0);
        let got = compare((&a, [0, 3, 5].into_iter()), (&b, [3, 1, 5].into_iter()), no_less).unwrap();
        assert_eq!(got, Difference { only_a: true, only_b: true, union: spans(&[(0, 4)]) });
        // Bucket 0 had observations and is gone; bucket 1 shrank.
        assert_eq!(compare((&a, [1, 3, 5].into_iter()), (&b, [3, 1, 5].into_iter()), no_less), None);
        assert_eq!(compare((&a, [0, 4, 5].into_iter()), (&b, [3, 1, 5].into_iter()), no_less), None);
        // The same buckets in other spans.
        let c = spans(&[(0, 1), (0, 1), (5, 0), (-4, 1)]);
        let got = compare((&a, [1, 1, 1].into_iter()), (&c, [1, 1, 1].into_iter()), no_less).unwrap();
        assert_eq!((got.only_a, got.only_b, got.union), (false, false, a));
    }

    #[test]
    fn fewest_spans() {
        assert_eq!(fewest(&spans(&[(1, 1), (0, 1), (2, 0), (0, 2)])), spans(&[(1, 2), (2, 2)]));
    }

    #[test]
    fn widening() {
        let (from, to) = (spans(&[(1, 1), (1, 2)]), spans(&[(0, 2), (1, 3)]));
        assert_eq!(widen((&from, [7, 8, 9].into_iter()), &to).collect::<Vec<_>>(), [0, 7, 8, 9, 0]);
    }
}
