//! Text as promtool prints it: aligned tables, times, sizes.

use std::io::{self, BufWriter, StdoutLock, Write};

use promql::Features;

/// A column is at least so wide, its padding included.
const COLUMN_MIN: usize = 13;
/// Blanks behind the widest cell of a column.
const PADDING: usize = 2;

/// Standard output, buffered. Flush it: what a drop writes may fail unseen.
pub type Out = BufWriter<StdoutLock<'static>>;

/// Begins to write to standard output.
pub fn stdout() -> Out {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// Writes to standard error, and does without when that fails.
pub fn say_err(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The language as `--enable-feature` extends it. Unknown names are warned of and ignored.
pub fn features(given: &[String]) -> Features {
    let mut features = Features::default();
    for name in given.iter().flat_map(|list| list.split(',')) {
        match name {
            "promql-experimental-functions" => features.experimental_functions = true,
            "promql-extended-range-selectors" => features.extended_range_selectors = true,
            "promql-binop-fill-modifiers" => features.binop_fill_modifiers = true,
            // These change nothing for the commands there are.
            "promql-delayed-name-removal" | "promql-duration-expr" | "" => {}
            unknown => say_err(&format!("WARNING: Unknown feature passed to --enable-feature: {unknown}\n")),
        }
    }
    features
}

/// Writes rows whose columns, but for the last, are aligned by blanks. Each row has as many cells as the first.
pub fn write_table(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (widest.unwrap_or(0) + PADDING).max(COLUMN_MIN)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 == row.len() { 0 } else { widths.get(column).copied().unwrap_or(0) };
            write!(out, "{cell:width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Milliseconds since the epoch: as they are, or for people as `2015-06-23 13:19:44 +0000 UTC`.
pub fn time_text(t: i64, human_readable: bool) -> String {
    match jiff::Timestamp::from_second(t / 1000) {
        Ok(time) if human_readable => time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        _ => t.to_string(),
    }
}

/// Bytes: as they are, or for people as `1MiB2KiB3B`.
pub fn bytes_text(bytes: u64, human_readable: bool) -> String {
    if !human_readable || bytes == 0 {
        return bytes.to_string() + if human_readable { "B" } else { "" };
    }
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let parts = units.iter().enumerate().rev().map(|(power, unit)| ((bytes >> (10 * power)) & 1023, unit));
    parts.filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [["A", "LONG COLUMN NAME", "LAST"], ["01ABCDEFGHJKMN", "1", "x"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let mut out = Vec::new();
        write_table(&mut out, &rows).unwrap();
        let want = "A               LONG COLUMN NAME  LAST\n01ABCDEFGHJKMN  1                 x\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
        let mut out = Vec::new();
        write_table(&mut out, &[vec!["a".to_owned(), "b".to_owned()]]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a            b\n");
    }

    #[test]
    fn times_and_sizes_for_people() {
        assert_eq!(time_text(1_435_065_584_128, true), "2015-06-23 13:19:44 +0000 UTC");
        assert_eq!(time_text(-1, false), "-1");
        for (bytes, want) in
            [(0, "0B"), (3, "3B"), (1024, "1KiB"), (1_050_627, "1MiB2KiB3B"), (5 << 30, "5GiB")]
        {
            assert_eq!(bytes_text(bytes, true), want);
        }
        assert_eq!(bytes_text(2048, false), "2048");
    }
}
