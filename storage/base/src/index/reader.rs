//! Reads a mapped index file: versions 1, 2 and 3 of Prometheus's format.
//!
//! Opening checks header, table of contents, symbols and postings table with their checksums; series and postings are
//! checked when they are read. In memory are only places: of every eighth symbol, of every label name, and of every
//! 32nd of its values in the postings table. Every byte may be hostile. Source: Prometheus `tsdb/index/index.go`.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::Symbols;
use super::postings::Postings;
use super::select::LabelIndex;
use super::series::SeriesEntry;
use crate::bytes::crc::Crc32c;
use crate::bytes::reader::{ByteReader, Truncated};
use crate::format::{INDEX_MAGIC, INDEX_SERIES_ALIGN};
use crate::fs::Mapped;
use crate::{Corruption, StorageError};

const HEADER_LEN: usize = 5;
const TOC_LEN: usize = 52;
/// Distance of values whose place is kept, in versions whose values ascend.
const SAMPLE: usize = 32;

/// An index file, mapped.
#[derive(Debug)]
pub struct IndexReader {
    bytes: Mapped,
    file: String,
    version: u8,
    symbols: Symbols,
    series: u64,
    /// Where the entries of the postings table begin and end.
    table: std::ops::Range<usize>,
    /// Ascending.
    names: Vec<Name>,
    /// Places of values, counted from the start of the table.
    samples: Vec<u32>,
    all: Option<PostingsAt>,
}

/// Where a postings list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostingsAt(u64);

/// A label name in the postings table.
#[derive(Clone, Debug)]
struct Name {
    /// Place of its first entry.
    at: u32,
    /// Its values.
    count: u32,
    /// Its first sample.
    sample: u32,
}

/// An entry of the postings table.
struct Entry<'b> {
    name: &'b [u8],
    value: &'b [u8],
    postings: PostingsAt,
}

impl IndexReader {
    /// Checks an index and notes where things are. `file` is the file as messages name it.
    pub fn open(bytes: Mapped, file: String) -> Result<Self, Corruption> {
        let corrupt =
            |offset: usize, reason: String| Corruption { file: file.clone(), offset: offset as u64, reason };
        let len = bytes.len();
        if len < HEADER_LEN + TOC_LEN {
            return Err(corrupt(len, format!("an index has at least {} bytes", HEADER_LEN + TOC_LEN)));
        }
        let (magic, version) = (bytes.first_chunk::<4>().copied().unwrap_or_default(), bytes[4]);
        if magic != INDEX_MAGIC.to_be_bytes() {
            return Err(corrupt(0, format!("not an index: magic number {:08x}", u32::from_be_bytes(magic))));
        }
        if !(1..=3).contains(&version) {
            return Err(corrupt(4, format!("unknown index version {version}")));
        }
        let toc_at = len - TOC_LEN;
        let (toc, crc) = bytes[toc_at..].split_at(TOC_LEN - 4);
        if crc != Crc32c::of(toc).to_bytes() {
            return Err(corrupt(toc_at, "checksum of the table of contents does not match".into()));
        }
        let mut toc = ByteReader::new(toc);
        let mut place =
            || toc.u64().map_err(|Truncated| corrupt(toc_at, "table of contents is too short".into()));
        let (symbols, series, _, _, _, table) = (place()?, place()?, place()?, place()?, place()?, place()?);

        let section = |at: u64, what: &str| -> Result<(u32, std::ops::Range<usize>), Corruption> {
            let payload = section(&bytes, &file, at, what)?;
            let mut reader = ByteReader::new(&bytes[payload.clone()]);
            let count =
                reader.u32().map_err(|Truncated| corrupt(payload.start, format!("{what} has no count")))?;
            Ok((count, payload.start + 4..payload.end))
        };
        let (count, place) = if symbols == 0 { (0, 0..0) } else { section(symbols, "symbol table")? };
        let symbols =
            Symbols::open(&file, &bytes, place.start as u64, place.end as u64, count, version == 1)?;
        let (entries, table) = if table == 0 { (0, 0..0) } else { section(table, "postings table")? };
        let mut reader = Self {
            bytes,
            file,
            version,
            symbols,
            series,
            table,
            names: Vec::new(),
            samples: Vec::new(),
            all: None,
        };
        reader.read_table(entries)?;
        Ok(reader)
    }

    fn read_table(&mut self, entries: u32) -> Result<(), Corruption> {
        // Version 1 does not order its table: there every place is kept, and put in order.
        let sample = if self.version == 1 { 1 } else { SAMPLE };
        let bytes = self.bytes.clone();
        let table = bytes.get(self.table.clone()).unwrap_or_default();
        let mut reader = ByteReader::new(table);
        let mut places = Vec::new();
        let mut last: Option<(&[u8], &[u8])> = None;
        for _ in 0..entries {
            // The table's length has 32 bits.
            let at = (table.len() - reader.len()) as u32;
            let entry = self.entry(&mut reader)?;
            if entry.name.is_empty() && entry.value.is_empty() {
                self.all = Some(entry.postings);
                continue;
            }
            if self.version == 1 {
                places.push(at);
                continue;
            }
            if last.is_some_and(|last| last >= (entry.name, entry.value)) {
                return Err(self.corrupt(self.table.start + at as usize, "postings table is not ascending"));
            }
            self.note(at, last.is_none_or(|(name, _)| name != entry.name), sample);
            last = Some((entry.name, entry.value));
        }
        let mut broken = None;
        let mut key = |at: u32| match self.entry_at(table, at) {
            Ok(entry) => (entry.name, entry.value),
            Err(e) => {
                broken = Some(e);
                (&[][..], &[][..])
            }
        };
        places.sort_by(|&a, &b| key(a).cmp(&key(b)));
        places.dedup_by(|a, b| key(*a) == key(*b));
        let mut last_name = None;
        let starts: Vec<bool> = places
            .iter()
            .map(|&at| {
                let name = key(at).0;
                last_name.replace(name) != Some(name)
            })
            .collect();
        if let Some(e) = broken {
            return Err(e);
        }
        for (at, is_first) in places.into_iter().zip(starts) {
            self.note(at, is_first, sample);
        }
        self.names.shrink_to_fit();
        self.samples.shrink_to_fit();
        Ok(())
    }

    /// Notes the next entry in order.
    fn note(&mut self, at: u32, is_first_of_name: bool, sample: usize) {
        if is_first_of_name {
            self.names.push(Name { at, count: 0, sample: self.samples.len() as u32 });
        }
        if let Some(name) = self.names.last_mut() {
            if (name.count as usize).is_multiple_of(sample) {
                self.samples.push(at);
            }
            name.count += 1;
        }
    }

    /// The file as messages name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the file is empty; an index never is.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The format's version.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Bytes of memory for looking up symbols.
    pub fn symbol_memory(&self) -> u64 {
        self.symbols.memory()
    }

    /// All label names and values, ascending, each with the number that [`SeriesEntry::symbols`] gives.
    pub fn symbols(&self) -> impl Iterator<Item = Result<(u32, &str), Corruption>> + Clone {
        self.symbols.iter(&self.bytes)
    }

    /// How many symbols there are.
    pub fn symbol_count(&self) -> u32 {
        self.symbols.len()
    }

    /// Text of a symbol.
    pub fn symbol(&self, symbol: u32) -> Result<&str, Corruption> {
        self.symbols.get(&self.bytes, symbol)
    }

    /// A series by its number in postings.
    pub fn series(&self, id: u32) -> Result<SeriesEntry<'_>, Corruption> {
        let offset = u64::from(id) * if self.version == 1 { 1 } else { INDEX_SERIES_ALIGN };
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let broken = |Truncated| self.corrupt(at, format!("series {id} passes the end of the file"));
        if offset < self.series {
            return Err(self.corrupt(at, format!("series {id} lies before the series section")));
        }
        let mut reader = ByteReader::new(self.bytes.get(at..).unwrap_or_default());
        let body = reader.length_prefixed().map_err(broken)?;
        if reader.u32().map_err(broken)? != Crc32c::of(body).0 {
            return Err(self.corrupt(at, format!("checksum of series {id} does not match")));
        }
        Ok(SeriesEntry::new(self, body, offset))
    }

    fn entry<'b>(&self, reader: &mut ByteReader<'b>) -> Result<Entry<'b>, Corruption> {
        let rest = reader.len();
        let broken = |reason: &str| self.corrupt(self.table.end.saturating_sub(rest), reason);
        let truncated = |Truncated| broken("entry passes the end of the postings table");
        if reader.uvarint().map_err(truncated)? != 2 {
            return Err(broken("entry of the postings table has not two texts"));
        }
        let name = reader.length_prefixed().map_err(truncated)?;
        let value = reader.length_prefixed().map_err(truncated)?;
        let postings = PostingsAt(reader.uvarint().map_err(truncated)?);
        Ok(Entry { name, value, postings })
    }

    fn entry_at<'b>(&self, table: &'b [u8], at: u32) -> Result<Entry<'b>, Corruption> {
        self.entry(&mut ByteReader::new(table.get(at as usize..).unwrap_or_default()))
    }

    fn name(&self, name: &str) -> Result<Option<(&Name, &[u32])>, Corruption> {
        let table = self.table();
        let Some(at) =
            search(&self.names, |entry| Ok(self.entry_at(table, entry.at)?.name.cmp(name.as_bytes())))?
        else {
            return Ok(None);
        };
        let Some(found) = self.names.get(at) else { return Ok(None) };
        if self.entry_at(table, found.at)?.name != name.as_bytes() {
            return Ok(None);
        }
        let until = self.names.get(at + 1).map_or(self.samples.len(), |next| next.sample as usize);
        Ok(Some((found, self.samples.get(found.sample as usize..until).unwrap_or_default())))
    }

    fn table(&self) -> &[u8] {
        self.bytes.get(self.table.clone()).unwrap_or_default()
    }

    /// Shows the entries of a name from the last sample that is not greater than `from` on.
    fn entries_from(
        &self,
        name: &str,
        from: &str,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>, Corruption>,
    ) -> Result<(), Corruption> {
        let Some((name, samples)) = self.name(name)? else { return Ok(()) };
        let table = self.table();
        let start =
            search(samples, |&at| Ok(self.entry_at(table, at)?.value.cmp(from.as_bytes())))?.unwrap_or(0);
        if self.version == 1 {
            for &at in samples.iter().skip(start) {
                if visit(self.entry_at(table, at)?)?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let Some(&at) = samples.get(start) else { return Ok(()) };
        let mut reader = ByteReader::new(table.get(at as usize..).unwrap_or_default());
        for _ in start * SAMPLE..name.count as usize {
            if visit(self.entry(&mut reader)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, Corruption> {
        std::str::from_utf8(bytes).map_err(|e| {
            self.corrupt(self.table.start, format!("text in the postings table is not UTF-8: {e}"))
        })
    }

    fn corrupt(&self, offset: usize, reason: impl Into<String>) -> Corruption {
        Corruption { file: self.file.clone(), offset: offset as u64, reason: reason.into() }
    }
}

/// The last of ascending entries that is not greater; `None` when all are.
fn search<T>(
    entries: &[T],
    mut compare: impl FnMut(&T) -> Result<Ordering, Corruption>,
) -> Result<Option<usize>, Corruption> {
    let (mut low, mut high) = (0, entries.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match entries.get(middle).map(&mut compare).transpose()? {
            Some(Ordering::Greater) | None => high = middle,
            Some(_) => low = middle + 1,
        }
    }
    Ok(low.checked_sub(1))
}

/// The payload of `u32 len | payload | u32 crc`, its checksum verified.
fn section(bytes: &[u8], file: &str, at: u64, what: &str) -> Result<std::ops::Range<usize>, Corruption> {
    let corrupt = |reason: String| Corruption { file: file.to_owned(), offset: at, reason };
    let ends = |Truncated| corrupt(format!("{what} passes the end of the file"));
    let start = usize::try_from(at).map_err(|_| ends(Truncated))?;
    let mut reader = ByteReader::new(bytes.get(start..).unwrap_or_default());
    let len = reader.u32().map_err(ends)? as usize;
    let payload = reader.take(len).map_err(ends)?;
    if reader.u32().map_err(ends)? != Crc32c::of(payload).0 {
        return Err(corrupt(format!("checksum of the {what} does not match")));
    }
    Ok(start + 4..start + 4 + len)
}

impl LabelIndex for IndexReader {
    type Value = PostingsAt;

    fn all(&self) -> Result<Postings<'_>, StorageError> {
        self.all.map_or(Ok(Postings::empty()), |at| self.postings(at))
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PostingsAt>, StorageError> {
        let mut found = None;
        self.entries_from(name, value, &mut |entry| {
            Ok(match entry.value.cmp(value.as_bytes()) {
                Ordering::Less => ControlFlow::Continue(()),
                Ordering::Equal => {
                    found = Some(entry.postings);
                    ControlFlow::Break(())
                }
                Ordering::Greater => ControlFlow::Break(()),
            })
        })?;
        Ok(found)
    }

    fn postings(&self, PostingsAt(at): PostingsAt) -> Result<Postings<'_>, StorageError> {
        let payload = section(&self.bytes, &self.file, at, "postings list")?;
        let (list, rest) = self.bytes[payload.clone()].as_chunks::<4>();
        match list.split_first() {
            Some((count, list)) if u32::from_be_bytes(*count) as usize == list.len() && rest.is_empty() => {
                Ok(Postings::Mapped(list))
            }
            _ => Err(self.corrupt(payload.start, "postings list has not as many entries as it says").into()),
        }
    }

    /// What the list says of itself; its checksum is not verified.
    fn postings_len(&self, PostingsAt(at): PostingsAt) -> Result<u64, StorageError> {
        let ends = |Truncated| self.corrupt(at as usize, "postings list passes the end of the file");
        let start = usize::try_from(at).map_err(|_| ends(Truncated))?;
        let mut reader = ByteReader::new(self.bytes.get(start..).unwrap_or_default());
        reader.u32().map_err(ends)?;
        Ok(u64::from(reader.u32().map_err(ends)?))
    }

    const KNOWS_LABELS: bool = true;

    fn label(&self, id: u32, name: &str) -> Result<&str, StorageError> {
        Ok(self.series(id)?.label(name)?)
    }

    fn value_count(&self, name: &str) -> Result<u64, StorageError> {
        Ok(self.name(name)?.map_or(0, |(name, _)| u64::from(name.count)))
    }

    fn names(&self) -> Result<Vec<String>, StorageError> {
        let table = self.table();
        self.names.iter().map(|name| Ok(self.text(self.entry_at(table, name.at)?.name)?.to_owned())).collect()
    }

    fn values(
        &self,
        name: &str,
        from: &str,
        visit: &mut dyn FnMut(&str, PostingsAt) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        Ok(self.entries_from(name, from, &mut |entry| {
            if entry.value < from.as_bytes() {
                return Ok(ControlFlow::Continue(()));
            }
            Ok(visit(self.text(entry.value)?, entry.postings))
        })?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fs::Disk;
    use crate::fs::SimDisk;
    use crate::index::ChunkMeta;
    use crate::index::projection::Projection;
    use crate::index::series_labels::SeriesLabels;
    use crate::index::writer::IndexWriter;
    use crate::index_testing::{agrees_with_filter, label_set, matcher};
    use model::{Labels, MatchOp, Matcher};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    type Series = (Labels, Vec<ChunkMeta>);

    /// Writes an index; postings batches hold `batch` numbers.
    pub(crate) fn write(series: &[Series], batch: u64) -> Vec<u8> {
        let disk = SimDisk::new(0);
        let path = Path::new("index");
        let symbols: BTreeSet<&str> =
            series.iter().flat_map(|(labels, _)| labels.iter()).flat_map(|(n, v)| [n, v]).collect();
        let symbols = Vec::from_iter(symbols);
        let mut writer = IndexWriter::create(&disk, path, symbols.iter().map(Ok)).unwrap();
        writer.set_batch_len_max(batch);
        let number = |text: &str| symbols.binary_search(&text).unwrap() as u32;
        for (labels, chunks) in series {
            let pairs: Vec<_> = labels.iter().map(|(n, v)| (number(n), number(v))).collect();
            writer.add_series(&pairs, chunks).unwrap();
        }
        let len = writer.finish().unwrap();
        let bytes = disk.read(path).unwrap();
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    pub(crate) fn open(bytes: Vec<u8>) -> Result<IndexReader, Corruption> {
        IndexReader::open(Mapped::from_vec(bytes), "index".into())
    }

    fn read_all(index: &IndexReader) -> Result<Vec<(u32, Series)>, StorageError> {
        let (mut all, mut labels) = (Vec::new(), SeriesLabels::new(index, Projection::ALL));
        for id in index.all()?.iter() {
            let entry = index.series(id)?;
            let mut chunks = Vec::new();
            entry.chunks(&mut chunks)?;
            all.push((id, (labels.of(&entry)?, chunks)));
        }
        Ok(all)
    }

    fn chunks() -> impl Strategy<Value = Vec<ChunkMeta>> {
        prop::collection::vec((0..1000u64, 1..1000u64, any::<u32>()), 0..5).prop_map(|parts| {
            let mut at = i64::MIN / 2;
            let chunk = |(width, gap, place): (u64, u64, u32)| {
                let min_t = at + gap as i64;
                at = min_t + width as i64;
                ChunkMeta { min_t, max_t: at, at: u64::from(place) << 7 }
            };
            parts.into_iter().map(chunk).collect()
        })
    }

    fn series() -> impl Strategy<Value = Vec<Series>> {
        prop::collection::btree_map(label_set(), chunks(), 0..60).prop_map(Vec::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read(series in series(), batch in prop_oneof![1..30u64, Just(1 << 20)]) {
            let index = open(write(&series, batch)).unwrap();
            let read = read_all(&index).unwrap();
            prop_assert!(read.iter().map(|(_, series)| series).eq(series.iter()));
            // However the postings were made, the file is the same.
            prop_assert_eq!(&index.bytes[..], &write(&series, u64::MAX)[..]);
        }

        #[test]
        fn selection_agrees_with_a_filter(series in series(), matchers in prop::collection::vec(matcher(), 0..4)) {
            let index = open(write(&series, 1 << 20)).unwrap();
            let series: Vec<_> = read_all(&index).unwrap().into_iter().map(|(id, (labels, _))| (id, labels)).collect();
            agrees_with_filter(&index, &series, &matchers)?;
        }

        /// With the checksums mended, so that the damage gets past them.
        #[test]
        fn hostile_bytes_do_no_harm(
            series in series(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
            mend: bool,
        ) {
            let mut bytes = write(&series, 1 << 20);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if mend {
                mend_checksums(&mut bytes);
            }
            if let Ok(index) = open(bytes) {
                let _ = read_all(&index);
                let _ = crate::index::select::label_values(&index, "l", &[], 0);
                let _ = crate::index::select::select(&index, &[Matcher::new(MatchOp::NotRegex, "l", "a.*").unwrap()]);
                let _ = index.symbols().count();
            }
        }
    }

    /// Makes the checksums of the sections that are read at open those of the bytes.
    fn mend_checksums(bytes: &mut [u8]) {
        let Some(toc) = bytes.len().checked_sub(TOC_LEN) else { return };
        let crc = Crc32c::of(&bytes[toc..toc + 48]).to_bytes();
        bytes[toc + 48..].copy_from_slice(&crc);
        for at in [toc, toc + 40] {
            let at = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            let Some(len) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { continue };
            let end = at + 4 + u32::from_be_bytes(*len) as usize;
            if let Some(crc) = bytes.get(at + 4..end).map(|payload| Crc32c::of(payload).to_bytes())
                && let Some(place) = bytes.get_mut(end..end + 4)
            {
                place.copy_from_slice(&crc);
            }
        }
    }

    #[test]
    fn many_values_are_found_between_samples() {
        let series: Vec<Series> = (0..1000)
            .map(|i| (Labels::from_pairs([("a", format!("{i:04}")), ("b", "same".into())]), Vec::new()))
            .collect();
        let index = open(write(&series, 100)).unwrap();
        for (i, (labels, _)) in series.iter().enumerate() {
            let at = index.find("a", &format!("{i:04}")).unwrap().unwrap();
            let ids: Vec<u32> = index.postings(at).unwrap().iter().collect();
            let mut found = SeriesLabels::new(&index, Projection::ALL);
            assert_eq!(&found.of(&index.series(ids[0]).unwrap()).unwrap(), labels);
            assert_eq!(ids.len(), 1);
            assert_eq!(index.find("a", &format!("{i:04}x")).unwrap(), None);
        }
        assert_eq!(index.find("b", "same").unwrap().map(|at| index.postings(at).unwrap().len()), Some(1000));
        assert_eq!(index.find("", "").unwrap(), None);
        assert_eq!(index.names().unwrap(), ["a", "b"]);
    }

    /// Version 1: symbols and series by offset, a table in no order.
    fn version_1() -> Vec<u8> {
        fn section(bytes: &mut Vec<u8>, payload: &[u8]) -> u64 {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            bytes.extend_from_slice(payload);
            bytes.extend_from_slice(&Crc32c::of(payload).to_bytes());
            at
        }
        let mut bytes = INDEX_MAGIC.to_be_bytes().to_vec();
        bytes.push(1);
        // Symbols at offsets 13, 15, 17, 19.
        let symbols = section(&mut bytes, b"\0\0\0\x04\x01a\x01b\x01x\x01y");
        let mut ids = Vec::new();
        for body in [&[1u8, 13, 17, 1, 20, 5, 8][..], &[2, 13, 17, 15, 19, 0], &[1, 15, 19, 0]] {
            ids.push(bytes.len() as u32);
            bytes.push(body.len() as u8);
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(&Crc32c::of(body).to_bytes());
        }
        let mut table = 3u32.to_be_bytes().to_vec();
        for (name, value, members) in [("b", "y", &[1, 2][..]), ("a", "x", &[0, 1]), ("", "", &[0, 1, 2])] {
            let mut list = (members.len() as u32).to_be_bytes().to_vec();
            list.extend(members.iter().flat_map(|&member| ids[member].to_be_bytes()));
            let at = section(&mut bytes, &list);
            table.extend([2, name.len() as u8]);
            table.extend(name.bytes());
            table.push(value.len() as u8);
            table.extend(value.bytes());
            table.push(at as u8 | 0x80);
            table.push((at >> 7) as u8);
        }
        let table = section(&mut bytes, &table);
        let toc: Vec<u8> =
            [symbols, 25, 0, 0, 0, table].iter().flat_map(|at: &u64| at.to_be_bytes()).collect();
        bytes.extend_from_slice(&toc);
        bytes.extend_from_slice(&Crc32c::of(&toc).to_bytes());
        bytes
    }

    #[test]
    fn version_1_is_read() {
        let index = open(version_1()).unwrap();
        let labels: Vec<_> =
            read_all(&index).unwrap().into_iter().map(|(_, (labels, _))| labels.to_string()).collect();
        assert_eq!(labels, [r#"{a="x"}"#, r#"{a="x", b="y"}"#, r#"{b="y"}"#]);
        let first = read_all(&index).unwrap()[0].1.1.clone();
        assert_eq!(first, [ChunkMeta { min_t: 10, max_t: 15, at: 8 }]);
        assert_eq!(index.names().unwrap(), ["a", "b"]);
        let symbols: Vec<_> = index.symbols().map(Result::unwrap).collect();
        assert_eq!(symbols, [(13, "a"), (15, "b"), (17, "x"), (19, "y")]);
        let series: Vec<_> =
            read_all(&index).unwrap().into_iter().map(|(id, (labels, _))| (id, labels)).collect();
        agrees_with_filter(&index, &series, &[Matcher::equal("a", "x")]).unwrap();
        agrees_with_filter(&index, &series, &[Matcher::new(MatchOp::NotEqual, "b", "y").unwrap()]).unwrap();
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        let series = vec![(Labels::from_pairs([("a", "b")]), Vec::new())];
        let good = write(&series, 100);
        let reason = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 8;
            open(bytes).and_then(|index| match read_all(&index) {
                Err(StorageError::Corrupt(corruption)) => Err::<(), _>(corruption),
                other => panic!("{other:?}"),
            })
        };
        for (at, offset, part) in [
            (0, 0, "not an index"),
            (4, 4, "unknown index version"),
            (14, 5, "checksum of the symbol table"),
            (33, 32, "checksum of series 2"),
            (good.len() - 1, good.len() - TOC_LEN, "table of contents"),
            (good.len() - TOC_LEN - 1, good.len() - TOC_LEN - 22, "postings table"),
        ] {
            let corruption = reason(at).unwrap_err();
            assert!(corruption.reason.contains(part), "{at}: {corruption}");
            assert_eq!(corruption.offset, offset as u64, "{corruption}");
        }
        assert_eq!(open(good[..20].to_vec()).unwrap_err().offset, 20);
    }
}
