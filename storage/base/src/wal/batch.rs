//! Records that are logged together.

/// Encoded records, in order. Cleared and used again, it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    ends: Vec<usize>,
    /// The first of the records that belong together.
    together_from: Option<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what `put` appends as one record; nothing when it appends nothing.
    pub fn push(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        put(&mut self.bytes);
        if self.bytes.len() > start {
            self.ends.push(self.bytes.len());
        }
    }

    /// From here on, records must lie in one segment of the log.
    #[inline]
    pub fn keep_together(&mut self) {
        self.together_from = Some(self.ends.len());
    }

    /// The first record of those that must lie in one segment.
    #[inline]
    pub fn together_from(&self) -> Option<usize> {
        self.together_from
    }

    /// The records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(i, &end)| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            &self.bytes[start..end]
        })
    }

    /// Whether there is no record.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Drops the records and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.together_from = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_records_apart_and_drops_empty_ones() {
        let mut batch = Batch::new();
        batch.push(|out| out.extend(b"one"));
        batch.push(|_| {});
        batch.push(|out| out.extend(b"two!"));
        assert_eq!(batch.records().collect::<Vec<_>>(), [&b"one"[..], b"two!"]);
        assert_eq!(batch.byte_len(), 7);
        batch.clear();
        assert!(batch.is_empty() && batch.records().len() == 0);
    }
}
