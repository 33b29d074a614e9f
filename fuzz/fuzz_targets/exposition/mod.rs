//! What the exposition targets share: a body in one format goes through the parser to its end.

use wire::exposition::{Entry, Format, Options, Parser, RawLabels};

/// Parses `data` as `format`; its first byte chooses options.
pub fn parse(data: &[u8], format: Format) {
    let Some((&first, body)) = data.split_first() else { return };
    let bit = |n: u8| first >> n & 1 == 1;
    let options = Options {
        start_timestamps: bit(0),
        native_histograms: bit(1),
        always_classic: bit(2),
        convert_to_nhcb: bit(3),
        type_and_unit: bit(4),
    };
    let mut parser = Parser::new(body, format, &options);
    while let Some(entry) = parser.next() {
        match entry {
            Ok(Entry::Series(series)) => {
                let mut labels = RawLabels::new();
                if series.labels(bit(4), &mut labels).is_ok() {
                    assert!(labels.windows(2).all(|pair| pair[0].0 <= pair[1].0));
                }
                for exemplar in series.exemplars.as_slice() {
                    let _ = exemplar.decode();
                }
            }
            Ok(_) => {}
            Err(error) => {
                // Errors stay small, and there is one.
                assert!(error.to_string().len() < 16 << 10);
                assert!(parser.next().is_none());
                return;
            }
        }
    }
}
