//! Reads a log ahead of replay: verifies, decompresses, decodes, and recognises records that are laid out alike.
//!
//! Records are read in turns, some at once, and each thread makes a [`Block`] of what it read. Blocks are handed out in
//! the order of the log. The replaying thread makes some too rather than wait for the others.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use storage_base::StorageError;
use storage_base::wal::compress::Codec;
use storage_base::wal::{Reader, compress};

use crate::record::{self, Decoder, Record, RefSeries};
use crate::replay::Log;
use crate::replay::record_layout::{RecordLayout, RecordLayouts};

/// Stored bytes after which no more is read for a block. Tests have less data.
const STORED_BYTES: usize = if cfg!(test) { 2 << 10 } else { 128 << 10 };
/// The most records of a block.
const BLOCK_RECORDS: usize = 1024;
/// Values for which a block has room from the first of them on; more than this is not kept for the next block.
const BLOCK_VALUES: usize = STORED_BYTES / 4;
/// Bytes of blocks that wait to be replayed; one block of each thread may exceed it. Tests have less data.
const BYTES_AHEAD: usize = if cfg!(test) { 32 << 10 } else { 16 << 20 };
/// How many times as many bytes a decoded record takes as an encoded one.
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
    /// Length of all records as stored.
    pub stored: u64,
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
    LaidOut(Arc<RecordLayout>, i64, usize),
    /// Anything else, or what makes no sense about it.
    Record(Result<Record, String>),
}

impl Block {
    fn weight(&self) -> usize {
        self.floats.len() + 8 * self.values.len() + self.decoded
    }
}

/// What one thread works with.
#[derive(Default)]
pub struct Workspace {
    decoder: Decoder,
    /// Records that were read and are not decompressed yet.
    stored: Vec<u8>,
    records: Vec<Stored>,
    /// The last one, decompressed.
    record: Vec<u8>,
}

struct Stored {
    segment: u64,
    offset: u64,
    codec: Codec,
    range: Range<usize>,
}

/// A log from which blocks are made, those on their way to the replaying thread, and memory on its way back.
pub struct ReadAhead {
    log: Log,
    source: Mutex<Source>,
    layouts: Mutex<RecordLayouts>,
    state: Mutex<Queue>,
    changed: Condvar,
}

struct Source {
    /// `None` at the end.
    reader: Option<Reader>,
    /// Blocks that were begun.
    blocks: u64,
    outcome: Result<(), StorageError>,
}

#[derive(Default)]
struct Queue {
    /// Blocks from the one on that is handed out next; `None` while one is being made.
    blocks: VecDeque<Option<Block>>,
    /// Blocks that were handed out.
    taken: u64,
    /// How many blocks there are, when that is known.
    total: Option<u64>,
    /// Bytes of the blocks.
    weight: usize,
    /// Memory for the next ones.
    free: Vec<Vec<u64>>,
    /// What was decoded and is not needed any more.
    done: Vec<Vec<RefSeries>>,
    /// A thread has given up.
    closed: bool,
}

/// Lets all threads end when it is dropped.
pub struct End<'a>(&'a ReadAhead);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Lets all threads end when one panics, so that nobody waits for its block for ever.
struct EndOnPanic<'a>(&'a ReadAhead);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

impl Source {
    /// Reads what becomes a block. Returns the block's number; `None` at the end.
    fn read(&mut self, workspace: &mut Workspace) -> Option<u64> {
        workspace.stored.clear();
        workspace.records.clear();
        while let Some(reader) = &mut self.reader
            && workspace.stored.len() < STORED_BYTES
            && workspace.records.len() < BLOCK_RECORDS
        {
            let ended = match reader.next_stored() {
                Ok(Some(raw)) => {
                    let start = workspace.stored.len();
                    workspace.stored.extend_from_slice(raw.stored);
                    let (segment, offset, codec) = (raw.segment, raw.offset, raw.codec);
                    workspace.records.push(Stored {
                        segment,
                        offset,
                        codec,
                        range: start..workspace.stored.len(),
                    });
                    continue;
                }
                Ok(None) => Ok(()),
                Err(e) => Err(e.into()),
            };
            (self.reader, self.outcome) = (None, ended);
        }
        if workspace.records.is_empty() {
            return None;
        }
        self.blocks += 1;
        Some(self.blocks - 1)
    }
}

impl ReadAhead {
    /// Blocks of what a reader reads of a log.
    pub fn new(reader: Reader, log: Log, layouts: RecordLayouts) -> Self {
        let source = Mutex::new(Source { reader: Some(reader), blocks: 0, outcome: Ok(()) });
        let (layouts, state, changed) = (Mutex::new(layouts), Mutex::default(), Condvar::new());
        Self { log, source, layouts, state, changed }
    }

    /// Whoever has it lets all threads end by dropping it.
    pub fn end(&self) -> End<'_> {
        End(self)
    }

    /// Whether reading has failed, and the layouts.
    pub fn finish(self) -> (Result<(), StorageError>, RecordLayouts) {
        (self.source.into_inner().outcome, self.layouts.into_inner())
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Makes blocks until there are no more, or nobody takes them any more.
    pub fn work(&self) {
        let _end = EndOnPanic(self);
        let mut workspace = Workspace::default();
        while self.wait_for_room() && self.make_block(&mut workspace) {}
    }

    fn wait_for_room(&self) -> bool {
        let mut state = self.state.lock();
        while state.weight > BYTES_AHEAD && !state.closed {
            self.changed.wait(&mut state);
        }
        !state.closed
    }

    /// The next block; `None` at the end. Makes blocks until it is there.
    pub fn next(&self, workspace: &mut Workspace) -> Option<Block> {
        let mut state = self.state.lock();
        loop {
            if let Some(block) = state.blocks.front_mut().and_then(Option::take) {
                let full = state.weight > BYTES_AHEAD;
                state.blocks.pop_front();
                state.taken += 1;
                state.weight -= block.weight();
                if full {
                    self.changed.notify_all();
                }
                return Some(block);
            }
            if state.closed || state.total == Some(state.taken) {
                return None;
            }
            if state.total.is_some() || state.weight > BYTES_AHEAD {
                // Another thread is at it.
                self.changed.wait(&mut state);
                continue;
            }
            drop(state);
            self.make_block(workspace);
            state = self.state.lock();
        }
    }

    /// Makes one block. False at the end.
    fn make_block(&self, workspace: &mut Workspace) -> bool {
        let number = {
            let mut source = self.source.lock();
            let number = source.read(workspace);
            if number.is_none() {
                self.state.lock().total = Some(source.blocks);
            }
            number
        };
        if let Some(number) = number {
            let block = self.decode(workspace);
            let mut state = self.state.lock();
            state.weight += block.weight();
            let at = (number - state.taken) as usize;
            if at >= state.blocks.len() {
                state.blocks.resize_with(at + 1, || None);
            }
            state.blocks[at] = Some(block);
        }
        self.changed.notify_all();
        number.is_some()
    }

    /// Makes a block of what was read.
    fn decode(&self, workspace: &mut Workspace) -> Block {
        let mut block = self.block();
        block.stored = workspace.stored.len() as u64;
        block.items.reserve_exact(workspace.records.len());
        for Stored { segment, offset, codec, range } in workspace.records.drain(..) {
            let stored = workspace.stored.get(range).unwrap_or(&[]);
            let content = match compress::decompress(codec, stored, &mut workspace.record) {
                Err(reason) => Content::Record(Err(reason)),
                Ok(()) if self.log == Log::Wal && is_floats(&workspace.record) => {
                    self.floats(&mut block, &workspace.record)
                }
                Ok(()) => {
                    block.decoded += DECODED * workspace.record.len();
                    Content::Record(workspace.decoder.decode(&workspace.record).map_err(|e| e.to_string()))
                }
            };
            block.items.push(Item { segment, offset, content });
        }
        block
    }

    /// Takes a record of floats into a block.
    fn floats(&self, block: &mut Block, record: &[u8]) -> Content {
        let layout = self.layouts.lock().find(record);
        let Some((layout, base_t)) = layout.zip(record::base_t(record)) else {
            let start = block.floats.len();
            block.floats.extend_from_slice(record);
            return Content::Floats(start..block.floats.len());
        };
        let start = block.values.len();
        // Mostly all that the block will need, at once.
        block.values.reserve(if start == 0 { BLOCK_VALUES.max(layout.samples()) } else { layout.samples() });
        layout.values(record, &mut block.values);
        Content::LaidOut(layout, base_t, start)
    }

    /// Gives memory back that is not needed any more. What a reader allocated it also frees: allocators have a lock
    /// for what one thread allocates and another frees.
    pub fn give_back(&self, memory: &mut Vec<Vec<u64>>, series: &mut Vec<Vec<RefSeries>>) {
        // What a huge record took is not kept.
        memory.retain(|values| (1..=2 * BLOCK_VALUES).contains(&values.capacity()));
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

fn is_floats(record: &[u8]) -> bool {
    record.first().is_some_and(|kind| record::is_floats(*kind))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::record::LogRef;

    use super::*;
    use crate::record::{RefSample, RefTombstone, put_samples, put_tombstones};
    use storage_base::fs::{Disk, SimDisk};
    use storage_base::wal::Compression;
    use storage_base::wal::{Batch, Writer, writer::WriterOptions};

    const DIR: &str = "wal";
    const RECORDS: i64 = 2000;

    /// A log of two targets' scrapes, with a deletion now and then.
    fn log(compression: Compression) -> Arc<dyn Disk> {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
        let options = WriterOptions { compression, segment_len: 64 << 10 };
        let mut writer = Writer::open(disk.clone(), Path::new(DIR), options).unwrap();
        for t in 0..RECORDS {
            let mut batch = Batch::new();
            let series = |n: u64| LogRef(100 * (t % 2) as u64 + n);
            match t % 50 {
                49 => batch.push(|out| {
                    put_tombstones(out, &[RefTombstone { series: series(0), min_t: t, max_t: t }])
                }),
                _ => batch.push(|out| {
                    let sample = |n| RefSample { series: series(n), t, start_t: 0, v: t as f64 };
                    put_samples(out, &(0..20).map(sample).collect::<Vec<_>>(), false)
                }),
            }
            writer.log(&batch).unwrap();
        }
        disk
    }

    fn ahead(disk: &Arc<dyn Disk>) -> ReadAhead {
        let reader = Reader::open_all(disk.clone(), Path::new(DIR)).unwrap();
        ReadAhead::new(reader, Log::Wal, RecordLayouts::default())
    }

    /// Series, time and value of each sample of a record.
    type Samples = Vec<(u64, i64, u64)>;
    /// Places and samples of records; what reading ended with; how many records had a layout.
    type Read = (Vec<(u64, u64, Samples)>, Result<(), String>, usize);

    fn samples(record: &[u8]) -> Samples {
        let mut samples = Vec::new();
        record::each_float(record, |s| samples.push((s.series.0, s.t, s.v.to_bits()))).unwrap();
        samples
    }

    fn tombstone(record: &Record) -> u64 {
        let Record::Tombstones(tombstones) = record else { panic!("{record:?}") };
        tombstones[0].min_t as u64
    }

    fn read(disk: &Arc<dyn Disk>, threads: usize) -> Read {
        let ahead = ahead(disk);
        let (mut all, mut laid_out) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let _end = ahead.end();
            (0..threads).for_each(|_| drop(scope.spawn(|| ahead.work())));
            let mut workspace = Workspace::default();
            while let Some(block) = ahead.next(&mut workspace) {
                for Item { segment, offset, content } in block.items {
                    let content = match content {
                        Content::LaidOut(layout, base_t, start) => {
                            laid_out += 1;
                            let values = &block.values[start..start + layout.samples()];
                            let samples = layout.numbers().iter().zip(values).enumerate();
                            samples.map(|(n, (number, v))| (number.0, base_t + layout.dt(n), *v)).collect()
                        }
                        Content::Floats(range) => samples(&block.floats[range]),
                        Content::Record(record) => vec![(0, 0, tombstone(&record.unwrap()))],
                    };
                    all.push((segment, offset, content));
                }
                ahead.give_back(&mut vec![block.values], &mut Vec::new());
            }
        });
        (all, ahead.finish().0.map_err(|e| e.to_string()), laid_out)
    }

    #[test]
    fn blocks_come_in_the_order_of_the_log() {
        for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
            let disk = log(compression);
            let mut want = Vec::new();
            let mut reader = Reader::open_all(disk.clone(), Path::new(DIR)).unwrap();
            while let Some(raw) = reader.next().unwrap() {
                let decoded = || Decoder::default().decode(raw.bytes).unwrap();
                let samples = match is_floats(raw.bytes) {
                    true => samples(raw.bytes),
                    false => vec![(0, 0, tombstone(&decoded()))],
                };
                want.push((raw.segment, raw.offset, samples));
            }
            assert_eq!(want.len(), RECORDS as usize);
            for threads in 0..4 {
                let (got, outcome, laid_out) = read(&disk, threads);
                assert_eq!(outcome, Ok(()));
                assert!(got == want, "{compression:?} {threads}");
                assert!(laid_out > RECORDS as usize / 2, "{laid_out}");
            }
        }
    }

    #[test]
    fn what_is_before_damage_comes() {
        let disk = log(Compression::None);
        let path = Path::new(DIR).join("00000002");
        let mut bytes = disk.read_at(&path, 0, 1 << 20).unwrap();
        bytes[40_000] ^= 1;
        disk.create(&path).unwrap().append(&bytes).unwrap();
        let (want, failed, _) = read(&disk, 0);
        assert!(failed.unwrap_err().contains("checksum"));
        assert!((200..RECORDS as usize).contains(&want.len()));
        for threads in 1..4 {
            let (got, failed, _) = read(&disk, threads);
            assert!(failed.is_err() && got == want, "{threads}");
        }
    }

    #[test]
    fn readers_wait_for_room_and_end_when_nobody_listens() {
        let disk = log(Compression::Snappy);
        let ahead = ahead(&disk);
        std::thread::scope(|scope| {
            let end = ahead.end();
            let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| ahead.work())).collect();
            while ahead.state.lock().weight <= BYTES_AHEAD {
                std::thread::yield_now();
            }
            for _ in 0..10 {
                ahead.next(&mut Workspace::default()).unwrap();
            }
            assert!(ahead.state.lock().weight <= BYTES_AHEAD + 2 * 22 * STORED_BYTES);
            drop(end);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert!(ahead.state.lock().total.is_none());
    }

    #[test]
    fn memory_comes_back() {
        let disk = log(Compression::Snappy);
        let ahead = ahead(&disk);
        let values = vec![1, 2, 3];
        let at = values.as_ptr();
        ahead.give_back(
            &mut vec![values, Vec::new(), Vec::with_capacity(2 * BLOCK_VALUES + 1)],
            &mut Vec::new(),
        );
        let again = ahead.block().values;
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert_eq!(ahead.block().values.capacity(), 0);
    }
}
