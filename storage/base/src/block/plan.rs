//! What to merge: a pure function of what is known of blocks without looking into them.
//!
//! Ranges of time grow by a factor of three from the shortest block on. Blocks that lie in one aligned range are merged
//! when they fill it, or when newer blocks show that nothing more will come. The newest block is left alone, so that it
//! can still be copied away piece by piece. Before all that, blocks whose times overlap are merged. A block of which
//! more than a twentieth is deleted is rewritten. Source: Prometheus `tsdb/compact.go` and `tsdb/db.go`.

use ulid::Ulid;

/// Each range is this many times as long as the one before.
const RANGE_FACTOR: i64 = 3;
/// No more ranges than this.
const RANGES_MAX: usize = 10;
/// A block of which more than this part is deleted is rewritten.
const DELETED_MAX: f64 = 0.05;

/// A block that may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: Ulid,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// End in milliseconds, exclusive.
    pub max_t: i64,
    /// Blocks are merged with those of their class alone, classes in ascending order. A block that holds a part of what
    /// there is of its time has another class than one that holds all of it: merged, it would pass for all.
    pub class: u8,
    /// Whether merging it failed before.
    pub failed: bool,
    /// What it holds, in the unit of `deletions`; series, for example.
    pub entries: u64,
    /// Deletions that hide some of its entries.
    pub deletions: u64,
}

/// Blocks to be made into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The blocks, ascending by their first time.
    pub blocks: Vec<Ulid>,
    /// Why.
    pub reason: Reason,
}

/// Why blocks are to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Their times overlap.
    Overlap,
    /// They make up a longer range.
    Level,
    /// Too much of the block is deleted.
    Deletions,
}

/// The lengths in milliseconds that blocks may have: `min`, three times that, and so on up to `max`.
pub fn block_ranges(min: i64, max: i64) -> Vec<i64> {
    let longer = |range: &i64| range.checked_mul(RANGE_FACTOR);
    std::iter::successors(Some(min), longer)
        .take(RANGES_MAX)
        .take_while(|range| *range <= max.max(min))
        .collect()
}

/// The next merge, if there is one to do. `ranges` as [`block_ranges`] gives them; `overlaps` allows merging blocks
/// because they overlap.
pub fn next_merge(blocks: &[Candidate], ranges: &[i64], overlaps: bool) -> Option<Merge> {
    let mut blocks = blocks.to_vec();
    blocks.sort_by_key(|block| (block.class, block.min_t, block.id));
    blocks
        .chunk_by(|a, b| a.class == b.class)
        .find_map(|blocks| next_merge_of_class(blocks, ranges, overlaps))
}

fn next_merge_of_class(blocks: &[Candidate], ranges: &[i64], overlaps: bool) -> Option<Merge> {
    let merge = |blocks: &[Candidate], reason| Merge {
        blocks: blocks.iter().map(|block| block.id).collect(),
        reason,
    };
    if overlaps && let Some(group) = first_overlap(blocks) {
        return Some(merge(group, Reason::Overlap));
    }
    let (_newest, blocks) = blocks.split_last()?;
    if let Some(group) = first_full_range(blocks, ranges) {
        return Some(merge(group, Reason::Level));
    }
    most_deleted(blocks, ranges).map(|block| merge(&[block], Reason::Deletions))
}

/// The first run of blocks that overlap.
fn first_overlap(blocks: &[Candidate]) -> Option<&[Candidate]> {
    let mut end = blocks.first()?.max_t;
    let mut start = None;
    for (at, block) in blocks.iter().enumerate().skip(1) {
        if block.min_t < end {
            start.get_or_insert(at - 1);
        } else if let Some(start) = start {
            return blocks.get(start..at);
        }
        end = end.max(block.max_t);
    }
    blocks.get(start?..)
}

/// The first blocks that make up a longer range.
fn first_full_range<'b>(blocks: &'b [Candidate], ranges: &[i64]) -> Option<&'b [Candidate]> {
    let newest = blocks.last()?.min_t;
    ranges.iter().skip(1).find_map(|&range| {
        split_by_range(blocks, range).into_iter().find(|group| {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
            let complete = last.max_t - first.min_t == range || last.max_t <= newest;
            group.len() > 1 && complete && !group.iter().any(|block| block.failed)
        })
    })
}

/// Runs of blocks that lie within one range aligned at its length. Blocks that lie in none are left out.
fn split_by_range(blocks: &[Candidate], range: i64) -> Vec<&[Candidate]> {
    let mut groups = Vec::new();
    let mut at = 0;
    while let Some(first) = blocks.get(at) {
        let end = first.min_t.div_euclid(range).saturating_add(1).saturating_mul(range);
        let len = blocks.iter().skip(at).take_while(|block| block.max_t <= end).count();
        groups.extend(blocks.get(at..at + len).filter(|group| !group.is_empty()));
        at += len.max(1);
    }
    groups
}

/// The newest block that is worth rewriting. Blocks shorter than the middle range are merged soon enough; only one of
/// which all is deleted is rewritten, which makes it go.
fn most_deleted(blocks: &[Candidate], ranges: &[i64]) -> Option<Candidate> {
    let long = ranges.get(ranges.len() / 2).copied().unwrap_or(i64::MAX);
    for &block in blocks.iter().rev() {
        let Candidate { entries, deletions, .. } = block;
        if block.max_t.saturating_sub(block.min_t) < long {
            return (deletions > 0 && deletions >= entries).then_some(block);
        }
        if deletions as f64 / (entries.saturating_add(1)) as f64 > DELETED_MAX {
            return Some(block);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Ulid {
        Ulid::from_parts(n, 0)
    }

    /// Blocks numbered from 1, given by their times.
    fn blocks(times: &[(i64, i64)]) -> Vec<Candidate> {
        let block = |(&(min_t, max_t), n)| Candidate {
            id: id(n),
            min_t,
            max_t,
            class: 0,
            failed: false,
            entries: 0,
            deletions: 0,
        };
        times.iter().zip(1..).map(block).collect()
    }

    fn numbers(ids: impl IntoIterator<Item = Ulid>) -> Vec<u64> {
        ids.into_iter().map(|id| id.timestamp_ms()).collect()
    }

    fn plan(blocks: &[Candidate]) -> Option<(Vec<u64>, Reason)> {
        next_merge(blocks, &[20, 60, 180, 540, 1620], true).map(|merge| (numbers(merge.blocks), merge.reason))
    }

    #[test]
    fn ranges_grow_threefold() {
        assert_eq!(block_ranges(2, 100), [2, 6, 18, 54]);
        assert_eq!(block_ranges(2, 54), [2, 6, 18, 54]);
        assert_eq!(block_ranges(2, 1), [2]);
        assert_eq!(block_ranges(1, i64::MAX).len(), 10);
        assert_eq!(block_ranges(i64::MAX / 2, i64::MAX).len(), 1);
    }

    #[test]
    fn levels() {
        let level = |blocks: &[u64]| Some((blocks.to_vec(), Reason::Level));
        for (times, want) in [
            (&[][..], None),
            (&[(0, 20)], None),
            (&[(0, 20), (20, 40), (40, 60)], None),
            (&[(0, 20), (20, 40), (40, 60), (60, 80)], level(&[1, 2, 3])),
            // In any order.
            (&[(60, 80), (40, 60), (0, 20), (20, 40)], level(&[3, 4, 2])),
            // A gap does not hold them back once newer blocks are there.
            (&[(0, 20), (20, 40), (60, 80), (80, 100)], level(&[1, 2])),
            (&[(0, 20), (40, 60), (60, 80)], level(&[1, 2])),
            // One more may still come into the range.
            (&[(0, 20), (20, 40), (40, 60)], None),
            (&[(20, 40), (40, 60), (60, 80)], None),
            (&[(20, 40), (40, 60), (60, 80), (80, 100)], level(&[1, 2])),
            (&[(0, 60), (60, 120), (120, 180), (180, 200)], level(&[1, 2, 3])),
            // Small ranges before large ones.
            (
                &[(0, 60), (60, 120), (120, 180), (180, 200), (200, 220), (220, 240), (240, 260)],
                level(&[4, 5, 6]),
            ),
            (&[(0, 60), (60, 80), (80, 100), (100, 120), (120, 140), (140, 160)], level(&[2, 3, 4])),
            // Across zero nothing is merged.
            (&[(-20, 0), (0, 20), (20, 40)], None),
            (&[(-60, -40), (-40, -20), (-20, 0), (0, 20)], level(&[1, 2, 3])),
            // A block that fits no range by its own is passed over.
            (&[(10, 70), (70, 80), (80, 100), (100, 120), (120, 140), (140, 160)], level(&[2, 3, 4])),
            // Longer than every range.
            (&[(0, 5000), (5000, 10_000), (10_000, 15_000)], None),
        ] {
            assert_eq!(plan(&blocks(times)), want, "{times:?}");
        }
    }

    #[test]
    fn overlaps_come_first_and_include_the_newest() {
        let overlap = |blocks: &[u64]| Some((blocks.to_vec(), Reason::Overlap));
        for (times, want) in [
            (&[(0, 20), (19, 40)][..], overlap(&[1, 2])),
            (&[(0, 20), (0, 20)], overlap(&[1, 2])),
            (&[(0, 20), (20, 40), (40, 60), (60, 80), (70, 90)], overlap(&[4, 5])),
            (&[(0, 100), (20, 40), (60, 80), (99, 120), (120, 140)], overlap(&[1, 2, 3, 4])),
            (&[(0, 20), (10, 30), (40, 60), (50, 70)], overlap(&[1, 2])),
        ] {
            assert_eq!(plan(&blocks(times)), want, "{times:?}");
        }
    }

    #[test]
    fn overlaps_are_left_alone_where_they_may_not_be_merged() {
        let ranges = [20, 60];
        let overlapping = blocks(&[(0, 20), (0, 20), (60, 80), (80, 100)]);
        assert_eq!(next_merge(&overlapping, &ranges, true).map(|merge| merge.reason), Some(Reason::Overlap));
        assert_eq!(next_merge(&overlapping, &ranges, false).map(|merge| merge.reason), Some(Reason::Level));
        assert_eq!(next_merge(&overlapping[..2], &ranges, false), None);
    }

    #[test]
    fn failed_blocks_hold_their_range_back() {
        let mut all = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80), (80, 100), (100, 120), (120, 140)]);
        all[1].failed = true;
        assert_eq!(plan(&all), Some((vec![4, 5, 6], Reason::Level)));
    }

    #[test]
    fn much_deleted_blocks_are_rewritten() {
        let deleted = |times: &[(i64, i64)], at: usize, entries, deletions| {
            let mut all = blocks(times);
            (all[at].entries, all[at].deletions) = (entries, deletions);
            plan(&all)
        };
        let rewrite = |n| Some((vec![n], Reason::Deletions));
        assert_eq!(deleted(&[(0, 540), (540, 560)], 0, 10, 3), rewrite(1));
        assert_eq!(deleted(&[(0, 180), (180, 200)], 0, 10, 3), rewrite(1));
        assert_eq!(deleted(&[(0, 180), (180, 200)], 0, 100, 5), None);
        assert_eq!(deleted(&[(0, 180), (180, 200)], 1, 10, 3), None);
        assert_eq!(deleted(&[(0, 20), (20, 40)], 0, 10, 9), None);
        assert_eq!(deleted(&[(0, 20), (20, 40)], 0, 10, 10), rewrite(1));
        assert_eq!(deleted(&[(0, 20), (20, 40)], 0, 0, 0), None);
    }

    #[test]
    fn partial_blocks_are_merged_among_themselves_after_the_others() {
        let mut all = blocks(&[(0, 20), (0, 20), (10, 30), (20, 40), (40, 60), (60, 80), (20, 50)]);
        for at in [1, 2] {
            all[at].class = 1;
        }
        all[6].class = 2;
        assert_eq!(plan(&all), Some((vec![1, 4, 5], Reason::Level)));
        all.retain(|block| ![1, 4, 5].contains(&block.id.timestamp_ms()));
        assert_eq!(plan(&all), Some((vec![2, 3], Reason::Overlap)));
        all.remove(0);
        assert_eq!(plan(&all), None);
    }
}
