//! What to merge and what to drop: pure functions of block metas.
//!
//! Ranges of time grow by a factor of three from the shortest block on. Blocks that lie in one aligned range are merged
//! when they fill it, or when newer blocks show that nothing more will come. The newest block is left alone, so that it
//! can still be copied away piece by piece. Before all that, blocks whose times overlap are merged. A block of which
//! more than a twentieth is deleted is rewritten. Source: Prometheus `tsdb/compact.go` and `tsdb/db.go`.

use std::collections::{BTreeMap, BTreeSet};

use ulid::Ulid;

use super::meta::{BlockMeta, FROM_OUT_OF_ORDER, FROM_SELECTED_SERIES, FROM_STALE_SERIES, Lineage, Stats};
use crate::format::META_VERSION;

/// Each range is so many times the one before.
const RANGE_FACTOR: i64 = 3;
/// No more ranges than this.
const RANGES_MAX: usize = 10;
/// A block with more tombstones than this part of its series is rewritten.
const TOMBSTONES_MAX: f64 = 0.05;

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
    Tombstones,
}

/// The lengths in milliseconds that blocks may have: `min`, three times that, and so on up to `max`.
pub fn block_ranges(min: i64, max: i64) -> Vec<i64> {
    let longer = |range: &i64| range.checked_mul(RANGE_FACTOR);
    std::iter::successors(Some(min), longer)
        .take(RANGES_MAX)
        .take_while(|range| *range <= max.max(min))
        .collect()
}

/// The next merge, if there is one to do. `ranges` as [`block_ranges`] gives them.
///
/// Blocks made of stale or of selected series are merged only among themselves, after all others: a merged block would
/// otherwise pass for a complete picture of its time.
pub fn next_merge(metas: &[BlockMeta], ranges: &[i64]) -> Option<Merge> {
    let class = |meta: &BlockMeta| {
        [FROM_STALE_SERIES, FROM_SELECTED_SERIES]
            .iter()
            .position(|hint| meta.has_hint(hint))
            .map_or(0, |at| at + 1)
    };
    (0..3).find_map(|wanted| {
        let mut metas: Vec<_> = metas.iter().filter(|meta| class(meta) == wanted).collect();
        metas.sort_by_key(|meta| (meta.min_time, meta.id));
        next_merge_of_class(&metas, ranges)
    })
}

fn next_merge_of_class(metas: &[&BlockMeta], ranges: &[i64]) -> Option<Merge> {
    let merge =
        |metas: &[&BlockMeta], reason| Merge { blocks: metas.iter().map(|meta| meta.id).collect(), reason };
    if let Some(group) = first_overlap(metas) {
        return Some(merge(group, Reason::Overlap));
    }
    let (_newest, metas) = metas.split_last()?;
    if let Some(group) = first_full_range(metas, ranges) {
        return Some(merge(group, Reason::Level));
    }
    most_deleted(metas, ranges).map(|meta| merge(&[meta], Reason::Tombstones))
}

/// The first run of blocks that overlap.
fn first_overlap<'s, 'm>(metas: &'s [&'m BlockMeta]) -> Option<&'s [&'m BlockMeta]> {
    let mut end = metas.first()?.max_time;
    let mut start = None;
    for (at, meta) in metas.iter().enumerate().skip(1) {
        if meta.min_time < end {
            start.get_or_insert(at - 1);
        } else if let Some(start) = start {
            return metas.get(start..at);
        }
        end = end.max(meta.max_time);
    }
    metas.get(start?..)
}

/// The first blocks that make up a longer range.
fn first_full_range<'s, 'm>(metas: &'s [&'m BlockMeta], ranges: &[i64]) -> Option<&'s [&'m BlockMeta]> {
    let newest = metas.last()?.min_time;
    ranges.iter().skip(1).find_map(|&range| {
        split_by_range(metas, range).into_iter().find(|group| {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
            let complete = last.max_time - first.min_time == range || last.max_time <= newest;
            group.len() > 1 && complete && !group.iter().any(|meta| meta.compaction.failed)
        })
    })
}

/// Runs of blocks that lie within one range aligned at its length. Blocks that lie in none are left out.
fn split_by_range<'s, 'm>(metas: &'s [&'m BlockMeta], range: i64) -> Vec<&'s [&'m BlockMeta]> {
    let mut groups = Vec::new();
    let mut at = 0;
    while let Some(first) = metas.get(at) {
        let end = first.min_time.div_euclid(range).saturating_add(1).saturating_mul(range);
        let len = metas.iter().skip(at).take_while(|meta| meta.max_time <= end).count();
        groups.extend(metas.get(at..at + len).filter(|group| !group.is_empty()));
        at += len.max(1);
    }
    groups
}

/// The newest block that is worth rewriting. Blocks shorter than the middle range are merged soon enough; only one of
/// which all is deleted is rewritten, which makes it go.
fn most_deleted<'m>(metas: &[&'m BlockMeta], ranges: &[i64]) -> Option<&'m BlockMeta> {
    let long = ranges.get(ranges.len() / 2).copied().unwrap_or(i64::MAX);
    for &meta in metas.iter().rev() {
        let Stats { num_series, num_tombstones, .. } = meta.stats;
        if meta.max_time.saturating_sub(meta.min_time) < long {
            return (num_tombstones > 0 && num_tombstones >= num_series).then_some(meta);
        }
        if num_tombstones as f64 / (num_series.saturating_add(1)) as f64 > TOMBSTONES_MAX {
            return Some(meta);
        }
    }
    None
}

/// The meta of the block that some blocks are merged into. Its stats are those of no content.
pub fn merged_meta(id: Ulid, parents: &[&BlockMeta]) -> BlockMeta {
    let sources: BTreeSet<Ulid> = parents.iter().flat_map(|meta| &meta.compaction.sources).copied().collect();
    let compaction = Lineage {
        level: parents.iter().map(|meta| meta.compaction.level).max().unwrap_or(0).saturating_add(1),
        sources: sources.into_iter().collect(),
        parents: parents.iter().map(|meta| meta.as_parent()).collect(),
        ..Lineage::default()
    };
    let mut merged = BlockMeta {
        id,
        min_time: parents.iter().map(|meta| meta.min_time).min().unwrap_or(0),
        max_time: parents.iter().map(|meta| meta.max_time).max().unwrap_or(0),
        stats: Stats::default(),
        compaction,
        version: META_VERSION,
    };
    for hint in [FROM_STALE_SERIES, FROM_SELECTED_SERIES] {
        if parents.iter().any(|meta| meta.has_hint(hint)) {
            merged.add_hint(hint);
        }
    }
    if parents.iter().all(|meta| meta.has_hint(FROM_OUT_OF_ORDER)) {
        merged.add_hint(FROM_OUT_OF_ORDER);
    }
    merged
}

/// The blocks that need not be kept because others, which are there, were made of them. `metas` are those of readable
/// blocks; the result may name blocks that are not among them.
pub fn superseded(metas: &[BlockMeta]) -> BTreeSet<Ulid> {
    let by_id: BTreeMap<Ulid, &BlockMeta> = metas.iter().map(|meta| (meta.id, meta)).collect();
    let parents_of = |id: &Ulid| by_id.get(id).map_or(&[][..], |meta| &meta.compaction.parents);
    let is_parent: BTreeSet<Ulid> = by_id.keys().flat_map(parents_of).map(|parent| parent.id).collect();
    // Only from blocks that nothing was made of, so that false metas that name each other do not delete each other.
    let mut ahead: Vec<Ulid> = by_id.keys().filter(|id| !is_parent.contains(id)).copied().collect();
    let mut found = BTreeSet::new();
    while let Some(id) = ahead.pop() {
        ahead.extend(parents_of(&id).iter().map(|parent| parent.id).filter(|parent| found.insert(*parent)));
    }
    found
}

/// The blocks that end `retention` milliseconds or more before the newest one ends; none when `retention` is 0.
pub fn beyond_retention_time(metas: &[BlockMeta], retention: i64) -> BTreeSet<Ulid> {
    let newest = metas.iter().map(|meta| meta.max_time).max();
    metas
        .iter()
        .filter(|meta| {
            retention > 0 && newest.is_some_and(|newest| newest.saturating_sub(meta.max_time) >= retention)
        })
        .map(|meta| meta.id)
        .collect()
}

/// The oldest blocks without which all fits into `limit` bytes; none when `limit` is 0. `others` is what write-ahead
/// log and head take, which count as well.
pub fn beyond_retention_size(blocks: &[(&BlockMeta, u64)], others: u64, limit: u64) -> BTreeSet<Ulid> {
    if limit == 0 {
        return BTreeSet::new();
    }
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|(meta, _)| std::cmp::Reverse((meta.max_time, meta.id)));
    let mut total = others;
    let fits = |(_, len): &&(&BlockMeta, u64)| {
        total = total.saturating_add(*len);
        total <= limit
    };
    let kept = newest_first.iter().take_while(fits).count();
    newest_first.iter().skip(kept).map(|(meta, _)| meta.id).collect()
}

/// The limit in bytes of a store that may take `percentage` of a file system of `total` bytes; a percentage above 0
/// prevails over the fixed limit, unless the size of the file system is not known.
pub fn retention_size(fixed: u64, percentage: f64, total: u64) -> u64 {
    if percentage > 0.0 && total > 0 { (total as f64 * percentage / 100.0) as u64 } else { fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Ulid {
        Ulid::from_parts(n, 0)
    }

    /// Blocks numbered from 1, given by their times.
    fn blocks(times: &[(i64, i64)]) -> Vec<BlockMeta> {
        times.iter().zip(1..).map(|(&(min, max), n)| BlockMeta::level_1(id(n), min, max)).collect()
    }

    fn numbers(ids: impl IntoIterator<Item = Ulid>) -> Vec<u64> {
        ids.into_iter().map(|id| id.timestamp_ms()).collect()
    }

    fn plan(metas: &[BlockMeta]) -> Option<(Vec<u64>, Reason)> {
        next_merge(metas, &[20, 60, 180, 540, 1620]).map(|merge| (numbers(merge.blocks), merge.reason))
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
    fn failed_blocks_hold_their_range_back() {
        let mut metas = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80), (80, 100), (100, 120), (120, 140)]);
        metas[1].compaction.failed = true;
        assert_eq!(plan(&metas), Some((vec![4, 5, 6], Reason::Level)));
    }

    #[test]
    fn much_deleted_blocks_are_rewritten() {
        let deleted = |times: &[(i64, i64)], at: usize, series, tombstones| {
            let mut metas = blocks(times);
            metas[at].stats = Stats { num_series: series, num_tombstones: tombstones, ..Stats::default() };
            plan(&metas)
        };
        let rewrite = |n| Some((vec![n], Reason::Tombstones));
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
        let mut metas = blocks(&[(0, 20), (0, 20), (10, 30), (20, 40), (40, 60), (60, 80), (20, 50)]);
        for at in [1, 2] {
            metas[at].add_hint(FROM_STALE_SERIES);
        }
        metas[6].add_hint(FROM_SELECTED_SERIES);
        assert_eq!(plan(&metas), Some((vec![1, 4, 5], Reason::Level)));
        metas.retain(|meta| ![1, 4, 5].contains(&meta.id.timestamp_ms()));
        assert_eq!(plan(&metas), Some((vec![2, 3], Reason::Overlap)));
        metas.remove(0);
        assert_eq!(plan(&metas), None);
    }

    #[test]
    fn merged_metas_tell_their_origin() {
        let mut metas = blocks(&[(0, 20), (20, 40), (10, 60)]);
        metas[1].compaction.level = 3;
        metas[1].compaction.sources = vec![id(9), id(1)];
        let merge = |metas: &[BlockMeta]| merged_meta(id(10), &Vec::from_iter(metas));
        let merged = merge(&metas);
        assert_eq!(
            (merged.id, merged.min_time, merged.max_time, merged.compaction.level),
            (id(10), 0, 60, 4)
        );
        assert_eq!(numbers(merged.compaction.sources.clone()), [1, 3, 9]);
        assert_eq!(numbers(merged.compaction.parents.iter().map(|parent| parent.id)), [1, 2, 3]);
        assert_eq!(merged.compaction.hints, Vec::<String>::new());
        metas[0].add_hint(FROM_OUT_OF_ORDER);
        assert!(!merge(&metas).has_hint(FROM_OUT_OF_ORDER));
        metas[1].add_hint(FROM_OUT_OF_ORDER);
        assert!(merge(&metas[..2]).has_hint(FROM_OUT_OF_ORDER));
        metas[0].add_hint(FROM_STALE_SERIES);
        assert_eq!(merge(&metas).compaction.hints, [FROM_STALE_SERIES]);
    }

    #[test]
    fn ancestors_of_readable_blocks_are_superseded() {
        let child_of = |n: u64, parents: &[u64]| {
            let mut meta = BlockMeta::level_1(id(n), 0, 1);
            meta.compaction.parents =
                parents.iter().map(|&n| BlockMeta::level_1(id(n), 0, 1).as_parent()).collect();
            meta
        };
        for (metas, want) in [
            (vec![child_of(1, &[]), child_of(2, &[])], &[][..]),
            (vec![child_of(1, &[]), child_of(2, &[]), child_of(3, &[1, 2])], &[1, 2]),
            (vec![child_of(1, &[]), child_of(3, &[1, 2]), child_of(4, &[3])], &[1, 2, 3]),
            (vec![child_of(1, &[2]), child_of(2, &[1]), child_of(3, &[3])], &[]),
        ] {
            assert_eq!(numbers(superseded(&metas)), want, "{metas:?}");
        }
    }

    #[test]
    fn retention() {
        let metas = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80)]);
        for (retention, want) in
            [(0, &[][..]), (80, &[]), (60, &[1]), (41, &[1]), (40, &[1, 2]), (1, &[1, 2, 3])]
        {
            assert_eq!(numbers(beyond_retention_time(&metas, retention)), want, "{retention}");
        }
        let sizes: Vec<_> = metas.iter().map(|meta| (meta, 10)).collect();
        for (others, limit, want) in
            [(0, 0, &[][..]), (0, 40, &[]), (1, 40, &[1]), (5, 25, &[1, 2]), (30, 25, &[1, 2, 3, 4])]
        {
            assert_eq!(numbers(beyond_retention_size(&sizes, others, limit)), want, "{others} {limit}");
        }
        assert_eq!(retention_size(7, 0.0, 1000), 7);
        assert_eq!(retention_size(7, 1.5, 1000), 15);
        assert_eq!(retention_size(7, 1.5, 0), 7);
    }
}
