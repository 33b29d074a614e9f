//! Environment variables in external labels, as Go's `os.Expand` reads them.

/// Replaces `$name`, `${name}` and the special one-character names; `value` gives each name's value. `$` before
/// anything else stays; malformed braces are eaten.
pub fn expand(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if after.is_empty() {
            rest = &rest[dollar..];
            break;
        }
        let (name, width) = shell_name(after);
        match (name, width) {
            ("", 0) => out.push('$'),
            ("", _) => {}
            (name, _) => out.push_str(&value(name)),
        }
        rest = &after[width..];
    }
    out.push_str(rest);
    out
}

/// The name at the start of a text, and how many bytes belong to it.
fn shell_name(text: &str) -> (&str, usize) {
    let special = |b: u8| b.is_ascii_digit() || b"*#$@!?-".contains(&b);
    match text.as_bytes() {
        [b'{', b, b'}', ..] if special(*b) => (&text[1..2], 3),
        [b'{', ..] => match text.find('}') {
            Some(1) => ("", 2),
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        },
        [b, ..] if special(*b) => (&text[..1], 1),
        bytes => {
            let len = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            (&text[..len], len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_go_does() {
        for (text, want) in [
            ("a$X-b", "a<X>-b"),
            ("${X}b", "<X>b"),
            ("$$X", "<$>X"),
            ("${$}", "<$>"),
            ("cost $ 5", "cost $ 5"),
            ("$1a", "<1>a"),
            ("a${}b", "ab"),
            ("a${b", "ab"),
            ("end$", "end$"),
            ("ä$Xö", "ä<X>ö"),
            ("${a b}", "<a b>"),
        ] {
            assert_eq!(expand(text, |name| format!("<{name}>")), want, "{text}");
        }
    }
}
