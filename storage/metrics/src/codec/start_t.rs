//! Start timestamps of samples, as the encodings 4, 5 and 6 hold them behind each sample.
//!
//! A header byte says whether sample 0 has one, and from which sample on they are written: a chunk whose samples all
//! have the same start timestamp, or none, spends no bits on them until sample 127. Each is coded as the distance to
//! the timestamp of the sample before, as a difference to the last such distance. Source: Prometheus
//! `tsdb/chunkenc/st.go`.

use super::bits::{BitReader, BitWriter};
use super::chunk::ChunkError;
use super::varbit;

/// Where the header byte is.
pub(super) const AT: usize = 2;
const FIRST_KNOWN: u8 = 0x80;
/// From this sample on start timestamps are written in any case, because the header cannot count further.
const LAST_START: u16 = 0x7f;

/// Codes start timestamps, writing or reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartTimes {
    start_t: i64,
    /// Timestamp of the sample before, less the last start timestamp.
    distance: i64,
    /// The first sample whose start timestamp is written; 0 for none so far.
    from: u16,
    first_known: bool,
}

impl StartTimes {
    /// For reading: what the header byte says.
    pub(super) fn from_header(header: u8) -> Self {
        Self { from: u16::from(header & 0x7f), first_known: header & FIRST_KNOWN != 0, ..Self::default() }
    }

    /// The last start timestamp; 0 for unknown.
    pub(super) fn start_t(&self) -> i64 {
        self.start_t
    }

    /// Whether samples from `n` on spend no bits.
    pub(super) fn silent(&self, n: u16) -> bool {
        self.from == 0 || n < self.from
    }

    /// For writing on behind `count` samples. The header must not announce what is not there, because it cannot be
    /// taken back.
    pub(super) fn resume(self, count: u16) -> Result<Self, ChunkError> {
        if self.from > 0 && self.from >= count {
            return Err(ChunkError::Invalid("start timestamps begin behind the last sample"));
        }
        Ok(self)
    }

    /// Writes the start timestamp of sample `n` (from 0) at `t`; `previous_t` is the sample before.
    pub(super) fn write(&mut self, w: &mut BitWriter, n: u16, t: i64, previous_t: i64, start_t: i64) {
        if n == 0 {
            if start_t != 0 {
                w.write_varint(t.wrapping_sub(start_t));
                w.bytes_mut()[AT] = FIRST_KNOWN;
                self.first_known = true;
            }
        } else if self.from > 0 {
            let distance = previous_t.wrapping_sub(start_t);
            varbit::write_int(w, distance.wrapping_sub(self.distance));
            self.distance = distance;
        } else if start_t != self.start_t || n == LAST_START {
            self.from = n;
            self.distance = previous_t.wrapping_sub(start_t);
            w.bytes_mut()[AT] |= n as u8;
            varbit::write_int(w, self.distance);
        }
        self.start_t = start_t;
    }

    /// Reads the start timestamp of sample `n`.
    pub(super) fn read(
        &mut self,
        r: &mut BitReader<'_>,
        n: u16,
        t: i64,
        previous_t: i64,
    ) -> Result<(), ChunkError> {
        if n == 0 {
            if self.first_known {
                let distance =
                    r.read_varint().ok_or(ChunkError::Invalid("start timestamp exceeds 64 bits"))?;
                self.start_t = t.wrapping_sub(distance);
            }
        } else if !self.silent(n) {
            let read = varbit::read_int(r);
            self.distance = if n == self.from { read } else { self.distance.wrapping_add(read) };
            self.start_t = previous_t.wrapping_sub(self.distance);
        }
        Ok(())
    }
}
