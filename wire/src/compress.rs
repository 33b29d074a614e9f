//! Compressed bodies under a size limit: what comes out is counted, so a small body that inflates without end is cut
//! without being held.

use std::io::Write;

use flate2::write::MultiGzDecoder;

/// Why a body could not be inflated.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// As many bytes came out as the limit, or more.
    #[error("body size limit exceeded")]
    TooLarge,
    /// Not what the encoding says.
    #[error("{0}")]
    Corrupt(String),
}

/// Turns pieces of a gzip stream, of one or more members, into bytes.
pub struct Gunzip {
    decoder: MultiGzDecoder<Limited>,
}

impl Gunzip {
    /// Inflated bytes are appended to `out`; reaching `limit` of them is an error.
    pub fn new(out: Vec<u8>, limit: u64) -> Self {
        Self { decoder: MultiGzDecoder::new(Limited { out, left: limit, exceeded: false }) }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), InflateError> {
        let result = self.decoder.write_all(piece);
        self.explain(result)
    }

    /// Checks that the stream is complete, and gives everything.
    pub fn finish(mut self) -> Result<Vec<u8>, InflateError> {
        let result = self.decoder.try_finish();
        self.explain(result)?;
        match self.decoder.finish() {
            Ok(sink) => Ok(sink.out),
            Err(error) => Err(InflateError::Corrupt(error.to_string())),
        }
    }

    fn explain(&self, result: std::io::Result<()>) -> Result<(), InflateError> {
        result.map_err(|error| {
            if self.decoder.get_ref().exceeded {
                InflateError::TooLarge
            } else {
                InflateError::Corrupt(format!("gzip: {error}"))
            }
        })
    }
}

/// Refuses to grow to its limit.
struct Limited {
    out: Vec<u8>,
    left: u64,
    exceeded: bool,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() as u64 >= self.left {
            self.exceeded = true;
            return Err(std::io::Error::other("body size limit exceeded"));
        }
        self.left -= bytes.len() as u64;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(stream: &[u8], limit: u64, piece: usize) -> Result<Vec<u8>, InflateError> {
        let mut gunzip = Gunzip::new(Vec::new(), limit);
        for piece in stream.chunks(piece) {
            gunzip.push(piece)?;
        }
        gunzip.finish()
    }

    #[test]
    fn members_and_pieces() {
        let stream = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        for piece in [1, 7, 1000] {
            assert_eq!(gunzip(&stream, 100, piece).unwrap(), b"one two");
        }
    }

    #[test]
    fn limit_counts_inflated_bytes() {
        let stream = gzip(&[b'x'; 1 << 20]);
        assert!(stream.len() < 32_768);
        assert_eq!(gunzip(&stream, (1 << 20) + 1, 4096).unwrap().len(), 1 << 20);
        assert!(matches!(gunzip(&stream, 1 << 20, 4096), Err(InflateError::TooLarge)));
        assert!(matches!(gunzip(&stream, 1000, 4096), Err(InflateError::TooLarge)));
    }

    #[test]
    fn broken_streams_are_errors() {
        let stream = gzip(&(0..5000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        for cut in [0, 1, 9, 20, stream.len() - 9, stream.len() - 1] {
            assert!(matches!(gunzip(&stream[..cut], 1 << 20, 64), Err(InflateError::Corrupt(_))), "{cut}");
        }
        let mut wrong = stream.clone();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 0x55;
        assert!(gunzip(&wrong, 1 << 20, 64).is_err());
        assert!(gunzip(b"plain text that is no gzip", 1 << 20, 64).is_err());
    }
}
