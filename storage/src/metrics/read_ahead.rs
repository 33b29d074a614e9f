//! Reads a log ahead of who replays it: verifies, decompresses, decodes, and recognises records that are laid out alike.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::layout::{Layout, Layouts};
use super::replay::Log;
use crate::StorageError;
use crate::wal::record::{self, Decoder, Record, RefSeries};
use crate::wal::{Reader, compress};

/// A block ends beyond so many bytes. Tests have less data.
const BLOCK_BYTES: usize = if cfg!(test) { 4 << 10 } else { 256 << 10 };
/// A block has at most so many records.
const BLOCK_RECORDS: usize = 1024;
/// Bytes of blocks that wait to be replayed; one block may exceed it.
const BYTES_AHEAD: usize = 16 << 20;
/// A decoded record takes so many times as many bytes as an encoded one.
const DECODED: usize = 4;

/// Part of a log as it was read.
#[derive(Default)]
pub struct Block {
    /// Records of floats.
    pub floats: Vec<u8>,
    /// Values of records whose layout is known.
    pub values: Vec<u64>,
    /// All records, in order.
    pub items: Vec<Item>,
    /// Length as stored.
    pub bytes: u64,
    /// What the other records take in memory, roughly.
    decoded: usize,
}

/// A record, and where it stands.
pub struct Item {
    /// Number of its segment.
    pub segment: u64,
    /// Where it begins in the segment, in bytes.
    pub offset: u64,
    /// The record.
    pub content: Content,
}

/// What a record is.
pub enum Content {
    /// Float samples, still encoded, as a range of the block's.
    Floats(Range<usize>),
    /// Float samples of a known layout: their base time, and where their values begin among the block's.
    LaidOut(Arc<Layout>, i64, usize),
    /// Anything else, or what makes no sense about it.
    Record(Result<Record, String>),
}

impl Block {
    fn weight(&self) -> usize {
        self.floats.len() + 8 * self.values.len() + self.decoded
    }
}

/// Blocks on their way from a reader to who replays them, and memory on its way back.
#[derive(Default)]
pub struct Ahead {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<Block>,
    /// Bytes of these.
    weight: usize,
    /// Memory for the next ones.
    free: Vec<Vec<u64>>,
    /// What was decoded and is not needed any more.
    done: Vec<Vec<RefSeries>>,
    /// One side has ended.
    closed: bool,
}

/// Ends one side's part when it is dropped, so that the other does not wait for ever.
pub struct Side<'a>(&'a Ahead);

impl Drop for Side<'_> {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Ahead {
    /// One side's part.
    pub fn side(&self) -> Side<'_> {
        Side(self)
    }

    /// Waits for room and adds a block. False when nobody takes it any more.
    fn push(&self, block: Block) -> bool {
        let mut state = self.state.lock();
        while state.weight > BYTES_AHEAD && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        state.weight += block.weight();
        state.blocks.push_back(block);
        self.changed.notify_all();
        true
    }

    /// The next block, which is waited for if `wait` says so; `None` when there is none (yet).
    pub fn pop(&self, wait: bool) -> Option<Block> {
        let mut state = self.state.lock();
        loop {
            if let Some(block) = state.blocks.pop_front() {
                let full = state.weight > BYTES_AHEAD;
                state.weight -= block.weight();
                if full {
                    self.changed.notify_all();
                }
                return Some(block);
            }
            if state.closed || !wait {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Gives memory back that is not needed any more. What the reader allocated it also frees: allocators have a lock
    /// for what one thread allocates and another frees.
    pub fn give_back(&self, memory: &mut Vec<Vec<u64>>, series: &mut Vec<Vec<RefSeries>>) {
        // What a huge record took is not kept.
        memory.retain(|values| (1..=2 * BLOCK_BYTES / 8).contains(&values.capacity()));
        if !memory.is_empty() || !series.is_empty() {
            let mut state = self.state.lock();
            state.free.append(memory);
            state.done.append(series);
        }
    }

    /// A block without records.
    fn block(&self) -> Block {
        let (free, done) = {
            let mut state = self.state.lock();
            (state.free.pop(), std::mem::take(&mut state.done))
        };
        drop(done);
        let mut values = free.unwrap_or_default();
        values.clear();
        Block { values, ..Block::default() }
    }
}

/// Reads to the end.
pub fn read(mut reader: Reader, log: Log, layouts: &mut Layouts, to: &Ahead) -> Result<(), StorageError> {
    let _side = to.side();
    let mut decoder = Decoder::default();
    let (mut block, mut bytes) = (to.block(), Vec::new());
    while let Some(raw) = reader.next_stored().map_err(StorageError::from)? {
        block.bytes += raw.stored.len() as u64;
        let content = match compress::decompress(raw.codec, raw.stored, &mut bytes) {
            Err(reason) => Content::Record(Err(reason)),
            Ok(()) if log == Log::Wal && bytes.first().is_some_and(|kind| record::is_floats(*kind)) => {
                match layouts.find(&bytes).zip(record::base_t(&bytes)) {
                    Some((layout, base_t)) => {
                        let start = block.values.len();
                        // All that the block will need, at once.
                        block.values.reserve(if start == 0 {
                            BLOCK_BYTES / 8 + layout.samples()
                        } else {
                            layout.samples()
                        });
                        layout.values(&bytes, &mut block.values);
                        Content::LaidOut(layout, base_t, start)
                    }
                    None => {
                        let start = block.floats.len();
                        block.floats.extend_from_slice(&bytes);
                        Content::Floats(start..block.floats.len())
                    }
                }
            }
            Ok(()) => {
                block.decoded += DECODED * bytes.len();
                Content::Record(decoder.decode(&bytes).map_err(|e| e.to_string()))
            }
        };
        block.items.push(Item { segment: raw.segment, offset: raw.offset, content });
        if (block.weight() > BLOCK_BYTES || block.items.len() >= BLOCK_RECORDS)
            && !to.push(std::mem::replace(&mut block, to.block()))
        {
            // Who replays them has stopped.
            return Ok(());
        }
    }
    to.push(block);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u64, weight: usize) -> Block {
        Block { bytes: n, decoded: weight, ..Block::default() }
    }

    #[test]
    fn a_reader_waits_for_room() {
        let ahead = Ahead::default();
        std::thread::scope(|scope| {
            let _end = ahead.side();
            scope.spawn(|| {
                let _side = ahead.side();
                (0..200).for_each(|n| assert!(ahead.push(block(n, BYTES_AHEAD / 10))));
            });
            for n in 0..200 {
                let most = ahead.state.lock().weight;
                assert!(most <= BYTES_AHEAD + BYTES_AHEAD / 10, "{most}");
                assert_eq!(ahead.pop(true).map(|block| block.bytes), Some(n));
            }
            assert!(ahead.pop(true).is_none());
        });
    }

    #[test]
    fn a_reader_ends_when_nobody_listens() {
        let ahead = Ahead::default();
        std::thread::scope(|scope| {
            let end = ahead.side();
            let reading =
                scope.spawn(|| (0..200).take_while(|n| ahead.push(block(*n, BYTES_AHEAD / 10))).count());
            drop(end);
            assert!(reading.join().unwrap() < 20);
        });
    }

    #[test]
    fn memory_comes_back() {
        let ahead = Ahead::default();
        let values = vec![1, 2, 3];
        let at = values.as_ptr();
        assert!(ahead.pop(false).is_none());
        ahead.give_back(&mut vec![values, Vec::new(), Vec::with_capacity(BLOCK_BYTES)], &mut Vec::new());
        let again = ahead.block().values;
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert_eq!(ahead.block().values.capacity(), 0);
    }
}
