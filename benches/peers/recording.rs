//! A recording of scrapes: gzip; before each scrape a line `@@ UNIX_MILLISECONDS NUMBER_OF_LINES`, then its sample
//! lines in text format without comments. A series is known by its text; one that a scrape lacks is a gap.

use std::collections::HashMap;
use std::io::Read;

/// Scrapes as columns.
pub struct Scrapes {
    /// Each series' labels: name and value pairs, `__name__` included.
    pub labels: Vec<Vec<(String, String)>>,
    /// When each scrape was, in milliseconds since the epoch.
    pub times: Vec<i64>,
    /// For each scrape a value for each series; `None` where it was missing.
    pub values: Vec<Vec<Option<f64>>>,
}

impl Scrapes {
    /// How many series there are.
    pub fn series(&self) -> usize {
        self.labels.len()
    }

    /// The scrape that a host shows at a step: hosts start at different places, so that they differ.
    pub fn at(&self, host: usize, step: usize) -> &[Option<f64>] {
        &self.values[(37 * host + step) % self.values.len()]
    }

    /// A series' labels on a host: its own, `instance`, `job`, and more that hosts share, ten in all; of a series that
    /// has more by itself, those and `instance`.
    pub fn ten_labels(&self, series: usize, host: usize) -> Vec<(String, String)> {
        let own = &self.labels[series];
        let more = [
            ("instance", format!("host-{host:05}:9100")),
            ("job", "node".to_owned()),
            ("cluster", format!("cluster-{:02}", host / 100)),
            ("rack", format!("rack-{:03}", host / 20)),
            ("zone", format!("zone-{}", host % 3)),
            ("team", format!("team-{:02}", host % 20)),
            ("region", format!("region-{}", host / 500)),
            ("environment", "production".to_owned()),
            ("os", "linux".to_owned()),
        ];
        let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.iter().cloned().chain(more.take(10usize.saturating_sub(own.len()).max(1))).collect()
    }
}

/// Reads a recording.
pub fn read(path: &str) -> Scrapes {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut labels = Vec::new();
    let mut rows: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut times = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("@@ ") {
            let time = head.split(' ').next().and_then(|time| time.parse().ok());
            times.push(time.unwrap_or_else(|| panic!("no time in {line:?}")));
            rows.push(Vec::new());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
        let at = *known.entry(series).or_insert_with(|| {
            labels.push(parse_series(series));
            labels.len() - 1
        });
        let value = value.parse().unwrap_or_else(|e| panic!("{line:?}: {e}"));
        rows.last_mut().expect("a recording begins with @@").push((at, value));
    }
    let values = rows
        .into_iter()
        .map(|row| {
            let mut columns = vec![None; labels.len()];
            row.into_iter().for_each(|(at, v)| columns[at] = Some(v));
            columns
        })
        .collect();
    Scrapes { labels, times, values }
}

/// `name{a="b",c="d"}` to pairs; recordings hold no escapes but `\\`, `\"` and `\n`.
fn parse_series(text: &str) -> Vec<(String, String)> {
    let (name, mut rest) =
        text.split_once('{').map_or((text, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                c => value.push(c),
            }
        }
        pairs.push((label.trim_start_matches(',').to_owned(), value));
        rest = &after[end..];
    }
    pairs
}
