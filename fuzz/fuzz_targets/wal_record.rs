//! Bytes as a record: what decodes is written again and then decodes to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage_base::wal::Batch;
use storage_metrics::record::{self, Decoder, Record};

fuzz_target!(|data: &[u8]| {
    let Ok(decoded) = Decoder::default().decode(data) else { return };
    let start_t = record::has_start_t(data);
    let mut batch = Batch::new();
    match &decoded {
        Record::Series(all) => batch.push(|out| record::put_series(out, all)),
        Record::Samples(all) => batch.push(|out| record::put_samples(out, all, start_t)),
        Record::Tombstones(all) => batch.push(|out| record::put_tombstones(out, all)),
        Record::Exemplars(all) => batch.push(|out| record::put_exemplars(out, all)),
        Record::MmapMarkers(all) => batch.push(|out| record::put_mmap_markers(out, all)),
        Record::Metadata(all) => batch.push(|out| record::put_metadata(out, all)),
        Record::OutOfOrderCovered(place) => batch.push(|out| record::put_out_of_order_covered(out, *place)),
        Record::OutOfOrderFollows(records) => batch.push(|out| record::put_out_of_order_follows(out, *records)),
        // May become two records.
        Record::Histograms(all) => return record::put_histograms(&mut batch, all, start_t),
        Record::FloatHistograms(all) => return record::put_float_histograms(&mut batch, all, start_t),
        Record::Unknown(_) => return,
    }
    for written in batch.records() {
        let again = Decoder::default().decode(written);
        assert_eq!(again.map(|record| format!("{record:?}")), Ok(format!("{decoded:?}")));
    }
});
