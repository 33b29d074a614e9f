//! How counts are distributed, drawn as text: `tsdb analyze --extended`.

use std::io::{self, Write};

/// Buckets are tens, hundreds and so on wide, so that there are about ten; at most so wide.
const STEP_MAX: u64 = 100_000;

/// Writes the distribution of some values. Bars are in percent of `total`, the number of chunks of all kinds.
pub fn write_histogram(out: &mut impl Write, what: &str, mut values: Vec<u64>, total: u64) -> io::Result<()> {
    values.sort_unstable();
    let (Some(&least), Some(&most)) = (values.first(), values.last()) else {
        return write!(out, "{what}: N/A\n\n");
    };
    let step = step(least, most);
    let (start, end) = (least - least % step, most - most % step + step);
    let mut buckets = vec![0_u64; ((end - start) / step + 1) as usize];
    for value in &values {
        if let Some(bucket) = buckets.get_mut(((value - start) / step) as usize) {
            *bucket += 1;
        }
    }
    let average = values.iter().sum::<u64>() / values.len() as u64;
    writeln!(out, "{what} (min/avg/max): {least}/{average}/{most}")?;
    let width = |n: u64| n.to_string().len();
    let (left, right) = (width(end), width(end + step));
    let counts = width(buckets.iter().copied().max().unwrap_or(0));
    for (bucket, count) in buckets.into_iter().enumerate() {
        let from = bucket as u64 * step + start;
        let bar = "#".repeat((100 * count / total.max(1)) as usize);
        writeln!(out, "[{:left$}, {:right$}]: {count:counts$} {bar}", from + 1, from + step)?;
    }
    writeln!(out)
}

fn step(least: u64, most: u64) -> u64 {
    let tenth = (most - least) / 10;
    let mut step = 10;
    while step < tenth && step < STEP_MAX {
        step *= 10;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_buckets() {
        let mut out = Vec::new();
        write_histogram(&mut out, "samples", vec![1, 2, 15, 99], 8).unwrap();
        write_histogram(&mut out, "bytes", vec![], 8).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "samples (min/avg/max): 1/29/99");
        assert_eq!(lines[1], format!("[  1,  10]: 2 {}", "#".repeat(25)));
        assert_eq!(lines[10], format!("[ 91, 100]: 1 {}", "#".repeat(12)));
        assert_eq!(lines[11], "[101, 110]: 0 ");
        assert_eq!(lines[13], "bytes: N/A");
        for (least, most, want) in [(0, 9, 10), (0, 120, 100), (3, 103, 10), (0, u64::MAX, STEP_MAX)] {
            assert_eq!(step(least, most), want, "{least} {most}");
        }
    }
}
