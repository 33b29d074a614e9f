//! Natural order of texts: runs of digits compare as numbers. Source: the natsort package that Prometheus uses, whose
//! order this keeps, oddities included.

/// Splits into runs of digits and runs of other characters.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (chunk, after) = rest.split_at(end);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Whether `a` comes before `b`.
pub fn precedes(a: &str, b: &str) -> bool {
    let (a, b) = (chunks(a), chunks(b));
    for (at, left) in a.iter().enumerate() {
        let Some(right) = b.get(at) else {
            return false;
        };
        let equal = match (left.parse::<i64>(), right.parse::<i64>()) {
            (Ok(x), Ok(y)) if x != y => return x < y,
            (Ok(_), Ok(_)) => true,
            _ => left == right,
        };
        if !equal {
            return left < right;
        }
        if at + 1 == a.len() {
            return true;
        }
        if at + 1 == b.len() {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_texts() {
        for (a, b) in
            [("a2", "a10"), ("1", "2"), ("a", "a1"), ("node-9:1", "node-10:1"), ("a", "b"), ("1.5", "1.10x")]
        {
            assert!(precedes(a, b), "{a} {b}");
            assert!(!precedes(b, a), "{b} {a}");
        }
        assert!(!precedes("", "a"));
    }
}
