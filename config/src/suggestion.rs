//! "Did you mean …?": the known name that was most likely meant by an unknown one.

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

#[cfg(test)]
mod tests {
    use super::*;

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
