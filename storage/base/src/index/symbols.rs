//! The symbol table of an index file: all label names and values, ascending, each once.
//!
//! `u32 len | u32 count | count × (uvarint length, bytes) | u32 crc`. Series refer to a symbol by its ordinal, in
//! version 1 by its offset in the file. In memory is only where every eighth symbol begins.

use crate::Corruption;
use crate::bytes::reader::{ByteReader, Truncated};

/// Distance of symbols whose place is kept: half a byte of memory for each symbol, and a look-up walks over three or
/// four others.
const SAMPLE: usize = 8;

/// Where symbols are in an index's bytes, which are passed to each call.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// The index's file, for messages.
    file: String,
    /// Where the first symbol begins.
    start: u64,
    /// Where the last symbol ends.
    end: u64,
    count: u32,
    /// Starts of every eighth symbol, counted from `start`.
    samples: Vec<u32>,
    by_offset: bool,
}

impl Symbols {
    /// Goes through the symbols between two offsets once. `by_offset`: series refer by offset (version 1).
    pub(super) fn open(
        file: &str,
        bytes: &[u8],
        start: u64,
        end: u64,
        count: u32,
        by_offset: bool,
    ) -> Result<Self, Corruption> {
        let mut symbols = Self { file: file.to_owned(), start, end, count, samples: Vec::new(), by_offset };
        let all = symbols.all(bytes);
        let mut reader = ByteReader::new(all);
        for ordinal in 0..count as usize {
            let at = all.len() - reader.len();
            if ordinal.is_multiple_of(SAMPLE) {
                // The section's length has 32 bits.
                symbols.samples.push(at as u32);
            }
            reader.length_prefixed().map_err(|Truncated| {
                symbols.corrupt(at, format!("symbol {ordinal} of {count} passes the end of the symbol table"))
            })?;
        }
        Ok(symbols)
    }

    /// How many symbols there are.
    #[inline]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is no symbol.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory that look-ups need.
    pub fn memory(&self) -> u64 {
        self.samples.len() as u64 * 4
    }

    /// The symbol that a series refers to.
    pub fn get<'b>(&self, bytes: &'b [u8], symbol: u32) -> Result<&'b str, Corruption> {
        let unknown = || self.corrupt(0, format!("symbol {symbol} does not exist, there are {}", self.count));
        let all = self.all(bytes);
        let (at, skip) = if self.by_offset {
            let at = u64::from(symbol).checked_sub(self.start).filter(|_| u64::from(symbol) < self.end);
            (at.ok_or_else(unknown)? as usize, 0)
        } else {
            if symbol >= self.count {
                return Err(unknown());
            }
            let sample = self.samples.get(symbol as usize / SAMPLE).ok_or_else(unknown)?;
            (*sample as usize, symbol as usize % SAMPLE)
        };
        let mut reader = ByteReader::new(all.get(at..).ok_or_else(unknown)?);
        for _ in 0..skip {
            reader.length_prefixed().map_err(|Truncated| unknown())?;
        }
        self.text(reader.length_prefixed(), at)
    }

    /// All symbols, ascending, each with the number that series refer to it by.
    pub fn iter<'b>(
        &'b self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = Result<(u32, &'b str), Corruption>> + Clone {
        let all = self.all(bytes);
        let mut reader = ByteReader::new(all);
        (0..self.count).map(move |ordinal| {
            let at = all.len() - reader.len();
            let number = if self.by_offset { (self.start + at as u64) as u32 } else { ordinal };
            Ok((number, self.text(reader.length_prefixed(), at)?))
        })
    }

    fn all<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn text<'b>(&self, bytes: Result<&'b [u8], Truncated>, at: usize) -> Result<&'b str, Corruption> {
        let bytes = bytes
            .map_err(|Truncated| self.corrupt(at, "symbol passes the end of the symbol table".into()))?;
        std::str::from_utf8(bytes).map_err(|e| self.corrupt(at, format!("symbol is not UTF-8: {e}")))
    }

    fn corrupt(&self, at: usize, reason: String) -> Corruption {
        Corruption { file: self.file.clone(), offset: self.start + at as u64, reason }
    }
}
