//! Which blocks go because they are too old or all stores together are too large.
//!
//! Time is each store's own limit; size is one limit for the directory, against which the blocks of all stores are
//! weighed, oldest first. The decisions are pure functions; [`Retention`] carries them out.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;
use telemetry::{Collect, Counter, Gather, figures};
use ulid::Ulid;

use crate::StorageError;
use crate::fs::Disk;
use crate::store::{RetainedBlock, Store};

/// How much all files of a data directory may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SizeLimit {
    /// Bytes; 0 for no limit.
    pub bytes: u64,
    /// Percent of the file system's size; 0 for no limit. Prevails over `bytes`.
    pub percentage: f64,
}

impl SizeLimit {
    /// The limit in bytes on a file system of `total` bytes; 0 for none. The percentage does not count where the size
    /// of the file system is not known, which is a `total` of 0.
    pub fn in_bytes(&self, total: u64) -> u64 {
        if self.percentage > 0.0 && total > 0 {
            (total as f64 * self.percentage / 100.0) as u64
        } else {
            self.bytes
        }
    }
}

/// The blocks of one store that end `limit` milliseconds or more before its newest one ends; none when `limit` is 0.
pub fn beyond_time(blocks: &[RetainedBlock], limit: i64) -> BTreeSet<Ulid> {
    let newest = blocks.iter().map(|block| block.max_t).max();
    let is_old = |block: &&RetainedBlock| {
        limit > 0 && newest.is_some_and(|newest| newest.saturating_sub(block.max_t) >= limit)
    };
    blocks.iter().filter(is_old).map(|block| block.id).collect()
}

/// The oldest blocks without which all fits into `limit` bytes, each with the number of its store; none when `limit` is
/// 0. `blocks` are those of all stores; `others` is what their logs and heads take, which counts as well.
pub fn beyond_size(blocks: &[(usize, RetainedBlock)], others: u64, limit: u64) -> BTreeSet<(usize, Ulid)> {
    if limit == 0 {
        return BTreeSet::new();
    }
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|(store, block)| Reverse((block.max_t, block.id, *store)));
    let mut total = others;
    let fits = |(_, block): &&(usize, RetainedBlock)| {
        total = total.saturating_add(block.len);
        total <= limit
    };
    let kept = newest_first.iter().take_while(fits).count();
    newest_first.iter().skip(kept).map(|(store, block)| (*store, block.id)).collect()
}

figures! {
    /// What is counted of removals.
    struct RetentionFigures {
        time: Counter = "prometheus_tsdb_time_retentions_total",
            "The number of times that blocks were deleted because the maximum time limit was exceeded.";
        size: Counter = "prometheus_tsdb_size_retentions_total",
            "The number of times that blocks were deleted because the maximum number of bytes was exceeded.";
    }
}

/// The retention of a data directory.
pub struct Retention {
    disk: Arc<dyn Disk>,
    limit: RwLock<SizeLimit>,
    figures: RetentionFigures,
}

impl Retention {
    /// Retention with a limit of size.
    pub fn new(disk: Arc<dyn Disk>, limit: SizeLimit) -> Self {
        Self { disk, limit: RwLock::new(limit), figures: RetentionFigures::default() }
    }

    /// The limit of size.
    pub fn limit(&self) -> SizeLimit {
        *self.limit.read()
    }

    /// Changes the limit of size.
    pub fn set_limit(&self, limit: SizeLimit) {
        *self.limit.write() = limit;
    }

    /// The limit of size in force, in bytes; 0 for none.
    pub fn limit_bytes(&self) -> u64 {
        let limit = self.limit();
        let total = if limit.percentage > 0.0 { self.disk.space().map_or(0, |space| space.total) } else { 0 };
        limit.in_bytes(total)
    }

    /// Removes the blocks of all stores that are too old or too much.
    pub fn apply(&self, stores: &[Arc<dyn Store>]) -> Result<(), StorageError> {
        for store in stores {
            let old = beyond_time(&store.blocks(), store.retention_time());
            if !old.is_empty() {
                self.figures.time.inc();
                store.remove_blocks(&Vec::from_iter(old), "beyond time retention")?;
            }
        }
        let limit = self.limit_bytes();
        if limit == 0 {
            return Ok(());
        }
        let of_store = |(at, store): (usize, &Arc<dyn Store>)| {
            store.blocks().into_iter().map(move |block| (at, block)).collect::<Vec<_>>()
        };
        let blocks: Vec<_> = stores.iter().enumerate().flat_map(of_store).collect();
        let others = stores.iter().map(|store| store.other_bytes()).sum();
        let surplus = beyond_size(&blocks, others, limit);
        if surplus.is_empty() {
            return Ok(());
        }
        self.figures.size.inc();
        for (at, store) in stores.iter().enumerate() {
            let ids: Vec<_> = surplus.iter().filter(|(of, _)| *of == at).map(|(_, id)| *id).collect();
            store.remove_blocks(&ids, "beyond size retention")?;
        }
        Ok(())
    }
}

impl Collect for Retention {
    fn collect(&self, out: &mut Gather) {
        self.figures.collect(out);
        out.gauge(
            "prometheus_tsdb_retention_limit_bytes",
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
            &[],
            self.limit().bytes as f64,
        );
        out.gauge(
            "prometheus_tsdb_retention_limit_percentage",
            "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means disabled",
            &[],
            self.limit().percentage,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(ends: &[i64]) -> Vec<RetainedBlock> {
        let block = |(&max_t, n)| RetainedBlock { id: Ulid::from_parts(n, 0), max_t, len: 10 };
        ends.iter().zip(1..).map(block).collect()
    }

    fn numbers(ids: impl IntoIterator<Item = Ulid>) -> Vec<u64> {
        ids.into_iter().map(|id| id.timestamp_ms()).collect()
    }

    #[test]
    fn of_one_store() {
        let blocks = blocks(&[20, 40, 60, 80]);
        for (limit, want) in [(0, &[][..]), (80, &[]), (60, &[1]), (41, &[1]), (40, &[1, 2]), (1, &[1, 2, 3])]
        {
            assert_eq!(numbers(beyond_time(&blocks, limit)), want, "{limit}");
        }
        let sizes: Vec<_> = blocks.iter().map(|block| (0, *block)).collect();
        for (others, limit, want) in
            [(0, 0, &[][..]), (0, 40, &[]), (1, 40, &[1]), (5, 25, &[1, 2]), (30, 25, &[1, 2, 3, 4])]
        {
            let surplus = beyond_size(&sizes, others, limit);
            assert_eq!(numbers(surplus.into_iter().map(|(_, id)| id)), want, "{others} {limit}");
        }
    }

    #[test]
    fn of_two_stores_the_oldest_goes_first_whosever_it_is() {
        let of = |store: usize, ends: &[i64]| blocks(ends).into_iter().map(move |block| (store, block));
        let both: Vec<_> = of(0, &[20, 40, 60]).chain(of(1, &[10, 30, 50])).collect();
        for (others, limit, want) in [
            (0, 60, &[][..]),
            (1, 60, &[(1, 1)]),
            (0, 40, &[(0, 1), (1, 1)]),
            (5, 40, &[(0, 1), (1, 1), (1, 2)]),
            (0, 10, &[(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]),
        ] {
            let surplus = beyond_size(&both, others, limit);
            let surplus: Vec<_> = surplus.into_iter().map(|(store, id)| (store, id.timestamp_ms())).collect();
            assert_eq!(surplus, want, "{others} {limit}");
        }
    }

    #[test]
    fn a_percentage_prevails_where_the_size_of_the_file_system_is_known() {
        let limit = |percentage, total| SizeLimit { bytes: 7, percentage }.in_bytes(total);
        assert_eq!(limit(0.0, 1000), 7);
        assert_eq!(limit(1.5, 1000), 15);
        assert_eq!(limit(1.5, 0), 7);
    }
}
