//! Compression of whole records, before they are split into fragments.

use std::io::Read;

use crate::format::WAL_RECORD_LEN_MAX;

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy blocks, as Prometheus does by default.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
}

/// What a record's compressed bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// The record itself.
    #[default]
    Plain,
    /// A snappy block.
    Snappy,
    /// A Zstandard frame.
    Zstd,
}

/// Compresses records one after the other.
pub struct Compressor {
    kind: Kind,
    buffer: Vec<u8>,
    /// How the last record was compressed, and to how many bytes of the buffer; `None` for not at all.
    compressed: Option<(Codec, usize)>,
}

enum Kind {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    /// A compressor of a kind. Where Zstandard cannot be set up (out of memory), records stay plain.
    pub fn new(compression: Compression) -> Self {
        let kind = match compression {
            Compression::None => Kind::None,
            Compression::Snappy => Kind::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => {
                zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL).map_or(Kind::None, Kind::Zstd)
            }
        };
        Self { kind, buffer: Vec::new(), compressed: None }
    }

    /// Compresses a record when that makes it smaller; [`Compressor::stored`] has the bytes.
    pub fn compress(&mut self, record: &[u8]) {
        let (codec, len) = match &mut self.kind {
            Kind::None => (Codec::Plain, None),
            Kind::Snappy(encoder) => {
                self.buffer.resize(snap::raw::max_compress_len(record.len()), 0);
                (Codec::Snappy, encoder.compress(record, &mut self.buffer).ok())
            }
            Kind::Zstd(encoder) => {
                self.buffer.resize(zstd::zstd_safe::compress_bound(record.len()), 0);
                (Codec::Zstd, encoder.compress_to_buffer(record, &mut self.buffer[..]).ok())
            }
        };
        self.compressed = len.filter(|&len| len < record.len()).map(|len| (codec, len));
    }

    /// The bytes to store for the record that was compressed last.
    pub fn stored<'a>(&'a self, record: &'a [u8]) -> (Codec, &'a [u8]) {
        match self.compressed {
            Some((codec, len)) => (codec, &self.buffer[..len]),
            None => (Codec::Plain, record),
        }
    }
}

/// Decompresses a record into `out`, replacing what is there. Errors say what is wrong with the bytes; `out` is empty
/// then.
pub fn decompress(codec: Codec, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let decompressed = try_decompress(codec, bytes, out);
    if decompressed.is_err() {
        out.clear();
    }
    decompressed
}

fn try_decompress(codec: Codec, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    match codec {
        Codec::Plain => {
            out.clear();
            out.extend_from_slice(bytes);
        }
        Codec::Snappy => {
            let len = snap::raw::decompress_len(bytes).map_err(|e| e.to_string())?;
            // The densest element gives 64 bytes for 3, so a greater length lies.
            if len > WAL_RECORD_LEN_MAX.min(bytes.len().saturating_mul(22)) {
                return Err(format!("snappy block of {} bytes claims to hold {len}", bytes.len()));
            }
            // What is there need not be cleared first: all of it is written.
            out.resize(len, 0);
            snap::raw::Decoder::new().decompress(bytes, out).map_err(|e| e.to_string())?;
        }
        Codec::Zstd => {
            out.clear();
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|e| e.to_string())?;
            let limit = WAL_RECORD_LEN_MAX as u64;
            if decoder.take(limit + 1).read_to_end(out).map_err(|e| e.to_string())? as u64 > limit {
                return Err(format!("zstd frame holds more than {limit} bytes"));
            }
        }
    }
    Ok(())
}

/// The first byte of a record, which is its kind, found without decompressing it where that is possible; `None` for an
/// empty record and for one that must be decompressed to know.
pub fn first_byte(codec: Codec, bytes: &[u8]) -> Option<u8> {
    match codec {
        Codec::Plain => bytes.first().copied(),
        Codec::Snappy => {
            let length = bytes.iter().position(|byte| byte & 0x80 == 0)?;
            let (tag, rest) = bytes[length + 1..].split_first()?;
            // A block begins with a literal: there is nothing yet to copy.
            let more = match tag >> 2 {
                _ if tag & 0b11 != 0 => return None,
                60 => 1,
                61 => 2,
                62 => 3,
                63 => 4,
                _ => 0,
            };
            rest.get(more).copied()
        }
        Codec::Zstd => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_plain_when_not_smaller() {
        let long = b"abcabcabcabc".repeat(1000);
        for (compression, want) in [
            (Compression::None, Codec::Plain),
            (Compression::Snappy, Codec::Snappy),
            (Compression::Zstd, Codec::Zstd),
        ] {
            let mut compressor = Compressor::new(compression);
            compressor.compress(&long);
            let (codec, bytes) = compressor.stored(&long);
            assert_eq!(codec, want);
            assert!(codec == Codec::Plain || bytes.len() < long.len());
            let mut out = vec![1, 2, 3];
            decompress(codec, bytes, &mut out).unwrap();
            assert_eq!(out, long);
            assert_eq!(first_byte(codec, bytes), (codec != Codec::Zstd).then_some(b'a'));
            for short in [&b"short"[..], b""] {
                compressor.compress(short);
                assert_eq!(compressor.stored(short), (Codec::Plain, short));
            }
        }
    }

    #[test]
    fn the_first_byte_of_a_long_literal() {
        for len in [1, 59, 60, 61, 255, 256, 257, 65_535, 65_536, 65_537, 70_000u64] {
            let mut seed = 1u64;
            let random = (0..len).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            });
            let bytes: Vec<u8> = random.collect();
            let stored = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            assert_eq!(first_byte(Codec::Snappy, &stored), Some(bytes[0]), "{len}");
        }
        for stored in [&[][..], &[0xff], &[5], &[5, 60 << 2], &[5, 1, 1]] {
            assert_eq!(first_byte(Codec::Snappy, stored), None);
        }
    }

    #[test]
    fn hostile_bytes() {
        let mut out = Vec::new();
        // A snappy block that claims 4 GiB.
        assert!(decompress(Codec::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], &mut out).is_err());
        assert!(out.capacity() < 1 << 20);
        assert!(decompress(Codec::Snappy, &[], &mut out).is_err());
        assert!(decompress(Codec::Zstd, &[1, 2, 3, 4], &mut out).is_err());
    }
}
