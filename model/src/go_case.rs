//! Upper and lower case as Go's `strings.ToUpper` and `strings.ToLower` make them: one character for one.

/// Every character in lower case.
pub fn to_lower(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // The one character whose lower case is two in full.
            'İ' => 'i',
            c => only(c.to_lowercase()).unwrap_or(c),
        })
        .collect()
}

/// Every character in upper case. One that only has an upper case of several, such as `ß`, stays.
pub fn to_upper(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // Greek letters with iota subscript, whose full upper case writes the iota beside them.
            '\u{1f80}'..='\u{1faf}' => char::from_u32(c as u32 | 8).unwrap_or(c),
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(c as u32 + 9).unwrap_or(c),
            c => only(c.to_uppercase()).unwrap_or(c),
        })
        .collect()
}

/// The character if it is alone.
fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_one() {
        for (text, lower, upper) in [
            ("Abc-1", "abc-1", "ABC-1"),
            ("Straße", "straße", "STRAßE"),
            ("ΣΑΣ", "σασ", "ΣΑΣ"),
            ("İı", "iı", "İI"),
            ("ŉǰ", "ŉǰ", "ŉǰ"),
            ("ᾀᾳ", "ᾀᾳ", "ᾈᾼ"),
            ("ǆ", "ǆ", "Ǆ"),
        ] {
            assert_eq!(to_lower(text), lower);
            assert_eq!(to_upper(text), upper);
        }
    }
}
