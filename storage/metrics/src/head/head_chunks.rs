//! Full head chunks in files: `chunks_head/000001` and on, in Prometheus's format (format section 5).
//!
//! Writing never fails and never waits for the disk: a chunk gets its place at once and sits in a buffer until the
//! buffer is written; while the disk refuses, the buffer stays and is tried again. Losing it costs nothing, because
//! the write-ahead log holds the same samples until the head is truncated. Reading maps a file once and again when it
//! has grown.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::read::Columns;
use parking_lot::{Mutex, RwLock};
use storage_base::bytes::crc::Crc32c;
use storage_base::bytes::varint::put_uvarint;
use storage_base::fs::{Disk, Mapped, WriteFile};
use storage_base::{Corruption, StorageError};

use super::head_chunk_file::{
    CHUNK_HEAD, HEADER, NUMBER_MAX, OUT_OF_ORDER_BIT, cut, header, map, number_of, parse, path, place, scan,
    slice,
};
use crate::codec::chunk::{self, Encoding};
use crate::format::HEAD_CHUNKS_DIR;
use crate::head::bit_store::BitStore;
use crate::head::closed_chunks::ClosedChunk;
use crate::record::LogRef;

/// A file takes no further chunk beyond this. Source: Prometheus `MaxHeadChunkFileSize`.
const FILE_LEN_MAX: u64 = 128 << 20;
/// The buffer is written when it is longer than this.
const BUFFER: usize = 256 << 10;
/// Files that may be missing behind the last one, because a power cut took their names. Together they would hold
/// 128 GiB of chunks.
const MISSING_MAX: u32 = 1024;
/// A chunk's bytes, shared with the file's mapping or copied.
#[derive(Clone, Debug)]
pub enum ChunkBytes {
    /// In a mapped file.
    Mapped(Mapped, std::ops::Range<usize>),
    /// In memory.
    Owned(Arc<[u8]>),
}

impl std::ops::Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(file, range) => file.get(range.clone()).unwrap_or(&[]),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A chunk found in the files at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundChunk {
    /// Its series' number in the write-ahead log.
    pub log_ref: LogRef,
    /// Whether it holds out-of-order samples.
    pub out_of_order: bool,
    /// Where and what it is.
    pub chunk: ClosedChunk,
}

/// The files of one head, and the memory of what goes there one day.
pub struct HeadChunks {
    /// The open chunks' bits.
    pub(crate) open: BitStore,
    disk: Arc<dyn Disk>,
    writer: Mutex<Writer>,
    maps: RwLock<BTreeMap<u32, Mapped>>,
    written: AtomicU64,
    /// Chunks never reach the disk.
    in_memory: bool,
}

struct Writer {
    /// The file that is written; chunks get places in it.
    current: Unfinished,
    /// Earlier files that the disk refused to complete, oldest first.
    unfinished: Vec<Unfinished>,
    /// Number of the oldest file there is.
    oldest: u32,
}

/// A file and what of it the disk does not have.
struct Unfinished {
    number: u32,
    file: Option<Box<dyn WriteFile>>,
    /// Bytes that the disk has.
    flushed: u64,
    /// Bytes behind those.
    buffer: Vec<u8>,
}

impl HeadChunks {
    /// Opens the files and hands every chunk in them to `found`, oldest first. At damage the rest of that file is
    /// cut off, the files behind it are emptied, and the damage is returned; the logs have what they held.
    pub fn open(
        disk: Arc<dyn Disk>,
        mut found: impl FnMut(FoundChunk),
    ) -> Result<(Self, Option<Corruption>), StorageError> {
        let dir = Path::new(HEAD_CHUNKS_DIR);
        let shown = disk.display(dir);
        disk.create_dir_all(dir).map_err(StorageError::io_while("creating", &shown))?;
        let mut numbers: Vec<u32> = disk
            .list(dir)
            .map_err(StorageError::io_while("listing", &shown))?
            .iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(|entry| number_of(&entry.name))
            .collect();
        numbers.sort_unstable();
        // What is far behind the others is not of this head.
        let far = numbers.windows(2).position(|pair| pair[1] - pair[0] > MISSING_MAX);
        numbers.truncate(far.map_or(numbers.len(), |last| last + 1));
        let mut maps = BTreeMap::new();
        let mut damage = None;
        for (at, &number) in numbers.iter().enumerate() {
            let shown = disk.display(&path(number));
            let file = disk.map(&path(number)).map_err(StorageError::io_while("mapping", &shown))?;
            // A gap in the numbers: what is behind it belongs to a state that was never complete.
            let gap = at > 0 && numbers[at - 1] + 1 != number;
            let scanned = if gap {
                Err((0, format!("file {} is missing", number - 1)))
            } else {
                scan(&file, number, &mut found)
            };
            if let Err((offset, reason)) = scanned {
                damage = Some(Corruption { file: shown, offset, reason });
                drop(file);
                let first = if gap { numbers[at - 1] + 1 } else { number };
                cut(&*disk, first..=numbers[numbers.len() - 1], offset)?;
                maps.insert(number, map(&*disk, number)?);
                break;
            }
            maps.insert(number, file);
        }
        let number = numbers.last().map_or(1, |last| last + 1);
        let oldest = numbers.first().copied().unwrap_or(number);
        let writer = Writer { current: Unfinished::new(number), unfinished: Vec::new(), oldest };
        Ok((Self::with(disk, writer, maps, false), damage))
    }

    /// Chunks that stay in memory, for a head that does not live long. Nothing of the disk is touched.
    pub fn in_memory(disk: Arc<dyn Disk>) -> Self {
        let writer = Writer { current: Unfinished::new(1), unfinished: Vec::new(), oldest: 1 };
        Self::with(disk, writer, BTreeMap::new(), true)
    }

    fn with(disk: Arc<dyn Disk>, writer: Writer, maps: BTreeMap<u32, Mapped>, in_memory: bool) -> Self {
        let (writer, maps) = (Mutex::new(writer), RwLock::new(maps));
        Self { open: BitStore::default(), disk, writer, maps, written: AtomicU64::new(0), in_memory }
    }

    /// Adds a chunk and returns its place. The bytes reach the disk later.
    pub fn write(
        &self,
        log_ref: LogRef,
        min_t: i64,
        max_t: i64,
        encoding: Encoding,
        out_of_order: bool,
        bytes: &[u8],
    ) -> u64 {
        let mut writer = self.writer.lock();
        if writer.current.len() + (CHUNK_HEAD + 10 + bytes.len() + 4) as u64 > FILE_LEN_MAX
            && writer.current.len() > HEADER as u64
        {
            self.next_file(&mut writer);
        }
        let number = writer.current.number;
        let at = place(number, writer.current.len());
        let start = writer.current.buffer.len();
        writer.current.buffer.extend_from_slice(&log_ref.0.to_be_bytes());
        writer.current.buffer.extend_from_slice(&min_t.to_be_bytes());
        writer.current.buffer.extend_from_slice(&max_t.to_be_bytes());
        writer.current.buffer.push(encoding as u8 | if out_of_order { OUT_OF_ORDER_BIT } else { 0 });
        put_uvarint(&mut writer.current.buffer, bytes.len() as u64);
        writer.current.buffer.extend_from_slice(bytes);
        let crc = Crc32c::of(&writer.current.buffer[start..]).to_bytes();
        writer.current.buffer.extend_from_slice(&crc);
        self.written.fetch_add(1, Ordering::Relaxed);
        if writer.current.buffer.len() > BUFFER {
            // Failure is not lost: the bytes stay, and `flush` reports it.
            let _ = self.flush_locked(&mut writer);
        }
        at
    }

    /// A chunk's encoding and bytes, checked against its checksum.
    pub fn read(&self, at: u64) -> Result<(Encoding, ChunkBytes), StorageError> {
        let (number, offset) = ((at >> 32) as u32, (at & u64::from(u32::MAX)) as usize);
        {
            let maps = self.maps.read();
            if let Some(file) = maps.get(&number)
                && offset < file.len()
                && let Ok(chunk) = slice(file, offset)
            {
                return Ok(chunk);
            }
        }
        if let Some(chunk) = self.writer.lock().buffered(number, offset) {
            return Ok(chunk);
        }
        let file = map(&*self.disk, number)?;
        let chunk = slice(&file, offset).map_err(|reason| self.corruption(at, reason))?;
        self.maps.write().insert(number, file);
        Ok(chunk)
    }

    /// Decodes the samples from `min_t` to `max_t` of some chunks, one after the other, onto the end of `out`.
    pub fn decode(
        &self,
        places: &[u64],
        min_t: i64,
        max_t: i64,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        let mut decode = |at: u64, encoding: Encoding, bytes: &[u8]| {
            chunk::decode(encoding, bytes, min_t, max_t, out)
                .map_err(|e| StorageError::from(self.corruption(at, e.to_string())))
        };
        let mut left = places;
        {
            // One lock for all that is mapped already, which is nearly everything.
            let maps = self.maps.read();
            // A series' chunks are mostly in few files.
            let mut file: (Option<u32>, &[u8]) = (None, &[]);
            while let [at, behind @ ..] = left {
                let (number, offset) = ((at >> 32) as u32, (at & u64::from(u32::MAX)) as usize);
                if file.0 != Some(number) {
                    file = (Some(number), maps.get(&number).map_or(&[], |file| file));
                }
                let bytes = file.1.get(offset..).unwrap_or(&[]);
                let Ok(chunk) = parse(bytes) else { break };
                decode(*at, chunk.encoding, chunk.bytes)?;
                left = behind;
            }
        }
        for &at in left {
            let (encoding, bytes) = self.read(at)?;
            decode(at, encoding, &bytes)?;
        }
        Ok(())
    }

    /// Says that the chunk at a place cannot be decoded.
    pub fn corruption(&self, at: u64, reason: impl Into<String>) -> Corruption {
        let (number, offset) = ((at >> 32) as u32, at & u64::from(u32::MAX));
        Corruption { file: self.disk.display(&path(number)), offset, reason: reason.into() }
    }

    /// Hands everything to the operating system.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.flush_locked(&mut self.writer.lock())
    }

    /// Makes everything durable.
    pub fn sync(&self) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        self.flush_locked(&mut writer)?;
        let shown = self.disk.display(&path(writer.current.number));
        if let Some(file) = &mut writer.current.file {
            file.sync().map_err(StorageError::io_while("syncing", shown))?;
        }
        Ok(())
    }

    /// Begins another file, so that the ones before can be removed one day. Returns the place below which all chunks
    /// written so far lie.
    pub fn cut(&self) -> u64 {
        let mut writer = self.writer.lock();
        if writer.current.len() > HEADER as u64 {
            self.next_file(&mut writer);
        }
        place(writer.current.number, 0)
    }

    /// Whether a place may be where a file began before the directory was opened.
    pub fn could_begin_at(&self, at: u64) -> bool {
        let (number, offset) = ((at >> 32) as u32, at as u32);
        let writer = self.writer.lock();
        let highest = if writer.has_no_chunks() {
            NUMBER_MAX
        } else {
            writer.current.number.saturating_add(MISSING_MAX)
        };
        offset == 0 && number <= highest
    }

    /// Lets all chunks written from now on lie at or above a place, as they did before the directory was opened. The
    /// place is one that [`HeadChunks::could_begin_at`] allows.
    pub fn skip_to(&self, at: u64) -> Result<(), StorageError> {
        let number = (at >> 32) as u32;
        let mut writer = self.writer.lock();
        if writer.current.number < number && writer.has_no_chunks() {
            writer.current = Unfinished::new(number);
            writer.oldest = number;
        }
        while writer.current.number < number {
            // Numbers must have no gaps: a file without chunks stands for each.
            writer.current.write(&*self.disk)?;
            self.next_file(&mut writer);
        }
        Ok(())
    }

    /// Removes the files that lie whole below a place, which is the lowest of all chunks in use.
    pub fn truncate(&self, lowest: u64) -> Result<(), StorageError> {
        let gone: Vec<u32> = {
            let mut writer = self.writer.lock();
            let below = ((lowest >> 32) as u32).min(writer.current.number);
            let unfinished = writer.unfinished.iter().map(|file| file.number).min().unwrap_or(u32::MAX);
            let gone = (writer.oldest..below.min(unfinished)).collect();
            writer.oldest = writer.oldest.max(below.min(unfinished));
            gone
        };
        for number in &gone {
            match self.disk.remove_file(&path(*number)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::io_while("removing", self.disk.display(&path(*number)))(e));
                }
                _ => {}
            }
            self.maps.write().remove(number);
        }
        if !gone.is_empty() {
            let dir = Path::new(HEAD_CHUNKS_DIR);
            self.disk.sync_dir(dir).map_err(StorageError::io_while("syncing", self.disk.display(dir)))?;
        }
        Ok(())
    }

    /// Chunks written since open.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let on_disk = self.disk.list(Path::new(HEAD_CHUNKS_DIR)).unwrap_or_default();
        on_disk.iter().map(|entry| entry.len).sum()
    }

    fn next_file(&self, writer: &mut Writer) {
        let next = Unfinished::new(writer.current.number + 1);
        if self.in_memory || self.flush_locked(writer).is_err() {
            let unfinished = std::mem::replace(&mut writer.current, next);
            writer.unfinished.push(unfinished);
        } else {
            if let Some(file) = &mut writer.current.file {
                // The log has these samples too: a failure costs nothing but the time to replay them.
                let _ = file.sync();
            }
            writer.current = next;
        }
    }

    fn flush_locked(&self, writer: &mut Writer) -> Result<(), StorageError> {
        if self.in_memory {
            return Ok(());
        }
        while let Some(first) = writer.unfinished.first_mut() {
            first.flush(&*self.disk)?;
            writer.unfinished.remove(0);
        }
        writer.current.flush(&*self.disk)
    }
}

impl Writer {
    /// Whether there is no file and nothing to write to one.
    fn has_no_chunks(&self) -> bool {
        self.current.is_empty() && self.oldest == self.current.number
    }

    fn buffered(&self, number: u32, offset: usize) -> Option<(Encoding, ChunkBytes)> {
        let files = std::iter::once(&self.current).chain(&self.unfinished);
        let file = files.into_iter().find(|file| file.number == number)?;
        let offset = offset.checked_sub(file.flushed as usize)?;
        let chunk = parse(file.buffer.get(offset..)?).ok()?;
        Some((chunk.encoding, ChunkBytes::Owned(Arc::from(chunk.bytes))))
    }
}

impl Unfinished {
    fn new(number: u32) -> Self {
        Self { number, file: None, flushed: 0, buffer: header().to_vec() }
    }

    fn len(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Whether it has no chunk.
    fn is_empty(&self) -> bool {
        self.len() <= HEADER as u64
    }

    /// Writes the buffer. A file without chunks is not made.
    fn flush(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if self.buffer.is_empty() || self.is_empty() { Ok(()) } else { self.write(disk) }
    }

    /// Writes the buffer, creating the file first; what a failed attempt left behind is cut off again.
    fn write(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let path = path(self.number);
        let shown = disk.display(&path);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(disk.create(&path).map_err(StorageError::io_while("creating", &shown))?),
        };
        if file.len() > self.flushed {
            file.truncate(self.flushed).map_err(StorageError::io_while("truncating", &shown))?;
        }
        file.append(&self.buffer).map_err(StorageError::io_while("writing", &shown))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage_base::fs::SimDisk;

    /// Opens the files there are; returns the chunks' numbers, whether there is damage, and the next chunk's file.
    fn open(disk: &Arc<dyn Disk>) -> (Vec<u64>, bool, u64) {
        let mut found = Vec::new();
        let (chunks, damage) = HeadChunks::open(disk.clone(), |chunk| found.push(chunk.log_ref.0)).unwrap();
        let next = chunks.write(LogRef(9), 0, 0, Encoding::Xor, false, &[0, 0]) >> 32;
        (found, damage.is_some(), next)
    }

    fn file(disk: &Arc<dyn Disk>, name: &str, log_ref: Option<u64>) {
        let mut bytes = header().to_vec();
        if let Some(log_ref) = log_ref {
            bytes.extend_from_slice(&log_ref.to_be_bytes());
            bytes.extend_from_slice(&[0; 16]);
            bytes.extend_from_slice(&[Encoding::Xor as u8, 2, 0, 0]);
            let crc = Crc32c::of(&bytes[HEADER..]).to_bytes();
            bytes.extend_from_slice(&crc);
        }
        disk.create_dir_all(Path::new(HEAD_CHUNKS_DIR)).unwrap();
        disk.create(&Path::new(HEAD_CHUNKS_DIR).join(name)).unwrap().append(&bytes).unwrap();
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let cases: [(&[&str], &[u64], bool, u64); 8] = [
            (&[], &[], false, 1),
            (&["000001", "000002"], &[1, 2], false, 3),
            (&["000007"], &[1], false, 8),
            (&["000001", "1", "+00002", "2.tmp"], &[1], false, 2),
            (&["4294967295"], &[], false, 1),
            (&["000001", "2147483647"], &[1], false, 2),
            (&["000001", "000003", "000004"], &[1], true, 5),
            (&["000001", "000002", "900000", "900001"], &[1, 2], false, 3),
        ];
        for (names, want, damaged, next) in cases {
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
            names.iter().zip(1..).for_each(|(name, log_ref)| file(&disk, name, Some(log_ref)));
            assert_eq!(open(&disk), (want.to_vec(), damaged, next), "{names:?}");
            assert_eq!(open(&disk), (want.to_vec(), false, next), "{names:?}, once more");
        }
    }

    #[test]
    fn only_a_likely_beginning_is_skipped_to() {
        let far = u64::from(MISSING_MAX);
        let cases: [(&[&str], u64, bool, usize); 8] = [
            (&[], 1 << 32, true, 0),
            (&[], 70_000 << 32, true, 0),
            (&[], u64::MAX, false, 0),
            (&[], 5 << 32 | 8, false, 0),
            (&["000001"], 4 << 32, true, 3),
            (&["000001"], (2 + far) << 32, true, 2 + MISSING_MAX as usize - 1),
            (&["000001"], (3 + far) << 32, false, 1),
            (&["000001"], u64::from(u32::MAX) << 32, false, 1),
        ];
        for (names, place, likely, files) in cases {
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
            names.iter().for_each(|name| file(&disk, name, Some(1)));
            let (chunks, _) = HeadChunks::open(disk.clone(), |_| {}).unwrap();
            assert_eq!(chunks.could_begin_at(place), likely, "{names:?} {place:x}");
            if likely {
                chunks.skip_to(place).unwrap();
                assert!(chunks.write(LogRef(1), 0, 0, Encoding::Xor, false, &[0, 0]) >= place);
            }
            assert_eq!(disk.list(Path::new(HEAD_CHUNKS_DIR)).unwrap().len(), files, "{names:?} {place:x}");
        }
    }
}
