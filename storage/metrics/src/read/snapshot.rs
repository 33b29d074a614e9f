//! Head and blocks as one source of series.
//!
//! A [`Snapshot`] is made of immutable parts: a list of blocks, the head's deletions, and a number of commits up to
//! which the head is seen. While the log is replayed there are two heads. Selecting looks at indexes alone; a series'
//! chunks are found when a cursor is asked for. While a snapshot lives, nothing that it may need leaves the head.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::read::{
    ReadError, Selection, Series as SelectedSeries, SeriesSet, SeriesSource, Unwatched, Watch,
};
use rayon::prelude::*;
use storage_base::StorageError;
use storage_base::block::set::BlockSet;
use storage_base::index::projection::Projection;
use storage_base::index::select;

use super::head_view::{HeadView, Subset};
use super::selected::{Selected, SeriesPart};
use crate::blocks::block::{BlockSeries, MetricsBlock};
use crate::read::search::{FEW_SERIES, FoundSeries};

/// What was stored when it was taken.
pub struct Snapshot {
    blocks: Arc<BlockSet<MetricsBlock>>,
    /// What one head has comes before what the next has of the same time.
    heads: Vec<Arc<HeadView>>,
    /// What is missing, if anything is.
    notice: Option<String>,
}

impl Snapshot {
    /// A snapshot of a list of blocks and some heads. The caller takes all at the same moment. `notice` is a warning
    /// that goes with every selection.
    pub fn new(
        blocks: Arc<BlockSet<MetricsBlock>>,
        heads: impl IntoIterator<Item = HeadView>,
        notice: Option<String>,
    ) -> Self {
        Self { blocks, heads: heads.into_iter().map(Arc::new).collect(), notice }
    }

    fn heads(&self, selection: &Selection) -> impl Iterator<Item = &Arc<HeadView>> {
        self.heads.iter().filter(|head| head.covers(selection.min_t, selection.max_t))
    }

    fn blocks(&self, selection: &Selection) -> impl Iterator<Item = &Arc<MetricsBlock>> {
        self.blocks.overlapping(selection.min_t, selection.max_t)
    }
}

/// Merges series in label order, each label set once; what the first list has comes first.
#[expect(
    clippy::vec_box,
    reason = "series are large and end up in boxes, so that moving them means copying pointers"
)]
fn merge(first: Vec<Box<Selected>>, second: Vec<Box<Selected>>) -> Vec<Box<Selected>> {
    if first.is_empty() || second.is_empty() {
        return if first.is_empty() { second } else { first };
    }
    let mut merged: Vec<Box<Selected>> = Vec::with_capacity(first.len().max(second.len()));
    let mut second = second.into_iter().peekable();
    for mut series in first {
        while let Some(before) = second.next_if(|other| other.labels < series.labels) {
            merged.push(before);
        }
        if let Some(same) = second.next_if(|other| other.labels == series.labels) {
            series.add(*same);
        }
        merged.push(series);
    }
    merged.extend(second);
    merged
}

impl Snapshot {
    /// The series that match; with all labels and ascending by them, unless the hints want less.
    #[expect(clippy::vec_box, reason = "as for `merge`")]
    pub(crate) fn selected(
        &self,
        selection: &Selection,
        watch: &dyn Watch,
    ) -> Result<Vec<Box<Selected>>, StorageError> {
        let mut selected = Vec::new();
        // Series of several sources are distinguished by all of their labels, and are put together in their order.
        let sources = self.blocks(selection).count() + self.heads(selection).count();
        let sole = sources == 1 && selection.limit == 0;
        let wanted = if sole { Projection::of(&selection.hints) } else { Projection::ALL };
        for block in self.blocks(selection) {
            let make = || {
                let block = Arc::new(block.clone());
                move |series| {
                    let BlockSeries { labels, chunks, deleted, newest, .. } = series;
                    let part = SeriesPart::Block { block: block.clone(), chunks, deleted };
                    Box::new(Selected::new(labels, part, newest, selection))
                }
            };
            let found = block.select_all(selection, wanted, make, watch)?;
            selected = merge(selected, found);
        }
        for head in self.heads(selection) {
            let found = head.found(selection, Subset::All, wanted, watch)?;
            let part = |found: FoundSeries| {
                let part = SeriesPart::Head(head.clone(), found.series);
                Box::new(Selected::new(found.labels, part, found.newest, selection))
            };
            let found = match found.len() > FEW_SERIES {
                true => found.into_par_iter().map(part).collect(),
                false => found.into_iter().map(part).collect(),
            };
            selected = merge(selected, found);
        }
        if selection.limit > 0 {
            selected.truncate(selection.limit);
        }
        Ok(selected)
    }
}

impl SeriesSource for Snapshot {
    fn warnings(&self) -> Vec<String> {
        let quarantined = self.blocks.quarantined().iter();
        let unreadable =
            quarantined.map(|block| format!("block {} cannot be read: {}", block.id, block.reason));
        self.notice.iter().cloned().chain(unreadable).collect()
    }

    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        self.select_watched(selection, &Unwatched)
    }

    fn select_watched(&self, selection: &Selection, watch: &dyn Watch) -> Result<SeriesSet, ReadError> {
        watch.grown(0)?;
        let selected = self.selected(selection, watch)?.into_iter();
        let series = selected.map(|series| series as Box<dyn SelectedSeries>).collect();
        Ok(SeriesSet { series, warnings: self.warnings() })
    }

    fn may_wait(&self, selection: &Selection) -> bool {
        self.blocks(selection).next().is_some()
    }

    fn at_most(&self, selection: &Selection, closely: bool) -> Option<u64> {
        let matchers = &selection.matchers;
        let of_blocks = self.blocks(selection).map(|block| select::at_most(block.index(), matchers, closely));
        let of_heads = self.heads(selection).map(|head| head.at_most(matchers, closely));
        of_blocks.chain(of_heads).map(Result::ok).sum()
    }

    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let mut names = BTreeSet::new();
        for block in self.blocks(selection) {
            names.extend(block.label_names(selection)?);
        }
        for head in self.heads(selection) {
            names.extend(head.label_names(selection)?);
        }
        Ok(limited(names, selection.limit))
    }

    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let mut values = BTreeSet::new();
        for block in self.blocks(selection) {
            values.extend(block.label_values(name, selection)?);
        }
        for head in self.heads(selection) {
            values.extend(head.label_values(name, selection)?);
        }
        Ok(limited(values, selection.limit))
    }
}

fn limited(found: BTreeSet<String>, limit: usize) -> Vec<String> {
    found.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}
