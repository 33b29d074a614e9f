//! One file of `chunks_head/`: its name, its header, and the chunks in it (format section 5).

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use storage_base::StorageError;
use storage_base::bytes::crc::Crc32c;
use storage_base::bytes::reader::ByteReader;
use storage_base::fs::{Disk, Mapped};

use super::head_chunks::{ChunkBytes, FoundChunk};
use crate::codec::chunk::{self, Encoding};
use crate::format::{HEAD_CHUNKS_DIR, HEAD_CHUNKS_MAGIC, HEAD_CHUNKS_VERSION};
use crate::head::closed_chunks::ClosedChunk;
use crate::record::LogRef;

pub(super) const HEADER: usize = 8;
/// Series reference, first and last time, encoding.
pub(super) const CHUNK_HEAD: usize = 25;
/// Marks an out-of-order chunk in the encoding byte.
pub(super) const OUT_OF_ORDER_BIT: u8 = 0x80;
/// Files with higher numbers are not ours, so that counting on from the last never ends.
pub(super) const NUMBER_MAX: u32 = u32::MAX / 2;
/// Chunks are not longer than this; what says so is damaged.
pub(super) const CHUNK_LEN_MAX: u64 = 64 << 20;

/// The file with a number.
pub(super) fn path(number: u32) -> PathBuf {
    Path::new(HEAD_CHUNKS_DIR).join(format!("{number:06}"))
}

/// The number of the file with a name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (number <= NUMBER_MAX && name == format!("{number:06}")).then_some(number)
}

pub(super) fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&HEAD_CHUNKS_MAGIC.to_be_bytes());
    header[4] = HEAD_CHUNKS_VERSION;
    header
}

pub(super) fn place(number: u32, offset: u64) -> u64 {
    u64::from(number) << 32 | offset
}

pub(super) fn map(disk: &dyn Disk, number: u32) -> Result<Mapped, StorageError> {
    disk.map(&path(number)).map_err(StorageError::io_while("mapping", disk.display(&path(number))))
}

/// Cuts the first of the files at `offset` and empties the others, or makes them. They stay, because numbers must have
/// no gaps, and a number that is given again would let an old mark in the out-of-order log stand for a new chunk.
pub(super) fn cut(disk: &dyn Disk, numbers: RangeInclusive<u32>, offset: u64) -> Result<(), StorageError> {
    for (at, number) in numbers.enumerate() {
        let shown = disk.display(&path(number));
        if at == 0 && offset > HEADER as u64 {
            let mut file =
                disk.open_append(&path(number)).map_err(StorageError::io_while("opening", &shown))?;
            file.truncate(offset).map_err(StorageError::io_while("truncating", &shown))?;
            file.sync().map_err(StorageError::io_while("syncing", &shown))?;
        } else {
            let mut file = disk.create(&path(number)).map_err(StorageError::io_while("creating", &shown))?;
            file.append(&header()).map_err(StorageError::io_while("writing", &shown))?;
            file.sync().map_err(StorageError::io_while("syncing", &shown))?;
        }
    }
    let dir = Path::new(HEAD_CHUNKS_DIR);
    disk.sync_dir(dir).map_err(StorageError::io_while("syncing", disk.display(dir)))
}

/// One chunk as the file has it.
pub(super) struct Parsed<'a> {
    log_ref: LogRef,
    min_t: i64,
    max_t: i64,
    pub(super) encoding: Encoding,
    out_of_order: bool,
    pub(super) bytes: &'a [u8],
    /// Where `bytes` begin, from the chunk's start.
    offset: usize,
    /// Bytes of the chunk with everything around it.
    len: usize,
}

/// Why bytes are no chunk.
pub(super) enum Unparsed {
    /// Zeros: the rest of a preallocated file.
    End,
    Damaged(String),
}

pub(super) fn parse(file: &[u8]) -> Result<Parsed<'_>, Unparsed> {
    let early = |_| Unparsed::Damaged("the chunk ends behind the file".into());
    let mut reader = ByteReader::new(file);
    let log_ref = LogRef(reader.u64().map_err(early)?);
    let min_t = reader.i64().map_err(early)?;
    let max_t = reader.i64().map_err(early)?;
    if log_ref == LogRef(0) && min_t == 0 && max_t == 0 {
        return Err(Unparsed::End);
    }
    let kind = reader.u8().map_err(early)?;
    let len = reader.uvarint().map_err(early)?;
    if len > CHUNK_LEN_MAX {
        return Err(Unparsed::Damaged(format!("a chunk of {len} bytes")));
    }
    let offset = file.len() - reader.len();
    let bytes = reader.take(len as usize).map_err(early)?;
    let covered = file.len() - reader.len();
    let stored = Crc32c(reader.u32().map_err(early)?);
    let computed = Crc32c::of(&file[..covered]);
    if stored.0 != computed.0 {
        return Err(Unparsed::Damaged(format!("checksum is {:08x}, expected {:08x}", stored.0, computed.0)));
    }
    let encoding =
        Encoding::try_from(kind & !OUT_OF_ORDER_BIT).map_err(|e| Unparsed::Damaged(e.to_string()))?;
    Ok(Parsed {
        log_ref,
        min_t,
        max_t,
        encoding,
        out_of_order: kind & OUT_OF_ORDER_BIT != 0,
        bytes,
        offset,
        len: covered + 4,
    })
}

pub(super) fn slice(file: &Mapped, offset: usize) -> Result<(Encoding, ChunkBytes), String> {
    match parse(file.get(offset..).unwrap_or(&[])) {
        Ok(chunk) => {
            let start = offset + chunk.offset;
            let range = start..start + chunk.bytes.len();
            Ok((chunk.encoding, ChunkBytes::Mapped(file.clone(), range)))
        }
        Err(Unparsed::End) => Err("no chunk".into()),
        Err(Unparsed::Damaged(reason)) => Err(reason),
    }
}

/// Goes through a file. An error carries the offset behind the last whole chunk.
pub(super) fn scan(file: &[u8], number: u32, mut found: impl FnMut(FoundChunk)) -> Result<(), (u64, String)> {
    if file.len() < HEADER || file[..4] != HEAD_CHUNKS_MAGIC.to_be_bytes() {
        // An empty file is what a crash leaves of one that was just created.
        return Err((0, "no header of a head chunk file".into()));
    }
    if file[4] != HEAD_CHUNKS_VERSION {
        return Err((0, format!("version {} of head chunk files", file[4])));
    }
    let mut offset = HEADER;
    while offset < file.len() {
        let chunk = match parse(&file[offset..]) {
            Ok(chunk) => chunk,
            Err(Unparsed::End) => return Ok(()),
            // Fewer bytes than a chunk's head, all zero, are the end of a preallocated file too.
            Err(Unparsed::Damaged(_)) if file[offset..].iter().all(|byte| *byte == 0) => return Ok(()),
            Err(Unparsed::Damaged(reason)) => return Err((offset as u64, reason)),
        };
        let samples =
            chunk::count(chunk.encoding, chunk.bytes).map_err(|e| (offset as u64, e.to_string()))?;
        found(FoundChunk {
            log_ref: chunk.log_ref,
            out_of_order: chunk.out_of_order,
            chunk: ClosedChunk {
                at: place(number, offset as u64),
                min_t: chunk.min_t,
                max_t: chunk.max_t,
                encoding: chunk.encoding,
                samples,
            },
        });
        offset += chunk.len;
    }
    Ok(())
}
