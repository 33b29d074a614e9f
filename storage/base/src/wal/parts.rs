//! Parts of a log that can be read apart from each other, by several threads.

use std::path::Path;

use super::segment::Segment;
use super::{Position, frame};
use crate::error::StorageError;
use crate::format::WAL_PAGE;
use crate::fs::Disk;

/// A part is not much shorter than this. Tests have less data.
const PART_LEN: u64 = if cfg!(test) { 2 * WAL_PAGE as u64 } else { 16 << 20 };

/// Cuts a segment, as long as it was when it was listed, into parts that begin with a record, from its beginning to
/// its end. When each can be read whole, so can the segment, and it has the same records.
pub fn of_segment(disk: &dyn Disk, segment: &Segment) -> Result<Vec<(Position, Position)>, StorageError> {
    let position = |offset| Position { segment: segment.number, offset };
    let mut starts = vec![0];
    let mut page = PART_LEN;
    while page + PART_LEN / 2 <= segment.len {
        starts.extend(first_record(disk, &segment.path, page)?);
        page += PART_LEN;
    }
    let ends = starts[1..].iter().copied().chain([u64::MAX]);
    Ok(starts.iter().zip(ends).map(|(start, end)| (position(*start), position(end))).collect())
}

/// Where the first record of a page begins.
fn first_record(disk: &dyn Disk, path: &Path, page: u64) -> Result<Option<u64>, StorageError> {
    let bytes = disk.read_at(path, page, WAL_PAGE).map_err(|e| StorageError::io("reading", disk, path, e))?;
    Ok(frame::first_record(&bytes).map(|at| page + at as u64))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::fs::SimDisk;
    use crate::wal::Compression;
    use crate::wal::writer::WriterOptions;
    use crate::wal::{Batch, Reader, Writer, segment};

    fn records(mut reader: Reader) -> Option<Vec<(u64, Vec<u8>)>> {
        let mut records = Vec::new();
        while let Some(raw) = reader.next().ok()? {
            records.push((raw.offset, raw.bytes.to_vec()));
        }
        Some(records)
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(
            lens in prop::collection::vec(prop_oneof![4 => 0usize..9000, 1 => 0usize..200_000], 1..60),
            damage in prop::option::of((any::<prop::sample::Index>(), 1u8..)),
        ) {
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
            let dir = Path::new("wal");
            let options = WriterOptions { compression: Compression::None, segment_len: 64 << 20 };
            let mut writer = Writer::open(disk.clone(), dir, options).unwrap();
            for (n, len) in lens.into_iter().enumerate() {
                let mut batch = Batch::new();
                batch.push(|out| out.resize(len, n as u8 + 1));
                writer.log(&batch).unwrap();
            }
            let path = segment::path(dir, 0);
            if let Some((at, bits)) = damage {
                let mut bytes = disk.read_at(&path, 0, usize::MAX >> 1).unwrap();
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= bits;
                    disk.create(&path).unwrap().append(&bytes).unwrap();
                }
            }
            let segment = segment::list(&*disk, dir).unwrap().remove(0);
            let parts = of_segment(&*disk, &segment).unwrap();
            if damage.is_none() {
                prop_assert!(parts.len() as u64 >= segment.len / (8 * PART_LEN));
            }
            let whole = records(Reader::open_all(disk.clone(), dir).unwrap());
            let of_parts: Option<Vec<_>> = parts
                .into_iter()
                .map(|(from, to)| records(Reader::open_between(disk.clone(), dir, from, to).unwrap()))
                .collect();
            prop_assert_eq!(of_parts.map(|parts| parts.concat()), whole);
        }
    }
}
