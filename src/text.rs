//! Small helpers for messages to people.

/// The name most like `text`, when one is near enough to be meant: at most a third of its characters differ, or one
/// begins with the other.
pub fn closest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SHORTEST_PREFIX: usize = 4;
    let budget = (text.chars().count() / 3).max(1);
    let begins = |a: &str, b: &str| b.len() >= SHORTEST_PREFIX && a.starts_with(b);
    names
        .into_iter()
        .map(|name| (edit_distance(text, name), name))
        .filter(|(distance, name)| *distance <= budget || begins(name, text) || begins(text, name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance over characters, two neighbours swapped counting once.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut cost = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i * width + j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let replaced = cost[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let removed = cost[(i - 1) * width + j] + 1;
                let added = cost[i * width + j - 1] + 1;
                let best = replaced.min(removed).min(added);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best.min(cost[(i - 2) * width + j - 2] + 1)
                } else {
                    best
                }
            };
        }
    }
    cost[a.len() * width + b.len()]
}

/// Nanoseconds as Go prints a duration: `1h0m0.5s`, `15ms`, `0s`.
pub fn go_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let decimal = |unit: u64, name: &str| {
        let fraction = format!("{:0width$}", ns % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || unit == 1 { "" } else { "." };
        let fraction = if unit == 1 { "" } else { fraction };
        format!("{sign}{}{point}{fraction}{name}", ns / unit)
    };
    match ns {
        0 => "0s".to_owned(),
        1..1_000 => decimal(1, "ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let seconds = ns / 1_000_000_000;
            let fraction = format!("{:09}", ns % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let mut text = sign.to_owned();
            if hours > 0 {
                text.push_str(&format!("{hours}h"));
            }
            if seconds >= 60 {
                text.push_str(&format!("{minutes}m"));
            }
            text.push_str(&format!("{}{point}{fraction}s", seconds % 60));
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go() {
        for (ns, want) in [
            (0, "0s"),
            (1_500, "1.5µs"),
            (15_000_000, "15ms"),
            (7_199_999_000_000, "1h59m59.999s"),
            (-7_200_000_000_000, "-2h0m0s"),
        ] {
            assert_eq!(go_duration(ns), want);
        }
    }

    #[test]
    fn closest_names() {
        let names = ["scrape_interval", "scrape_timeout", "job_name", "a"];
        assert_eq!(closest("scrape_intervall", names), Some("scrape_interval"));
        assert_eq!(closest("jobname", names), Some("job_name"));
        assert_eq!(closest("job_nmae", names), Some("job_name"));
        assert_eq!(closest("scrape", names), Some("scrape_timeout"));
        assert_eq!(closest("unrelated", names), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("ab", "ba"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
