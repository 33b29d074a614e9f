//! Records as checksummed fragments in pages of 32 KiB.
//!
//! ```text
//! fragment: u8 type | u16 length | u32 CRC-32C of the data | data
//! ```
//!
//! The type's low three bits say which part of its record a fragment is, bits 3 and 4 how the record is compressed.
//! No fragment crosses a page; a page's rest that has no room for a header is zeros, and a type of zero ends a page
//! early. Source: Prometheus `tsdb/wlog/wlog.go`, `reader.go`.

use super::compress::Codec;
use crate::bytes::crc::Crc32c;
use crate::format::{WAL_FRAGMENT_HEADER as HEADER, WAL_PAGE as PAGE};

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
const PART: u8 = 0b111;
const SNAPPY: u8 = 1 << 3;
const ZSTD: u8 = 1 << 4;

/// Appends a record's fragments to `out`, which will be written at `offset` of a segment; returns how many there are.
pub fn put(out: &mut Vec<u8>, offset: u64, codec: Codec, record: &[u8]) -> usize {
    let codec = match codec {
        Codec::Plain => 0,
        Codec::Snappy => SNAPPY,
        Codec::Zstd => ZSTD,
    };
    let start = out.len();
    let mut rest = record;
    for fragments in 1.. {
        let mut room = room(offset + (out.len() - start) as u64);
        if room < HEADER {
            out.resize(out.len() + room, 0);
            room = PAGE;
        }
        let (data, later) = rest.split_at(rest.len().min(room - HEADER));
        let part = match (fragments == 1, later.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        out.push(part | codec);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(&Crc32c::of(data).to_bytes());
        out.extend_from_slice(data);
        rest = later;
        if rest.is_empty() {
            return fragments;
        }
    }
    0
}

/// Bytes from an offset of a segment to the end of its page; a whole page at a page's start.
#[inline]
pub fn room(offset: u64) -> usize {
    PAGE - (offset % PAGE as u64) as usize
}

/// How long a segment will be when a record of `len` stored bytes was put at `offset`.
pub fn end_of(offset: u64, len: usize) -> u64 {
    let mut offset = offset;
    let mut rest = len;
    loop {
        if room(offset) < HEADER {
            offset += room(offset) as u64;
        }
        let taken = rest.min(room(offset) - HEADER);
        offset += (HEADER + taken) as u64;
        rest -= taken;
        if rest == 0 {
            return offset;
        }
    }
}

/// Where the first record begins that begins in a page, in bytes; `None` when none does. Nothing is verified.
pub fn first_record(page: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let [kind, l0, l1, ..] = *page.get(at..)?.first_chunk::<HEADER>()?;
        match kind & PART {
            FULL | FIRST => return Some(at),
            MIDDLE | LAST => at += HEADER + usize::from(u16::from_be_bytes([l0, l1])),
            _ => return None,
        }
    }
}

/// Why fragments cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What was found.
    pub reason: String,
    /// Whether the bytes simply end too early.
    pub torn: bool,
}

/// Puts records together from pages that come one after the other.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Where the next fragment begins, in bytes from the segment's start.
    offset: u64,
    /// Where the record in assembly begins.
    start: u64,
    /// Bytes of the record in assembly, when it has several fragments.
    parts: Vec<u8>,
    /// The parts so far are of a record that has not ended.
    open: bool,
    /// Length of the last whole record's only fragment, which ends at `offset`; `None` when it is in `parts`.
    single: Option<usize>,
    codec: Codec,
}

impl Assembler {
    /// Starts at an offset of a segment at which a record begins.
    #[inline]
    pub fn new(offset: u64) -> Self {
        Self { offset, start: offset, ..Self::default() }
    }

    /// Where the next fragment begins.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the record begins that the last [`Assembler::take`] gave or failed in.
    #[inline]
    pub fn record_start(&self) -> u64 {
        self.start
    }

    /// The record that the last [`Assembler::take`] completed, as it is stored. `window` are the segment's bytes from
    /// `window_start` on, with those that were taken.
    pub fn record<'a>(&'a self, window: &'a [u8], window_start: u64) -> (Codec, &'a [u8]) {
        let bytes = match self.single {
            Some(len) => {
                let end = (self.offset - window_start) as usize;
                end.checked_sub(len).and_then(|start| window.get(start..end)).unwrap_or(&[])
            }
            None => &self.parts,
        };
        (self.codec, bytes)
    }

    /// Whether a record has begun and not ended.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Reads on from `bytes`, which are those at [`Assembler::offset`], until a record is complete (true) or the
    /// bytes are used up (false). `bytes` ends at a page's end, or at the end of the segment, which `last` says.
    pub fn take(&mut self, bytes: &[u8], last: bool) -> Result<bool, Broken> {
        let mut rest = bytes;
        if !self.open {
            self.parts.clear();
            self.single = None;
        }
        loop {
            if !self.open {
                self.start = self.offset;
            }
            let page = &rest[..rest.len().min(room(self.offset))];
            let Some((&kind, fragment)) = page.split_first() else { return Ok(false) };
            if kind & PART == 0 {
                // The rest of the page is empty. Without an early exit, so that it vectorises.
                if fragment.iter().fold(0, |bits, byte| bits | byte) != 0 {
                    return Err(broken("data after the end of a page"));
                }
                self.offset += page.len() as u64;
                rest = &rest[page.len()..];
                continue;
            }
            let torn = || {
                if last {
                    Err(torn("segment ends within a record"))
                } else {
                    Err(broken("fragment exceeds its page"))
                }
            };
            let Some((header, data)) = fragment.split_first_chunk::<{ HEADER - 1 }>() else { return torn() };
            let [l0, l1, crc @ ..] = *header;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            if len > PAGE - HEADER {
                return Err(broken(&format!("fragment of {len} bytes")));
            }
            let Some(data) = data.get(..len) else { return torn() };
            let sum = Crc32c::of(data).to_bytes();
            if sum != crc {
                let (found, said) = (u32::from_be_bytes(sum), u32::from_be_bytes(crc));
                return Err(broken(&format!("checksum is {found:08x}, expected {said:08x}")));
            }
            match (kind & PART, self.open) {
                (FULL | FIRST, false) | (MIDDLE | LAST, true) => {}
                (FULL | FIRST, true) => return Err(broken("record begins within another")),
                (MIDDLE | LAST, false) => return Err(broken("record continues that never began")),
                (part, _) => return Err(broken(&format!("fragment of unknown type {part}"))),
            }
            self.offset += (HEADER + len) as u64;
            rest = &rest[HEADER + len..];
            if kind & PART == FULL {
                self.single = Some(len);
            } else {
                self.parts.extend_from_slice(data);
            }
            self.open = matches!(kind & PART, FIRST | MIDDLE);
            if !self.open {
                self.codec = match kind {
                    kind if kind & SNAPPY != 0 => Codec::Snappy,
                    kind if kind & ZSTD != 0 => Codec::Zstd,
                    _ => Codec::Plain,
                };
                return Ok(true);
            }
        }
    }
}

fn broken(reason: &str) -> Broken {
    Broken { reason: reason.to_owned(), torn: false }
}

fn torn(reason: &str) -> Broken {
    Broken { reason: reason.to_owned(), torn: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All records of a segment, and what stopped the reading.
    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<Broken>) {
        let mut assembler = Assembler::new(0);
        let mut records = Vec::new();
        loop {
            match assembler.take(&bytes[assembler.offset() as usize..], true) {
                Ok(true) => records.push(assembler.record(bytes, 0).1.to_vec()),
                Ok(false) if assembler.is_open() => return (records, Some(torn("open"))),
                Ok(false) => return (records, None),
                Err(e) => return (records, Some(e)),
            }
        }
    }

    fn segment(records: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for record in records {
            let offset = out.len() as u64;
            let end = end_of(offset, record.len());
            put(&mut out, offset, Codec::Plain, record);
            assert_eq!(out.len() as u64, end);
        }
        out
    }

    #[test]
    fn known_bytes() {
        let mut out = Vec::new();
        assert_eq!(put(&mut out, 0, Codec::Plain, b"123456789"), 1);
        assert_eq!(out, [&[1, 0, 9, 0xe3, 0x06, 0x92, 0x83][..], b"123456789"].concat());
        // An empty record is a header.
        out.clear();
        assert_eq!(put(&mut out, 0, Codec::Plain, b""), 1);
        assert_eq!(out, [1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn page_ends() {
        // Six bytes are left: zeros, and the record goes to the next page.
        let mut out = Vec::new();
        put(&mut out, PAGE as u64 - 6, Codec::Plain, b"x");
        assert_eq!(out[..6], [0; 6]);
        assert_eq!(out.len(), 6 + HEADER + 1);
        // Seven bytes are left: a first fragment without data.
        out.clear();
        assert_eq!(put(&mut out, PAGE as u64 - 7, Codec::Snappy, b"x"), 2);
        assert_eq!((out[0], out[7]), (FIRST | SNAPPY, LAST | SNAPPY));
        // A record of three pages.
        out.clear();
        assert_eq!(put(&mut out, 0, Codec::Zstd, &vec![7; 2 * PAGE]), 3);
        assert_eq!((out[0], out[PAGE], out[2 * PAGE]), (FIRST | ZSTD, MIDDLE | ZSTD, LAST | ZSTD));
    }

    #[test]
    fn order_is_checked() {
        let mut fragments = Vec::new();
        put(&mut fragments, 0, Codec::Plain, b"abc");
        for (kind, want) in [
            (LAST, "record continues"),
            (MIDDLE, "record continues"),
            (5, "unknown type"),
            (FIRST, "within another"),
        ] {
            let mut bytes = fragments.clone();
            bytes[0] = kind;
            bytes.extend_from_slice(&fragments);
            let (_, error) = read(&bytes);
            assert!(error.unwrap().reason.contains(want), "{kind}");
        }
        // The rest of a page after a zero must be zeros.
        assert!(read(&[&[0, 0][..], &fragments].concat()).1.is_some());
        assert_eq!(read(&[&fragments[..], &[0; 5]].concat()), (vec![b"abc".to_vec()], None));
    }

    proptest! {
        #[test]
        fn round_trip(lens in prop::collection::vec(prop_oneof![0usize..50, 32_700..32_780usize, 0..100_000usize], 1..12)) {
            let records: Vec<Vec<u8>> = lens.iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect();
            let bytes = segment(&records);
            prop_assert_eq!(read(&bytes), (records, None));
        }

        #[test]
        fn a_cut_loses_only_the_last_and_a_flip_only_the_later(
            lens in prop::collection::vec(prop_oneof![0usize..50, 32_700..32_780usize], 1..6),
            at: prop::sample::Index, bit in 0u8..8,
        ) {
            let records: Vec<Vec<u8>> = lens.iter().enumerate().map(|(i, &len)| vec![i as u8 + 1; len]).collect();
            let bytes = segment(&records);
            let at = at.index(bytes.len());
            let mut whole = 0;
            let mut end = 0;
            for record in &records {
                end = end_of(end, record.len());
                whole += usize::from(end <= at as u64);
            }
            let (got, error) = read(&bytes[..at]);
            prop_assert_eq!(&got[..], &records[..whole]);
            prop_assert!(error.is_none_or(|e| e.torn));

            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (got, error) = read(&flipped);
            prop_assert_eq!(&got[..whole.min(got.len())], &records[..whole]);
            // The bits that say how a record is compressed are not in the checksum.
            prop_assert!(error.is_some() || got.len() >= whole);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>) {
            read(&bytes);
        }
    }
}
