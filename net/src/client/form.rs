//! Form encoding as Go's `url.Values.Encode` has it, byte for byte: some servers compare what they did not decode.

/// Escapes as Go's `url.QueryEscape`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
    out
}

/// Encodes parameters, which the caller has sorted by name.
pub(super) fn encode<'a>(params: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<String> =
        params.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_escapes() {
        assert_eq!(escape("a b+c&d=é~*-_.(/"), "a+b%2Bc%26d%3D%C3%A9~%2A-_.%28%2F");
    }
}
