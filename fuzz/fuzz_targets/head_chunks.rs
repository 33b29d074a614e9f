//! Bytes as two head chunk files: opening ends, every chunk found is read, and what was damaged is whole the next time.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage_base::fs::{Disk, SimDisk};
use storage_metrics::format::HEAD_CHUNKS_DIR;
use storage_metrics::head::head_chunks::{FoundChunk, HeadChunks};

fuzz_target!(|data: &[u8]| {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
    let (first, second) = data.split_at(data.len().min(1 << 16) * 2 / 3);
    disk.create_dir_all(Path::new(HEAD_CHUNKS_DIR)).expect("a directory");
    for (name, bytes) in [("000001", first), ("000002", second)] {
        // The checksum of a file's first chunk is mended, so that some get behind it.
        let mut bytes = bytes.to_vec();
        mend(&mut bytes);
        disk.create(&Path::new(HEAD_CHUNKS_DIR).join(name)).and_then(|mut file| file.append(&bytes)).expect("room");
    }
    let (found, _) = open(&disk);
    let (again, damaged) = open(&disk);
    assert!(!damaged);
    assert_eq!(again, found);
});

fn open(disk: &Arc<dyn Disk>) -> (Vec<FoundChunk>, bool) {
    let mut found = Vec::new();
    let (chunks, damage) = HeadChunks::open(disk.clone(), |chunk| found.push(chunk)).expect("files");
    for FoundChunk { chunk, .. } in &found {
        let (encoding, _) = chunks.read(chunk.at).expect("a chunk");
        assert_eq!(encoding, chunk.encoding);
    }
    (found, damage.is_some())
}

/// Header, then series, two times, encoding and a length of one byte.
fn mend(bytes: &mut [u8]) {
    let Some(&len) = bytes.get(8 + 25) else { return };
    let covered = 8..8 + 26 + usize::from(len & 0x7f);
    if bytes.len() >= covered.end + 4 {
        let crc = storage_base::bytes::crc::Crc32c::of(&bytes[covered.clone()]).to_bytes();
        bytes[covered.end..covered.end + 4].copy_from_slice(&crc);
    }
}
