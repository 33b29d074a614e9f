//! Chunk segments: the files `chunks/000001` … of a block, holding chunks back to back.
//!
//! Header of 8 bytes: `85 BD 40 DD`, version 1, three zeros. Each chunk: `uvarint len | u8 encoding | data | u32 crc`,
//! the checksum over encoding and data. An index refers to a chunk by segment, counting from 0, and offset. Source:
//! Prometheus `tsdb/chunks/chunks.go`.

use std::path::{Path, PathBuf};

use storage_base::bytes::crc::Crc32c;
use storage_base::bytes::prefetch::prefetch;
use storage_base::bytes::reader::{ByteReader, Truncated};
use storage_base::bytes::varint::{MAX_LEN, put_uvarint};
use storage_base::fs::{BufferedFile, Disk, Mapped};
use storage_base::{Corruption, StorageError};

use crate::codec::chunk::{Encoding, count};
use crate::format::{CHUNK_SEGMENT_LEN_MAX, CHUNKS_MAGIC, CHUNKS_VERSION};

const HEADER_LEN: usize = 8;
/// Bytes of a chunk that are loaded ahead: most chunks of floats are not much longer.
const PREFETCHED: usize = 192;

/// The bytes of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// How they are to be read.
    pub encoding: Encoding,
    /// What the encoding defines.
    pub data: &'a [u8],
}

impl Chunk<'_> {
    /// Number of samples, from the chunk's first bytes; 0 when they are missing.
    pub fn samples(&self) -> u64 {
        count(self.encoding, self.data).map_or(0, u64::from)
    }
}

/// Writes the segments of a block.
pub struct ChunkWriter<'d> {
    disk: &'d dyn Disk,
    dir: PathBuf,
    segment_len_max: u64,
    /// Segments begun so far.
    segments: u64,
    out: Option<BufferedFile>,
    len: u64,
    header: Vec<u8>,
}

impl<'d> ChunkWriter<'d> {
    /// A writer into a directory that exists and is empty. No file is made before the first chunk.
    pub fn new(disk: &'d dyn Disk, dir: PathBuf) -> Self {
        Self {
            disk,
            dir,
            segment_len_max: CHUNK_SEGMENT_LEN_MAX,
            segments: 0,
            out: None,
            len: 0,
            header: Vec::with_capacity(MAX_LEN + 1),
        }
    }

    /// Ends segments before they exceed this length.
    pub fn with_segment_len_max(mut self, len: u64) -> Self {
        self.segment_len_max = len;
        self
    }

    /// Appends a chunk. Returns where it is, for the index.
    pub fn write(&mut self, chunk: Chunk<'_>) -> Result<u64, StorageError> {
        let mut header = std::mem::take(&mut self.header);
        header.clear();
        put_uvarint(&mut header, chunk.data.len() as u64);
        header.push(chunk.encoding as u8);
        let crc = Crc32c::of_parts(&[&[chunk.encoding as u8], chunk.data]);
        let at = self.write_parts(&[&header, chunk.data, &crc.to_bytes()]);
        self.header = header;
        at
    }

    /// Appends a whole chunk as [`ChunkReader::record`] gave it. Returns where it is.
    pub fn write_record(&mut self, record: &[u8]) -> Result<u64, StorageError> {
        self.write_parts(&[record])
    }

    fn write_parts(&mut self, parts: &[&[u8]]) -> Result<u64, StorageError> {
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if let Some(out) = &self.out
            && out.position() + len > self.segment_len_max
            && out.position() > HEADER_LEN as u64
        {
            self.end_segment()?;
        }
        let out = match &mut self.out {
            Some(out) => out,
            None => {
                self.segments += 1;
                let path = self.dir.join(format!("{:06}", self.segments));
                let mut out = BufferedFile::create(self.disk, &path)?;
                out.write(&CHUNKS_MAGIC.to_be_bytes())?;
                out.write(&[CHUNKS_VERSION, 0, 0, 0])?;
                self.out.insert(out)
            }
        };
        let offset = out.position();
        if offset > u64::from(u32::MAX) {
            return Err(StorageError::TooLarge { file: out.shown().to_owned(), limit: "4 GiB".to_owned() });
        }
        for part in parts {
            out.write(part)?;
        }
        Ok((self.segments - 1) << 32 | offset)
    }

    fn end_segment(&mut self) -> Result<(), StorageError> {
        if let Some(out) = self.out.take() {
            self.len += out.finish()?;
        }
        Ok(())
    }

    /// Makes all segments durable. Returns their length.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        self.end_segment()?;
        Ok(self.len)
    }
}

/// The segments of a block, mapped.
#[derive(Debug)]
pub struct ChunkReader {
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    file: String,
    bytes: Mapped,
}

impl ChunkReader {
    /// Maps all segments of a directory and checks their headers.
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError> {
        let entries = disk.list(dir).map_err(StorageError::io_while("listing", disk.display(dir)))?;
        let mut names: Vec<(u64, String)> = entries
            .into_iter()
            .filter_map(|entry| Some((entry.name.parse().ok().filter(|_| !entry.is_dir)?, entry.name)))
            .collect();
        names.sort_unstable();
        let mut segments = Vec::with_capacity(names.len());
        for (_, name) in names {
            let path = dir.join(name);
            let file = disk.display(&path);
            let bytes = disk.map(&path).map_err(StorageError::io_while("mapping", &file))?;
            let corrupt = |offset, reason: String| Corruption { file: file.clone(), offset, reason };
            let header = bytes.first_chunk::<HEADER_LEN>().copied();
            let [m0, m1, m2, m3, version, ..] =
                header.ok_or_else(|| corrupt(0, "chunk segment is shorter than its header".into()))?;
            let magic = u32::from_be_bytes([m0, m1, m2, m3]);
            if magic != CHUNKS_MAGIC {
                return Err(corrupt(0, format!("not a chunk segment: magic number {magic:08x}")).into());
            }
            if version != CHUNKS_VERSION {
                return Err(corrupt(4, format!("unknown version {version} of a chunk segment")).into());
            }
            segments.push(Segment { file, bytes });
        }
        Ok(Self { segments })
    }

    /// Length of all segments in bytes.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes.len() as u64).sum()
    }

    /// Whether there is no segment.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Begins to load the chunk at a place into the cache, if it is there and in memory.
    pub fn prefetch(&self, at: u64) {
        let bytes = self.segments.get((at >> 32) as usize).and_then(|s| s.bytes.get(at as u32 as usize..));
        if let Some(begin) = bytes.and_then(|bytes| bytes.first_chunk::<PREFETCHED>()) {
            prefetch(begin);
        }
    }

    /// The chunk at a place, its checksum verified.
    pub fn chunk(&self, at: u64) -> Result<Chunk<'_>, Corruption> {
        self.record(at).map(|(chunk, _)| chunk)
    }

    /// The chunk at a place, its checksum verified, and all its bytes from length to checksum.
    pub fn record(&self, at: u64) -> Result<(Chunk<'_>, &[u8]), Corruption> {
        let (number, offset) = ((at >> 32) as usize, at & u64::from(u32::MAX));
        let Some(segment) = self.segments.get(number) else {
            let file = self.segments.last().map_or("chunks", |last| &last.file).to_owned();
            let reason = format!("chunk lies in segment {}, there are {}", number + 1, self.segments.len());
            return Err(Corruption { file, offset, reason });
        };
        let corrupt = |reason: String| Corruption { file: segment.file.clone(), offset, reason };
        let ends = |Truncated| corrupt("chunk passes the end of the segment".into());
        let bytes = segment.bytes.get(offset as usize..).unwrap_or_default();
        let mut reader = ByteReader::new(bytes);
        let len = reader.count(1).map_err(ends)?;
        let body = reader.take(len + 1).map_err(ends)?;
        if reader.u32().map_err(ends)? != Crc32c::of(body).0 {
            return Err(corrupt("checksum of the chunk does not match".into()));
        }
        let (encoding, data) = body.split_first().ok_or_else(|| ends(Truncated))?;
        let encoding = Encoding::try_from(*encoding).map_err(|e| corrupt(e.to_string()))?;
        let record = bytes.get(..bytes.len() - reader.len()).unwrap_or_default();
        Ok((Chunk { encoding, data }, record))
    }

    /// Says that the data of the chunk at a place could not be decoded.
    pub fn corrupt(&self, at: u64, reason: impl Into<String>) -> Corruption {
        let segment = self.segments.get((at >> 32) as usize);
        Corruption {
            file: segment.map_or("chunks", |segment| &segment.file).to_owned(),
            offset: at & u64::from(u32::MAX),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_testing::put_file;
    use proptest::prelude::*;
    use storage_base::fs::SimDisk;

    const DIR: &str = "chunks";

    fn write(chunks: &[(u8, Vec<u8>)], segment_len_max: u64) -> (SimDisk, Vec<u64>) {
        let disk = SimDisk::new(0);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let mut writer = ChunkWriter::new(&disk, DIR.into()).with_segment_len_max(segment_len_max);
        let places = chunks
            .iter()
            .map(|(encoding, data)| {
                let chunk = Chunk { encoding: Encoding::try_from(*encoding).unwrap(), data };
                writer.write(chunk).unwrap()
            })
            .collect();
        let len = writer.finish().unwrap();
        assert_eq!(ChunkReader::open(&disk, Path::new(DIR)).unwrap().len(), len);
        (disk, places)
    }

    fn chunks() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        prop::collection::vec((0..7u8, prop::collection::vec(any::<u8>(), 0..300)), 0..20)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(chunks in chunks(), segment_len_max in 50..2000u64) {
            let (disk, places) = write(&chunks, segment_len_max);
            let reader = ChunkReader::open(&disk, Path::new(DIR)).unwrap();
            prop_assert!(places.is_sorted());
            let copy = SimDisk::new(0);
            copy.create_dir_all(Path::new(DIR)).unwrap();
            let mut writer = ChunkWriter::new(&copy, DIR.into()).with_segment_len_max(segment_len_max);
            for ((encoding, data), at) in chunks.iter().zip(&places) {
                let (chunk, record) = reader.record(*at).unwrap();
                prop_assert_eq!((chunk.encoding as u8, chunk.data), (*encoding, &data[..]));
                prop_assert_eq!(writer.write_record(record).unwrap(), *at);
            }
            writer.finish().unwrap();
            for entry in disk.list(Path::new(DIR)).unwrap() {
                let path = Path::new(DIR).join(&entry.name);
                let bytes = disk.read(&path).unwrap();
                prop_assert!(entry.len <= segment_len_max || places.iter().filter(|at| (**at >> 32) + 1 == entry.name.parse::<u64>().unwrap()).count() == 1);
                prop_assert_eq!(bytes, copy.read(&path).unwrap());
            }
        }

        #[test]
        fn hostile_bytes_do_no_harm(chunks in chunks(), at: prop::sample::Index, byte: u8, place: u64, cut: prop::sample::Index) {
            let (disk, places) = write(&chunks, 1000);
            let path = Path::new("chunks/000001");
            if let Ok(mut bytes) = disk.read(path) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes.truncate(cut.index(bytes.len() * 4));
                put_file(&disk, path, bytes);
            }
            if let Ok(reader) = ChunkReader::open(&disk, Path::new(DIR)) {
                for place in places.into_iter().chain([place, place & 0x1_0000_0fff]) {
                    let _ = reader.chunk(place);
                }
            }
        }
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        let (disk, places) = write(&[(1, vec![0, 1, 2]), (1, vec![0, 2, 3])], 1000);
        let path = Path::new("chunks/000001");
        let good = disk.read(path).unwrap();
        for (at, offset, reason) in [
            (0, 0, "not a chunk segment"),
            (4, 4, "unknown version"),
            (places[1] as usize + 2, places[1], "checksum of the chunk"),
            (places[1] as usize, places[1], "passes the end"),
        ] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            put_file(&disk, path, bytes);
            let error = match ChunkReader::open(&disk, Path::new(DIR)) {
                Ok(reader) => {
                    reader.chunk(places[0]).unwrap();
                    reader.chunk(places[1]).unwrap_err()
                }
                Err(StorageError::Corrupt(error)) => error,
                Err(other) => panic!("{other}"),
            };
            assert_eq!((&*error.file, error.offset), ("chunks/000001", offset));
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
