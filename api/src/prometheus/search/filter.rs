//! Which texts a search takes, with their scores.

use super::score::{jaro_winkler, subsequence, substring};

/// How terms are compared with texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The term's characters stand in the text in their order.
    #[default]
    Subsequence,
    /// The text holds the term or, with a threshold above 0, resembles it.
    JaroWinkler,
}

/// The terms of a search; a text that any of them takes is found.
pub struct Filter {
    terms: Vec<String>,
    algorithm: Algorithm,
    /// 0 to 1.
    threshold: f64,
    case_sensitive: bool,
}

impl Filter {
    /// Empty terms do not count. Without any every text is found.
    pub fn new<'a>(
        terms: impl Iterator<Item = &'a str>,
        algorithm: Algorithm,
        threshold: f64,
        case_sensitive: bool,
    ) -> Self {
        let terms = terms.filter(|term| !term.is_empty());
        let fold = |term: &str| if case_sensitive { term.to_owned() } else { term.to_lowercase() };
        Self { terms: terms.map(fold).collect(), algorithm, threshold, case_sensitive }
    }

    /// The best score of all terms that take the text; `None` when none does.
    pub fn score(&self, text: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let folded = (!self.case_sensitive).then(|| text.to_lowercase());
        let text = folded.as_deref().unwrap_or(text);
        self.terms.iter().filter_map(|term| self.score_of(term, text)).reduce(f64::max)
    }

    fn score_of(&self, term: &str, text: &str) -> Option<f64> {
        let score = match self.algorithm {
            Algorithm::Subsequence if text.starts_with(term) => return Some(1.0),
            Algorithm::Subsequence => Some(subsequence(term, text)).filter(|score| *score > 0.0)?,
            Algorithm::JaroWinkler => match substring(term, text) {
                None if self.threshold > 0.0 => jaro_winkler(term, text),
                found => return found,
            },
        };
        (score >= self.threshold).then_some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let found = |terms: &[&str], algorithm, threshold, case, text: &str| {
            Filter::new(terms.iter().copied(), algorithm, threshold, case).score(text).is_some()
        };
        use Algorithm::{JaroWinkler, Subsequence};
        for (terms, algorithm, threshold, case, text, want) in [
            (&[][..], Subsequence, 0.0, true, "anything", true),
            (&[""], Subsequence, 0.0, true, "anything", true),
            (&["hrt"], Subsequence, 0.0, true, "http_requests_total", true),
            (&["hrt"], Subsequence, 0.9, true, "http_requests_total", false),
            (&["HTTP"], Subsequence, 0.0, true, "http_requests_total", false),
            (&["HTTP"], Subsequence, 0.0, false, "http_requests_total", true),
            (&["x", "req"], Subsequence, 0.0, true, "http_requests_total", true),
            (&["req"], JaroWinkler, 0.0, true, "http_requests_total", true),
            (&["htpt"], JaroWinkler, 0.0, true, "http", false),
            (&["htpt"], JaroWinkler, 0.8, true, "http", true),
        ] {
            assert_eq!(found(terms, algorithm, threshold, case, text), want, "{terms:?} {text}");
        }
    }
}
