//! A series in an index file: its labels as symbols, and where its chunks are.
//!
//! ```text
//! uvarint labels, each: uvarint name, uvarint value            symbols by ordinal, ascending by name
//! uvarint chunks
//!   first:  varint  min_t               uvarint max_t - min_t   uvarint place
//!   next:   uvarint min_t - last max_t  uvarint max_t - min_t   varint  place - last place
//! ```

use super::ChunkMeta;
use super::reader::IndexReader;
use crate::Corruption;
use crate::bytes::reader::{ByteReader, Truncated};
use crate::bytes::varint::{put_uvarint, put_varint};

/// A label as a series refers to it: the ordinals of name and value among the symbols.
pub type SymbolPair = (u32, u32);

/// Appends a series' bytes, without their length and checksum.
pub(super) fn encode_series(body: &mut Vec<u8>, labels: &[SymbolPair], chunks: &[ChunkMeta]) {
    put_uvarint(body, labels.len() as u64);
    for &(name, value) in labels {
        put_uvarint(body, u64::from(name));
        put_uvarint(body, u64::from(value));
    }
    put_uvarint(body, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match previous {
            None => put_varint(body, chunk.min_t),
            Some(previous) => put_uvarint(body, chunk.min_t.wrapping_sub(previous.max_t) as u64),
        }
        put_uvarint(body, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
        match previous {
            None => put_uvarint(body, chunk.at),
            Some(previous) => put_varint(body, chunk.at.wrapping_sub(previous.at) as i64),
        }
        previous = Some(chunk);
    }
}

/// The body of a series, its checksum verified.
#[derive(Clone, Copy)]
pub struct SeriesEntry<'i> {
    index: &'i IndexReader,
    body: &'i [u8],
    offset: u64,
}

impl<'i> SeriesEntry<'i> {
    pub(super) fn new(index: &'i IndexReader, body: &'i [u8], offset: u64) -> Self {
        Self { index, body, offset }
    }

    /// The labels as symbols, in the order of the file, which is that of label names.
    pub fn symbols(&self, labels: &mut Vec<SymbolPair>) -> Result<(), Corruption> {
        labels.clear();
        let mut reader = ByteReader::new(self.body);
        self.read_symbols(&mut reader, |name, value| {
            labels.push((name, value));
            Ok(())
        })
    }

    /// The value of a label, "" when the series lacks it.
    pub fn label(&self, wanted: &str) -> Result<&'i str, Corruption> {
        let mut found = None;
        let mut reader = ByteReader::new(self.body);
        self.read_symbols(&mut reader, |name, value| {
            if found.is_none() && self.index.symbol(name)? == wanted {
                found = Some(value);
            }
            Ok(())
        })?;
        found.map_or(Ok(""), |value| self.index.symbol(value))
    }

    /// Where its chunks are, ascending by their first time. They do not overlap in files that today's Prometheus or
    /// this writer made; readers must bear it if they do.
    pub fn chunks(&self, chunks: &mut Vec<ChunkMeta>) -> Result<(), Corruption> {
        chunks.clear();
        let mut reader = ByteReader::new(self.body);
        self.read_symbols(&mut reader, |_, _| Ok(()))?;
        let truncated = |Truncated| self.corrupt("chunk list of a series is cut off");
        let count = reader.count(3).map_err(truncated)?;
        chunks.reserve(count);
        for _ in 0..count {
            let last = chunks.last();
            let min_t = match last {
                None => reader.varint().map_err(truncated)?,
                Some(last) => last.max_t.wrapping_add_unsigned(reader.uvarint().map_err(truncated)?),
            };
            let width = reader.uvarint().map_err(truncated)?;
            let max_t = min_t
                .checked_add_unsigned(width)
                .ok_or_else(|| self.corrupt("chunk ends before it begins"))?;
            let at = match last {
                None => reader.uvarint().map_err(truncated)?,
                Some(last) => last.at.wrapping_add_signed(reader.varint().map_err(truncated)?),
            };
            chunks.push(ChunkMeta { min_t, max_t, at });
        }
        if !chunks.is_sorted_by_key(|chunk| chunk.min_t) {
            chunks.sort_by_key(|chunk| chunk.min_t);
        }
        Ok(())
    }

    fn read_symbols(
        &self,
        reader: &mut ByteReader<'_>,
        mut visit: impl FnMut(u32, u32) -> Result<(), Corruption>,
    ) -> Result<(), Corruption> {
        let broken = || self.corrupt("label list of a series is broken");
        for _ in 0..reader.count(2).map_err(|Truncated| broken())? {
            let mut symbol = || {
                let symbol = reader.uvarint().map_err(|Truncated| broken())?;
                u32::try_from(symbol).map_err(|_| broken())
            };
            visit(symbol()?, symbol()?)?;
        }
        Ok(())
    }

    /// Says that something about the series makes no sense.
    pub fn corrupt(&self, reason: &str) -> Corruption {
        Corruption { file: self.index.file().to_owned(), offset: self.offset, reason: reason.to_owned() }
    }
}
