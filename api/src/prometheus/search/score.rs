//! How well a text matches a term, from 0 to 1. The rules are those of Prometheus's `util/strutil` and
//! `web/api/v1/search_filters.go`: clients sort by the scores.

/// What a match that is not the whole text has at most of the perfect score.
const BELOW_EXACT: f64 = 0.999;

/// 1 for a text that begins with the term, less the later it stands in it; `None` when it does not.
pub fn substring(term: &str, text: &str) -> Option<f64> {
    let at = text.find(term)?;
    let before = text[..at].chars().count();
    let last = text.chars().count() - term.chars().count();
    Some(if before == 0 || last == 0 { 1.0 } else { 1.0 - 0.9 * before as f64 / last as f64 })
}

/// Whether the term's characters stand in the text in this order, and how close together; 0 when they do not.
pub fn subsequence(term: &str, text: &str) -> f64 {
    if term == text {
        return 1.0;
    }
    let (term, text): (Vec<char>, Vec<char>) = (term.chars().collect(), text.chars().collect());
    if term.is_empty() {
        return 1.0;
    }
    let mut best: Option<f64> = None;
    for (start, c) in text.iter().enumerate() {
        if text.len() - start < term.len() {
            break;
        }
        if *c != term[0] {
            continue;
        }
        // What cannot be completed from here cannot be completed further on either.
        let Some(score) = from_start(&term, &text, start) else { break };
        best = Some(best.map_or(score, |best| best.max(score)));
    }
    match best {
        Some(score) if score >= 0.0 => score / (term.len() * term.len()) as f64 * BELOW_EXACT,
        _ => 0.0,
    }
}

/// Each run of characters counts by its square; characters between runs, and half of those at the end, are deducted.
fn from_start(term: &[char], text: &[char], start: usize) -> Option<f64> {
    let of_text = 1.0 / text.len() as f64;
    let (mut score, mut matched, mut at, mut end) = (0.0, 0, start, 0);
    while matched < term.len() {
        at += text[at..].iter().position(|c| *c == term[matched])?;
        let run = text[at..].iter().zip(&term[matched..]).take_while(|(a, b)| a == b).count();
        score -= (at - end) as f64 * of_text;
        score += (run * run) as f64;
        matched += run;
        at += run;
        end = at;
    }
    Some(score - (text.len() - end) as f64 * of_text * 0.5)
}

/// The Jaro-Winkler similarity.
pub fn jaro_winkler(term: &str, text: &str) -> f64 {
    if term == text {
        return 1.0;
    }
    let (mut short, mut long): (Vec<char>, Vec<char>) = (term.chars().collect(), text.chars().collect());
    if short.len() > long.len() {
        std::mem::swap(&mut short, &mut long);
    }
    let window = (long.len() / 2).saturating_sub(1);
    let mut taken = vec![false; long.len()];
    let mut matched_short = Vec::new();
    for (i, c) in short.iter().enumerate() {
        let mut near = i.saturating_sub(window)..(i + window + 1).min(long.len());
        if let Some(j) = near.find(|j| !taken[*j] && long[*j] == *c) {
            taken[j] = true;
            matched_short.push(*c);
        }
    }
    if matched_short.is_empty() {
        return 0.0;
    }
    let matched_long = long.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| c);
    let moved = matched_short.iter().zip(matched_long).filter(|(a, b)| a != b).count() as f64;
    let matches = matched_short.len() as f64;
    let (of_short, of_long) = (1.0 / short.len() as f64, 1.0 / long.len() as f64);
    let jaro = (matches * of_short + matches * of_long + (matches - moved * 0.5) / matches) / 3.0;
    let prefix = short.iter().zip(&long).take(4).take_while(|(a, b)| a == b).count();
    jaro + prefix as f64 * 0.1 * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores() {
        // The first two were answered by Prometheus 3.14.
        assert_eq!(subsequence("up", "go_gc_cleanups_executed_cleanups_total"), 0.8445493421052631);
        assert_eq!(subsequence("up", "go_gc_cleanups_queued_cleanups_total"), 0.84290625);
        assert_eq!(subsequence("up", "up"), 1.0);
        assert_eq!(subsequence("pu", "up"), 0.0);
        assert_eq!(subsequence("é", "caffé"), (1.0 - 4.0 * (1.0 / 5.0)) * 0.999);
        assert_eq!(substring("b", "abc"), Some(1.0 - 0.9 / 2.0));
        assert_eq!(substring("a", "abc"), Some(1.0));
        assert_eq!(substring("é", "aé"), Some(1.0 - 0.9));
        assert_eq!(substring("x", "abc"), None);
        // Winkler's own examples.
        for (a, b, want) in
            [("MARTHA", "MARHTA", 0.9611), ("DIXON", "DICKSONX", 0.8133), ("JONES", "JOHNSON", 0.8324)]
        {
            let score = jaro_winkler(a, b);
            assert!((score - want).abs() < 5e-5, "{a} {b}: {score}");
            assert_eq!(score, jaro_winkler(b, a));
        }
        assert_eq!(jaro_winkler("a", "b"), 0.0);
        assert_eq!(jaro_winkler("a", ""), 0.0);
    }

    proptest! {
        #[test]
        fn bounded(a in "[a-cé]{0,8}", b in "[a-cé]{0,12}") {
            for score in [subsequence(&a, &b), jaro_winkler(&a, &b), substring(&a, &b).unwrap_or(0.0)] {
                prop_assert!((0.0..=1.0).contains(&score), "{}", score);
            }
            prop_assert_eq!(substring(&a, &b).is_some(), b.contains(&a));
        }
    }
}
