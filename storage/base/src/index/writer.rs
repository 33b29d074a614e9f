//! Writes an index file in Prometheus's format, version 2, front to back.
//!
//! The caller brings all symbols first, then series in label order. Postings are made at the end: while series are
//! written only the number of series of each label pair is counted; then the series section is read again from the
//! mapped file, once for as many pairs as have 16 million numbers together, and their postings go out. So memory
//! holds a counter for each label pair and one batch, however many series there are. Offsets of postings follow from
//! the counts. Source: Prometheus `tsdb/index/index.go`.

use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, Digest};
use hashbrown::HashMap;

use super::series::{SymbolPair, encode_series};
use super::{ChunkMeta, Symbols};
use crate::bytes::crc::Crc32c;
use crate::bytes::reader::{ByteReader, Truncated};
use crate::bytes::varint::{MAX_LEN, put_uvarint};
use crate::format::{INDEX_LEN_MAX, INDEX_MAGIC, INDEX_SERIES_ALIGN, INDEX_VERSION};
use crate::fs::{BufferedFile, Disk};
use crate::{Corruption, StorageError};

/// Series numbers held in memory at once while postings are written; a single longer list is held whole.
const BATCH_LEN_MAX: u64 = 16 << 20;

/// An index file being written. Dropped without [`IndexWriter::finish`], it leaves an unusable file.
pub struct IndexWriter<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    out: BufferedFile,
    symbols: u64,
    symbols_end: u64,
    symbol_count: u32,
    series: u64,
    series_count: u64,
    last_labels: Vec<SymbolPair>,
    /// Series of each pair.
    counts: HashMap<SymbolPair, u32>,
    body: Vec<u8>,
    batch_len_max: u64,
    len_max: u64,
}

/// Postings of one label pair that are going to be written; the first are those of all series.
struct PairPostings {
    pair: Option<SymbolPair>,
    count: u32,
}

impl<'d> IndexWriter<'d> {
    /// Creates the file and writes the symbols, which must ascend and hold every name and value of the series to
    /// come; others do no harm. They are gone through twice.
    pub fn create<S: AsRef<str>>(
        disk: &'d dyn Disk,
        path: &Path,
        symbols: impl Iterator<Item = Result<S, StorageError>> + Clone,
    ) -> Result<Self, StorageError> {
        let mut out = BufferedFile::create(disk, path)?;
        let mut header = INDEX_MAGIC.to_be_bytes().to_vec();
        header.push(INDEX_VERSION);
        out.write(&header)?;
        let symbols_at = out.position();
        let symbol_count = write_symbols(&mut out, symbols)?;
        let series = out.position();
        Ok(Self {
            disk,
            path: path.to_owned(),
            out,
            symbols: symbols_at,
            symbols_end: series - 4,
            symbol_count,
            series,
            series_count: 0,
            last_labels: Vec::new(),
            counts: HashMap::new(),
            body: Vec::new(),
            batch_len_max: BATCH_LEN_MAX,
            len_max: INDEX_LEN_MAX,
        })
    }

    /// Adds a series, which must be greater than the one before. Its chunks must ascend without overlap.
    pub fn add_series(&mut self, labels: &[SymbolPair], chunks: &[ChunkMeta]) -> Result<(), StorageError> {
        if self.series_count > 0 && labels <= &*self.last_labels {
            return Err(self.misuse("series are not in label order"));
        }
        if labels.iter().any(|&(name, value)| name.max(value) >= self.symbol_count) {
            return Err(self.misuse("a series refers to a symbol that does not exist"));
        }
        if chunks.windows(2).any(|w| w[1].min_t <= w[0].max_t) || chunks.iter().any(|c| c.max_t < c.min_t) {
            return Err(self.misuse("chunks of a series overlap"));
        }
        self.last_labels.clear();
        self.last_labels.extend_from_slice(labels);
        for &pair in labels {
            *self.counts.entry(pair).or_default() += 1;
        }
        self.body.clear();
        encode_series(&mut self.body, labels, chunks);
        self.out.pad(INDEX_SERIES_ALIGN)?;
        let mut len = Vec::with_capacity(MAX_LEN);
        put_uvarint(&mut len, self.body.len() as u64);
        self.out.write(&len)?;
        self.out.write(&self.body)?;
        self.out.write(&Crc32c::of(&self.body).to_bytes())?;
        self.series_count += 1;
        self.check_len(self.out.position())
    }

    /// Writes postings and tables and makes the file durable. Returns its length.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        let series_end = self.out.position();
        self.out.flush()?;
        let bytes = self.disk.map(&self.path).map_err(StorageError::io_while("mapping", self.out.shown()))?;
        let symbols_start = self.symbols + 8;
        let symbols = Symbols::open(
            self.out.shown(),
            &bytes,
            symbols_start,
            self.symbols_end,
            self.symbol_count,
            false,
        )?;

        let mut lists: Vec<_> =
            self.counts.iter().map(|(&pair, &count)| PairPostings { pair: Some(pair), count }).collect();
        lists.sort_unstable_by_key(|list| list.pair);
        let all = u32::try_from(self.series_count).map_err(|_| self.misuse("more than 2^32 series"))?;
        lists.insert(0, PairPostings { pair: None, count: all });
        // From here on a pair's counter is its rank among the lists.
        for (rank, list) in lists.iter().enumerate() {
            if let Some(counter) = list.pair.and_then(|pair| self.counts.get_mut(&pair)) {
                *counter = u32::try_from(rank).map_err(|_| too_long(self.out.shown(), "2^32 label pairs"))?;
            }
        }

        self.out.pad(4)?;
        let postings_start = self.out.position();
        let mut first = 0;
        while first < lists.len() {
            let mut numbers = 0;
            let batch = lists.iter().skip(first).take_while(|list| {
                numbers += u64::from(list.count);
                numbers <= self.batch_len_max
            });
            let last = first + batch.count().max(1);
            let section = bytes.get(self.series as usize..series_end as usize).unwrap_or_default();
            write_postings(&mut self.out, &self.counts, self.series, section, &lists, first..last)?;
            self.check_len(self.out.position())?;
            first = last;
        }

        let table = self.out.position();
        self.write_table(&symbols, &bytes, &lists, postings_start)?;
        let mut toc = Vec::with_capacity(52);
        for at in [self.symbols, self.series, series_end, table, series_end, table] {
            toc.extend_from_slice(&at.to_be_bytes());
        }
        let crc = Crc32c::of(&toc);
        toc.extend_from_slice(&crc.to_bytes());
        self.out.write(&toc)?;
        self.out.finish()
    }

    #[cfg(test)]
    pub(crate) fn set_batch_len_max(&mut self, len: u64) {
        self.batch_len_max = len;
    }

    fn write_table(
        &mut self,
        symbols: &Symbols,
        bytes: &[u8],
        lists: &[PairPostings],
        postings_start: u64,
    ) -> Result<(), StorageError> {
        let write = |emit: &mut dyn FnMut(&[u8]) -> Result<(), StorageError>| -> Result<(), StorageError> {
            let mut entry = Vec::new();
            let mut at = postings_start;
            for list in lists {
                let (name, value) = match list.pair {
                    Some((name, value)) => (symbols.get(bytes, name)?, symbols.get(bytes, value)?),
                    None => ("", ""),
                };
                entry.clear();
                put_uvarint(&mut entry, 2);
                for text in [name, value] {
                    put_uvarint(&mut entry, text.len() as u64);
                    entry.extend_from_slice(text.as_bytes());
                }
                put_uvarint(&mut entry, at);
                emit(&entry)?;
                at += postings_len(list.count);
            }
            Ok(())
        };
        let mut section = Section::new("postings table", lists.len());
        write(&mut |entry| {
            section.len += entry.len() as u64;
            Ok(())
        })?;
        section.begin(&mut self.out)?;
        write(&mut |entry| section.write(&mut self.out, entry))?;
        section.end(&mut self.out)
    }

    fn check_len(&self, len: u64) -> Result<(), StorageError> {
        if len > self.len_max { Err(too_long(self.out.shown(), "64 GiB")) } else { Ok(()) }
    }

    fn misuse(&self, reason: &str) -> StorageError {
        StorageError::Internal(format!("{}: {reason}", self.out.shown()))
    }
}

fn too_long(file: &str, limit: &str) -> StorageError {
    StorageError::TooLarge { file: file.to_owned(), limit: limit.to_owned() }
}

/// A list with its length, count and checksum; a multiple of four, so that no padding is needed between lists.
fn postings_len(count: u32) -> u64 {
    12 + 4 * u64::from(count)
}

/// Writes the postings of some lists by going through the series section once.
fn write_postings(
    out: &mut BufferedFile,
    ranks: &HashMap<SymbolPair, u32>,
    section_at: u64,
    section: &[u8],
    lists: &[PairPostings],
    batch: std::ops::Range<usize>,
) -> Result<(), StorageError> {
    let lists = lists.get(batch.clone()).unwrap_or_default();
    // Where the next number of each list goes.
    let mut ends = Vec::with_capacity(lists.len());
    let mut total = 0usize;
    for list in lists {
        ends.push(total);
        total += list.count as usize;
    }
    let mut ids = vec![0u32; total];
    let mut put = |rank: usize, id: u32| {
        if let Some(end) = rank.checked_sub(batch.start).and_then(|at| ends.get_mut(at))
            && let Some(slot) = ids.get_mut(*end)
        {
            *slot = id;
            *end += 1;
        }
    };
    let mut reader = ByteReader::new(section);
    let changed = |Truncated| Corruption {
        file: out.shown().to_owned(),
        offset: section_at,
        reason: "series read back are not those written".into(),
    };
    while !reader.is_empty() {
        let at = section_at + (section.len() - reader.len()) as u64;
        let padding = at.next_multiple_of(INDEX_SERIES_ALIGN) - at;
        reader.take(padding as usize).map_err(changed)?;
        let id = ((at + padding) / INDEX_SERIES_ALIGN) as u32;
        put(0, id);
        let mut body = ByteReader::new(reader.length_prefixed().map_err(changed)?);
        for _ in 0..body.count(2).map_err(changed)? {
            let pair = (body.uvarint().map_err(changed)? as u32, body.uvarint().map_err(changed)? as u32);
            if let Some(&rank) = ranks.get(&pair) {
                put(rank as usize, id);
            }
        }
        reader.take(4).map_err(changed)?;
    }
    let mut list_bytes = Vec::new();
    let mut from = 0;
    for (list, end) in lists.iter().zip(&ends) {
        list_bytes.clear();
        list_bytes.extend_from_slice(&list.count.to_be_bytes());
        for id in ids.get(from..*end).unwrap_or_default() {
            list_bytes.extend_from_slice(&id.to_be_bytes());
        }
        from = *end;
        let len = u32::try_from(list_bytes.len())
            .map_err(|_| too_long(out.shown(), "4 GiB of postings in a list"))?;
        out.write(&len.to_be_bytes())?;
        out.write(&list_bytes)?;
        out.write(&Crc32c::of(&list_bytes).to_bytes())?;
    }
    Ok(())
}

fn write_symbols<S: AsRef<str>>(
    out: &mut BufferedFile,
    symbols: impl Iterator<Item = Result<S, StorageError>> + Clone,
) -> Result<u32, StorageError> {
    let mut section = Section::new("symbols", 0);
    let mut last: Option<S> = None;
    for symbol in symbols.clone() {
        let symbol = symbol?;
        let text = symbol.as_ref();
        if last.as_ref().is_some_and(|last| last.as_ref() >= text) {
            return Err(StorageError::Internal(format!("{}: symbols are not ascending", out.shown())));
        }
        section.entries += 1;
        section.len += varint_len(text.len() as u64) + text.len() as u64;
        last = Some(symbol);
    }
    let count = u32::try_from(section.entries).map_err(|_| too_long(out.shown(), "2^32 symbols"))?;
    section.begin(out)?;
    let mut len = Vec::with_capacity(MAX_LEN);
    for symbol in symbols {
        let symbol = symbol?;
        len.clear();
        put_uvarint(&mut len, symbol.as_ref().len() as u64);
        section.write(out, &len)?;
        section.write(out, symbol.as_ref().as_bytes())?;
    }
    section.end(out)?;
    Ok(count)
}

fn varint_len(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

/// `u32 len | u32 count | entries | u32 crc`: the length is counted first, then everything is written.
struct Section {
    what: &'static str,
    entries: usize,
    len: u64,
    digest: Digest,
}

impl Section {
    fn new(what: &'static str, entries: usize) -> Self {
        Self { what, entries, len: 4, digest: Digest::new(CrcAlgorithm::Crc32Iscsi) }
    }

    fn begin(&mut self, out: &mut BufferedFile) -> Result<(), StorageError> {
        let limit = |_| too_long(out.shown(), &format!("4 GiB of {}", self.what));
        let len = u32::try_from(self.len).map_err(limit)?;
        let entries = u32::try_from(self.entries).map_err(limit)?.to_be_bytes();
        out.write(&len.to_be_bytes())?;
        self.write(out, &entries)
    }

    fn write(&mut self, out: &mut BufferedFile, bytes: &[u8]) -> Result<(), StorageError> {
        self.digest.update(bytes);
        out.write(bytes)
    }

    fn end(self, out: &mut BufferedFile) -> Result<(), StorageError> {
        out.write(&(self.digest.finalize() as u32).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    #[test]
    fn refuses_what_would_not_be_an_index() {
        let disk = SimDisk::new(0);
        let path = Path::new("index");
        let create = |symbols: &[&str]| IndexWriter::create(&disk, path, symbols.iter().map(Ok)).map(drop);
        assert!(create(&["b", "a"]).is_err());
        assert!(create(&["a", "a"]).is_err());

        let chunk = |min_t, max_t| ChunkMeta { min_t, max_t, at: 8 };
        let mut writer = IndexWriter::create(&disk, path, ["a", "b"].iter().map(Ok)).unwrap();
        writer.add_series(&[(0, 1)], &[chunk(0, 5), chunk(6, 6)]).unwrap();
        for (labels, chunks) in [
            (&[(0, 1)][..], &[][..]),
            (&[(0, 0)], &[]),
            (&[(1, 2)], &[]),
            (&[(1, 1)], &[chunk(0, 5), chunk(5, 6)]),
            (&[(1, 1)], &[chunk(5, 4)]),
        ] {
            assert!(writer.add_series(labels, chunks).is_err(), "{labels:?} {chunks:?}");
        }
        writer.add_series(&[(0, 1), (1, 0)], &[]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn stops_at_the_greatest_length() {
        let disk = SimDisk::new(0);
        let mut writer = IndexWriter::create(&disk, Path::new("index"), ["a", "b"].iter().map(Ok)).unwrap();
        writer.len_max = 60;
        writer.add_series(&[(0, 0)], &[]).unwrap();
        writer.add_series(&[(0, 1)], &[]).unwrap();
        let error = writer.add_series(&[(1, 1)], &[]).unwrap_err();
        assert_eq!(error.to_string(), "index: exceeds 64 GiB, more than its format has room for");
    }

    #[test]
    fn varint_lengths() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut bytes = Vec::new();
            put_uvarint(&mut bytes, value);
            assert_eq!(varint_len(value), bytes.len() as u64);
        }
    }
}
