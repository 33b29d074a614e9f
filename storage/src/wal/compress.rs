//! Compression of whole records, before they are split into fragments.

use std::io::Read;

use crate::format::WAL_RECORD_LEN_MAX;
use crate::options::Compression;

/// What a record's compressed bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The record itself.
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

/// Decompresses a record into `out`, replacing what is there. Errors say what is wrong with the bytes.
pub fn decompress(codec: Codec, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    match codec {
        Codec::Plain => out.extend_from_slice(bytes),
        Codec::Snappy => {
            let len = snap::raw::decompress_len(bytes).map_err(|e| e.to_string())?;
            // The densest element gives 64 bytes for 3, so a greater length lies.
            if len > WAL_RECORD_LEN_MAX.min(bytes.len().saturating_mul(22)) {
                return Err(format!("snappy block of {} bytes claims to hold {len}", bytes.len()));
            }
            out.resize(len, 0);
            snap::raw::Decoder::new().decompress(bytes, out).map_err(|e| e.to_string())?;
        }
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|e| e.to_string())?;
            let limit = WAL_RECORD_LEN_MAX as u64;
            if decoder.take(limit + 1).read_to_end(out).map_err(|e| e.to_string())? as u64 > limit {
                return Err(format!("zstd frame holds more than {limit} bytes"));
            }
        }
    }
    Ok(())
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
            for short in [&b"short"[..], b""] {
                compressor.compress(short);
                assert_eq!(compressor.stored(short), (Codec::Plain, short));
            }
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
