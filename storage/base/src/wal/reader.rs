//! Reads a log from a position on, record by record, and says where damage begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Position;
use super::compress::{self, Codec};
use super::frame::{Assembler, Broken};
use super::segment::{self, Segment};
use crate::error::{Corruption, StorageError};
use crate::format::WAL_PAGE;
use crate::fs::Disk;

/// How much is read at once; whole pages.
const WINDOW: usize = 16 * WAL_PAGE;

/// One record and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Number of its segment.
    pub segment: u64,
    /// Where it begins in the segment, in bytes.
    pub offset: u64,
    /// Where the next one begins, or a page's unused rest.
    pub end: u64,
    /// Its bytes, decompressed.
    pub bytes: &'a [u8],
}

/// One record as it is stored, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// Number of its segment.
    pub segment: u64,
    /// Where it begins in the segment, in bytes.
    pub offset: u64,
    /// Where the next one begins, or a page's unused rest.
    pub end: u64,
    /// How it is compressed.
    pub codec: Codec,
    /// Its bytes, whose checksums are right.
    pub stored: &'a [u8],
}

/// Where a log is damaged, for [`super::repair::repair`] and for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The log's directory.
    pub dir: PathBuf,
    /// The segment.
    pub segment: Segment,
    /// Where the first record begins that cannot be read: all before it is sound.
    pub offset: u64,
    /// The log just ends within a record, in the last segment, as a crash leaves it: nothing is lost that was
    /// acknowledged as durable.
    pub torn: bool,
    /// The file as an operator would write it, where exactly, and what was found.
    pub corruption: Corruption,
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The log is damaged; it can be repaired.
    #[error("{}", .0.corruption)]
    Damaged(Box<Damage>),
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ReadLogError> for StorageError {
    fn from(e: ReadLogError) -> Self {
        match e {
            ReadLogError::Damaged(damage) => Self::Corrupt(damage.corruption),
            ReadLogError::Storage(e) => e,
        }
    }
}

/// Reads the segments of one directory. A writer may append meanwhile; what it adds to the last segment later than
/// the reader comes there may or may not be seen, and a batch that is being written looks torn.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segments: std::vec::IntoIter<Segment>,
    current: Option<Segment>,
    assembler: Assembler,
    /// Bytes of the current segment from `window_start` on.
    window: Vec<u8>,
    window_start: u64,
    /// Whether the window reaches the segment's end.
    window_ends: bool,
    /// Nothing behind this is read.
    to: Position,
    /// The last record, decompressed.
    record: Vec<u8>,
}

impl Reader {
    /// Reads segments `from` to `to`, both inclusive, as far as they exist; `offset` is where a record begins in
    /// segment `from`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        from: u64,
        offset: u64,
        to: u64,
    ) -> Result<Self, StorageError> {
        let to = Position { segment: to, offset: u64::MAX };
        Self::open_between(disk, dir, Position { segment: from, offset }, to)
    }

    /// Reads what lies between two positions at which records begin or the log ends.
    pub fn open_between(
        disk: Arc<dyn Disk>,
        dir: &Path,
        from: Position,
        to: Position,
    ) -> Result<Self, StorageError> {
        let mut segments = segment::list(&*disk, dir)?;
        segments.retain(|s| (from.segment..=to.segment).contains(&s.number));
        let mut reader = Self {
            disk,
            dir: dir.to_owned(),
            segments: segments.into_iter(),
            current: None,
            assembler: Assembler::default(),
            window: Vec::new(),
            window_start: 0,
            window_ends: false,
            to,
            record: Vec::new(),
        };
        reader.enter_next(|segment| if segment.number == from.segment { from.offset } else { 0 });
        Ok(reader)
    }

    /// Reads all segments.
    pub fn open_all(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, StorageError> {
        Self::open(disk, dir, 0, 0, u64::MAX)
    }

    /// The number of the last segment there is to read; `None` when there was none.
    pub fn last_segment(&self) -> Option<u64> {
        self.segments.as_slice().last().or(self.current.as_ref()).map(|s| s.number)
    }

    fn enter_next(&mut self, offset: impl Fn(&Segment) -> u64) {
        self.current = self.segments.next();
        let offset = self.current.as_ref().map_or(0, offset);
        self.assembler = Assembler::new(offset);
        self.window.clear();
        self.window_start = offset;
        self.window_ends = false;
    }

    /// The next record; `None` at the end. After an error there is nothing more to read. A record that cannot be
    /// decompressed counts as damage.
    #[expect(clippy::should_implement_trait, reason = "records borrow from the reader")]
    pub fn next(&mut self) -> Result<Option<RawRecord<'_>>, ReadLogError> {
        let Some(segment) = self.advance_or_end()? else { return Ok(None) };
        let (codec, stored) = self.assembler.record(&self.window, self.window_start);
        let decompressed = compress::decompress(codec, stored, &mut self.record);
        if let Err(reason) = decompressed {
            let damage =
                self.current.take().map(|current| self.damage(current, Broken { reason, torn: false }));
            self.segments = Vec::new().into_iter();
            return damage.map_or(Ok(None), Err);
        }
        let (offset, end) = (self.assembler.record_start(), self.assembler.offset());
        Ok(Some(RawRecord { segment, offset, end, bytes: &self.record }))
    }

    /// As [`Reader::next`], and leaves decompressing to the caller.
    pub fn next_stored(&mut self) -> Result<Option<StoredRecord<'_>>, ReadLogError> {
        let Some(segment) = self.advance_or_end()? else { return Ok(None) };
        let (codec, stored) = self.assembler.record(&self.window, self.window_start);
        let (offset, end) = (self.assembler.record_start(), self.assembler.offset());
        Ok(Some(StoredRecord { segment, offset, end, codec, stored }))
    }

    fn advance_or_end(&mut self) -> Result<Option<u64>, ReadLogError> {
        let found = self.advance();
        if found.is_err() {
            self.current = None;
            self.segments = Vec::new().into_iter();
        }
        found
    }

    fn advance(&mut self) -> Result<Option<u64>, ReadLogError> {
        while let Some(current) = &self.current {
            let at = (self.assembler.offset() - self.window_start) as usize;
            let rest = self.window.get(at..).unwrap_or_default();
            match self.assembler.take(rest, self.window_ends) {
                Ok(true) => return Ok(Some(current.number)),
                Ok(false) if !self.window_ends => self.load()?,
                Ok(false) if self.assembler.is_open() => {
                    let reason = "segment ends within a record".to_owned();
                    return Err(self.damage(current.clone(), Broken { reason, torn: true }));
                }
                Ok(false) => {
                    let next = current.number + 1;
                    if self.segments.as_slice().first().is_some_and(|segment| segment.number != next) {
                        let reason = format!("segment {next} is missing after it");
                        return Err(self.damage(current.clone(), Broken { reason, torn: false }));
                    }
                    self.enter_next(|_| 0);
                }
                Err(broken) => return Err(self.damage(current.clone(), broken)),
            }
        }
        Ok(None)
    }

    fn load(&mut self) -> Result<(), StorageError> {
        let Some(current) = &self.current else { return Ok(()) };
        let start = self.assembler.offset();
        // Windows end at page ends, or where reading ends.
        let mut len = WINDOW - (start % WAL_PAGE as u64) as usize;
        let left = match current.number == self.to.segment {
            true => self.to.offset.saturating_sub(start),
            false => u64::MAX,
        };
        let ends = left <= len as u64;
        len = len.min(left as usize);
        self.window = self
            .disk
            .read_at(&current.path, start, len)
            .map_err(|e| StorageError::io("reading", &*self.disk, &current.path, e))?;
        self.window_start = start;
        self.window_ends = ends || self.window.len() < len;
        Ok(())
    }

    fn damage(&self, segment: Segment, broken: Broken) -> ReadLogError {
        ReadLogError::Damaged(Box::new(Damage {
            dir: self.dir.clone(),
            offset: self.assembler.record_start(),
            torn: broken.torn && self.segments.as_slice().is_empty(),
            corruption: Corruption {
                file: self.disk.display(&segment.path),
                offset: self.assembler.offset(),
                reason: broken.reason,
            },
            segment,
        }))
    }
}
