//! Bytes as `meta.json`: they end in a meta that survives being written, or in an error with a place in the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage_metrics::blocks::meta::BlockMeta;

fuzz_target!(|data: &[u8]| {
    match BlockMeta::from_json(data, "meta.json") {
        Ok(meta) => assert_eq!(BlockMeta::from_json(&meta.to_json(), "meta.json"), Ok(meta)),
        Err(e) => assert!(e.offset <= data.len() as u64),
    }
});
