//! Bytes as a log of two segments: reading ends, damage is found where it is, and after repair the same records are
//! there and no damage.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage_base::fs::{Disk, SimDisk};
use storage_base::wal::reader::ReadLogError;
use storage_base::wal::{Damage, Reader, repair, segment};

const DIR: &str = "wal";

fuzz_target!(|data: &[u8]| {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
    let (first, second) = data.split_at(data.len().min(1 << 16) * 2 / 3);
    disk.create_dir_all(Path::new(DIR)).expect("a directory");
    for (number, bytes) in [first, second].into_iter().enumerate() {
        let mut file = disk.create(&segment::path(Path::new(DIR), number as u64)).expect("a file");
        file.append(bytes).expect("room");
    }
    let (records, damage) = read(&disk);
    if let Some(damage) = damage {
        repair::repair(&*disk, &damage).expect("a repair");
        assert_eq!(read(&disk), (records, None));
    }
});

fn read(disk: &Arc<dyn Disk>) -> (Vec<Vec<u8>>, Option<Damage>) {
    let mut reader = Reader::open_all(Arc::clone(disk), Path::new(DIR)).expect("a log");
    let mut records = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(raw)) => records.push(raw.bytes.to_vec()),
            Ok(None) => return (records, None),
            Err(ReadLogError::Damaged(damage)) => return (records, Some(*damage)),
            Err(ReadLogError::Storage(e)) => unreachable!("{e}"),
        }
    }
}
