//! Bytes as the entries of a tombstones file: they end in deletions that survive being written, or in an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage_metrics::blocks::tombstones::Tombstones;
use storage_base::bytes::crc::Crc32c;
use storage_metrics::format::{TOMBSTONES_MAGIC, TOMBSTONES_VERSION};

fuzz_target!(|data: &[u8]| {
    let _ = Tombstones::from_bytes(data, "tombstones");
    let mut file = TOMBSTONES_MAGIC.to_be_bytes().to_vec();
    file.push(TOMBSTONES_VERSION);
    file.extend_from_slice(data);
    file.extend_from_slice(&Crc32c::of(data).to_bytes());
    if let Ok(tombstones) = Tombstones::from_bytes(&file, "tombstones") {
        assert_eq!(Tombstones::from_bytes(&tombstones.to_bytes(), "tombstones"), Ok(tombstones));
    }
});
