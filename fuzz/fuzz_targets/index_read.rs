//! Bytes as an index file: opening, every series and every label end in values or an error.

#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use model::read::Hints;
use storage_base::bytes::crc::Crc32c;
use storage_base::fs::Mapped;
use storage_base::index::reader::IndexReader;
use storage_base::index::select::LabelIndex;
use storage_base::index::series_labels::SeriesLabels;
use storage_base::index::projection::Projection;

const TOC_LEN: usize = 52;

fuzz_target!(|data: &[u8]| {
    read(data.to_vec());
    let mut mended = data.to_vec();
    mend(&mut mended);
    read(mended);
});

fn read(bytes: Vec<u8>) {
    let Ok(index) = IndexReader::open(Mapped::from_vec(bytes), "index".into()) else { return };
    index.symbols().take_while(Result::is_ok).count();
    let hints = Hints { labels: Some(vec!["instance".to_owned()]), ..Hints::default() };
    let mut all_labels = SeriesLabels::new(&index, Projection::ALL);
    let mut some_labels = SeriesLabels::new(&index, Projection::of(&hints));
    if let Ok(all) = index.all() {
        for id in all.into_vec() {
            let Ok(entry) = index.series(id) else { continue };
            let _ = all_labels.of(&entry);
            let _ = some_labels.of(&entry);
            let _ = entry.chunks(&mut Vec::new());
        }
    }
    for name in index.names().unwrap_or_default() {
        let _ = index.value_count(&name);
        let _ = index.find(&name, "");
        let _ = index.values(&name, "", &mut |_, postings| {
            let _ = index.postings(postings);
            ControlFlow::Continue(())
        });
    }
}

/// Makes right what a change elsewhere makes wrong: the checksums of table of contents, symbols and postings table.
fn mend(bytes: &mut [u8]) {
    let Some(toc) = bytes.len().checked_sub(TOC_LEN) else { return };
    for entry in [0, 40] {
        let at = u64::from_be_bytes(bytes[toc + entry..toc + entry + 8].try_into().expect("8 bytes"));
        let Ok(at) = usize::try_from(at) else { continue };
        let Some(len) = at.checked_add(4).and_then(|end| bytes.get(at..end)) else { continue };
        let len = u32::from_be_bytes(len.try_into().expect("4 bytes")) as usize;
        let (from, end) = (at + 4, at + 4 + len);
        if end + 4 <= bytes.len() {
            let crc = Crc32c::of(&bytes[from..end]).to_bytes();
            bytes[end..end + 4].copy_from_slice(&crc);
        }
    }
    let end = bytes.len() - 4;
    let crc = Crc32c::of(&bytes[toc..end]).to_bytes();
    bytes[end..].copy_from_slice(&crc);
}
